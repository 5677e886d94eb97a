//! Owns waiting until the server behind the guard of a unit answers: systemd calls a unit active when its guard runs.

use std::time::Duration;

use process::ProcessId;
use process::control::Phase;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::Supervised;

/// How long what systemd and the guard have to say of a new process may be on its way. A guard that is not heard within it is
/// none that we can listen to, and then the word of systemd has to do.
pub(super) const NEWS_WITHIN: Duration = Duration::from_secs(2);

/// What is waited for, and where that is told.
pub(super) struct Until {
    pub(super) known: watch::Receiver<Supervised>,
    /// Whether a guard is expected in the unit at all.
    pub(super) has_guard: bool,
    /// How long the first news may take, see [`NEWS_WITHIN`].
    pub(super) news_within: Duration,
}

// === impl Until ===

impl Until {
    /// Waits until the server in the run of the unit whose main process this is answers.
    ///
    /// # Errors
    /// With the reason, when that process has ended again, or the time is up.
    pub(super) async fn answers(mut self, main: ProcessId, deadline: Instant) -> Result<(), String> {
        if !self.has_guard {
            return Ok(());
        }
        let is_heard = |known: &Supervised| is_main(known, main) && known.status.is_some();
        let heard =
            timeout(self.news_within, self.known.wait_for(is_heard)).await.is_ok_and(|heard| heard.is_ok());
        let is_over = |known: &Supervised| {
            !is_main(known, main) || known.status.as_ref().is_some_and(|status| status.phase == Phase::Ready)
        };
        if heard {
            let waited = timeout_at(deadline, self.known.wait_for(is_over)).await.map(drop);
            if waited.is_err() {
                return Err("it was started, and does not answer yet".to_owned());
            }
        }
        let known = self.known.borrow();
        if is_main(&known, main) || known.unit.is_none() {
            return Ok(());
        }
        let reason = known.last_exit().map_or("nobody knows how", |exit| exit.reason.as_str());
        Err(format!("it was started, and has ended again: {reason}"))
    }
}

fn is_main(known: &Supervised, main: ProcessId) -> bool {
    known.unit.as_ref().is_some_and(|unit| unit.main == Some(main))
}

#[cfg(test)]
mod tests {
    use process::control::Status;

    use super::super::UnitStatus;
    use super::*;

    fn main() -> ProcessId {
        ProcessId { pid: 7, start_ticks: 1 }
    }

    fn known(pid: Option<i32>, phase: Option<Phase>) -> Supervised {
        let id = |pid| ProcessId { pid, start_ticks: 1 };
        let unit = UnitStatus {
            name: "mcp-server-a.service".parse().unwrap(),
            phase: Phase::Ready,
            main: pid.map(id),
            restarts: 0,
            last_exit: None,
            stopped_by: None,
        };
        let status = phase.map(|phase| Status {
            name: "a".to_owned(),
            guard: main(),
            listen: String::new(),
            command: Vec::new(),
            phase,
            child: None,
            starts: 1,
            last_exit: None,
            last_key: None,
            stopped_by: None,
            package: None,
            restriction: None,
        });
        Supervised { status, unit: Some(unit), problem: None, outdated: false }
    }

    async fn waited(news: Vec<Supervised>, has_guard: bool) -> Result<(), String> {
        let (told, receiver) = watch::channel(Supervised::default());
        let telling = async move {
            for one in news {
                told.send_replace(one);
                tokio::task::yield_now().await;
            }
            std::future::pending::<()>().await;
        };
        let until = Until { known: receiver, has_guard, news_within: Duration::from_millis(300) };
        tokio::select! {
            biased;
            waited = until.answers(main(), Instant::now() + Duration::from_secs(1)) => waited,
            () = telling => unreachable!("it never ends"),
        }
    }

    #[tokio::test]
    async fn what_is_waited_for() {
        let starting = || known(Some(7), Some(Phase::Starting));
        let check = async |news: Vec<Supervised>, expect: &str| {
            let said = waited(news, true).await.map_or_else(|reason| reason, |()| "it answers".to_owned());
            assert!(said.contains(expect), "{said}");
        };
        check(vec![known(None, None), starting(), known(Some(7), Some(Phase::Ready))], "it answers").await;
        check(vec![starting(), known(None, None)], "has ended again").await;
        check(vec![starting(), known(Some(8), Some(Phase::Starting))], "has ended again").await;
        check(vec![starting()], "does not answer yet").await;
        // It was over before anybody could hear of it.
        check(vec![known(None, None)], "has ended again").await;
        // Nobody can be heard: the word of systemd has to do.
        check(vec![known(Some(7), None)], "it answers").await;
        check(vec![], "it answers").await;
        assert_eq!(waited(vec![], false).await, Ok(()));
    }
}
