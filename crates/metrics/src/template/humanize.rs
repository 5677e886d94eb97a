//! Owns numbers for people: with prefixes, as lengths of time, as shares.

use super::format::general;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const DIGITS: Option<usize> = Some(4);

/// Divides, or multiplies, until the number is short; returns it with the prefix that makes up for that.
fn scaled(
    mut number: f64,
    prefixes: [&'static str; 8],
    is_short: fn(f64) -> bool,
    factor: f64,
) -> (f64, &'static str) {
    let mut found = "";
    for prefix in prefixes {
        if is_short(number.abs()) {
            break;
        }
        found = prefix;
        number *= factor;
    }
    (number, found)
}

/// `1234567` → `1.235M`, `0.002` → `2m`
pub(super) fn humanize(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return general(number, DIGITS);
    }
    let (number, prefix) = if number.abs() >= 1.0 {
        scaled_down(number, LARGE, 1_000.0)
    } else {
        scaled(number, SMALL, |magnitude| magnitude >= 1.0, 1_000.0)
    };
    format!("{}{prefix}", general(number, DIGITS))
}

/// `1536` → `1.5ki`
pub(super) fn humanize_1024(number: f64) -> String {
    if number.abs() <= 1.0 || !number.is_finite() {
        return general(number, DIGITS);
    }
    let (number, prefix) = scaled_down(number, BINARY, 1_024.0);
    format!("{}{prefix}", general(number, DIGITS))
}

fn scaled_down(mut number: f64, prefixes: [&'static str; 8], base: f64) -> (f64, &'static str) {
    let mut found = "";
    for prefix in prefixes {
        if number.abs() < base {
            break;
        }
        found = prefix;
        number /= base;
    }
    (number, found)
}

/// `0.5` → `50%`
pub(super) fn humanize_percentage(number: f64) -> String {
    format!("{}%", general(number * 100.0, DIGITS))
}

/// Seconds: `3661` → `1h 1m 1s`, `0.02` → `20ms`
pub(super) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return general(seconds, DIGITS);
    }
    if seconds == 0.0 {
        return format!("{}s", general(seconds, DIGITS));
    }
    if seconds.abs() < 1.0 {
        let (number, prefix) = scaled(seconds, SMALL, |magnitude| magnitude >= 1.0, 1_000.0);
        return format!("{}{prefix}s", general(number, DIGITS));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let magnitude = seconds.abs();
    let whole = magnitude as i64;
    let (days, hours, minutes, left) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {left}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {left}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {left}s")
    } else {
        format!("{sign}{}s", general(magnitude, DIGITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people() {
        let check = |found: String, expect: &str| assert_eq!(found, expect);
        check(humanize(1_234_567.0), "1.235M");
        check(humanize(0.002), "2m");
        check(humanize(999.0), "999");
        check(humanize(-1_000.0), "-1k");
        check(humanize(f64::NAN), "NaN");
        check(humanize_1024(1_536.0), "1.5ki");
        check(humanize_1024(3.0 * 1024.0 * 1024.0 * 1024.0), "3Gi");
        check(humanize_percentage(0.1234), "12.34%");
        check(humanize_duration(3_661.0), "1h 1m 1s");
        check(humanize_duration(90_061.0), "1d 1h 1m 1s");
        check(humanize_duration(0.02), "20ms");
        check(humanize_duration(-12.345_6), "-12.35s");
        check(humanize_duration(0.0), "0s");
        check(humanize_duration(f64::INFINITY), "+Inf");
    }
}
