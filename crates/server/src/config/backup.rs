//! Owns `[backup]`: where backups of servers' data go, and how many stay.

mod target;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use target::Target;
pub(super) use target::problems as target_problems;

/// `[backup]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backups {
    /// Each server's backups are in a folder of its name in here. As root `/backup`, otherwise `backup` in the data
    /// directory. It should be on another disk than the data.
    pub dir: PathBuf,
    /// How many backups of a server stay; a newer one than the newest that is proven good never goes.
    pub keep: usize,
    /// Where they go as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
}

// === impl Backups ===

impl Default for Backups {
    fn default() -> Self {
        Self { dir: PathBuf::new(), keep: 7, target: None }
    }
}
