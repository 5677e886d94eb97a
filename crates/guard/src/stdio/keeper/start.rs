//! Owns the start of a client's server, which begins when the client asks it, or when it is asked in the client's place.

use std::time::Instant;

use process::control::{ExitCause, Phase};

use super::Fault;
use crate::metrics::Failure;
use crate::start::Limits;
use crate::state::Child;
use crate::stdio::shared::Shared;

/// The start of one server.
pub(super) struct Start {
    began: Instant,
    replays: bool,
    over: bool,
    pace: crate::start::Start,
}

// === impl Start ===

impl Start {
    pub(super) fn new(shared: &Shared, child: &Child) -> Self {
        let settings = &shared.settings;
        let limits = Limits { start: settings.start_timeout, install: settings.install_timeout };
        let pace = crate::start::Start::new(child.started, limits);
        Self { began: child.started, replays: false, over: false, pace }
    }

    /// The server is to answer what the client had said to the one before.
    pub(super) fn replays(&mut self) {
        self.replays = true;
    }

    pub(super) fn is_replay(&self) -> bool {
        self.replays
    }

    /// The server is ready.
    pub(super) fn is_over(&mut self) {
        self.over = true;
    }

    pub(super) fn next_look(&self) -> Option<Instant> {
        (!self.over).then(|| self.pace.next_look())
    }

    /// Looks whether the server gets on, and returns what is wrong if its time is up.
    pub(super) async fn look(&mut self, shared: &Shared, child: &Child) -> Option<Fault> {
        let asked = if self.replays { Some(self.began) } else { shared.relay.initializing_since() };
        let seen = self.pace.look(child.id, asked).await;
        {
            let mut state = shared.state();
            if matches!(state.phase, Phase::Starting | Phase::Installing) {
                state.phase = seen.phase;
                state.words = seen.words;
            }
        }
        let late = seen.late?;
        self.over = true;
        shared.relay.record.metrics.failed(Failure::Timeout);
        Some(Fault(ExitCause::StartTimedOut, late))
    }
}
