//! Owns `[evidence]`: where bundles are kept, how large they may become, and where they are copied to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Span};

/// `[evidence]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Where bundles are written: best on another disk than what is under suspicion. By default `evidence` in the data
    /// directory.
    pub dir: PathBuf,
    /// Where a copy goes as soon as a bundle is sealed: a folder off this machine, such as a mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_to: Option<PathBuf>,
    /// Where `evidence export` puts bundles. As root `/var/log/security-incidents`, otherwise `security-incidents` in the data
    /// directory.
    pub export_dir: PathBuf,
    /// How large one bundle may become.
    pub bytes_max: Bytes,
    /// How large all of them together may become. Then no more are made, and that is said: none is ever deleted.
    pub budget: Bytes,
    /// How long one collection may take.
    pub timeout: Span,
}

// === impl Evidence ===

impl Default for Evidence {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            copy_to: None,
            export_dir: PathBuf::new(),
            bytes_max: Bytes(512 << 20),
            budget: Bytes(8 << 30),
            timeout: Span::seconds(45),
        }
    }
}
