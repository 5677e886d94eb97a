//! Owns the times that lines begin with, in the forms that programs write.
//!
//! Read are RFC 3339 and its relatives (a blank for the `T`, a comma for the point, no zone), syslog without a year, the
//! common log format of web servers, `asctime`, klog, and seconds or milliseconds since the epoch.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike as _, Local, NaiveDate, NaiveDateTime, TimeZone as _};
use regex::{Captures, Regex};

/// Says of a time without a zone which moment it is, in milliseconds since the Unix epoch.
pub type LocalTime = fn(NaiveDateTime) -> i64;

/// The moment of a time without a zone: whoever wrote it had the one of this machine. Of the hour that comes twice it is
/// the first; one that does not exist is taken as UTC.
pub fn time_of_machine(time: NaiveDateTime) -> i64 {
    match Local.from_local_datetime(&time).earliest() {
        Some(time) => time.timestamp_millis(),
        None => time.and_utc().timestamp_millis(),
    }
}

/// What is needed to make a moment of what a line says.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The moment of a time without a zone, in milliseconds since the Unix epoch.
    pub local: LocalTime,
    /// A moment by which all was written, such as when the file was changed last: a time without a year is from before.
    pub written_ms: i64,
}

const MONTHS: &str = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec";
/// How far into a line the time may stand in the common log format.
const HEAD_BYTES: usize = 256;
/// How much later than the last change of its file a line may be, for clocks that differ.
const AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

static ISO: LazyLock<Regex> = LazyLock::new(|| {
    form(
        r"^\[?(?P<y>\d{4})[-/](?P<m>\d\d)[-/](?P<d>\d\d)[T ](?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?(?: ?(?P<z>Z|UTC|[+-]\d\d:?\d\d)\b)?\]?",
    )
});
static SYSLOG: LazyLock<Regex> = LazyLock::new(|| {
    form(&format!(
        r"^(?:<\d{{1,3}}>)?(?P<b>{MONTHS}) {{1,2}}(?P<d>\d\d?) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.(?P<f>\d{{1,9}}))?"
    ))
});
static COMMON: LazyLock<Regex> = LazyLock::new(|| {
    form(&format!(
        r"\[(?P<d>\d\d)/(?P<b>{MONTHS})/(?P<y>\d{{4}}):(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d) (?P<z>[+-]\d{{4}})\]"
    ))
});
static ASCTIME: LazyLock<Regex> = LazyLock::new(|| {
    form(&format!(
        r"^\[?[A-Z][a-z]{{2}} (?P<b>{MONTHS}) {{1,2}}(?P<d>\d\d?) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)(?:\.(?P<f>\d{{1,9}}))? (?P<y>\d{{4}})\]?"
    ))
});
static KLOG: LazyLock<Regex> = LazyLock::new(|| {
    form(r"^[IWEF](?P<m>\d\d)(?P<d>\d\d) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)\.(?P<f>\d{6})")
});
static EPOCH: LazyLock<Regex> =
    LazyLock::new(|| form(r"^\[?(?P<e>[12]\d{9}(?:\d{3})?)(?:\.(?P<f>\d{1,9}))?(?:\]|\s)"));

fn form(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the forms are tested")
}

/// The time in a line, in milliseconds since the Unix epoch, and where what comes after it begins.
pub(crate) fn of_line(text: &str, clock: Clock) -> Option<(i64, usize)> {
    let first = *text.as_bytes().first()?;
    if first.is_ascii_digit() || first == b'[' {
        let found = ISO.captures(text).or_else(|| EPOCH.captures(text));
        if let Some(found) = found {
            return Some((moment(&found, clock)?, found.get_match().end()));
        }
    }
    let anchored: &[&Regex] = match first {
        b'[' => &[&ASCTIME],
        b'A'..=b'Z' => &[&SYSLOG, &ASCTIME, &KLOG],
        b'<' => &[&SYSLOG],
        _ => &[],
    };
    if let Some(found) = anchored.iter().find_map(|form| form.captures(text)) {
        // The letter of klog is its level.
        let is_klog = first != b'<' && text.as_bytes().get(1)?.is_ascii_digit();
        let end = if is_klog { 0 } else { found.get_match().end() };
        return Some((moment(&found, clock)?, end));
    }
    let head = &text[..text.floor_char_boundary(HEAD_BYTES)];
    let found = COMMON.captures(head)?;
    Some((moment(&found, clock)?, 0))
}

/// The moment of a text that is a time and nothing else, or of a number of seconds, milliseconds and so on.
pub(crate) fn of_value(value: &serde_json::Value, clock: Clock) -> Option<i64> {
    match value {
        serde_json::Value::String(text) => {
            of_line(text, clock).map(|(at_ms, _)| at_ms).or_else(|| text.parse().ok().and_then(of_number))
        }
        serde_json::Value::Number(number) => of_number(number.as_f64()?),
        _ => None,
    }
}

/// By its size: nobody logs the year 5000.
fn of_number(number: f64) -> Option<i64> {
    let ms = match number {
        0.0..1e11 => number * 1e3,
        1e11..1e14 => number,
        1e14..1e17 => number / 1e3,
        1e17..1e20 => number / 1e6,
        _ => return None,
    };
    Some(ms as i64)
}

