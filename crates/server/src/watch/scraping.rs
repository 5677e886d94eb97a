//! Owns the scrape loop of one guard.

use std::sync::Arc;

use metrics::Labels;

use super::Watch;
use crate::clock;
use crate::fleet::Member;
use crate::world::ServeWorld;

/// The largest page that is read from a guard, in bytes.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the responder says itself of a server, so that a guard's copy is not taken over it.
const OWN_METRICS: [&str; 3] = ["mcp_server_up", "mcp_server_health_status", "mcp_server_dependency_status"];

/// Scrapes the guard of one server until the task is dropped.
pub(crate) async fn scrape_guard(world: Arc<ServeWorld>, watch: Arc<Watch>, member: Arc<Member>) {
    let url = format!("{}/metrics", member.config.base_url(world.config.guard_address));
    let target = Labels::from_iter([("job", "guard"), ("server_name", member.config.name.as_str())]);
    let deadline = world.config.probe.timeout.get();
    let mut ticks = tokio::time::interval(world.config.metrics.scrape_interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let page = world.prober.scrape(&url, deadline, PAGE_BYTES_MAX).await;
        let now_ms = clock::now_ms();
        match page {
            Ok(page) => {
                let summary = watch.store().scrape(&target, &without_own(&page), now_ms);
                for problem in summary.diagnostics.iter().take(3) {
                    tracing::warn!(server = member.config.name, line = problem.line, "{}", problem.message);
                }
            }
            Err(error) => {
                tracing::debug!(server = member.config.name, %error, "the guard's metrics could not be read");
                watch.store().scrape_failed(&target, now_ms);
            }
        }
    }
}

/// The page without the series that the responder makes itself.
fn without_own(page: &str) -> String {
    let own = |line: &&str| {
        !OWN_METRICS.iter().any(|name| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
    };
    page.split_inclusive('\n').filter(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_left_out() {
        let page = "# TYPE mcp_server_up gauge\nmcp_server_up{server_name=\"a\"} 1\nmcp_server_uptime 5\n";
        assert_eq!(without_own(page), "# TYPE mcp_server_up gauge\nmcp_server_uptime 5\n");
    }
}
