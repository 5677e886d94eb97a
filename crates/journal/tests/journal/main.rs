//! Tests the journal through its public face, with real files and real processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod blobs;
mod concurrency;
mod crash;
mod damage;
mod format;
mod full;
mod pruning;
mod pruning_crash;
mod reading;
mod retention;
mod tampering;
mod untouched;

use std::path::Path;

use journal::{Draft, Journal};
use serde_json::json;

/// Returns the draft that most tests append.
fn draft(number: i64) -> Draft {
    Draft {
        at_ms: 1_700_000_000_000 + number,
        incident: (number % 3 == 0).then(|| format!("incident-{number}")),
        kind: "step_started".to_owned(),
        version: 1,
        body: json!({"number": number}),
    }
}

async fn open(path: &Path) -> Journal {
    Journal::open(path, "host-a").await.unwrap()
}
