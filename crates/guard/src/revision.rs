//! Owns the revisions of the protocol's handshake era: their names, and in what they differ.

/// A revision that a client can speak with the guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    #[default]
    V2025_11_25,
}

/// The newest first.
const ALL: [Revision; 4] =
    [Revision::V2025_11_25, Revision::V2025_06_18, Revision::V2025_03_26, Revision::V2024_11_05];

// === impl Revision ===

impl Revision {
    pub(crate) fn of(name: &str) -> Option<Self> {
        ALL.into_iter().find(|known| known.name() == name)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// All names, for an error.
    pub(crate) fn names() -> String {
        ALL.map(Self::name).join(", ")
    }

    /// Whether it knows events without data, which streams begin with.
    pub(crate) fn is_primed(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether several messages can come in one array.
    pub(crate) fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }
}
