//! Owns where the tuning of servers, and what operators have laid down for them, stands: a file each.

use std::path::PathBuf;

use crate::config::Config;

/// The tuning of a server.
pub fn tuning_path(config: &Config, server: &str) -> PathBuf {
    config.data_dir.join("tuning").join(format!("{server}.json"))
}

/// What operators have laid down for a server while it runs: its guard reads and writes it, and commands where no guard is.
pub fn controls_path(config: &Config, server: &str) -> PathBuf {
    config.controls_dir.join(format!("{server}.json"))
}

/// Which tokens of a server's clients were made anew, when and by whom; none of their words.
pub fn rotated_path(config: &Config, server: &str) -> PathBuf {
    config.data_dir.join("rotated").join(format!("{server}.json"))
}

/// The control socket of the guard of a configured server.
pub fn control_socket(config: &Config, server: &str) -> PathBuf {
    config.run_dir.join("guards").join(format!("{server}.sock"))
}

/// The folder with the last change of each thing that is tuned.
pub(crate) fn last_changes(config: &Config) -> PathBuf {
    config.data_dir.join("tuning/last")
}

/// Where the last change of something that is tuned is kept, for whoever takes it back. `kind` is `server`, `controls`,
/// `contained`, `sandbox`, `tokens` or `host`.
pub fn last_change_path(config: &Config, kind: &str, name: &str) -> PathBuf {
    last_changes(config).join(format!("{kind}-{}.json", name.replace('/', ".")))
}
