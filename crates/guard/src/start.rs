//! Owns the start of a server: how long it may take, and that a package manager's work does not count.

use std::path::Path;
use std::time::{Duration, Instant};

use process::ProcessId;
use process::control::Phase;

use crate::install::{self, Look};
use crate::tree::has_progressed;

/// The time between two looks at what a server that starts is doing. Each costs some milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The same once it has been there for a minute, and nobody has asked it anything.
const LOOK_SELDOM: Duration = Duration::from_secs(5);
const SELDOM_AFTER: Duration = Duration::from_secs(60);

/// How long a start may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the question to the answer, or from the last progress of a package manager.
    pub(crate) start: Duration,
    /// How long such progress counts, from the start of the process.
    pub(crate) install: Duration,
}

/// The start of one server.
pub(crate) struct Start {
    began: Instant,
    limits: Limits,
    next_look: Instant,
    last: Look,
    /// When a package manager was last seen to get on.
    progress: Option<Instant>,
}

/// What a look has shown.
pub(crate) struct Seen {
    /// [`Phase::Starting`] or [`Phase::Installing`].
    pub(crate) phase: Phase,
    /// The same in words that follow the name of the server.
    pub(crate) words: String,
    /// What is wrong, if its time is up.
    pub(crate) late: Option<String>,
}

// === impl Start ===

impl Start {
    pub(crate) fn new(began: Instant, limits: Limits) -> Self {
        let next_look = began + LOOK_EVERY.min(limits.start);
        Self { began, limits, next_look, last: Look::default(), progress: None }
    }

    pub(crate) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Looks whether a server gets on that was asked at this moment, or not yet.
    pub(crate) async fn look(&mut self, child: ProcessId, asked: Option<Instant>) -> Seen {
        let look = tokio::task::spawn_blocking(move || install::look(Path::new("/proc"), child));
        let look = look.await.unwrap_or_default();
        self.saw(look, asked, Instant::now())
    }

    fn saw(&mut self, look: Look, asked: Option<Instant>, now: Instant) -> Seen {
        // The first look has nothing to be compared with, and counts for the manager.
        let gets_on = look.manager.is_some() && has_progressed(&self.last.done, &look.done);
        let age = now.saturating_duration_since(self.began);
        if gets_on && age < self.limits.install {
            self.progress = Some(now);
        }
        self.last = look;
        self.next_look = now + if asked.is_none() && age > SELDOM_AFTER { LOOK_SELDOM } else { LOOK_EVERY };
        let deadline = asked.map(|asked| self.deadline(asked));
        let is_late = deadline.is_some_and(|deadline| now >= deadline);
        if let Some(deadline) = deadline.filter(|_| !is_late) {
            self.next_look = self.next_look.min(deadline);
        }
        let (phase, words) = self.words(now);
        Seen { phase, words, late: is_late.then(|| self.late()) }
    }

    /// When a server has to have answered that was asked at this moment.
    fn deadline(&self, asked: Instant) -> Instant {
        asked.max(self.began).max(self.progress.unwrap_or(self.began)) + self.limits.start
    }

    fn words(&self, now: Instant) -> (Phase, String) {
        let age = now.saturating_duration_since(self.began).as_secs();
        match &self.last.manager {
            Some(manager) => {
                let since = self.progress.map_or(0, |at| now.saturating_duration_since(at).as_secs());
                let words = format!(
                    "is being installed: `{manager}` has worked for {age} s, and was last seen to get on {since} s ago"
                );
                (Phase::Installing, words)
            }
            None => (Phase::Starting, format!("is starting: it is not ready {age} s after its start")),
        }
    }

    fn late(&self) -> String {
        let limit = self.limits.start.as_secs_f64();
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
    use process::control::Phase;

    use super::{Limits, Look, Start};
    use crate::tree::Done;

    #[test]
    fn work_of_a_package_manager_moves_the_deadline_up_to_a_limit() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let limits = Limits { start: Duration::from_secs(10), install: Duration::from_secs(100) };
        let mut start = Start::new(began, limits);
        let mut saw = |seconds, manager: Option<&str>, bytes| {
            let done = Done { cpu_ticks: 0, bytes };
            let done = [(ProcessId { pid: 2, start_ticks: 1 }, done)].into();
            let look = Look { manager: manager.map(str::to_owned), done };
            let seen = start.saw(look, Some(began), at(seconds));
            let phase = if manager.is_some() { Phase::Installing } else { Phase::Starting };
            assert_eq!(seen.phase, phase, "{}", seen.words);
            (start.deadline(began), seen.late)
        };
        assert_eq!(saw(1, None, 9_000), (at(10), None), "a server that works is no package manager");
        assert_eq!(saw(2, Some("npx"), 99_000), (at(12), None));
        assert_eq!(saw(8, Some("npx"), 99_001), (at(12), None), "one that hangs moves nothing");
        assert_eq!(saw(9, Some("npx"), 199_000), (at(19), None));
        assert_eq!(saw(18, Some("npx"), 299_000), (at(28), None));
        assert_eq!(saw(99, Some("npx"), 399_000), (at(109), None));
        assert_eq!(saw(100, Some("npx"), 499_000), (at(109), None), "not for ever");
        let late = "did not answer `initialize`: `npx` has not got on for 10 s".to_owned();
        assert_eq!(saw(109, Some("npx"), 599_000), (at(109), Some(late)));
    }
}
