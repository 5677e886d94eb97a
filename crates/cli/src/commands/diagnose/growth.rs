//! Owns what growth is called: how fast, how sure, since when, and how long it takes to a limit.

use std::time::Duration;

use diagnosis::{Finding, Kind, Severity, Shape, Trend, trend};

/// Less than a fiftieth of what there is means nothing.
const NOISE_SHARE: f64 = 0.02;
/// Less is no time in which anything grows, however closely somebody looks.
const SECONDS_MIN: f64 = 30.0;

/// How a number is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grown {
    /// What it may differ by without a meaning.
    noise_min: f64,
    is_bytes: bool,
    /// Where it ends.
    limit: Option<f64>,
    /// Over a shorter time nothing is said.
    seconds_min: f64,
}

// === impl Grown ===

impl Grown {
    pub(super) fn memory(limit_bytes: Option<u64>) -> Self {
        Self {
            noise_min: f64::from(1 << 20),
            is_bytes: true,
            limit: limit_bytes.map(|bytes| bytes as f64),
            seconds_min: SECONDS_MIN,
        }
    }

    pub(super) fn count() -> Self {
        Self { noise_min: 4.0, is_bytes: false, limit: None, seconds_min: SECONDS_MIN }
    }

    /// The same, and nothing is said of less than so many seconds.
    pub(super) fn over(self, seconds_min: f64) -> Self {
        Self { seconds_min, ..self }
    }

    fn shown(self, value: f64) -> String {
        if self.is_bytes { format!("{:.1} MiB", value / f64::from(1 << 20)) } else { format!("{value:.0}") }
    }
}

/// What a series says: how fast it grows in an hour, and 0 where it does not; nothing of one that is too short.
pub(super) fn grown(kind: Kind, subject: &str, points: &[(f64, f64)], how: &Grown) -> Option<Finding> {
    let found = look(points, how);
    let finding = Finding::new(kind, subject);
    match found.shape {
        Shape::Unknown => None,
        _ if found.seconds < how.seconds_min => None,
        Shape::Growing => {
            let finding = finding.with_value((found.slope * 3600.0).round());
            Some(finding.with_severity(Severity::Warning).with_message(&words(&found, points, how)))
        }
        _ => Some(finding.with_value(0.0).with_message(&words(&found, points, how))),
    }
}

/// The trend of a series.
pub(super) fn look(points: &[(f64, f64)], how: &Grown) -> Trend {
    let last = points.last().map_or(0.0, |point| point.1);
    trend(points, how.noise_min.max(last * NOISE_SHARE))
}

/// A trend for people.
pub(super) fn words(found: &Trend, points: &[(f64, f64)], how: &Grown) -> String {
    let first = points.first().map_or(0.0, |point| point.1);
    let over = time(found.seconds);
    let (from, to) = (how.shown(first), how.shown(found.last));
    let shape = match found.shape {
        Shape::Unknown => return format!("{} points in {over} are too few to say anything", points.len()),
        Shape::Growing => "it grows all the time",
        Shape::Steady => "it does not grow",
        Shape::Settled => "it has grown, and has stopped growing",
        Shape::Step => "it has grown once, at a stroke",
        Shape::Waves => "it goes up and down",
    };
    if found.shape != Shape::Growing {
        return format!("{shape}: from {from} to {to} in {over}");
    }
    let a_minute = |slope: f64| how.shown(slope * 60.0);
    let mut text = format!(
        "{shape}: from {from} to {to} in {over}, {} a minute (99 of 100: {} to {})",
        a_minute(found.slope),
        a_minute(found.slope_min),
        a_minute(found.slope_max)
    );
    if let Some((limit, (soonest, latest))) =
        how.limit.and_then(|limit| Some((limit, found.seconds_to(limit)?)))
    {
        text += &format!("; at its limit of {} in {} to {}", how.shown(limit), time(soonest), time(latest));
    }
    text
}

fn time(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs();
    match whole {
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min", whole / 60),
        7200..172_800 => format!("{:.1} h", whole as f64 / 3600.0),
        _ => format!("{:.0} days", whole as f64 / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_in_words() {
        let mib = f64::from(1 << 20);
        let points: Vec<_> =
            (0..60).map(|n| (f64::from(n) * 10.0, (80.0 + f64::from(n) / 6.0 * 5.0) * mib)).collect();
        let how = Grown::memory(Some(512 << 20));
        let found = grown(diagnosis::kind::RSS_GROWTH_BYTES_PER_HOUR, "notes", &points, &how).unwrap();
        let says = "rss_growth_bytes_per_hour of `notes` is 314572800.0 (it grows all the time: from 80.0 MiB to 128.3 MiB \
            in 9 min, 5.0 MiB a minute (99 of 100: 5.0 MiB to 5.0 MiB); at its limit of 512.0 MiB in 76 min to 76 min)";
        assert_eq!(found.to_string(), says);
        let flat: Vec<_> = points.iter().map(|point| (point.0, 80.0 * mib)).collect();
        let found = grown(diagnosis::kind::RSS_GROWTH_BYTES_PER_HOUR, "notes", &flat, &how).unwrap();
        assert_eq!(found.value().unwrap().number(), Some(0.0));
        assert_eq!(grown(diagnosis::kind::RSS_GROWTH_BYTES_PER_HOUR, "notes", &flat[..3], &how), None);
    }

    #[test]
    fn times() {
        for (seconds, expect) in
            [(59.0, "59 s"), (600.0, "10 min"), (9000.0, "2.5 h"), (9e5, "10 days"), (-1.0, "0 s")]
        {
            assert_eq!(time(seconds), expect);
        }
    }
}
