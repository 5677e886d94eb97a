//! Owns lengths of time in rule files: `1h30m`, `0`; no fractions, no numbers without a unit.

/// The units in the only order in which they may stand, with their milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a length of time as Prometheus' configuration has it. Returns milliseconds; none where it is not one, or longer
/// than about 292 years.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut next_unit, mut total_ms) = (text, 0, 0_i64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let number: i64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = UNITS.iter().position(|(unit, _)| *unit == &after[..length])?;
        if unit < next_unit {
            return None;
        }
        next_unit = unit + 1;
        total_ms = total_ms.checked_add(number.checked_mul(UNITS[unit].1)?)?;
        rest = &after[length..];
    }
    // Nanoseconds have to have a place in 64 bits.
    (!text.is_empty() && total_ms <= i64::MAX / 1_000_000).then_some(total_ms)
}

/// Writes a length of time as Prometheus does: `1h30m`, `500ms`, `0s`.
pub(crate) fn duration_shown(length_ms: i64) -> String {
    if length_ms == 0 {
        return "0s".to_owned();
    }
    let (mut left_ms, mut shown) = (length_ms.unsigned_abs(), String::new());
    // Years and weeks are only written where nothing is left of them.
    for (unit, unit_ms) in UNITS.map(|(unit, ms)| (unit, ms.unsigned_abs())) {
        let is_exact = left_ms.is_multiple_of(unit_ms);
        if left_ms >= unit_ms && (is_exact || !matches!(unit, "y" | "w")) {
            shown += &format!("{}{unit}", left_ms / unit_ms);
            left_ms %= unit_ms;
        }
    }
    if length_ms < 0 { format!("-{shown}") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_rule_files_write_them() {
        let check = |text, expect| assert_eq!(parse_duration(text), expect, "{text}");
        check("0", Some(0));
        check("0s", Some(0));
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("1y2w3d4h5m6s7ms", Some(((((365 + 14 + 3) * 24 + 4) * 60 + 5) * 60 + 6) * 1_000 + 7));
        for text in
            ["", "5", "1.5h", "-5m", "m", "30s1h", "5m5m", "5 m", "99999999999999999999s", "300y", "5min"]
        {
            check(text, None);
        }
        let check = |length_ms, expect: &str| assert_eq!(duration_shown(length_ms), expect);
        check(0, "0s");
        check(5_400_000, "1h30m");
        check(604_800_000, "1w");
        check(691_200_000, "8d");
        check(1_500, "1s500ms");
        check(-60_000, "-1m");
    }
}
