//! Owns how a client's server is at this moment, for the keeper, which knows, and the surface, which tells.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use process::ProcessId;
use process::control::{Exit, Package, Phase, Status};

use super::StdioSettings;
use super::health::Asker;
use super::relay::Relay;
use crate::controls::Kept;
use crate::oom::Accounts;
use crate::restarts::Restarts;
use crate::state::Child;

/// Everything that is shared.
pub(crate) struct Shared {
    pub(crate) settings: StdioSettings,
    pub(crate) relay: Arc<Relay>,
    pub(crate) asker: Asker,
    pub(crate) kept: Arc<Kept>,
    pub(crate) restarts: Restarts,
    guard: ProcessId,
    state: Mutex<State>,
}

/// How things are.
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) child: Option<Child>,
    pub(crate) starts: u64,
    pub(crate) last_exit: Option<Exit>,
    pub(crate) accounts: Option<Arc<Accounts>>,
    pub(crate) package: Option<Package>,
    /// In which way the present server is another one than the client has met.
    pub(crate) difference: Option<String>,
    /// What is going on, in words, while the server is not ready.
    pub(crate) words: String,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(
        settings: StdioSettings,
        relay: Arc<Relay>,
        kept: Arc<Kept>,
        restarts: Restarts,
    ) -> Self {
        let state = State {
            phase: Phase::Starting,
            child: None,
            starts: 0,
            last_exit: None,
            accounts: None,
            package: None,
            difference: None,
            words: "has not been started yet".to_owned(),
        };
        let (asker, guard) = (Asker::default(), ProcessId::current());
        Self { settings, relay, asker, kept, restarts, guard, state: Mutex::new(state) }
    }

    /// The state, locked. Never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is a set of plain assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the server is not ready, as a sentence.
    pub(crate) fn reason(&self) -> String {
        self.relay.record.reason(&self.state().words)
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.state();
        Status {
            name: self.relay.record.name.clone(),
            guard: self.guard,
            listen: "stdio".to_owned(),
            command: self.settings.command.clone(),
            phase: state.phase,
            child: state.child.map(|child| child.id),
            starts: state.starts,
            last_exit: state.last_exit.clone(),
            last_key: None,
            stopped_by: None,
            package: state.package.clone().map(Box::new),
            restriction: self.relay.restriction().map(Box::new),
        }
    }
}
