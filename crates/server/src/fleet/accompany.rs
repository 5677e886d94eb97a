//! Owns the care for a guard in front of an upstream: found or started, started again when it is gone, with back-off.
//!
//! Nobody is served while it is gone, and nothing of the server ends with it: so it is started again at once, by nobody's
//! order, and that is no restart of the server. Its own end is the business of whoever looks into the log of `serve`;
//! clients and samples see that the server does not answer.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::launch::Launch;
use super::link::Ended;
use super::supervisor::{attend, is_replaced};
use super::{Order, Supervised, Verb};

/// What an upstream's guard tells of its upstream is for samples and rules, which have their `for`.
const EVENTS_MAX: usize = 16;
/// The wait before the second start in a row, doubled for each further one; the first is made at once.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A guard that has lived for so long begins anew with the waits.
const LIVED: Duration = Duration::from_secs(60);

/// How long to wait before the next start.
#[derive(Debug, Default)]
struct Backoff {
    /// How many starts there were since one that lived.
    starts: u32,
}

// === impl Backoff ===

impl Backoff {
    /// A guard is gone that has lived for so long, or was not there at all.
    fn gone(&mut self, lived: Duration) -> Duration {
        if lived >= LIVED {
            self.starts = 0;
        }
        self.starts = self.starts.saturating_add(1);
        match self.starts {
            1 => Duration::ZERO,
            more => WAIT_FIRST.saturating_mul(1 << (more - 2).min(16)).min(WAIT_MAX),
        }
    }
}

/// Looks after the guard of one upstream until nobody gives orders any more.
pub(super) async fn accompany(
    launch: Launch,
    mut orders: mpsc::Receiver<Order>,
    report: watch::Sender<Supervised>,
) {
    let (events, mut told) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(async move { while told.recv().await.is_some() {} });
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let reason = match attend(&launch, false).await {
            Ok(link) => {
                report.send_replace(link.known());
                match link.run(&mut orders, &report, &launch.name, &events).await {
                    Ended::NoMoreOrders => return,
                    Ended::GuardGone(guard) if is_replaced(&launch, guard).await => continue,
                    Ended::GuardGone(guard) => format!("its guard (process {}) is gone", guard.pid),
                    Ended::ShutDown => {
                        let problem = Some("its guard was shut down".to_owned());
                        report.send_replace(Supervised { problem, ..Supervised::default() });
                        return refuse(&mut orders, None).await;
                    }
                }
            }
            Err(error) => incident::error_chain(&error),
        };
        let wait = backoff.gone(began.elapsed());
        tracing::error!(server = launch.name, wait_ms = wait.as_millis(), "{reason}; it is started again");
        report.send_replace(Supervised { problem: Some(reason), ..Supervised::default() });
        let until = Instant::now() + wait;
        refuse(&mut orders, Some(until)).await;
        if orders.is_closed() {
            return;
        }
    }
}

/// Answers whoever orders something while there is no guard, until then.
async fn refuse(orders: &mut mpsc::Receiver<Order>, until: Option<Instant>) {
    let time = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(time);
    loop {
        tokio::select! {
            () = &mut time => return,
            order = orders.recv() => match order {
                None => return,
                Some(Order::Tell(_)) => {}
                Some(Order::Do(deed)) => {
                    let said = match deed.verb {
                        Verb::ShutDown => "there is no guard, and so nothing to shut down",
                        _ => "it is an upstream: whoever started it restarts it",
                    };
                    let _ = deed.reply.send(Err(said.to_owned()));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, LIVED, WAIT_MAX};

    #[test]
    fn whoever_ends_again_and_again_is_started_less_often() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..4)
            .map(|_| u64::try_from(backoff.gone(Duration::from_secs(1)).as_millis()).unwrap())
            .collect();
        assert_eq!(waits, [0, 250, 500, 1000]);
        for _ in 0..100 {
            assert!(backoff.gone(Duration::ZERO) <= WAIT_MAX);
        }
        assert_eq!(backoff.gone(LIVED), Duration::ZERO);
        assert_eq!(backoff.gone(Duration::ZERO), Duration::from_millis(250));
    }
}
