//! Owns the reading of recorded series: an exposition with times, or what `promtool tsdb dump` writes.
//!
//! ```text
//! up{job="a"} 1 1700000000000                  milliseconds…
//! {__name__="up",job="a"} 1 1700000000000      … as promtool dumps them; NaN is the end of a series there
//! up{job="a"} 1 1700000000.5                   seconds in OpenMetrics, whose last line is `# EOF`
//! ```

use super::{History, HistoryFull};
use crate::exposition::Diagnostic;
use crate::labels::METRIC_NAME;
use crate::notation;
use crate::store::stale;

/// So many lines that cannot be read are named, and the rest is counted.
const NAMED_MAX: usize = 50;

/// Reads recorded series. Returns them and what could not be read: such a line costs only itself.
///
/// # Errors
///
/// Fails if there are more samples than can be held.
pub fn read_recorded(text: &str) -> Result<(History, Vec<Diagnostic>), HistoryFull> {
    let is_openmetrics = text.trim_end().ends_with("# EOF");
    let mut history = History::default();
    let (mut diagnostics, mut n_more) = (Vec::new(), 0);
    for (idx, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match sample(line, is_openmetrics) {
            Ok((labels, at_ms, value)) => history.add(labels, [(at_ms, value)])?,
            Err(message) if diagnostics.len() < NAMED_MAX => {
                diagnostics.push(Diagnostic { line: idx + 1, message: message.to_owned() });
            }
            Err(_) => n_more += 1,
        }
    }
    if n_more > 0 {
        let line = text.lines().count();
        diagnostics.push(Diagnostic { line, message: format!("{n_more} more lines could not be read") });
    }
    Ok((history, diagnostics))
}

fn sample(line: &str, is_openmetrics: bool) -> Result<(crate::labels::Labels, i64, f64), &'static str> {
    let (labels, rest) = notation::series(line).map_err(|_| "the line begins with no series")?;
    if labels.get(METRIC_NAME).is_none() {
        return Err("the series has no name");
    }
    // An exemplar follows the sample.
    let rest = rest.split_once(" # ").map_or(rest, |(rest, _)| rest);
    let mut words = rest.split_whitespace();
    let value: f64 = words.next().and_then(|word| word.parse().ok()).ok_or("the value is not a number")?;
    let at = words.next().ok_or("the sample has no time")?;
    let at_ms = match is_openmetrics {
        true => at.parse::<f64>().ok().map(|seconds| (seconds * 1e3).round() as i64),
        false => at.parse().ok(),
    };
    let at_ms = at_ms.ok_or("the time cannot be read")?;
    let is_dump = line.starts_with('{');
    let value = if is_dump && value.is_nan() { stale() } else { value };
    Ok((labels, at_ms, value))
}