fn moment(found: &Captures<'_>, clock: Clock) -> Option<i64> {
    let number = |name| found.name(name).and_then(|part| part.as_str().parse::<u32>().ok());
    let fraction_ms = found.name("f").map_or(0, |part| {
        let digits = part.as_str().bytes().chain(std::iter::repeat(b'0')).take(3);
        digits.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
    });
    if let Some(epoch) = found.name("e") {
        let value: i64 = epoch.as_str().parse().ok()?;
        return Some(if epoch.len() == 13 { value } else { value * 1000 + fraction_ms });
    }
    let month = match found.name("b") {
        Some(name) => u32::try_from(MONTHS.find(name.as_str())? / 4).ok()? + 1,
        None => number("m")?,
    };
    let at = |year: i32| -> Option<i64> {
        // A leap second is the one before it.
        let second = number("S")?.min(59);
        let date = NaiveDate::from_ymd_opt(year, month, number("d")?)?;
        let time = date.and_hms_opt(number("H")?, number("M")?, second)?;
        let ms = match found.name("z").map(|zone| zone.as_str()) {
            None => (clock.local)(time),
            Some("Z" | "UTC") => time.and_utc().timestamp_millis(),
            Some(zone) => time.and_utc().timestamp_millis() - offset_ms(zone)?,
        };
        Some(ms + fraction_ms)
    };
    if let Some(year) = number("y") {
        return at(i32::try_from(year).ok()?);
    }
    let newest = clock.written_ms.saturating_add(AHEAD_MS);
    let year = DateTime::from_timestamp_millis(newest)?.year();
    // The 29th of February is four years apart, and at most eight.
    (year - 8..=year).rev().filter_map(at).find(|at_ms| *at_ms <= newest)
}

/// `+0100` or `+01:00`.
fn offset_ms(zone: &str) -> Option<i64> {
    let hours: i64 = zone.get(1..3)?.parse().ok()?;
    let minutes: i64 = zone.get(zone.len() - 2..)?.parse().ok()?;
    let ms = (hours * 60 + minutes) * 60_000;
    Some(if zone.starts_with('-') { -ms } else { ms })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::{Clock, of_line, of_value};

    fn clock() -> Clock {
        let written_ms = DateTime::parse_from_rfc3339("2026-02-10T00:00:00Z").unwrap().timestamp_millis();
        Clock { local: |time| time.and_utc().timestamp_millis() - 3_600_000, written_ms }
    }

    #[track_caller]
    fn check(text: &str, expect: Option<(&str, &str)>) {
        let found = of_line(text, clock()).map(|(at_ms, end)| {
            let time = DateTime::from_timestamp_millis(at_ms).unwrap();
            (time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true), &text[end..])
        });
        let expect = expect.map(|(time, rest)| (time.to_owned(), rest));
        assert_eq!(found, expect, "{text}");
    }

    #[test]
    fn times_of_lines() {
        check("2026-01-02T03:04:05.678Z x", Some(("2026-01-02T03:04:05.678Z", " x")));
        check("2026-01-02T03:04:05+01:30 x", Some(("2026-01-02T01:34:05.000Z", " x")));
        // Without a zone: the one of the machine, here an hour ahead.
        check("2026-01-02 03:04:05,6 x", Some(("2026-01-02T02:04:05.600Z", " x")));
        check("[2026/01/02 03:04:05] x", Some(("2026-01-02T02:04:05.000Z", " x")));
        check("Jan  2 03:04:05 host x[1]: y", Some(("2026-01-02T02:04:05.000Z", " host x[1]: y")));
        // A time without a year is from before the last change.
        check("<13>Dec 31 23:00:00 x", Some(("2025-12-31T22:00:00.000Z", " x")));
        check("Feb 29 10:00:00 x", Some(("2024-02-29T09:00:00.000Z", " x")));
        let common = r#"::1 - - [02/Jan/2026:03:04:05 -0100] "GET /" 200"#;
        check(common, Some(("2026-01-02T04:04:05.000Z", common)));
        check("[Fri Jan 02 03:04:05.1 2026] [error] x", Some(("2026-01-02T02:04:05.100Z", " [error] x")));
        check(
            "E0102 03:04:05.000001 7 x.go:1] y",
            Some(("2026-01-02T02:04:05.000Z", "E0102 03:04:05.000001 7 x.go:1] y")),
        );
        check("1767322800 x", Some(("2026-01-02T03:00:00.000Z", "x")));
        check("[1767322800.25] x", Some(("2026-01-02T03:00:00.250Z", " x")));
        for text in [
            "",
            "x",
            "2026-13-02T03:04:05Z",
            "2026-01-32 00:00:00",
            "12345 x",
            "Jan 99 00:00:00",
            "  2026",
            "ä",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn times_of_values() {
        for (value, expect) in [
            (json!("1970-01-01T00:00:01Z"), Some(1000)),
            (json!(1.5), Some(1500)),
            (json!(1_767_322_800_000_u64), Some(1_767_322_800_000)),
            (json!(1_767_322_800_000_000_u64), Some(1_767_322_800_000)),
            (json!(1_767_322_800_000_000_000_u64), Some(1_767_322_800_000)),
            (json!(-1), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            assert_eq!(of_value(&value, clock()), expect, "{value}");
        }
    }
}
