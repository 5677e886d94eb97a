//! Owns hearing that data have changed, by inotify, so that they are checked soon and not only when it is time.
//!
//! A server whose folders cannot be watched is checked by time alone, and that is said once for each reason.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use integrity::{WatchError, Watcher};
use tokio::sync::Notify;

use crate::clock;
use crate::trouble::Trouble;

/// How long one look waits for a change: after that it is seen whether the folders are still those that are watched.
const LOOK: Duration = Duration::from_secs(2);
/// How long is waited where a folder cannot be watched.
const AGAIN: Duration = Duration::from_secs(30);
/// A change seldom comes alone: data are checked when nothing has come for so long, or it has gone on for so long.
const SETTLE_MS: i64 = 2_000;
const SETTLE_MAX_MS: i64 = 30_000;

/// The changes that nobody has checked yet.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// Of each server the first and the last, in milliseconds since 1970.
    changes: Mutex<BTreeMap<String, (i64, i64)>>,
    news: Notify,
}

// === impl Noticed ===

impl Noticed {
    /// Watches the folders of a server, from a thread of its own, until nobody listens any more.
    pub(super) fn watch(self: &Arc<Self>, server: &str, roots: Vec<PathBuf>) {
        let (noticed, server) = (Arc::downgrade(self), server.to_owned());
        let started = std::thread::Builder::new().name("data-watch".to_owned());
        let name = server.clone();
        if let Err(error) = started.spawn(move || watch(&noticed, &server, &roots)) {
            tracing::warn!(server = name, %error, "its data are checked by time alone");
        }
    }

    fn note(&self, server: &str, now_ms: i64) {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.entry(server.to_owned()).and_modify(|(_, last)| *last = now_ms).or_insert((now_ms, now_ms));
        drop(changes);
        self.news.notify_one();
    }

    /// Waits for the next change, or until those that are known have settled.
    pub(super) async fn news(&self) {
        let waiting = self.changes.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if waiting {
            return self.news.notified().await;
        }
        tokio::time::sleep(Duration::from_millis(SETTLE_MS.unsigned_abs() / 4)).await;
    }

    /// Whether something has changed that is to be looked at now.
    pub(super) fn has_settled(&self, server: &str, now_ms: i64) -> bool {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.get(server).is_some_and(|change| settled(*change, now_ms))
    }

    /// A check begins: what has come until now is part of it.
    pub(super) fn begin(&self, server: &str) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }
}

fn settled((first_ms, last_ms): (i64, i64), now_ms: i64) -> bool {
    // A clock that was set back is no reason to wait.
    !(0..SETTLE_MS).contains(&(now_ms - last_ms)) || !(0..SETTLE_MAX_MS).contains(&(now_ms - first_ms))
}

fn watch(noticed: &Weak<Noticed>, server: &str, roots: &[PathBuf]) {
    let trouble = Trouble::default();
    let mut is_first = true;
    while noticed.strong_count() > 0 {
        match watch_once(noticed, server, roots, is_first) {
            Ok(()) => {
                trouble.is_news(None);
            }
            Err(error) => {
                let reason = incident::error_chain(&error);
                if trouble.is_news(Some(&reason)) {
                    tracing::warn!(server, error = reason, "its data are checked by time alone");
                }
                std::thread::park_timeout(AGAIN);
            }
        }
        is_first = false;
    }
}

/// Watches until the folders are others, such as after a restore, or nobody listens.
fn watch_once(
    noticed: &Weak<Noticed>,
    server: &str,
    roots: &[PathBuf],
    is_first: bool,
) -> Result<(), WatchError> {
    let places =
        || roots.iter().map(|root| root.metadata().ok().map(|is| (is.dev(), is.ino()))).collect::<Vec<_>>();
    let before = places();
    let watcher = Watcher::new(roots.to_vec())?;
    let note = || noticed.upgrade().map(|noticed| noticed.note(server, clock::now_ms()));
    if !is_first {
        note();
    }
    loop {
        if watcher.wait(LOOK)? {
            note();
        }
        if noticed.strong_count() == 0 || places() != before {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_looked_at_when_it_is_over_or_goes_on_for_long() {
        for (change, now_ms, expected) in [
            ((0, 0), SETTLE_MS - 1, false),
            ((0, 0), SETTLE_MS, true),
            ((0, SETTLE_MS), SETTLE_MS + 1, false),
            ((0, SETTLE_MAX_MS - 1), SETTLE_MAX_MS, true),
            ((50, 50), 0, true),
        ] {
            assert_eq!(settled(change, now_ms), expected, "{change:?} at {now_ms}");
        }
    }
}
