//! Owns axes: which values and which moments are named, so that people can read them off.

use std::ops::Range;

use chrono::DateTime;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::{Stretch, Unit};

/// The lines across a chart, at most.
const VALUES_MAX: f64 = 4.0;

/// The moments that are named, at most: their labels must not touch on a small screen.
const MOMENTS_MAX: i64 = 6;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How far moments that are named may be apart.
const STEPS_MS: [i64; 13] = [
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
];

/// One axis: from where to where, and what is named on it.
pub(super) struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
    kind: Kind,
}

enum Kind {
    Moments { step_ms: i64 },
    Values(Unit),
}

// === impl Axis ===

impl Axis {
    /// The axis of time.
    pub(super) fn moments(stretch: Stretch) -> Self {
        let length_ms = (stretch.to_ms - stretch.from_ms).max(1);
        let fits = |step_ms: &i64| length_ms / step_ms <= MOMENTS_MAX;
        let step_ms = STEPS_MS.into_iter().find(fits).unwrap_or(length_ms / MOMENTS_MAX);
        let first_ms = stretch.from_ms.div_euclid(step_ms) * step_ms;
        let all = (0..=MOMENTS_MAX + 1).map(|number| first_ms + number * step_ms);
        let ticks = all.filter(|at_ms| (stretch.from_ms..=stretch.to_ms).contains(at_ms));
        Self {
            range: stretch.from_ms as f64..(stretch.from_ms + length_ms) as f64,
            ticks: ticks.map(|at_ms| at_ms as f64).collect(),
            kind: Kind::Moments { step_ms },
        }
    }

    /// The axis of values, a little longer than it has to be.
    pub(super) fn values(unit: Unit, (low, high): (f64, f64)) -> Self {
        let length = if high > low { high - low } else { 1.0 };
        let step = step(unit, length / VALUES_MAX);
        let (first, last) = ((low / step).floor(), (high / step).ceil().max((low / step).floor() + 1.0));
        let ticks = (0..=(last - first) as u32).map(|number| (first + f64::from(number)) * step);
        Self { range: first * step..last * step, ticks: ticks.collect(), kind: Kind::Values(unit) }
    }
}

/// The least step that people count in and that is not shorter.
fn step(unit: Unit, least: f64) -> f64 {
    if unit == Unit::Bytes {
        return 2_f64.powf(least.max(1.0).log2().ceil());
    }
    let least = if unit == Unit::Count { least.max(1.0) } else { least.max(f64::MIN_POSITIVE) };
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].map(|times| times * power).into_iter().find(|step| *step >= least).unwrap_or(10.0 * power)
}

/// A moment in UTC, to the second.
pub(super) fn moment(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (f64::from(to - from) * share.clamp(0.0, 1.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // There are no lines between those that are named.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        match self.kind {
            Kind::Values(unit) => unit.show(*value),
            Kind::Moments { step_ms } => {
                let form = if step_ms >= DAY_MS { "%m-%d" } else { "%H:%M" };
                DateTime::from_timestamp_millis(*value as i64).unwrap_or_default().format(form).to_string()
            }
        }
    }
}
