//! Owns durations as people write them: `1h30m`, `500 ms`, `< 5 minutes`, and time windows such as `0-5 minutes`.

use std::time::Duration;

use serde::Serializer;

/// The time window of a phase, in seconds since the incident opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Window {
    /// When the phase is due to begin.
    pub start_s: u64,
    /// When it is due to be over; `None` for an open end (`30+ minutes`).
    pub end_s: Option<u64>,
}

/// Parses numbers with units, one after the other: `90s`, `1h30m`, `500ms`, `1 hour 30 minutes`.
///
/// Returns `None` for anything else: no unit, a sign, a fraction, an unknown word, more than `u64` milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_ms: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms(&rest[..letters])?)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(Duration::from_millis(total_ms))
}

/// Parses a time limit in prose: an optional `<`, `within` or the like, then a duration.
pub(crate) fn parse_limit(text: &str) -> Option<Duration> {
    const OPENINGS: [&str; 8] = ["<=", "≤", "<", "less than", "within", "under", "at most", "up to"];
    let text = text.trim().to_ascii_lowercase();
    let bare = OPENINGS.iter().find_map(|opening| text.strip_prefix(opening)).unwrap_or(&text);
    parse_duration(bare)
}

/// Splits a heading such as `Recovery (15-30 minutes)` into its title and its window.
///
/// Parentheses that hold no window stay part of the title.
pub(crate) fn split_window(heading: &str) -> (&str, Option<Window>) {
    let heading = heading.trim();
    let inner = heading.strip_suffix(')').and_then(|open| open.rfind('(').map(|at| (at, &open[at + 1..])));
    match inner.and_then(|(at, inner)| Some((at, parse_window(inner)?))) {
        Some((at, window)) => (heading[..at].trim_end(), Some(window)),
        None => (heading, None),
    }
}

fn parse_window(text: &str) -> Option<Window> {
    let text = text.trim().to_ascii_lowercase();
    if let Some((start, unit)) = text.split_once('+') {
        return Some(Window { start_s: seconds(start, unit)?, end_s: None });
    }
    let (start, end) = ["-", "–", "—", " to "].iter().find_map(|dash| text.split_once(dash))?;
    let unit = end.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    let start_s = parse_duration(start).map(|d| d.as_secs()).or_else(|| seconds(start, unit))?;
    Some(Window { start_s, end_s: Some(parse_duration(end)?.as_secs()) })
}

fn seconds(number: &str, unit: &str) -> Option<u64> {
    parse_duration(&format!("{} {}", number.trim(), unit.trim())).map(|d| d.as_secs())
}

fn unit_ms(word: &str) -> Option<u64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    })
}

/// Writes a duration as milliseconds; for fields whose serialised name ends in `_ms`.
pub(crate) fn serialize_ms<S: Serializer>(
    value: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(duration) => serializer.serialize_some(&u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        None => serializer.serialize_none(),
    }
}

/// Shows a number of seconds in its largest whole unit: `90s`, `5m`, `4h`.
pub(crate) fn show_seconds(seconds: u64) -> String {
    match seconds {
        0 => "0m".to_owned(),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expect_ms) in [
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            (" 1 hour 30 minutes ", Some(5_400_000)),
            ("0s", Some(0)),
            ("60", None),
            ("", None),
            ("s", None),
            ("-5s", None),
            ("1.5s", None),
            ("5 parsecs", None),
            ("99999999999999999999s", None),
            ("18446744073709551615s", None),
            ("5s,", None),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), expect_ms, "{text}");
        }
    }

    #[test]
    fn limits_in_prose() {
        for (text, expect_s) in
            [("< 5 minutes", Some(300)), ("within 2 hours", Some(7200)), ("≤ 90 s", Some(90)), ("soon", None)]
        {
            assert_eq!(parse_limit(text).map(|d| d.as_secs()), expect_s, "{text}");
        }
    }

    #[test]
    fn windows() {
        #[track_caller]
        fn check(heading: &str, title: &str, window: Option<(u64, Option<u64>)>) {
            let window = window.map(|(start_s, end_s)| Window { start_s, end_s });
            assert_eq!(split_window(heading), (title, window));
        }
        check("Immediate Response (0-5 minutes)", "Immediate Response", Some((0, Some(300))));
        check("Recovery (1-4 hours)", "Recovery", Some((3600, Some(14400))));
        check("Late (45 minutes – 2 hours)", "Late", Some((2700, Some(7200))));
        check("Watch (30+ min)", "Watch", Some((1800, None)));
        check("Database (if applicable)", "Database (if applicable)", None);
        check("Post-Incident Activities", "Post-Incident Activities", None);
        check("Odd (5-) ", "Odd (5-)", None);
        check(")", ")", None);
    }
}
