//! Owns the notation of series in promtool's test files, and in those of PromQL: `up{job="a"}` and `1 2+3x4 _x5 stale`.

use crate::labels::{Labels, METRIC_NAME};
use crate::store::stale;

/// A slip of the pen makes no more samples than this.
const VALUES_MAX: usize = 1_000_000;

/// Why a series or its values cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotationError(String);

/// The values of a series; nothing stands for a gap.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct SeriesValues {
    /// A value for each interval; the end of a series is the NaN that stores mark it with.
    pub floats: Vec<Option<f64>>,
    /// A value is a native histogram, of which a gap is left here.
    pub has_native: bool,
}

fn fault(message: impl Into<String>) -> NotationError {
    NotationError(message.into())
}

/// Reads a series; returns its labels and what follows it.
///
/// # Errors
///
/// Fails if the text does not begin with a series.
pub fn series(line: &str) -> Result<(Labels, &str), NotationError> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let mut pairs = Vec::new();
    if end > 0 {
        pairs.push((METRIC_NAME.to_owned(), line[..end].to_owned()));
    }
    // Between the name and its labels a blank may stand.
    let after_name = line[end..].trim_start();
    let Some(mut rest) = after_name.strip_prefix('{').filter(|rest| !rest.starts_with('{')) else {
        return Ok((pairs.into_iter().collect(), &line[end..]));
    };
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',', '\n']);
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
            Some(_) if name.is_empty() => return Err(fault("a label has no name")),
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
            None => return Err(fault("a label has no value")),
        }
    }
}

/// Takes a quoted text off the front; returns it and what follows.
///
/// # Errors
///
/// Fails if there is none, or it does not end.
pub fn quoted(text: &str) -> Result<(String, &str), NotationError> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'));
    let quote = quote.ok_or_else(|| fault("a label value is not quoted"))?;
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
    Err(fault("a quote is not closed"))
}

/// Reads values: `1 2 3`, `1+2x3`, `5x2`, `_x4`, `stale`, `{{…}}`.
///
/// # Errors
///
/// Fails if a word is none of these, or there are more than a million values.
pub fn values(text: &str) -> Result<SeriesValues, NotationError> {
    let mut all = SeriesValues::default();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            let (_, after) =
                rest.split_once("}}").ok_or_else(|| fault("a native histogram is not closed"))?;
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            let times = after[..end].rsplit_once('x').and_then(|(_, times)| times.parse().ok()).unwrap_or(0);
            all.has_native = true;
            all.floats.extend(std::iter::repeat_n(None, usize::min(times, VALUES_MAX) + 1));
            rest = after[end..].trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let word = &rest[..end];
        add(word, &mut all.floats).ok_or_else(|| fault(format!("`{word}` is no value")))?;
        if all.floats.len() > VALUES_MAX {
            return Err(fault(format!("there are more than {VALUES_MAX} values")));
        }
        rest = rest[end..].trim_start();
    }
    Ok(all)
}

fn add(word: &str, into: &mut Vec<Option<f64>>) -> Option<()> {
    let (item, times) = match word.rsplit_once('x') {
        Some((item, times)) => (item, Some(times.parse().ok().filter(|times| *times <= VALUES_MAX)?)),
        None => (word, None),
    };
    if item == "_" {
        into.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return Some(());
    }
    let times = times.unwrap_or(0);
    if item == "stale" {
        into.extend(std::iter::repeat_n(Some(stale()), times + 1));
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
