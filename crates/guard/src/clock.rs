//! Owns the guard's one look at the wall clock, and how a moment is written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a moment has as RFC 3339.
const RFC3339_BYTES: usize = 24;

/// The present, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the guard is a shell: this is where it reads the clock")]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The present, in nanoseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the guard is a shell: this is where it reads the clock")]
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A number that no other guard begins with: random, or where the kernel has none, of the moment and the process.
pub(crate) fn seed() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => now_ns().rotate_left(20) ^ u64::from(std::process::id()),
    }
}

/// A length of time in milliseconds.
pub(crate) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// A moment as RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(at_ms: i64) -> String {
    let mut text = Vec::with_capacity(RFC3339_BYTES);
    push_rfc3339(&mut text, at_ms);
    String::from_utf8(text).expect("it is ASCII")
}

/// The same at the end of a text. Every line of the log begins with one, so it is written digit by digit.
pub(crate) fn push_rfc3339(text: &mut Vec<u8>, at_ms: i64) {
    let (seconds, millis) = (at_ms.div_euclid(1000), at_ms.rem_euclid(1000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    for (number, digits, end) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (hour, 2, b':'),
        (minute, 2, b':'),
        (second, 2, b'.'),
        (millis, 3, b'Z'),
    ] {
        // Years before 0 and after 9999 are nobody's here.
        for place in (0..digits).rev() {
            let digit = number / 10_i64.pow(place) % 10;
            text.push(b'0' + u8::try_from(digit).unwrap_or_default());
        }
        text.push(end);
    }
}

/// Days since 1970 as year, month and day: eras of 400 years, and years that begin in March, so that the leap day
/// is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn moments_are_written_in_utc() {
        for (at_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (1_795_459_200_000, "2026-11-23T18:40:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(at_ms), text);
        }
    }
}
