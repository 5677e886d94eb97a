//! Owns what a series of one number says: whether it grows all the time, and how fast; no clock, only arithmetic.
//!
//! The slope is that of Theil and Sen: the median of the slopes of all pairs, which a burst or a gap does not move. Its
//! bounds are those of Sen, by the variance of Kendall's test of the same pairs. A process that grows all the time is
//! told from one that has filled its cache, that works in waves, and that has taken one large piece of work.

/// More points are thinned out: pairs grow with their square.
const POINTS_MAX: usize = 240;
/// Fewer points show no shape.
const POINTS_MIN: usize = 8;
/// The bounds are those of 99 %.
const Z: f64 = 2.576;
/// A part of the whole growth that a single step, or the first third, may have at most.
const STEP_SHARE: f64 = 0.6;
/// What comes back in waves: the sum of all ways down, beside the whole growth.
const FALL_SHARE: f64 = 0.5;
/// The last third grows at least as fast as this part of the whole.
const LATE_SHARE: f64 = 0.4;

/// What a series looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It is too short to say anything.
    Unknown,
    /// It grows all the time, to the end.
    Growing,
    /// It stays where it is, or becomes less.
    Steady,
    /// It grew at the beginning and does not any more: a cache that is full, a runtime that has warmed up.
    Settled,
    /// It grew at once: one large piece of work.
    Step,
    /// It goes up and down: what comes is given back.
    Waves,
}

/// What a series says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// What it looks like.
    pub shape: Shape,
    /// The slope, in units per second.
    pub slope: f64,
    /// The slope is above this with a confidence of 99 %.
    pub slope_min: f64,
    /// And below this.
    pub slope_max: f64,
    /// Over how many seconds.
    pub seconds: f64,
    /// The last value, smoothed over the last few points.
    pub last: f64,
}

// === impl Trend ===

impl Trend {
    /// In how many seconds it reaches `limit`, where it grows and is below it: the soonest and the latest.
    pub fn seconds_to(&self, limit: f64) -> Option<(f64, f64)> {
        let left = limit - self.last;
        (self.shape == Shape::Growing && left > 0.0 && self.slope_min > 0.0)
            .then(|| (left / self.slope_max, left / self.slope_min))
    }
}

/// Looks at points of `(seconds, value)`, in any order; `noise` is what the value may differ by without a meaning.
pub fn trend(points: &[(f64, f64)], noise: f64) -> Trend {
    let mut points: Vec<(f64, f64)> =
        points.iter().copied().filter(|(at, value)| at.is_finite() && value.is_finite()).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by(|a, b| a.0 == b.0);
    let points = thinned(&points);
    let seconds = points.last().zip(points.first()).map_or(0.0, |(last, first)| last.0 - first.0);
    let tail = points.len().min(3);
    let last = median(points[points.len() - tail..].iter().map(|point| point.1).collect()).unwrap_or(0.0);
    let unknown = Trend { shape: Shape::Unknown, slope: 0.0, slope_min: 0.0, slope_max: 0.0, seconds, last };
    if points.len() < POINTS_MIN {
        return unknown;
    }
    let (slope, slope_min, slope_max) = theil_sen(&points);
    let found = Trend { slope, slope_min, slope_max, ..unknown };
    Trend { shape: found.shape_of(&points, noise), ..found }
}

impl Trend {
    fn shape_of(&self, points: &[(f64, f64)], noise: f64) -> Shape {
        let values: Vec<f64> = points.iter().map(|point| point.1).collect();
        let smooth = smoothed(&values);
        let (low, high) = bounds(&smooth);
        let growth = smooth[smooth.len() - 1] - smooth[0];
        if high - low <= noise {
            return Shape::Steady;
        }
        let steps: Vec<f64> = smooth.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let fall: f64 = steps.iter().filter(|step| **step < 0.0).map(|step| -step).sum();
        if fall > FALL_SHARE * growth.max(high - low) && fall > noise {
            return if growth > 0.0 || high - low > 2.0 * growth.abs() {
                Shape::Waves
            } else {
                Shape::Steady
            };
        }
        if one_step(&smooth) > STEP_SHARE {
            return Shape::Step;
        }
        if growth <= noise {
            return Shape::Steady;
        }
        if self.slope_min <= 0.0 {
            return Shape::Settled;
        }
        // The end is what counts: what has grown before and stays now has reached what it needs.
        let late = points.len() - points.len() / 3;
        let (late_slope, late_min, _) = theil_sen(&points[late.min(points.len() - 3)..]);
        if late_slope < LATE_SHARE * self.slope || (late_min < 0.0 && late_slope < self.slope / 2.0) {
            return Shape::Settled;
        }
        Shape::Growing
    }
}

/// The median of all slopes, and the bounds of 99 %.
fn theil_sen(points: &[(f64, f64)]) -> (f64, f64, f64) {
    let n = points.len();
    let mut slopes = Vec::with_capacity(n * n / 2);
    for (idx, one) in points.iter().enumerate() {
        slopes.extend(points[idx + 1..].iter().map(|other| (other.1 - one.1) / (other.0 - one.0)));
    }
    slopes.sort_by(f64::total_cmp);
    let Some(count) = slopes.len().checked_sub(1) else { return (0.0, 0.0, 0.0) };
    let n = n as f64;
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let pairs = slopes.len() as f64;
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(count)];
    (
        at((pairs - 1.0) / 2.0),
        at(((pairs - Z * deviation) / 2.0).floor()),
        at(((pairs + Z * deviation) / 2.0).ceil()),
    )
}

