//! Owns where the tuning of servers stands: a file each in the data directory, which commands write and guards read.

use std::path::PathBuf;

use crate::config::Config;

/// The tuning of a server.
pub fn tuning_path(config: &Config, server: &str) -> PathBuf {
    config.data_dir.join("tuning").join(format!("{server}.json"))
}
