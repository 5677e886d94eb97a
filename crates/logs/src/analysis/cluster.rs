//! Owns messages that are the same but for their numbers and ids: how many, since when, and whether they become more.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde::Serialize;

use super::rate::Bins;
use super::template;
use crate::entry::Entry;
use crate::level::Level;

/// So many messages are told apart; lines of others are counted together.
const CLUSTERS_MAX: usize = 2000;

/// In a shorter time nothing is said of change, in milliseconds.
const SPAN_MS_MIN: i64 = 60_000;

/// The last quarter of the time is compared with what was before.
const QUARTERS: i64 = 4;

/// So many times as often, or as seldom, is a change.
const FACTOR: f64 = 2.0;

/// Fewer in one of the two parts are chance.
const COUNT_MIN: f64 = 5.0;

/// Messages that are the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cluster {
    /// The message, with `#` for what varies.
    pub message: String,
    /// How serious its lines are.
    pub level: Option<Level>,
    /// How many lines.
    pub count: u64,
    /// When the first was written, in milliseconds since the Unix epoch.
    pub first_ms: Option<i64>,
    /// When the last was.
    pub last_ms: Option<i64>,
    /// How often it came in the last quarter of the time, beside before.
    pub change: Option<Change>,
    /// The last of them as it stands.
    pub example: String,
}

/// How often a message came, in lines a minute.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// In the first three quarters of the time.
    pub before_per_minute: f64,
    /// In the last quarter.
    pub now_per_minute: f64,
}

#[derive(Debug, Default)]
pub(super) struct Clusters {
    known: HashMap<(Option<Level>, String), (Cluster, Option<Bins>)>,
    n_others: u64,
}

// === impl Clusters ===

impl Clusters {
    pub(super) fn take(&mut self, entry: &Entry) {
        let key = (entry.level, template::of(&entry.message));
        if self.known.len() >= CLUSTERS_MAX && !self.known.contains_key(&key) {
            self.n_others += 1;
            return;
        }
        let (cluster, bins) = self.known.entry(key).or_insert_with_key(|(level, message)| {
            let cluster = Cluster {
                message: message.clone(),
                level: *level,
                count: 0,
                first_ms: None,
                last_ms: None,
                change: None,
                example: String::new(),
            };
            (cluster, None)
        });
        cluster.count += 1;
        cluster.example.clear();
        cluster.example.push_str(template::clip(&entry.message));
        if let Some(at_ms) = entry.at_ms {
            cluster.first_ms = Some(cluster.first_ms.map_or(at_ms, |first_ms| first_ms.min(at_ms)));
            cluster.last_ms = Some(cluster.last_ms.map_or(at_ms, |last_ms| last_ms.max(at_ms)));
            bins.get_or_insert_with(|| Bins::new(at_ms)).count(at_ms);
        }
    }

    /// All of them, the most frequent first, over so much time; and how many lines are of none.
    pub(super) fn end(self, span: Option<(i64, i64)>) -> (Vec<Cluster>, u64) {
        let mut clusters: Vec<_> = self
            .known
            .into_values()
            .map(|(cluster, bins)| Cluster { change: change(bins.as_ref(), span), ..cluster })
            .collect();
        clusters.sort_by(|a, b| {
            let order = |cluster: &Cluster| (Reverse(cluster.count), Reverse(cluster.level));
            order(a).cmp(&order(b)).then_with(|| a.message.cmp(&b.message))
        });
        (clusters, self.n_others)
    }
}

// === impl Change ===

impl Change {
    /// Whether it came so much more often than before.
    pub fn is_rise(self) -> bool {
        self.now_per_minute > self.before_per_minute
    }
}

/// Where there is a change that is no chance.
fn change(bins: Option<&Bins>, span: Option<(i64, i64)>) -> Option<Change> {
    let (bins, (first_ms, last_ms)) = (bins?, span?);
    let span_ms = last_ms.saturating_sub(first_ms);
    if span_ms < SPAN_MS_MIN {
        return None;
    }
    let recent_ms = span_ms / QUARTERS;
    let now = bins.since(last_ms - recent_ms);
    let before = (bins.since(first_ms) - now).max(0.0);
    let minutes = |ms: i64| ms as f64 / 60_000.0;
    let found = Change {
        before_per_minute: before / minutes(span_ms - recent_ms),
        now_per_minute: now / minutes(recent_ms),
    };
    let (less, more) = if found.is_rise() {
        (found.before_per_minute, found.now_per_minute)
    } else {
        (found.now_per_minute, found.before_per_minute)
    };
    (now.max(before) >= COUNT_MIN && more > FACTOR * less).then_some(found)
}
