//! Owns asking: whether an MCP server answers, whether what it depends on does, and what its metrics page says.
//!
//! No question fails: a [`Report`] says how its object is and why. Every question ends at its deadline whatever
//! the other side does, every answer is read up to a limit, and every one opens its own connection, so that none
//! is answered by a listener that is gone.

mod body;
mod clients;
mod dependency;
mod dig;
mod findings;
mod host_checks;
mod introduction;
mod liveness;
mod mcp;
mod nagios;
mod network_checks;
mod postgres;
mod prober;
mod real_call;
mod reason;
mod report;
mod scrape;
mod sse;
mod target;

pub use clients::{client_with, install_crypto};
pub use dig::{CertificateFault, Families, Names, Phases, Reached, Said, token};
pub use findings::findings;
pub use introduction::Introduction;
pub use nagios::Perfdata;
pub use postgres::postgres_problem;
pub use prober::{Prober, ProberError};
pub use real_call::Declared;
pub use report::{CheckType, DependencyReport, Health, Report, Request, readiness_of};
pub use scrape::{ScrapeError, Tls};
pub use target::{Check, Criticality, Dependency, Endpoint, Password, Reveal, Target};
