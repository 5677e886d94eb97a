//! Owns lengths of time outside of queries, as Prometheus writes them.

use super::syntax::{DURATION_SECONDS_MAX, number};

/// Reads a length of time: `15s`, `1h30m`, or a number of seconds such as `0.5`. Returns milliseconds; none where the text is
/// neither, or negative, or longer than a century.
pub fn duration_ms(text: &str) -> Option<i64> {
    let seconds = number(text).filter(|_| !text.is_empty())?;
    (0.0..=DURATION_SECONDS_MAX).contains(&seconds).then(|| (seconds * 1e3).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        let check = |text, expect| assert_eq!(duration_ms(text), expect, "{text}");
        check("15s", Some(15_000));
        check("1h30m", Some(5_400_000));
        check("500ms", Some(500));
        check("0.5", Some(500));
        check("0", Some(0));
        check("1e9999", None);
        check("-1", None);
        check("NaN", None);
        check("", None);
        check("99999999999999999999y", None);
        check("200y", None);
        check("soon", None);
    }
}
