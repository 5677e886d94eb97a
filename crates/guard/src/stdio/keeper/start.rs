//! Owns the start of a server: how long it may take, and that a package manager's work does not count.

use std::path::Path;
use std::time::{Duration, Instant};

use process::control::{ExitCause, Phase};

use super::Fault;
use crate::metrics::Failure;
use crate::state::Child;
use crate::stdio::install::{self, Look};
use crate::stdio::shared::Shared;
use crate::stdio::tree::has_progressed;

/// The time between two looks at what a server that starts is doing. Each costs some milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The same once it has been there for a minute, and nobody has asked it anything.
const LOOK_SELDOM: Duration = Duration::from_secs(5);

/// The start of one server.
pub(super) struct Start {
    began: Instant,
    start_timeout: Duration,
    install_timeout: Duration,
    replays: bool,
    over: bool,
    next_look: Instant,
    last: Look,
    /// When a package manager was last seen to get on.
    progress: Option<Instant>,
}

// === impl Start ===

impl Start {
    pub(super) fn new(shared: &Shared, child: &Child) -> Self {
        Self {
            began: child.started,
            start_timeout: shared.settings.start_timeout,
            install_timeout: shared.settings.install_timeout,
            replays: false,
            over: false,
            next_look: child.started + LOOK_EVERY.min(shared.settings.start_timeout),
            last: Look::default(),
            progress: None,
        }
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
        (!self.over).then_some(self.next_look)
    }

    /// Looks whether the server gets on, and returns what is wrong if its time is up.
    pub(super) async fn look(&mut self, shared: &Shared, child: &Child) -> Option<Fault> {
        let id = child.id;
        let look = tokio::task::spawn_blocking(move || install::look(Path::new("/proc"), id));
        let look = look.await.unwrap_or_default();
        let now = Instant::now();
        let asked = if self.replays { Some(self.began) } else { shared.relay.initializing_since() };
        self.saw(look, now);
        let age = now.saturating_duration_since(self.began);
        self.next_look =
            now + if asked.is_none() && age > Duration::from_secs(60) { LOOK_SELDOM } else { LOOK_EVERY };
        self.tell(shared, now);
        let deadline = self.deadline(asked?);
        if now < deadline {
            self.next_look = self.next_look.min(deadline);
            return None;
        }
        self.over = true;
        shared.relay.record.metrics.failed(Failure::Timeout);
        Some(Fault(ExitCause::StartTimedOut, self.late()))
    }

    fn saw(&mut self, look: Look, now: Instant) {
        // The first look has nothing to be compared with, and counts for the manager.
        let gets_on = look.manager.is_some() && has_progressed(&self.last.done, &look.done);
        if gets_on && now.saturating_duration_since(self.began) < self.install_timeout {
            self.progress = Some(now);
        }
        self.last = look;
    }

    /// When a server has to have answered that was asked at this moment.
    fn deadline(&self, asked: Instant) -> Instant {
        asked.max(self.began).max(self.progress.unwrap_or(self.began)) + self.start_timeout
    }

    fn tell(&self, shared: &Shared, now: Instant) {
        let age = now.saturating_duration_since(self.began).as_secs();
        let (phase, words) = match &self.last.manager {
            Some(manager) => {
                let since = self.progress.map_or(0, |at| now.saturating_duration_since(at).as_secs());
                (
                    Phase::Installing,
                    format!(
                        "is being installed: `{manager}` has worked for {age} s, and was last seen to get on {since} s ago"
                    ),
                )
            }
            None => (Phase::Starting, format!("is starting: it is not ready {age} s after its start")),
        };
        let mut state = shared.state();
        if matches!(state.phase, Phase::Starting | Phase::Installing) {
            state.phase = phase;
            state.words = words;
        }
    }

    fn late(&self) -> String {
        let limit = self.start_timeout.as_secs_f64();
        match &self.last.manager {
            Some(manager) => format!("did not answer `initialize`: `{manager}` has not got on for {limit} s"),
            None => format!("did not answer `initialize` within {limit} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use process::ProcessId;

    use super::{Look, Start};
    use crate::stdio::tree::Done;

    #[test]
    fn work_of_a_package_manager_moves_the_deadline_up_to_a_limit() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut start = Start {
            began,
            start_timeout: Duration::from_secs(10),
            install_timeout: Duration::from_secs(100),
            replays: false,
            over: false,
            next_look: began,
            last: Look::default(),
            progress: None,
        };
        let mut saw = |seconds, manager: Option<&str>, bytes| {
            let done = Done { cpu_ticks: 0, bytes };
            let done = [(ProcessId { pid: 2, start_ticks: 1 }, done)].into();
            start.saw(Look { manager: manager.map(str::to_owned), done }, at(seconds));
            start.deadline(began)
        };
        assert_eq!(saw(1, None, 9_000), at(10), "a server that works is no package manager");
        assert_eq!(saw(2, Some("npx"), 99_000), at(12));
        assert_eq!(saw(8, Some("npx"), 99_001), at(12), "one that hangs moves nothing");
        assert_eq!(saw(9, Some("npx"), 199_000), at(19));
        assert_eq!(saw(99, Some("npx"), 299_000), at(109));
        assert_eq!(saw(100, Some("npx"), 399_000), at(109), "not for ever");
    }
}
