//! Owns asking the store for what pages show: within bounds, and for the fleet once for all who look.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Query, QueryBounds, QueryLimits, Series, Steps};
use tokio::sync::Mutex;
use web::series::Hour;

use crate::flow::Flow;

/// How long the numbers of the fleet are good for: no server is scraped more often by default.
const FRESH_MS: i64 = 10_000;

/// How long one query of a page may take: whoever else needs the store waits for it.
const QUERY_MAX: Duration = Duration::from_secs(2);

/// The last hour, for all who look at the fleet.
#[derive(Debug, Default)]
pub(super) struct Hours(Mutex<Option<(i64, Arc<Hour>)>>);

// === impl Hours ===

impl Hours {
    /// The last hour as it was a moment ago; whoever comes first asks for it.
    pub(super) async fn last(&self, flow: &Arc<Flow>, now_ms: i64) -> Arc<Hour> {
        let mut kept = self.0.lock().await;
        let is_fresh = |at_ms: i64| (0..FRESH_MS).contains(&(now_ms - at_ms));
        if let Some((_, hour)) = kept.as_ref().filter(|(at_ms, _)| is_fresh(*at_ms)) {
            return Arc::clone(hour);
        }
        let flow = Arc::clone(flow);
        let compute = move || Hour::of(now_ms, &mut |query, steps| range(&flow, query, steps));
        let hour = Arc::new(tokio::task::spawn_blocking(compute).await.unwrap_or_default());
        *kept = Some((now_ms, Arc::clone(&hour)));
        hour
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
