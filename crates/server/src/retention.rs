//! Owns the loop that keeps the data directory within its budget.

use std::sync::Arc;
use std::time::Duration;

use incident::{Kept, error_chain};
use journal::{Blobs, DataDir, Journal, Retention};

use crate::clock::now_ms;
use crate::config::Config;

/// The time between two looks at what the data directory takes: it grows by incidents, not by the minute.
const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How long after the start the first look is: what was open before goes on first.
const FIRST: Duration = Duration::from_secs(60);

/// The parts of the data directory of a configuration.
pub fn data_dir(config: &Config, journal: Journal, blobs: Blobs) -> DataDir {
    DataDir { journal, blobs, runs: config.data_dir.join("runs"), reports: config.data_dir.join("reports") }
}

/// What a configuration allows to be kept.
pub fn retention(config: &Config) -> Retention {
    let keep_ms = config.retention.keep.ms();
    Retention { bytes_max: config.retention.budget.0, keep_ms }
}

/// Looks from time to time, and gives up the oldest of what is over.
pub(crate) async fn keep_within_budget(config: Arc<Config>, dir: DataDir) {
    tokio::time::sleep(FIRST).await;
    loop {
        if let Err(error) = once(&dir, retention(&config)).await {
            tracing::error!(error = %error_chain(&error), "the data directory cannot be kept within its budget; trying again in an hour");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn once(dir: &DataDir, retention: Retention) -> Result<(), incident::EngineError> {
    let kept = Kept::look(dir, retention, now_ms()).await?;
    if let Some(freed) = kept.carry_out(dir, now_ms()).await? {
        tracing::info!(
            incidents = kept.plan.incidents.len(),
            entries = freed.entries,
            blobs = freed.blobs,
            bytes = freed.bytes,
            "the oldest of what was over was given up"
        );
    }
    let bytes = kept.plan.bytes_after;
    if bytes > kept.bytes_max {
        tracing::warn!(
            bytes,
            budget = kept.bytes_max,
            "the data directory is over its budget, and all of it must be kept: incidents are open or too young"
        );
    }
    Ok(())
}
