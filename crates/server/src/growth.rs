//! Owns what growth is called: how fast, how sure, since when, and how long it takes to a limit.

use std::time::Duration;

use diagnosis::{Finding, Kind, Severity, Shape, Trend, kind, trend};
use metrics::{Query, Store, Value};

/// Who has just begun to work grows until he is warm: nobody calls that a leak.
const WARM_SECONDS: f64 = 300.0;
/// Less than a fiftieth of what there is means nothing.
const NOISE_SHARE: f64 = 0.02;
/// Less is no time in which anything grows, however closely somebody looks.
const SECONDS_MIN: f64 = 30.0;

/// How a number is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Grown {
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
    /// Memory, which ends at this limit.
    pub fn memory(limit_bytes: Option<u64>) -> Self {
        Self {
            noise_min: f64::from(1 << 20),
            is_bytes: true,
            limit: limit_bytes.map(|bytes| bytes as f64),
            seconds_min: SECONDS_MIN,
        }
    }

    /// A number of things, without a limit.
    pub fn count() -> Self {
        Self { noise_min: 4.0, is_bytes: false, limit: None, seconds_min: SECONDS_MIN }
    }

    /// The same, and nothing is said of less than so many seconds.
    #[must_use]
    pub fn over(self, seconds_min: f64) -> Self {
        Self { seconds_min, ..self }
    }

    /// The same, and it ends at this limit.
    #[must_use]
    pub fn up_to(self, limit_bytes: Option<u64>) -> Self {
        Self { limit: limit_bytes.map(|bytes| bytes as f64), ..self }
    }

    fn shown(self, value: f64) -> String {
        if self.is_bytes { format!("{:.1} MiB", value / f64::from(1 << 20)) } else { format!("{value:.0}") }
    }
}

/// A number that may grow, and what is asked for it.
#[derive(Debug, Clone)]
pub struct Growing {
    /// What a growth of it is.
    pub kind: Kind,
    /// The query for its samples of the last two hours.
    pub range: String,
    /// How it is looked at.
    pub how: Grown,
}

/// What is looked at for growth in the samples of a server: its memory, the caches of which it tells (`mcp_cache_size_bytes`,
/// on a page of its own), its descriptors.
pub fn growing(server: &str) -> [Growing; 3] {
    let of = |name: &str, more: &str| format!("{name}{{server_name=\"{server}\"{more}}}");
    let memory = Grown::memory(None).over(WARM_SECONDS);
    [
        Growing {
            kind: kind::RSS_GROWTH_BYTES_PER_HOUR,
            range: format!("{}[2h]", of("mcp_server_memory_usage_bytes", ",memory_type=\"rss\"")),
            how: memory,
        },
        Growing {
            kind: kind::CACHE_BYTES_GROWTH,
            // A server may have several.
            range: format!("sum({})[2h:1m]", of("mcp_cache_size_bytes", "")),
            how: memory,
        },
        Growing {
            kind: kind::DESCRIPTORS_GROWTH_PER_HOUR,
            range: format!("{}[2h]", of("mcp_server_file_descriptors", "")),
            how: Grown::count().over(WARM_SECONDS),
        },
    ]
}

/// What the samples of `serve` say of the memory and the descriptors of a server, as far as they are of the process that runs
/// now; `limit_bytes` is the memory that it may have, where that is known.
pub(crate) fn of_server(store: &Store, server: &str, now_ms: i64, limit_bytes: Option<u64>) -> Vec<Finding> {
    let of = |name: &str, more: &str| format!("{name}{{server_name=\"{server}\"{more}}}");
    let started = Query::parse(&of("mcp_server_process_start_time_seconds", "")).ok();
    let started = started.and_then(|query| match query.instant(store, now_ms).ok()? {
        Value::Vector(found) => found.first().map(|one| one.value),
        _ => None,
    });
    let points = |range: String| -> Vec<(f64, f64)> {
        let query = Query::parse(&range).ok();
        let found = query.and_then(|query| query.instant(store, now_ms).ok());
        let Some(Value::Matrix(series)) = found else { return Vec::new() };
        let samples = series.into_iter().next().map(|one| one.samples).unwrap_or_default();
        let seconds = samples.into_iter().map(|(at_ms, value)| (at_ms as f64 / 1e3, value));
        seconds.filter(|(at, _)| started.is_none_or(|started| *at >= started)).collect()
    };
    let looked = growing(server).into_iter().filter_map(|one| {
        let how =
            if one.kind == kind::RSS_GROWTH_BYTES_PER_HOUR { one.how.up_to(limit_bytes) } else { one.how };
        grown(one.kind, server, &points(one.range), &how)
    });
    looked.collect()
}

