//! Owns the tests of probes against servers that behave in every way that a server can.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so does what it is made of")]

mod dependencies;
mod guard;
mod real_call;
mod scrape;
mod server;
mod upstream;

use std::time::Duration;

use probe::{Dependency, Endpoint, Prober, Target};

/// For servers that answer: long enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(20);
/// For servers that do not.
const SHORT: Duration = Duration::from_millis(200);

fn prober() -> Prober {
    Prober::new().unwrap()
}

fn target(endpoint: Endpoint) -> Target {
    Target { name: "alpha".to_owned(), endpoint, dependencies: Vec::new() }
}

fn with_dependencies(endpoint: Endpoint, dependencies: Vec<Dependency>) -> Target {
    Target { dependencies, ..target(endpoint) }
}
