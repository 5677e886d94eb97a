//! Owns words and times in reports, and what becomes of text from outside before anybody looks at it.

use chrono::DateTime;

/// Text without what plays with a terminal or with the direction of reading: control characters, and the marks that
/// turn or hide text. Line breaks and tabs stay.
pub fn clean(text: &str) -> String {
    text.chars().filter(|letter| matches!(letter, '\n' | '\t') || !is_trick(*letter)).collect()
}

/// The same on one line.
pub(crate) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_trick(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A sentence with its capital and its full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.trim().trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// A moment, in UTC.
pub(crate) fn time(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// The time of the day, in UTC.
pub(super) fn clock(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%H:%M:%S%.3f").to_string()
}

/// A difference of two times.
pub(super) fn span(ms: i64) -> String {
    match u64::try_from(ms) {
        Ok(ms) => duration(ms),
        Err(_) => format!("-{}", duration(ms.unsigned_abs())),
    }
}

/// A duration as people read it: `37 ms`, `1.24 s`, `2 min 5 s`.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tricks_are_taken_out() {
        assert_eq!(clean("a\x1b[31mb\r\n\tc\u{202e}d\u{200b}\0"), "a[31mb\n\tcd");
        assert_eq!(one_line("  a\n\n b\tc "), "a b c");
    }
}