/// What a series says: how fast it grows in an hour, and 0 where it does not; nothing of one that is too short.
pub fn grown(kind: Kind, subject: &str, points: &[(f64, f64)], how: &Grown) -> Option<Finding> {
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
pub fn look(points: &[(f64, f64)], how: &Grown) -> Trend {
    let last = points.last().map_or(0.0, |point| point.1);
    trend(points, how.noise_min.max(last * NOISE_SHARE))
}

/// A trend for people.
pub fn words(found: &Trend, points: &[(f64, f64)], how: &Grown) -> String {
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
        let found = grown(kind::RSS_GROWTH_BYTES_PER_HOUR, "notes", &points, &how).unwrap();
        let says = "rss_growth_bytes_per_hour of `notes` is 314572800.0 (it grows all the time: from 80.0 MiB to 128.3 MiB \
            in 9 min, 5.0 MiB a minute (99 of 100: 5.0 MiB to 5.0 MiB); at its limit of 512.0 MiB in 76 min to 76 min)";
        assert_eq!(found.to_string(), says);
        let flat: Vec<_> = points.iter().map(|point| (point.0, 80.0 * mib)).collect();
        let found = grown(kind::RSS_GROWTH_BYTES_PER_HOUR, "notes", &flat, &how).unwrap();
        assert_eq!(found.value().unwrap().number(), Some(0.0));
        assert_eq!(grown(kind::RSS_GROWTH_BYTES_PER_HOUR, "notes", &flat[..3], &how), None);
    }

    #[test]
    fn samples_of_the_process_before_do_not_count() {
        let mut store = Store::new(metrics::Limits {
            retention_ms: 7_200_000,
            series_max: 10,
            samples_per_series_max: 1000,
        });
        let now_ms = 10_000_000;
        let mut put = |name: &str, more: &[(&str, &str)], at_ms: i64, value: f64| {
            let labels: Vec<(&str, &str)> =
                [("server_name", "notes")].into_iter().chain(more.iter().copied()).collect();
            store.append(&metrics::Labels::metric(name, &labels), at_ms, value).unwrap();
        };
        for nth in 0..120_i32 {
            let at_ms = now_ms - i64::from(119 - nth) * 10_000;
            // The one before grew; the one of now has stood still for ten minutes.
            let value = if nth < 60 { f64::from(nth) * 5e6 } else { 8e7 };
            put("mcp_server_memory_usage_bytes", &[("memory_type", "rss")], at_ms, value);
        }
        put("mcp_server_process_start_time_seconds", &[], now_ms, (now_ms - 590_000) as f64 / 1e3);
        let found = of_server(&store, "notes", now_ms, None);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].value().and_then(diagnosis::Scalar::number), Some(0.0), "{found:?}");
        assert!(of_server(&store, "other", now_ms, None).is_empty());
    }

    /// A page of the server's own says how large its caches are: all of them together grow as its memory does.
    #[test]
    fn a_cache_that_grows_is_no_leak() {
        let limits =
            metrics::Limits { retention_ms: 7_200_000, series_max: 10, samples_per_series_max: 1000 };
        let mut store = Store::new(limits);
        let now_ms = 10_000_000;
        let mut put = |name: &str, label: (&str, &str), at_ms: i64, value: f64| {
            let labels = metrics::Labels::metric(name, &[("server_name", "notes"), label]);
            store.append(&labels, at_ms, value).unwrap();
        };
        for nth in 0..120_i32 {
            let at_ms = now_ms - i64::from(119 - nth) * 10_000;
            let cached = f64::from(nth) * 2e6;
            put("mcp_server_memory_usage_bytes", ("memory_type", "rss"), at_ms, 8e7 + cached);
            put("mcp_cache_size_bytes", ("cache_type", "rows"), at_ms, cached / 2.0);
            put("mcp_cache_size_bytes", ("cache_type", "pages"), at_ms, cached / 2.0);
        }
        let found = of_server(&store, "notes", now_ms, None);
        let kinds: Vec<&str> = found.iter().map(Finding::kind).collect();
        assert_eq!(kinds, ["rss_growth_bytes_per_hour", "cache_bytes_growth"], "{found:?}");
        let ranked = diagnosis::rank(&found);
        assert_eq!(diagnosis::named(&ranked).unwrap().cause.name(), "cache_growth", "{ranked:?}");
        // Without the word of the server nobody knows that it is its cache.
        let ranked = diagnosis::rank(&found[..1]);
        assert_eq!(diagnosis::named(&ranked).unwrap().cause.name(), "memory_leak", "{ranked:?}");
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
