//! Owns moments and lengths of time as templates see them: Go's way of writing both, in UTC.

/// A moment in the calendar, in UTC.
struct Date {
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    /// Of the second.
    milliseconds: u32,
    /// Sunday is 0.
    weekday: u32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Seconds up to here have a place in 64 bits of nanoseconds.
const SECONDS_MAX: f64 = 9_223_372_036.0;

fn date(seconds: f64) -> Option<Date> {
    if !(-SECONDS_MAX..=SECONDS_MAX).contains(&seconds) {
        return None;
    }
    let at_ms = (seconds * 1000.0).trunc() as i64;
    let (days, in_day) = (at_ms.div_euclid(86_400_000), at_ms.rem_euclid(86_400_000) as u32);
    // The calendar of 400 years, counted from the 1st of March of the year 0.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * march_month + 2) / 5 + 1) as u32;
    let month = (if march_month < 10 { march_month + 3 } else { march_month - 9 }) as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(Date {
        year,
        month,
        day,
        hour: in_day / 3_600_000,
        minute: in_day / 60_000 % 60,
        second: in_day / 1_000 % 60,
        milliseconds: in_day % 1_000,
        weekday: (days + 4).rem_euclid(7) as u32,
    })
}

/// A moment as Go writes it: `2015-10-21 16:29:00.5 +0000 UTC`; none where it is too far away.
pub(super) fn shown(seconds: f64) -> Option<String> {
    let Date { year, month, day, hour, minute, second, milliseconds, .. } = date(seconds)?;
    let fraction = match milliseconds {
        0 => String::new(),
        some => format!(".{some:03}").trim_end_matches('0').to_owned(),
    };
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction} +0000 UTC"))
}

/// A moment by one of Go's layouts, such as `2006-01-02 15:04:05`.
pub(super) fn by_layout(seconds: f64, layout: &str) -> Option<String> {
    let date = date(seconds)?;
    let month = MONTHS[date.month as usize - 1];
    let weekday = WEEKDAYS[date.weekday as usize];
    let noon = if date.hour < 12 { "AM" } else { "PM" };
    let hour_of_12 = if date.hour.is_multiple_of(12) { 12 } else { date.hour % 12 };
    let pieces: [(&str, String); 27] = [
        ("2006", format!("{:04}", date.year)),
        ("January", month.to_owned()),
        ("Jan", month[..3].to_owned()),
        ("Monday", weekday.to_owned()),
        ("Mon", weekday[..3].to_owned()),
        ("MST", "UTC".to_owned()),
        ("-07:00", "+00:00".to_owned()),
        ("-0700", "+0000".to_owned()),
        ("Z07:00", "Z".to_owned()),
        ("Z0700", "Z".to_owned()),
        (".000", format!(".{:03}", date.milliseconds)),
        ("01", format!("{:02}", date.month)),
        ("02", format!("{:02}", date.day)),
        ("_2", format!("{:>2}", date.day)),
        ("03", format!("{hour_of_12:02}")),
        ("04", format!("{:02}", date.minute)),
        ("05", format!("{:02}", date.second)),
        ("06", format!("{:02}", date.year.rem_euclid(100))),
        ("15", format!("{:02}", date.hour)),
        ("PM", noon.to_owned()),
        ("pm", noon.to_lowercase()),
        ("1", date.month.to_string()),
        ("2", date.day.to_string()),
        ("3", hour_of_12.to_string()),
        ("4", date.minute.to_string()),
        ("5", date.second.to_string()),
        ("UTC", "UTC".to_owned()),
    ];
    let (mut written, mut rest) = (String::new(), layout);
    while let Some(first) = rest.chars().next() {
        match pieces.iter().find(|(piece, _)| rest.starts_with(piece)) {
            Some((piece, value)) => {
                written.push_str(value);
                rest = &rest[piece.len()..];
            }
            None => {
                written.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Some(written)
}

/// A part of a moment, by the name of Go's method.
pub(super) fn part(seconds: f64, name: &str) -> Option<i64> {
    let date = date(seconds)?;
    Some(match name {
        "Unix" => (seconds * 1000.0).trunc() as i64 / 1000,
        "UnixMilli" => (seconds * 1000.0).trunc() as i64,
        "Year" => date.year,
        "Day" => i64::from(date.day),
        "Hour" => i64::from(date.hour),
        "Minute" => i64::from(date.minute),
        "Second" => i64::from(date.second),
        _ => return None,
    })
}

/// The name of the month, or of the day of the week.
pub(super) fn name(seconds: f64, method: &str) -> Option<&'static str> {
    let date = date(seconds)?;
    match method {
        "Month" => Some(MONTHS[date.month as usize - 1]),
        "Weekday" => Some(WEEKDAYS[date.weekday as usize]),
        _ => None,
    }
}

/// A length as Go writes it: `1h30m0s`, `1.5s`, `20ms`.
pub(super) fn length_shown(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let decimal = |whole: u64, fraction: u64, places: usize| {
        let text = format!("{whole}.{fraction:0places$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let text = match magnitude {
        0 => return "0s".to_owned(),
        1..1_000 => format!("{magnitude}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(magnitude / 1_000, magnitude % 1_000, 3)),
        1_000_000..1_000_000_000 => {
            format!("{}ms", decimal(magnitude / 1_000_000, magnitude % 1_000_000, 6))
        }
        _ => {
            let (seconds, fraction) = (magnitude / 1_000_000_000, magnitude % 1_000_000_000);
            let seconds_shown = format!("{}s", decimal(seconds % 60, fraction, 9));
            match (seconds / 3_600, seconds / 60 % 60) {
                (0, 0) => seconds_shown,
                (0, minutes) => format!("{minutes}m{seconds_shown}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds_shown}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_lengths() {
        let check = |seconds: f64, expect: &str| assert_eq!(shown(seconds).unwrap(), expect);
        check(0.0, "1970-01-01 00:00:00 +0000 UTC");
        check(1_445_444_940.5, "2015-10-21 16:29:00.5 +0000 UTC");
        check(951_782_400.0, "2000-02-29 00:00:00 +0000 UTC");
        check(-1.0, "1969-12-31 23:59:59 +0000 UTC");
        assert_eq!(shown(1e12), None);
        assert_eq!(by_layout(1_445_444_940.0, "Mon Jan _2 15:04 2006").unwrap(), "Wed Oct 21 16:29 2015");
        assert_eq!(by_layout(1_445_444_940.0, "2006-01-02T15:04:05Z07:00").unwrap(), "2015-10-21T16:29:00Z");
        assert_eq!(part(1_445_444_940.0, "Hour"), Some(16));
        let check = |nanoseconds, expect: &str| assert_eq!(length_shown(nanoseconds), expect);
        check(5_400_000_000_000, "1h30m0s");
        check(1_500_000_000, "1.5s");
        check(-20_000_000, "-20ms");
        check(1_500, "1.5µs");
        check(0, "0s");
    }
}
