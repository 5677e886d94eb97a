//! Owns the moments that files of tests begin at: seconds since the Unix epoch, or RFC 3339.

/// Reads a moment; returns milliseconds since the Unix epoch.
pub(super) fn moment_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let at_ms = (seconds * 1e3).round();
        return (at_ms.abs() < 1e15).then_some(at_ms as i64);
    }
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let mut parts = clock.split(':');
    let (hour, minute): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&seconds)
        && (0..10_000).contains(&year);
    if !in_range {
        return None;
    }
    let in_day_ms = (hour * 60 + minute) * 60_000 + (seconds * 1e3).round() as i64;
    Some(days(year, month, day) * 86_400_000 + in_day_ms - zone_ms(zone)?)
}

/// How far a zone is ahead of UTC.
fn zone_ms(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, length) = match zone.split_at_checked(1)? {
        ("+", length) => (1, length),
        ("-", length) => (-1, length),
        _ => return None,
    };
    let (hours, minutes) = length.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?) * 60_000)
}

/// Days from the Unix epoch to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have the leap day at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let check = |text, expect| assert_eq!(moment_ms(text), expect, "{text}");
        check("0", Some(0));
        check("1.5", Some(1_500));
        check("1970-01-01T00:00:00Z", Some(0));
        check("2015-10-21T16:29:00+02:00", Some(1_445_437_740_000));
        check("2000-02-29T00:00:00.5Z", Some(951_782_400_500));
        for text in ["", "soon", "2015-10-21", "2015-13-21T00:00:00Z", "2015-10-21T16:29:00", "1e99"] {
            check(text, None);
        }
    }
}
