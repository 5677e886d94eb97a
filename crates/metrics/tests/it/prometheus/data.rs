//! Owns the samples that both have: counters with resets and gaps, gauges, histograms; an hour of them.

use std::fmt::Write;

use metrics::{Labels, Sample};

use super::queries::Random;

/// When the samples begin: a round moment.
pub(super) const START_MS: i64 = 1_600_000_200_000;
pub(super) const INTERVAL_MS: i64 = 15_000;
pub(super) const SCRAPES: i64 = 240;
const BOUNDS: [&str; 6] = ["0.1", "0.5", "1.0", "2.5", "10.0", "+Inf"];

/// Returns the samples, series after series; no two series are scraped at the same moment, and none at a full or half
/// second, where windows have their edges.
pub(super) fn samples() -> Vec<Sample> {
    let mut random = Random::new(7);
    let mut samples = Vec::new();
    let mut shift_ms = 103;
    let mut add = |name: &str, labels: &[(&str, &str)], values: &mut dyn FnMut(i64) -> Option<f64>| {
        shift_ms = if shift_ms > 400 { 103 } else { shift_ms + 7 };
        let labels = Labels::metric(name, labels);
        for scrape in 0..SCRAPES {
            let at_ms = START_MS + scrape * INTERVAL_MS + shift_ms;
            samples.extend(values(scrape).map(|value| Sample { labels: labels.clone(), at_ms, value }));
        }
    };
    for l in ["a", "b", "c"] {
        for m in ["x", "y"] {
            // What begins again begins at nothing; then there are no gaps, because versions differ in how far back
            // they take a young counter with one.
            let resets = m == "y";
            let mut count = 5_000.0 + random.below(1_000) as f64;
            add("c_total", &[("l", l), ("m", m)], &mut |scrape| {
                count += random.below(20) as f64;
                if resets && scrape > 0 && random.below(25) == 0 {
                    count = random.below(4) as f64;
                }
                (resets || random.below(6) > 0).then_some(count)
            });
            let mut level = 0.0;
            add("g", &[("l", l), ("m", m)], &mut |_| {
                level += (random.below(41) as f64 - 20.0) / 4.0;
                (random.below(8) > 0).then_some(level)
            });
        }
        let mut half = 0.0;
        add("rare", &[("l", l)], &mut |scrape| {
            half += 0.5;
            (scrape % 37 < 9).then_some(half)
        });
        let increments: Vec<Vec<f64>> =
            (0..SCRAPES).map(|_| BOUNDS.iter().map(|_| random.below(5) as f64).collect()).collect();
        for (place, bound) in BOUNDS.iter().enumerate() {
            let mut count = 0.0;
            add("h_bucket", &[("l", l), ("le", bound)], &mut |scrape| {
                count += increments[scrape as usize][..=place].iter().sum::<f64>();
                Some(10_000.0 + count)
            });
        }
    }
    samples
}

/// Returns the samples as OpenMetrics, with their times.
pub(super) fn exposition(samples: &[Sample]) -> String {
    let mut text = String::new();
    for Sample { labels, at_ms, value } in samples {
        let name = labels.metric_name().unwrap_or_default();
        let pairs: Vec<String> = labels
            .iter()
            .filter(|(name, _)| *name != metrics::METRIC_NAME)
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let (seconds, millis) = (at_ms / 1000, at_ms % 1000);
        let _ = writeln!(text, "{name}{{{}}} {value:?} {seconds}.{millis:03}", pairs.join(","));
    }
    text + "# EOF\n"
}
