//! Owns how much a store may hold, and what it says when that is reached.

use crate::labels::Labels;

/// How much a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Samples older than this are dropped; a chunk of them goes as a whole, up to an eighth of this later.
    pub retention_ms: i64,
    /// A new series beyond this number is refused.
    pub series_max: usize,
    /// A series that is longer loses its oldest samples.
    pub samples_per_series_max: usize,
}

/// Further bounds, which most stores need not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What samples may take in memory; beyond it the oldest complete chunks of all series go first.
    pub bytes_max: usize,
    /// A new series of one target beyond this number is refused, so that one target cannot fill the store.
    pub series_per_target_max: usize,
}

/// Why a sample was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The series already has a sample at this time or later.
    #[error("sample of `{labels}` at {at_ms} ms is not newer than its last one at {newest_ms} ms")]
    NotNewer {
        /// The series.
        labels: Labels,
        /// The time of the refused sample.
        at_ms: i64,
        /// The time of the last sample that the series has.
        newest_ms: i64,
    },
    /// The sample claims to be from the future.
    #[error("sample of `{labels}` at {at_ms} ms lies in the future")]
    Future {
        /// The series.
        labels: Labels,
        /// The time of the refused sample.
        at_ms: i64,
    },
    /// The sample is older than anything that is kept.
    #[error("sample of `{labels}` at {at_ms} ms is older than the retention")]
    Past {
        /// The series.
        labels: Labels,
        /// The time of the refused sample.
        at_ms: i64,
    },
    /// The store holds as many series as it may.
    #[error("no room for the new series `{labels}`: the store holds {series_max} series")]
    Full {
        /// The series that found no room.
        labels: Labels,
        /// The limit.
        series_max: usize,
    },
    /// The target has as many series as one may.
    #[error("no room for the new series `{labels}`: its target has {series_per_target_max} series")]
    TargetFull {
        /// The series that found no room.
        labels: Labels,
        /// The limit.
        series_per_target_max: usize,
    },
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The number of series.
    pub series: usize,
    /// The number of samples of all series.
    pub samples: usize,
}

/// What a store has refused and dropped since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Samples that were not taken, for whatever reason.
    pub samples_refused: u64,
    /// New series that found no room.
    pub series_refused: u64,
    /// Samples that went before their time because the store had too many bytes.
    pub samples_evicted: u64,
}

// === impl Bounds ===

impl Default for Bounds {
    /// Returns no bounds at all: what `Limits` says is then all that counts.
    fn default() -> Self {
        Self { bytes_max: usize::MAX, series_per_target_max: usize::MAX }
    }
}
