//! Owns the checks of servers' data as time goes on, and the samples that they make.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;

use incident::error_chain;
use integrity::{Keep, Past, damaged_since};

use super::Watch;
use crate::clock;
use crate::config::Server;
use crate::data::{DataError, Manner, Subject};
use crate::world::ServeWorld;

/// What is exported: 1 is whole, 0 is damaged.
const STATUS: &str = "mcp_data_integrity_status";

/// What the history of a server's checks said when it was read last.
#[derive(Debug, Default)]
struct Known {
    pasts: Vec<Past>,
    modified: Option<std::time::SystemTime>,
}

/// Checks the data of all servers when it is time, one after the other and with one thread, until the task is dropped.
/// Nothing else waits for it.
pub(crate) async fn check_data(world: Arc<ServeWorld>) {
    let servers: Vec<&Server> = world.config.server.iter().filter(|server| !server.data.is_empty()).collect();
    if servers.is_empty() {
        return;
    }
    let mut ticks = tokio::time::interval(world.config.metrics.scrape_interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for server in &servers {
            let (config, name) = (Arc::clone(&world.config), server.name.clone());
            let checked = tokio::task::spawn_blocking(move || {
                let subject = Subject::of_server(&config, &name)?;
                let pasts = subject.history().read().unwrap_or_default();
                let now_ms = clock::now_ms();
                let Some(reads_all) =
                    due(&pasts, now_ms, config.integrity.quick.ms(), config.integrity.full.ms())
                else {
                    return Ok(());
                };
                let rate = Some(config.integrity.rate.0);
                let manner = Manner { reads_all, keep: Keep::IfWhole, rate, threads: NonZero::new(1) };
                subject.check(manner, now_ms).map(|_| ())
            });
            match checked.await {
                // Whoever checks meanwhile finds the same.
                Ok(Ok(()) | Err(DataError::Busy(_))) | Err(_) => {}
                Ok(Err(error)) => {
                    tracing::warn!(server = server.name, error = %error_chain(&error), "its data cannot be checked");
                }
            }
        }
    }
}

/// Says at each scrape what the last checks found, whoever made them, as long as that is not too old to mean anything.
pub(crate) async fn tell_data(world: Arc<ServeWorld>, watch: Arc<Watch>) {
    let mut known: HashMap<String, Known> = HashMap::new();
    let mut ticks = tokio::time::interval(world.config.metrics.scrape_interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for server in world.config.server.iter().filter(|server| !server.data.is_empty()) {
            let Ok(subject) = Subject::of_server(&world.config, &server.name) else { continue };
            let known = known.entry(server.name.clone()).or_default();
            known.refresh(&subject);
            let fresh_ms = 2 * world.config.integrity.quick.ms();
            if let Some(status) = status(&known.pasts, clock::now_ms(), fresh_ms) {
                watch.sample(STATUS, &[("server_name", &server.name)], f64::from(u8::from(status)));
            }
        }
    }
}

/// Whether a check is due, and whether it is one that reads every file.
fn due(pasts: &[Past], now_ms: i64, quick_ms: i64, full_ms: i64) -> Option<bool> {
    // A clock that was set back makes a check due: what says that it is from later is of no use.
    let is_over =
        |past: Option<&Past>, span_ms| past.is_none_or(|past| !(0..span_ms).contains(&(now_ms - past.at_ms)));
    if is_over(pasts.iter().rfind(|past| past.reads_all), full_ms) {
        return Some(true);
    }
    is_over(pasts.last(), quick_ms).then_some(false)
}

/// Whether the data are whole, as far as anybody knows.
fn status(pasts: &[Past], now_ms: i64, fresh_ms: i64) -> Option<bool> {
    let last = pasts.last().filter(|last| (-fresh_ms..=fresh_ms).contains(&(now_ms - last.at_ms)))?;
    match damaged_since(pasts) {
        Some(_) => Some(false),
        None => last.is_whole(),
    }
}

// === impl Known ===

impl Known {
    /// Reads the history again if it was written to.
    fn refresh(&mut self, subject: &Subject) {
        let modified = subject.state.join("checks.jsonl").metadata().and_then(|file| file.modified()).ok();
        let is_news = modified.is_some() && modified != self.modified;
        if let Some(pasts) = is_news.then(|| subject.history().read().ok()).flatten() {
            (self.pasts, self.modified) = (pasts, modified);
        }
    }
}

#[cfg(test)]
mod tests {
    use integrity::PastTree;

    use super::*;

    fn past(at_ms: i64, reads_all: bool, is_whole: Option<bool>) -> Past {
        let tree = PastTree { root: "/srv".into(), is_whole, damaged: 0, named: vec![], problem: None };
        Past { at_ms, reads_all, trees: vec![tree] }
    }

    #[test]
    fn when_a_check_is_due() {
        let check = |pasts: &[(i64, bool)], now_ms: i64, expected: Option<bool>| {
            let pasts: Vec<Past> = pasts.iter().map(|(at_ms, all)| past(*at_ms, *all, Some(true))).collect();
            assert_eq!(due(&pasts, now_ms, 10, 100), expected, "{pasts:?} at {now_ms}");
        };
        check(&[], 0, Some(true));
        check(&[(0, true)], 9, None);
        check(&[(0, true)], 10, Some(false));
        check(&[(0, true), (90, false)], 99, None);
        check(&[(0, true), (90, false)], 100, Some(true));
        check(&[(0, false)], 5, Some(true));
        check(&[(50, true)], 49, Some(true));
    }

    #[test]
    fn what_is_told() {
        let check = |pasts: &[Past], now_ms: i64, expected: Option<bool>| {
            assert_eq!(status(pasts, now_ms, 20), expected, "{pasts:?} at {now_ms}");
        };
        check(&[], 0, None);
        check(&[past(0, true, Some(true))], 20, Some(true));
        check(&[past(0, true, Some(true))], 21, None);
        check(&[past(0, true, None)], 5, None);
        // A quick check does not read what the full one found damaged.
        check(&[past(0, true, Some(false)), past(10, false, Some(true))], 15, Some(false));
        check(&[past(0, true, Some(false)), past(10, true, Some(true))], 15, Some(true));
    }
}
