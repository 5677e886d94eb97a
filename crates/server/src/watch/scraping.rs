//! Owns the scrape loops: of each guard, and of this `serve` itself.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Fingerprint, Labels};
use probe::ScrapeError;
use tokio::time::Instant;

use super::{Watch, scraper};
use crate::api::exposition::{own_page, page as page_of};
use crate::clock;
use crate::fleet::{Member, Source};
use crate::flow::Flow;
use crate::world::ServeWorld;

/// The largest page that is read from a guard, in bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a page tells of its families is read so often: it does not change, but there may be more of them.
pub(super) const LEARN_EVERY: u32 = 60;

/// Scrapes the guard of one server until the task is dropped.
pub(crate) async fn scrape_guard(world: Arc<ServeWorld>, watch: Arc<Watch>, member: Arc<Member>) {
    // No label more: what the guard says of the series that we make ourselves is not kept beside them.
    let target = Labels::from_iter([("server_name", member.config.name.as_str())]);
    let deadline = world.config.probe.timeout.get();
    let interval = world.config.metrics.scrape_interval.get();
    let mut ticks = tokio::time::interval_at(Instant::now(), interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut n_pages: u32 = 0;
    // All begin at once, and go on at moments of their own.
    let mut first = Some(interval.mul_f64(share(&target)));
    loop {
        ticks.tick().await;
        loop {
            let gaps = watch.gaps();
            let started = Instant::now();
            let page = page(&world, &member, deadline).await;
            // A page that took a gap is none: whoever was stopped cannot tell how old it is, or who was late.
            if watch.gaps() == gaps {
                if !member.is_absent() {
                    if let Ok(page) = &page {
                        if n_pages.is_multiple_of(LEARN_EVERY) {
                            watch.learn(page);
                        }
                        n_pages = n_pages.wrapping_add(1);
                    }
                    if let Err(error) = &page {
                        tracing::debug!(%target, %error, "the guard's metrics could not be read");
                    }
                    keep(&watch, &target, page.ok(), started.elapsed());
                }
                watch.saw(&scraper(&member.config.name), gaps);
                break;
            }
        }
        if let Some(later) = first.take() {
            ticks.reset_after(later);
        }
    }
}

async fn page(world: &ServeWorld, member: &Member, deadline: Duration) -> Result<String, ScrapeError> {
    if let Source::Client(socket) = member.source() {
        return world.prober.scrape_local(socket, "/metrics", deadline, PAGE_BYTES_MAX).await;
    }
    let url = format!("{}/metrics", member.config.base_url(world.config.guard_address));
    world.prober.scrape(&url, deadline, PAGE_BYTES_MAX).await
}

/// A share of one interval that is always the same for one target.
pub(super) fn share(target: &Labels) -> f64 {
    (Fingerprint::of(target).number() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Takes in the page of this `serve`, without the series of servers that it makes itself, until the task is dropped.
pub(crate) async fn scrape_self(flow: Arc<Flow>) {
    let target = Labels::from_iter([("job", "paramedic")]);
    let mut ticks = tokio::time::interval(flow.world.config.metrics.scrape_interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut n_pages: u32 = 0;
    loop {
        ticks.tick().await;
        if n_pages.is_multiple_of(LEARN_EVERY)
            && let Ok(page) = page_of(&flow).await
        {
            flow.watch.learn(&page);
        }
        n_pages = n_pages.wrapping_add(1);
        let started = Instant::now();
        match own_page(&flow).await {
            Ok(page) => keep(&flow.watch, &target, Some(page), started.elapsed()),
            Err(error) => {
                tracing::warn!(error = %incident::error_chain(&error), "our own metrics are not known")
            }
        }
    }
}

/// Keeps a page, and how the scrape went, as Prometheus does.
pub(super) fn keep(watch: &Watch, target: &Labels, page: Option<String>, took: Duration) {
    let now_ms = clock::now_ms();
    // The series of a guard have no `job`, so that ours stand in their place; how it was scraped is told with one.
    let job = target.get("job").unwrap_or("guard");
    let labels: Vec<(&str, &str)> =
        target.iter().filter(|(name, _)| *name != "job").chain([("job", job)]).collect();
    watch.sample("up", &labels, if page.is_some() { 1.0 } else { 0.0 });
    watch.sample("scrape_duration_seconds", &labels, took.as_secs_f64());
    let Some(page) = page else {
        watch.store().scrape_failed(target, now_ms);
        return;
    };
    let summary = watch.store().scrape(target, &page, now_ms);
    let scraped = summary.samples + summary.samples_refused;
    watch.sample("scrape_samples_scraped", &labels, scraped as f64);
    for problem in summary.diagnostics.iter().take(3) {
        tracing::warn!(%target, line = problem.line, "{}", problem.message);
    }
}
