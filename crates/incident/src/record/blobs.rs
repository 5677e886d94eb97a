//! Owns which blobs a record names: what `incident verify` looks for in the blob store.

use super::Record;

// === impl Record ===

impl Record {
    /// Returns the blobs that it names, by their SHA-256, and what each is.
    pub fn blobs(&self) -> Vec<(&str, String)> {
        match self {
            Self::Opened { runbook, .. } => {
                vec![(&runbook.sha256, format!("the runbook `{}`", runbook.name))]
            }
            Self::Captured(captured) => {
                captured.sha256.iter().map(|sha256| (sha256.as_str(), captured.what.clone())).collect()
            }
            Self::Outcome { unit, stdout, stderr, .. }
            | Self::BackgroundEnded { unit, stdout, stderr, .. } => {
                [("output", stdout), ("error output", stderr)]
                    .into_iter()
                    .filter_map(|(name, output)| Some((name, output.as_ref()?)))
                    .map(|(name, output)| {
                        (output.sha256.as_str(), format!("the {name} of unit {}", unit.unit))
                    })
                    .collect()
            }
            Self::WatchChanged { unit, stdout: Some(output), .. } => {
                vec![(&output.sha256, format!("the output of unit {}", unit.unit))]
            }
            _ => Vec::new(),
        }
    }
}
