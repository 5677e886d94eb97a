//! Owns what the engine needs of the world: a clock, the servers, the runner. Tests bring a small world of their own.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use diagnosis::Finding;
use host::{Roots, Subject};
use metrics::Silences;
use probe::CheckType;

use crate::escalation::Escalating;
use crate::flapping::Flapping;
use crate::policy::{Hold, Kill, Policy};

/// A bundle of evidence that was kept apart from the journal, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preserved {
    /// One line on what it holds and where it is.
    pub summary: String,
    /// Its manifest, which the journal keeps: whoever replaces the bundle does not have the same.
    pub manifest: Vec<u8>,
    /// Its size.
    pub bytes: u64,
    /// In what it is incomplete, or why it is missing.
    pub problem: Option<String>,
}

/// The world as the engine sees it.
pub trait World: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// A random number, for names.
    fn random(&self) -> u16;

    /// Waits.
    fn pause(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Asks a server how it is: `None` is well, otherwise what is wrong.
    fn check(&self, server: &str, check: CheckType) -> impl Future<Output = Option<String>> + Send;

    /// A number that is another one whenever the process of a server is, where that is known.
    fn incarnation(&self, server: &str) -> Option<u64>;

    /// The process of a server, for evidence.
    fn process(&self, server: &str) -> Option<i32>;

    /// Whom the host is looked at for.
    fn subject(&self, server: &str) -> Subject {
        Subject { pid: self.process(server), ..Subject::named(server) }
    }

    /// What is known of a server beside what the host says, such as how its dependencies are. Takes a second at most.
    fn known(&self, _server: &str) -> impl Future<Output = Vec<Finding>> + Send {
        std::future::ready(Vec::new())
    }

    /// Where the host is looked at, for evidence.
    fn roots(&self) -> Roots {
        Roots::default()
    }

    /// Keeps what the first change would end, in a sealed bundle. `None` where this world keeps none.
    fn preserve(&self, _server: &str, _incident: &str) -> impl Future<Output = Option<Preserved>> + Send {
        std::future::ready(None)
    }

    /// Does work that blocks, away from the threads on which incidents are walked.
    fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, tokio::task::JoinError>> + Send {
        tokio::task::spawn_blocking(work)
    }

    /// The parameters that runbooks get for a server; empty where it is not known.
    fn parameters(&self, server: &str) -> BTreeMap<String, String>;

    /// What a shell unit finds in its environment beside its parameters, for example `PATH`.
    fn environment(&self) -> BTreeMap<String, String>;

    /// The folders below which units may write that only look; none where the kernel does not have to see to that.
    fn writable_for_looking(&self) -> Option<Vec<PathBuf>> {
        None
    }

    /// The policy for a server.
    fn policy(&self, server: &str) -> Policy;

    /// The bytes of a runbook as its file is now, by the name under which it was read; `None` where it is no file.
    fn runbook(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }

    /// The kill switch, read anew.
    fn kill(&self) -> Kill;

    /// The maintenance of a server that is going on, read anew. A list that cannot be read is one over everything.
    fn maintenance(&self, _server: &str, _incident: &crate::IncidentId) -> Option<Hold> {
        None
    }

    /// Who is called, and when. Where nobody says so it is only logged.
    fn escalating(&self) -> Escalating {
        Escalating::default()
    }

    /// The silences, read anew. A list that cannot be read silences nothing.
    fn silences(&self) -> Silences {
        Silences::default()
    }

    /// The name and target of a dependency of a server, where other servers may need the same.
    fn dependency(&self, _server: &str, _name: &str) -> Option<String> {
        None
    }

    /// When an incident is opened again instead of a new one, and when that is too often.
    fn flapping(&self) -> Flapping {
        Flapping::NEVER
    }

    /// Runs a prepared unit to its end, or to the end of its runner.
    fn run(
        &self,
        folder: &Path,
        intent: &runner::Intent,
    ) -> impl Future<Output = Result<runner::Recovery, runner::Error>> + Send;

    /// Finds out what became of a unit that an earlier life of the engine intended, waiting for its runner
    /// where that still lives.
    fn recover(&self, folder: &Path) -> impl Future<Output = Result<runner::Recovery, runner::Error>> + Send;

    /// Waits until nobody keeps the background jobs of a unit any more: they have ended, or their keeper was killed.
    fn background_over(&self, folder: &Path) -> impl Future<Output = Result<(), runner::Error>> + Send {
        runner::background_over(folder)
    }

    /// Ends the background jobs of a unit, unless they have ended, and says how they did.
    fn end_background(
        &self,
        folder: &Path,
    ) -> impl Future<Output = Result<runner::Background, runner::Error>> + Send {
        runner::end_background(folder)
    }
}
