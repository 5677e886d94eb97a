//! Owns the scrape loop of one guard.

use std::sync::Arc;

use metrics::Labels;
use probe::ScrapeError;

use super::{Watch, scraper};
use crate::clock;
use crate::fleet::{Member, Source};
use crate::world::ServeWorld;

/// The largest page that is read from a guard, in bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Scrapes the guard of one server until the task is dropped.
pub(crate) async fn scrape_guard(world: Arc<ServeWorld>, watch: Arc<Watch>, member: Arc<Member>) {
    let target = Labels::from_iter([("job", "guard"), ("server_name", member.config.name.as_str())]);
    let deadline = world.config.probe.timeout.get();
    let mut ticks = tokio::time::interval(world.config.metrics.scrape_interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        loop {
            let gaps = watch.gaps();
            let page = page(&world, &member, deadline).await;
            // A page that took a gap is none: whoever was stopped cannot tell how old it is, or who was late.
            if watch.gaps() == gaps {
                if !member.is_absent() {
                    keep(&watch, &target, page);
                }
                watch.saw(&scraper(&member.config.name), gaps);
                break;
            }
        }
    }
}

async fn page(
    world: &ServeWorld,
    member: &Member,
    deadline: std::time::Duration,
) -> Result<String, ScrapeError> {
    if let Source::Client(socket) = member.source() {
        return world.prober.scrape_local(socket, "/metrics", deadline, PAGE_BYTES_MAX).await;
    }
    let url = format!("{}/metrics", member.config.base_url(world.config.guard_address));
    world.prober.scrape(&url, deadline, PAGE_BYTES_MAX).await
}

fn keep(watch: &Watch, target: &Labels, page: Result<String, ScrapeError>) {
    let now_ms = clock::now_ms();
    match page {
        Ok(page) => {
            let summary = watch.store().scrape(target, &page, now_ms);
            let server = target.get("server_name").unwrap_or_default();
            for problem in summary.diagnostics.iter().take(3) {
                tracing::warn!(server, line = problem.line, "{}", problem.message);
            }
        }
        Err(error) => {
            tracing::debug!(%target, %error, "the guard's metrics could not be read");
            watch.store().scrape_failed(target, now_ms);
        }
    }
}
