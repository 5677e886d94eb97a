//! Owns the reading of durations in test files.

/// Reads `1h30m`, `10s53ms`, or a number of seconds.
pub(super) fn duration_ms(text: &str) -> Result<i64, String> {
    let fault = || format!("`{text}` is no duration");
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let (sign, mut rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut total = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fault)?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let factor = match &rest[digits..unit] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return Err(fault()),
        };
        total += factor * rest[..digits].parse::<i64>().map_err(|_| fault())?;
        rest = &rest[unit..];
    }
    Ok(sign * total)
}
