//! Owns how serious a line is: the names and numbers that the field uses for it, as one scale.

use serde::Serialize;

/// How serious a line is. A greater one is more serious.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a mistake.
    Debug,
    /// All is well; also `notice`.
    Info,
    /// Something is not as it should be.
    Warning,
    /// Something failed.
    Error,
    /// The program can not go on; also `fatal`, `alert`, `emergency` and `panic`.
    Critical,
}

// === impl Level ===

impl Level {
    /// Every level, the least serious first.
    pub const ALL: [Self; 6] =
        [Self::Trace, Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// Finds the level of a name, in any case.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "info" | "information" | "notice" => Self::Info,
            "warning" | "warn" => Self::Warning,
            "error" | "err" | "severe" => Self::Error,
            "critical" | "crit" | "fatal" | "alert" | "emergency" | "emerg" | "panic" => Self::Critical,
            _ => return None,
        })
    }

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The level of a number as bunyan and pino count: 10 is trace, 30 info, 60 fatal.
    pub(crate) fn of_pino(number: i64) -> Option<Self> {
        let idx = usize::try_from(number.checked_div(10)? - 1).ok()?;
        Self::ALL.get(idx).copied()
    }

    /// The level of a number as Python counts: 5 is trace, 10 debug, 50 critical.
    pub(crate) fn of_python(number: i64) -> Option<Self> {
        if number == 5 {
            return Some(Self::Trace);
        }
        Self::ALL.get(usize::try_from(number.checked_div(10)?).ok()?).copied().filter(|_| number >= 10)
    }

    /// The level that a line of plain text begins with: a word in capitals, or one in brackets or before a colon, of the
    /// first few words.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        text.split_ascii_whitespace().take(WORDS_MAX).find_map(|word| {
            let is_marked = word.ends_with(':') || word.starts_with('[') || word.starts_with("level=");
            let bare = word.strip_prefix("level=").unwrap_or(word);
            let bare = bare.split(|c: char| !c.is_ascii_alphabetic()).find(|part| !part.is_empty())?;
            let is_loud = bare.bytes().all(|byte| byte.is_ascii_uppercase());
            if is_loud || is_marked { Self::of_name(bare) } else { None }
        })
    }
}

/// Where the level may stand: after a time, a host, a program with its pid, a logger.
const WORDS_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn levels_of_names_numbers_and_texts() {
        assert_eq!(Level::of_name("WARN"), Some(Level::Warning));
        assert_eq!(Level::of_name("Errors"), None);
        for (number, pino, python) in [
            (5, None, Some(Level::Trace)),
            (10, Some(Level::Trace), Some(Level::Debug)),
            (30, Some(Level::Info), Some(Level::Warning)),
            (50, Some(Level::Error), Some(Level::Critical)),
            (60, Some(Level::Critical), None),
            (-10, None, None),
            (i64::MAX, None, None),
        ] {
            assert_eq!((Level::of_pino(number), Level::of_python(number)), (pino, python), "{number}");
        }
        for (text, level) in [
            ("ERROR x", Some(Level::Error)),
            ("[warn] x", Some(Level::Warning)),
            ("error: x", Some(Level::Error)),
            ("root - INFO - an ERROR", Some(Level::Info)),
            ("level=debug msg=x", Some(Level::Debug)),
            ("an error came", None),
            ("", None),
            ("a b c d e ERROR", None),
        ] {
            assert_eq!(Level::of_text(text), level, "{text}");
        }
        for level in Level::ALL {
            assert_eq!(Level::of_name(level.name()), Some(level));
        }
    }
}
