//! Owns the reading of series, values and durations in test files.

use metrics::{Labels, METRIC_NAME};

/// The bits of the NaN that says "this series ended here".
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;
/// A slip of the pen makes no more samples than this.
const REPEATS_MAX: usize = 100_000;

/// The values of a series; nothing stands for a gap.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) floats: Vec<Option<f64>>,
    /// A value is a native histogram, of which a gap is left here.
    pub(super) has_native: bool,
}

/// Reads a series; returns its labels and what follows it.
pub(super) fn series(line: &str) -> Result<(Labels, &str), String> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let mut pairs = Vec::new();
    if end > 0 {
        pairs.push((METRIC_NAME.to_owned(), line[..end].to_owned()));
    }
    let Some(mut rest) = line[end..].strip_prefix('{').filter(|rest| !rest.starts_with('{')) else {
        return Ok((pairs.into_iter().collect(), &line[end..]));
    };
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((pairs.into_iter().collect(), after));
        }
        let (name, after) = match rest.starts_with(['"', '\'', '`']) {
            true => quoted(rest)?,
            false => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        match after.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, after) = quoted(value.trim_start())?;
                pairs.push((name, value));
                rest = after;
            }
            // A quoted text alone is the name of the metric.
            None if rest.starts_with(['"', '\'', '`']) => {
                pairs.push((METRIC_NAME.to_owned(), name));
                rest = after;
            }
            None => return Err("a label has no value".to_owned()),
        }
    }
}

/// Takes a quoted text off the front.
pub(super) fn quoted(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'));
    let quote = quote.ok_or("a label value is not quoted")?;
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((value, &text[index + 1..])),
            '\\' if quote != '`' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, 't')) => '\t',
                Some((_, other)) => other,
                None => break,
            }),
            _ => value.push(character),
        }
    }
    Err("a quote is not closed".to_owned())
}

/// Reads values: `1 2 3`, `1+2x3`, `5x2`, `_x4`, `stale`, `{{…}}`.
pub(super) fn values(text: &str) -> Result<Values, String> {
    let mut all = Values::default();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            let (_, after) = rest.split_once("}}").ok_or("a native histogram is not closed")?;
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            let times = after[..end].rsplit_once('x').and_then(|(_, times)| times.parse().ok()).unwrap_or(0);
            all.has_native = true;
            all.floats.extend(std::iter::repeat_n(None, usize::min(times, REPEATS_MAX) + 1));
            rest = after[end..].trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        add(&rest[..end], &mut all.floats).ok_or_else(|| format!("`{}` is no value", &rest[..end]))?;
        rest = rest[end..].trim_start();
    }
    Ok(all)
}

fn add(word: &str, into: &mut Vec<Option<f64>>) -> Option<()> {
    let (item, times) = match word.rsplit_once('x') {
        Some((item, times)) => (item, Some(times.parse().ok().filter(|times| *times <= REPEATS_MAX)?)),
        None => (word, None),
    };
    if item == "_" {
        into.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return Some(());
    }
    let times = times.unwrap_or(0);
    if item == "stale" {
        into.extend(std::iter::repeat_n(Some(f64::from_bits(STALE_BITS)), times + 1));
        return Some(());
    }
    if let Ok(value) = item.parse::<f64>() {
        into.extend(std::iter::repeat_n(Some(value), times + 1));
        return Some(());
    }
    // The sign of an exponent is none of the growth.
    let mut signs = item
        .match_indices(['+', '-'])
        .map(|(index, _)| index)
        .filter(|index| *index > 0 && !item[..*index].ends_with(['e', 'E']));
    let sign = signs.next_back()?;
    let start: f64 = item[..sign].parse().ok()?;
    let growth: f64 = item[sign..].parse().ok()?;
    let mut value = start;
    for _ in 0..=times {
        into.push(Some(value));
        value += growth;
    }
    Some(())
}

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
