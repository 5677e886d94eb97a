//! Owns a line of a log as people read it: `TIME LEVEL event message`.

use chrono::DateTime;
use logs::Line;

use crate::show::harmless;

/// Shows a line of a log file. One that is no JSON, such as a half-written one, is shown as it is.
pub(super) fn of_line(line: &Line) -> String {
    match line.said() {
        Some(said) => of(said.at_ms, &said.level, &said.event, &said.message),
        None => harmless(&line.text()),
    }
}

/// Shows a line by its parts, on one line.
pub(in crate::commands) fn of(at_ms: Option<i64>, level: &str, event: &str, message: &str) -> String {
    let time = at_ms.and_then(DateTime::from_timestamp_millis);
    let time = time.map_or_else(|| "-".to_owned(), |time| time.format("%Y-%m-%d %H:%M:%S%.3f").to_string());
    harmless(&format!("{time:<23} {:<7} {event:<11} {message}", level.to_uppercase()))
}

#[cfg(test)]
mod tests {
    use logs::Line;

    use super::of_line;

    #[test]
    fn lines_for_people() {
        for (line, expect) in [
            (
                r#"{"ts":"2026-11-26T10:00:00.123Z","level":"warning","server":"x","event":"system","message":"slow"}"#,
                "2026-11-26 10:00:00.123 WARNING system      slow",
            ),
            (
                r#"{"message":"a\u001b[2Jb\nc"}"#,
                "-                                           a\\u{1b}[2Jb\\nc",
            ),
            ("{\"ts\":\"2026-11", "{\"ts\":\"2026-11"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
        ] {
            assert_eq!(of_line(&Line { bytes: line.into() }), expect);
        }
    }
}
