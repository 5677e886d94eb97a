//! Owns which files of a tree may change without a word: logs, and what a database writes beside itself.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::entry::TreePath;

/// So many patterns are read for one tree.
const PATTERNS_MAX: usize = 256;

/// Files that change all the time wherever they are: their content says nothing about damage.
pub const ALWAYS: [&str; 8] =
    ["*.log", "*.log.*", "*.pid", "*.lock", "*-wal", "*-shm", "*-journal", "lost+found"];

/// Patterns over paths. One without a slash is about the name in any folder; `*` stays within a name, `**` does not.
#[derive(Clone, Debug)]
pub struct Patterns(GlobSet);

/// A pattern cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// One of them is none.
    #[error("the pattern `{pattern}` cannot be understood: {reason}")]
    Bad {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// They are more than are read.
    #[error("{n} patterns are more than {PATTERNS_MAX}")]
    TooMany {
        /// How many they are.
        n: usize,
    },
}

// === impl Patterns ===

impl Patterns {
    /// Reads patterns, beside those that always hold.
    ///
    /// # Errors
    /// If one of them cannot be understood, or they are too many.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let patterns: Vec<&str> = ALWAYS.into_iter().chain(patterns).collect();
        if patterns.len() > PATTERNS_MAX {
            return Err(PatternError::TooMany { n: patterns.len() });
        }
        let bad = |pattern: &str, error: &globset::Error| PatternError::Bad {
            pattern: pattern.to_owned(),
            reason: error.kind().to_string(),
        };
        let mut all = GlobSetBuilder::new();
        for pattern in patterns {
            let anywhere = !pattern.contains('/');
            let text =
                if anywhere { format!("**/{pattern}") } else { pattern.trim_start_matches('/').to_owned() };
            let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
            all.add(glob.map_err(|error| bad(pattern, &error))?);
        }
        all.build().map(Self).map_err(|error| bad("all of them", &error))
    }

    /// No pattern at all, not even those that always hold: every file counts.
    pub fn none() -> Self {
        Self(GlobSet::empty())
    }

    /// Whether this may change: itself, or a folder that it is in.
    pub fn hold(&self, path: &TreePath) -> bool {
        let mut at: Option<&Path> = Some(path.as_path());
        while let Some(path) = at.filter(|path| !path.as_os_str().is_empty()) {
            if self.0.is_match(path) {
                return true;
            }
            at = path.parent();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change() {
        let patterns = Patterns::new(["cache", "/var/spool/**", "data/*.tmp"]).unwrap();
        let check = |path: &str, expected: bool| {
            assert_eq!(patterns.hold(&TreePath::new(path).unwrap()), expected, "{path}");
        };
        check("server.log", true);
        check("a/b/server.log.3", true);
        check("notes.db-wal", true);
        check("notes.db", false);
        check("cache", true);
        check("a/cache/b/c", true);
        check("cached", false);
        check("var/spool/x/y", true);
        check("b/var/spool/x", false);
        check("data/x.tmp", true);
        check("data/x/y.tmp", false);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = Patterns::new(["[a"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the pattern `[a` cannot be understood: unclosed character class; missing ']'"
        );
        assert!(Patterns::new(["x"; 300]).is_err());
    }
}
