//! Owns the checks of servers' data as time goes on, and the samples that they make.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use incident::error_chain;
use integrity::{Keep, Past, damaged_since};
use tokio::task::JoinHandle;

use super::Watch;
use super::noticing::Noticed;
use crate::clock;
use crate::data::{DataError, Manner, Subject, is_full_due, is_over};
use crate::watched::{TIMES, Watched};
use crate::world::ServeWorld;

/// What is exported: 1 is whole, 0 is damaged.
const STATUS: &str = "mcp_data_integrity_status";

/// So many checks at most are made for changes in the time between two that are made anyway.
const CHANGES_PER_QUICK: i64 = 10;

/// What the history of a server's checks said when it was read last.
#[derive(Debug, Default)]
struct Known {
    pasts: Vec<Past>,
    modified: Option<std::time::SystemTime>,
}

/// A check that is under way, and of whose data.
struct Running {
    server: String,
    check: JoinHandle<Result<(), DataError>>,
}

/// Checks the data of all servers when it is time, one after the other and with one thread, and says at each scrape what
/// the last checks found, whoever made them. Nothing else waits for it.
pub(crate) async fn watch_data(world: Arc<ServeWorld>, watch: Arc<Watch>) {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for server in world.config.server.iter().filter(|server| server.has_data()) {
        known.insert(server.name.clone(), Known::default());
    }
    if known.is_empty() {
        return;
    }
    let interval = world.config.metrics.scrape_interval;
    let mut ticks = tokio::time::interval(interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // A check is due at a quick interval, and begins and is told of at a scrape.
    let fresh_ms = 2 * (world.config.integrity.quick.ms() + interval.ms());
    let mut running: Option<Running> = None;
    let noticed = Arc::new(Noticed::default());
    for server in world.config.server.iter().filter(|server| !server.data.is_empty()) {
        noticed.watch(&server.name, server.data.iter().map(|data| data.path.clone()).collect());
    }
    loop {
        // One that could not be made waits for the next scrape.
        let (is_tick, may_begin) = tokio::select! {
            _ = ticks.tick() => (true, true),
            was_made = ended(&mut running) => (false, was_made),
            () = noticed.news(), if running.is_none() => (false, true),
        };
        for (server, known) in &mut known {
            if let Ok(subject) = Subject::of_server(&world.config, server) {
                known.refresh(&subject);
            }
            // What is just being looked at is as it was until that is over, however long it takes.
            let is_looked_at = running.as_ref().is_some_and(|running| running.server == *server);
            let fresh_ms = if is_looked_at { i64::MAX } else { fresh_ms };
            if let Some(status) = status(&known.pasts, clock::now_ms(), fresh_ms).filter(|_| is_tick) {
                watch.sample(STATUS, &[("server_name", server)], f64::from(u8::from(status)));
            }
        }
        if running.is_none() && may_begin {
            running = next(&world, &known, &noticed);
        }
    }
}

/// Waits until the check that is under way has ended, if there is one; says whether it was made.
async fn ended(running: &mut Option<Running>) -> bool {
    let Some(one) = running else { return std::future::pending().await };
    let was_made = match (&mut one.check).await {
        Ok(Ok(())) => true,
        // Whoever checks meanwhile finds the same.
        Ok(Err(DataError::Busy(_))) | Err(_) => false,
        Ok(Err(error)) => {
            tracing::warn!(server = one.server, error = %error_chain(&error), "its data cannot be checked");
            false
        }
    };
    *running = None;
    was_made
}

/// Begins the check that is due, of the server whose last one was longest ago.
fn next(world: &ServeWorld, known: &BTreeMap<String, Known>, noticed: &Noticed) -> Option<Running> {
    let (now_ms, integrity) = (clock::now_ms(), &world.config.integrity);
    // Who writes all the time is not checked all the time.
    let least_ms = integrity.quick.ms() / CHANGES_PER_QUICK;
    let is_due = |server: &str, known: &Known| {
        let quick_ms = if noticed.has_settled(server, now_ms) { least_ms } else { integrity.quick.ms() };
        let times = Watched::of(&world.config, server, now_ms).map_or(1, |_| i64::from(TIMES));
        due(&known.pasts, now_ms, quick_ms / times, integrity.full.ms() / times)
    };
    let all = known.iter().filter_map(|(server, known)| Some((server, known, is_due(server, known)?)));
    let (server, _, reads_all) = all.min_by_key(|(_, known, _)| known.pasts.last().map(|past| past.at_ms))?;
    noticed.begin(server);
    let (config, name, rate) = (Arc::clone(&world.config), server.clone(), integrity.rate.0);
    let check = tokio::task::spawn_blocking(move || {
        let manner = Manner {
            reads_all,
            keep: Keep::IfWhole,
            rate: Some(rate),
            threads: NonZero::new(1),
            // It comes again soon.
            patience: Duration::ZERO,
        };
        Subject::of_server(&config, &name)?.check(manner, now_ms).map(|_| ())
    });
    Some(Running { server: server.clone(), check })
}

/// Whether a check is due, and whether it is one that reads every file.
fn due(pasts: &[Past], now_ms: i64, quick_ms: i64, full_ms: i64) -> Option<bool> {
    if is_full_due(pasts, now_ms, full_ms) {
        return Some(true);
    }
    is_over(pasts.last(), now_ms, quick_ms).then_some(false)
}

/// Whether the data are whole, as far as anybody knows.
fn status(pasts: &[Past], now_ms: i64, fresh_ms: i64) -> Option<bool> {
    let last = pasts.last().filter(|last| (now_ms - last.at_ms).saturating_abs() <= fresh_ms)?;
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
        let tree = PastTree {
            root: "/srv".into(),
            is_whole,
            damaged: 0,
            named: vec![],
            is_rotten: false,
            problem: None,
        };
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
