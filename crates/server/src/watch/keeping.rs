//! Owns that samples outlive `serve`: read at its start from `DATA_DIR/metrics`, written there every second.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use incident::error_chain;
use metrics::{Disk, Store};

use super::Watch;
use crate::clock;
use crate::config::Config;

/// What a `serve` that is killed loses of its samples at most.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// The files of the samples, if they can be used.
pub(super) struct Files(Mutex<Option<Disk>>);

/// Opens the files, and puts what they hold into the store; returns how many samples came back.
///
/// A responder without files still responds: then samples are in memory only, and the log says why.
pub(super) fn open(config: &Config, store: &mut Store) -> (Files, usize) {
    let folder: PathBuf = config.data_dir.join("metrics");
    match Disk::open(&folder, config.metrics.sync_interval.ms(), store, clock::now_ms()) {
        Ok((disk, recovery)) => {
            for damage in &recovery.damage {
                tracing::warn!(file = damage.file, "samples were lost: the file {}", damage.message);
            }
            forget_others(config, store);
            (Files(Mutex::new(Some(disk))), recovery.samples)
        }
        Err(error) => {
            tracing::error!(error = %error_chain(&error), "samples are kept in memory only");
            (Files(Mutex::new(None)), 0)
        }
    }
}

/// What is known of servers that are not in the configuration any more, or belonged to a client, is of no use to any rule.
fn forget_others(config: &Config, store: &mut Store) {
    let ours: BTreeSet<&str> = config.server.iter().map(|server| server.name.as_str()).collect();
    for server in store.values("server_name") {
        if !ours.contains(server.as_str()) {
            store.forget("server_name", &server);
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Writes samples down until the task is dropped. A disk that refuses is told of once.
    pub(crate) async fn keep_samples(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(FLUSH_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut refuses = false;
        loop {
            ticks.tick().await;
            let watch = Arc::clone(&self);
            // Only a panic keeps it from coming back, and then there is nothing to tell.
            let Ok(problem) = tokio::task::spawn_blocking(move || watch.flush()).await else { continue };
            match &problem {
                Some(error) if !refuses => {
                    tracing::error!(error, "samples are in memory only, until the disk takes them again");
                }
                None if refuses => tracing::info!("samples are on disk again"),
                _ => {}
            }
            refuses = problem.is_some();
        }
    }

    /// Writes what was taken since the last time; returns why it could not.
    pub(crate) fn flush(&self) -> Option<String> {
        let mut disk = self.files.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = disk.as_mut()?.flush(&self.store, clock::now_ms());
        written.err().map(|error| error_chain(&error))
    }
}
