//! Owns asking the store for what pages show: within bounds, and for the fleet once for all who look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{Query, QueryBounds, QueryLimits, Series, Steps};
use web::series::Hour;

use crate::flow::Flow;

/// How long the numbers of the fleet are good for: no server is scraped more often by default.
const FRESH_MS: i64 = 10_000;

/// How long one query of a page may take: whoever else needs the store waits for it.
const QUERY_MAX: Duration = Duration::from_secs(2);

/// How long a page waits for newer numbers: without them it is there at once, and they come a moment later.
const PATIENCE: Duration = Duration::from_millis(40);

/// How soon a page is made anew that waits for numbers, and how soon one that has them.
const SOON: Duration = Duration::from_secs(1);
const USUAL: Duration = Duration::from_secs(10);

/// The last hour, for all who look at the fleet.
#[derive(Debug, Default)]
pub(super) struct Hours(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: Mutex<Option<(i64, Arc<Hour>)>>,
    /// Whose turn it is to ask.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of the last hour.
#[derive(Debug)]
pub(super) struct Last {
    /// The numbers; those of before, or none, where newer ones are being asked for.
    pub(super) hour: Arc<Hour>,
    /// How soon to look again.
    pub(super) again: Duration,
}

// === impl Hours ===

impl Hours {
    /// The last hour as it was a moment ago. Whoever comes first has it asked for, and nobody waits long for that: with a
    /// thousand servers it takes a good part of a second.
    pub(super) async fn last(&self, flow: &Arc<Flow>, now_ms: i64) -> Last {
        let flow = Arc::clone(flow);
        let ask = move || Hour::of(now_ms, &mut |query, steps| range(&flow, query, steps));
        self.known(now_ms, PATIENCE, ask).await
    }

    async fn known(
        &self,
        now_ms: i64,
        patience: Duration,
        ask: impl FnOnce() -> Hour + Send + 'static,
    ) -> Last {
        if self.0.fresh(now_ms).is_none() {
            let waiting = async {
                match Arc::clone(&self.0.asking).try_lock_owned() {
                    // Somebody else asks for it.
                    Err(_) => drop(self.0.asking.lock().await),
                    Ok(turn) => {
                        let inner = Arc::clone(&self.0);
                        let asked = tokio::task::spawn_blocking(move || {
                            let hour = Arc::new(ask());
                            *inner.kept() = Some((now_ms, hour));
                            drop(turn);
                        });
                        let _ = asked.await;
                    }
                }
            };
            // It goes on without us.
            let _ = tokio::time::timeout(patience, waiting).await;
        }
        match self.0.fresh(now_ms) {
            Some(hour) => Last { hour, again: USUAL },
            None => {
                let before = self.0.kept().as_ref().map(|(_, hour)| Arc::clone(hour));
                Last { hour: before.unwrap_or_default(), again: SOON }
            }
        }
    }
}

// === impl Inner ===

impl Inner {
    fn kept(&self) -> MutexGuard<'_, Option<(i64, Arc<Hour>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self, now_ms: i64) -> Option<Arc<Hour>> {
        let is_fresh = |at_ms: i64| (0..FRESH_MS).contains(&(now_ms - at_ms));
        let kept = self.kept();
        kept.as_ref().filter(|(at_ms, _)| is_fresh(*at_ms)).map(|(_, hour)| Arc::clone(hour))
    }
}

/// What a query yields; nothing where it takes too much, which is told.
pub(super) fn range(flow: &Flow, query: &Query, steps: Steps) -> Vec<Series> {
    let began = Instant::now();
    let is_late = move || began.elapsed() > QUERY_MAX;
    let bounds = QueryBounds { limits: QueryLimits::default(), is_late: &is_late };
    match query.range_answer(&flow.watch.store(), steps, bounds) {
        Ok((series, _)) => series,
        Err(error) => {
            tracing::warn!(%error, query = query.text(), "a page lacks its numbers");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_page_does_not_wait_long_for_its_numbers() {
        let hours = Hours::default();
        let (go, gone) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel::<()>();
        let of = |gap_ms: i64| {
            let mut hour = Hour::default();
            hour.gap_ms = gap_ms;
            hour
        };
        let slow = move || {
            gone.recv().unwrap();
            let hour = of(1);
            done.send(()).unwrap();
            hour
        };
        let first = hours.known(0, Duration::ZERO, slow).await;
        assert_eq!((first.hour.gap_ms, first.again), (0, SOON), "it is there without them");
        let second = hours.known(1, Duration::ZERO, || panic!("somebody asks already")).await;
        assert_eq!(second.again, SOON);
        go.send(()).unwrap();
        is_done.recv().unwrap();
        drop(hours.0.asking.lock().await);
        let third = hours.known(FRESH_MS - 1, Duration::ZERO, || panic!("it is fresh")).await;
        assert_eq!((third.hour.gap_ms, third.again), (1, USUAL));
        // What is quick is waited for; a clock that was set back makes it old.
        for (now_ms, gap_ms) in [(FRESH_MS, 2), (0, 3)] {
            let next = hours.known(now_ms, DEADLINE, move || of(gap_ms)).await;
            assert_eq!((next.hour.gap_ms, next.again), (gap_ms, USUAL));
        }
    }
}
