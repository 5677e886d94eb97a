//! Owns how far the query of an alert looks back: for that long after a change it still sees what was before it.

use std::time::Duration;

/// What a query looks back where it names no range: how old a sample may be that PromQL takes for the present one.
const DEFAULT: Duration = Duration::from_secs(5 * 60);

/// The units of a PromQL duration, in milliseconds; the longer name first where one begins like another.
const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
    ("y", 365 * 86_400_000),
];

/// The longest range that a query selects, of ranges and subqueries alike, and five minutes where it selects none.
///
/// The text is looked through for what stands after a `[`: nothing else in PromQL begins so, but for the text of
/// labels, and one range too many there makes it longer, never shorter. A range that is not understood is passed over.
pub(crate) fn look_back(query: &str) -> Duration {
    query.split('[').skip(1).filter_map(duration).max().unwrap_or(DEFAULT)
}

/// The duration at the beginning of a text, up to what cannot belong to it: `1h30m:1m] …` is an hour and a half.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim_start();
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric())?;
    let mut rest = &text[..end];
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, unit_ms) = match UNITS.iter().find(|(unit, _)| rest.starts_with(unit)) {
            Some(found) => *found,
            // A bare number is one of seconds.
            None if rest.is_empty() => ("", 1_000),
            None => return None,
        };
        rest = &rest[unit.len()..];
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms)?)?;
    }
    (total_ms > 0).then(|| Duration::from_millis(total_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_queries() {
        for (query, expect_s) in [
            ("mcp_server_up == 0", 300),
            ("rate(mcp_server_errors_total[1m]) > 0.1", 60),
            ("rate(x[5m]) > 0.1 and rate(x[1h30m]) > 0.05", 5400),
            ("mcp_server_up == 0 or (present_over_time(mcp_server_up[1h]) unless mcp_server_up)", 3600),
            ("max_over_time(rate(x[5m])[2h:1m])", 7200),
            ("rate(x[ 90 ]) > 0", 90),
            ("avg_over_time(x[1500ms])", 1),
            ("x[1d] offset 5m", 86_400),
            ("increase(x[1w])", 604_800),
            (r#"x{path="[2h]"} > 0"#, 7200),
            (r#"x{path=~"[a-z]+"} > 0"#, 300),
            ("x[99999999999999999999h]", 300),
            ("x[9999999999999999999s]", 300),
            ("x[5m", 300),
            ("[", 300),
            ("", 300),
        ] {
            assert_eq!(look_back(query).as_secs(), expect_s, "{query}");
        }
    }
}