/// The largest rise between two windows of a tenth, beside the growth from the lowest to the highest.
fn one_step(values: &[f64]) -> f64 {
    let window = (values.len() / 10).max(1);
    let rise = values.windows(window + 1).map(|part| part[window] - part[0]).fold(0.0, f64::max);
    let (low, high) = bounds(values);
    if high > low { rise / (high - low) } else { 0.0 }
}

fn bounds(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// The median of three neighbours each: a single odd sample is no shape.
fn smoothed(values: &[f64]) -> Vec<f64> {
    values.windows(3).filter_map(|three| median(three.to_vec())).collect()
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    // From the end, which is the newest.
    let mut kept: Vec<_> = points.iter().rev().step_by(every).copied().collect();
    kept.reverse();
    kept
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: f64 = 1_048_576.0;

    /// 120 samples of 15 seconds.
    fn series(value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..120).map(|n| (f64::from(n) * 15.0, value(f64::from(n) * 15.0))).collect()
    }

    /// A number between -1 and 1 that looks random.
    fn jitter(at: f64) -> f64 {
        (at * 12.9898).sin() * 43758.547 % 1.0
    }

    #[track_caller]
    fn check(value: impl Fn(f64) -> f64, expect: Shape) {
        let found = trend(&series(value), MIB);
        assert_eq!(found.shape, expect, "{found:?}");
    }

    #[test]
    fn shapes() {
        check(|at| 80.0 * MIB + at / 60.0 * 5.0 * MIB, Shape::Growing);
        check(|at| 80.0 * MIB + at / 60.0 * 5.0 * MIB + jitter(at) * 8.0 * MIB, Shape::Growing);
        check(|_| 80.0 * MIB, Shape::Steady);
        check(|at| 80.0 * MIB + jitter(at) * 0.4 * MIB, Shape::Steady);
        check(|at| 300.0 * MIB - at * 0.05 * MIB, Shape::Steady);
        // A cache that fills, and a runtime that warms up.
        check(|at| 80.0 * MIB + 200.0 * MIB * (1.0 - (-at / 200.0).exp()), Shape::Settled);
        check(|at| 80.0 * MIB + (at.min(600.0)) * 0.3 * MIB, Shape::Settled);
        // One large piece of work.
        check(|at| if at < 700.0 { 80.0 * MIB } else { 400.0 * MIB }, Shape::Step);
        check(|at| jitter(at) * 2.0 * MIB + if at < 1500.0 { 80.0 * MIB } else { 400.0 * MIB }, Shape::Step);
        // A garbage collector.
        check(|at| 80.0 * MIB + at % 150.0 * MIB, Shape::Waves);
        check(|at| 80.0 * MIB + (at / 90.0).sin() * 40.0 * MIB, Shape::Waves);
    }

    #[test]
    fn a_leak_below_a_garbage_collector_is_one() {
        check(|at| 80.0 * MIB + at / 60.0 * 20.0 * MIB + at % 90.0 * 0.2 * MIB, Shape::Growing);
    }

    #[test]
    fn short_series_say_nothing() {
        assert_eq!(trend(&[], 0.0).shape, Shape::Unknown);
        let few: Vec<_> = series(|at| at).into_iter().take(POINTS_MIN - 1).collect();
        assert_eq!(trend(&few, 0.0).shape, Shape::Unknown);
        assert_eq!(trend(&[(1.0, 1.0); 50], 0.0).shape, Shape::Unknown);
        assert_eq!(trend(&[(f64::NAN, 1.0), (1.0, f64::INFINITY)], 0.0).shape, Shape::Unknown);
    }

    #[test]
    fn the_time_that_is_left() {
        let found = trend(&series(|at| at * 10.0), 1.0);
        let (soonest, latest) = found.seconds_to(found.last + 1000.0).unwrap();
        assert!(soonest <= 100.1 && (99.9..110.0).contains(&latest), "{soonest} {latest}");
        assert_eq!(found.seconds_to(0.0), None);
        assert_eq!(trend(&series(|_| 1.0), 1.0).seconds_to(2.0), None);
    }

    proptest! {
        #[test]
        fn bounds_hold_the_slope_and_nothing_panics(
            points in prop::collection::vec((0.0..1e6_f64, 0.0..1e12_f64), 0..400), noise in 0.0..1e9_f64
        ) {
            let found = trend(&points, noise);
            prop_assert!(found.slope_min <= found.slope && found.slope <= found.slope_max, "{found:?}");
            let mut turned = points;
            turned.reverse();
            turned.dedup_by(|a, b| a.0 == b.0);
            prop_assert_eq!(trend(&turned, noise).seconds, found.seconds);
        }

        #[test]
        fn a_leak_is_found_at_any_rate_and_time(
            rate in 0.05..50.0_f64, from in 0.0..1e9_f64, noise in 0.0..0.2_f64
        ) {
            // The noise is a part of what the whole series gains.
            let gain = rate * MIB / 60.0 * 1785.0;
            let found = trend(
                &series(|at| from + rate * MIB / 60.0 * at + jitter(at) * noise * gain / 4.0), gain / 100.0
            );
            prop_assert_eq!(found.shape, Shape::Growing, "{:?}", found);
            let real = rate * MIB / 60.0;
            prop_assert!(found.slope_min <= real * 1.02 && found.slope_max >= real * 0.98, "{:?} {}", found, real);
        }

        #[test]
        fn what_does_not_grow_never_leaks(
            level in 1.0..1e9_f64, height in 0.0..1.0_f64, period in 60.0..400.0_f64
        ) {
            let found = trend(&series(|at| level + height * level * (at % period) / period), level / 100.0);
            prop_assert_ne!(found.shape, Shape::Growing, "{:?}", found);
        }
    }
}
