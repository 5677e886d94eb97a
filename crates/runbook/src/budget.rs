//! Owns how long the statements of a fence take at least: sleeps, loops with a known count, samplers with an interval.

use std::time::Duration;

use crate::bash::{Item, Kind, Loop, Word};
use crate::step::Fence;

impl Fence {
    /// Returns how long its statements take at least, by what is written in them, and never more than its time limit
    /// allows.
    pub fn least_duration(&self) -> Duration {
        if let Some(length) = self.watch_duration() {
            return length;
        }
        let written = Duration::from_secs(items(&self.script.items));
        self.most_duration().map_or(written, |most| written.min(most))
    }

    /// Returns how long its statements may take at most, where it has a time limit. That of a watch is one for all of
    /// them.
    pub fn most_duration(&self) -> Option<Duration> {
        if self.attributes.until.is_some() || self.attributes.every.is_some() {
            return self.watch_duration().or(self.attributes.timeout);
        }
        let n_units = u32::try_from(self.units.len()).unwrap_or(u32::MAX);
        self.attributes.timeout.map(|limit| limit.saturating_mul(n_units))
    }

    /// Returns how long it watches, where that is a time and no condition.
    fn watch_duration(&self) -> Option<Duration> {
        crate::parse_duration(self.attributes.until.as_deref()?)
    }
}

fn items(list: &[Item]) -> u64 {
    list.iter()
        .filter(|item| item.ending == crate::bash::Ending::Foreground)
        .flat_map(Item::pipelines)
        .map(|pipeline| pipeline.stages.iter().map(|stage| kind(&stage.kind)).max().unwrap_or(0))
        .sum()
}

fn kind(kind: &Kind) -> u64 {
    match kind {
        Kind::Simple { words, .. } => {
            words.split_first().map_or(0, |(name, rest)| sampling(&name.shape(), rest))
        }
        Kind::Group(list) | Kind::Subshell(list) => items(list),
        Kind::If { branches, otherwise } => {
            let branches = branches.iter().map(|branch| items(&branch.body));
            branches.max().unwrap_or(0).max(items(otherwise))
        }
        Kind::For { words: Some(words), body, .. } => rounds(words) * items(body),
        Kind::Loop { kind: Loop::While | Loop::Until, body, .. } => items(body),
        _ => 0,
    }
}

fn rounds(words: &[Word]) -> u64 {
    let range = |word: &Word| {
        let text = word.plain()?.strip_prefix('{')?.strip_suffix('}')?;
        let (first, last) = text.split_once("..")?;
        Some(last.parse::<u64>().ok()?.saturating_sub(first.parse().ok()?) + 1)
    };
    words.iter().map(|word| range(word).unwrap_or(1)).sum::<u64>().min(1_000_000)
}

/// Returns how many seconds a command waits by what is written in its arguments: a sleep, or samples at an interval.
pub(crate) fn sampling(name: &str, arguments: &[Word]) -> u64 {
    let numbers = || arguments.iter().filter_map(|word| duration(&word.shape()));
    match name {
        "sleep" => numbers().sum(),
        // An interval and a count; here the interval is in milliseconds where it has no unit.
        "jstat" => match *arguments.iter().map(Word::shape).collect::<Vec<_>>() {
            [.., ref interval, ref count] => {
                let interval = match interval.parse::<u64>() {
                    Ok(milliseconds) => milliseconds / 1000,
                    Err(_) => duration(interval).unwrap_or(0),
                };
                interval.saturating_mul(count.parse().unwrap_or(0))
            }
            _ => 0,
        },
        "iostat" | "vmstat" | "sar" | "mpstat" | "pidstat" => match *numbers().collect::<Vec<_>>() {
            [.., interval, count] => interval.saturating_mul(count),
            _ => 0,
        },
        _ => 0,
    }
}

/// `30`, `5s`, `2m`, `1h`
fn duration(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "" | "s" => number,
        "m" => number * 60,
        "h" => number * 3600,
        "d" => number * 86_400,
        _ => return None,
    })
}
