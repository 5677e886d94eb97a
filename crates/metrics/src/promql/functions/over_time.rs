//! Owns the functions that make one number of the samples of a stretch of time.

use super::{Arguments, Function};
use crate::promql::value::{Operand, Point, Window};
use crate::promql::{QueryError, reduce};

pub(super) fn find(name: &str) -> Option<Function> {
    let compute: fn(Window<'_>) -> Option<f64> = match name {
        "avg_over_time" => |window| Some(reduce::mean(window.values())),
        "changes" => |window| Some(count(window, |before, after| !same(before, after))),
        "count_over_time" => |window| Some(window.samples.len() as f64),
        "mad_over_time" => |window| Some(median_deviation(window)),
        "max_over_time" => |window| Some(reduce::max(window.values())),
        "min_over_time" => |window| Some(reduce::min(window.values())),
        "present_over_time" => |_| Some(1.0),
        "resets" => |window| Some(count(window, |before, after| after < before)),
        "stddev_over_time" => |window| Some(reduce::variance(window.values()).sqrt()),
        "stdvar_over_time" => |window| Some(reduce::variance(window.values())),
        "sum_over_time" => |window| Some(reduce::sum(window.values())),
        "ts_of_first_over_time" => |window| seconds(window.first()),
        "ts_of_last_over_time" => |window| seconds(window.last()),
        "ts_of_max_over_time" => |window| extreme(window, |value, most| value >= most),
        "ts_of_min_over_time" => |window| extreme(window, |value, least| value <= least),
        "double_exponential_smoothing" => return Some(Function::Whole(smoothed)),
        "first_over_time" => return Some(Function::Whole(first)),
        "last_over_time" => return Some(Function::Whole(last)),
        "quantile_over_time" => return Some(Function::Whole(quantile)),
        _ => return None,
    };
    Some(Function::Window(compute))
}

/// Counts the neighbours for which something holds.
fn count(window: Window<'_>, holds: impl Fn(f64, f64) -> bool) -> f64 {
    window.steps().filter(|(before, after)| holds(*before, *after)).count() as f64
}

fn same(left: f64, right: f64) -> bool {
    left == right || left.is_nan() && right.is_nan()
}

fn median_deviation(window: Window<'_>) -> f64 {
    let median = reduce::quantile(0.5, window.values().collect());
    reduce::quantile(0.5, window.values().map(|value| (value - median).abs()).collect())
}

fn seconds(sample: Option<(i64, f64)>) -> Option<f64> {
    sample.map(|(at_ms, _)| at_ms as f64 / 1000.0)
}

/// Returns the time, in seconds, of the last sample that beats or equals all before it.
fn extreme(window: Window<'_>, beats: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let better = window
        .samples
        .iter()
        .copied()
        .reduce(|best, sample| if beats(sample.1, best.1) || best.1.is_nan() { sample } else { best });
    seconds(better)
}

/// The first value; it keeps its name, being a value that the series really had.
fn first(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    arguments.each_window(0, |window| kept(window, window.first()))
}

/// The last value; it keeps its name.
fn last(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    arguments.each_window(0, |window| kept(window, window.last()))
}

fn kept(window: Window<'_>, sample: Option<(i64, f64)>) -> Option<Point> {
    Some(Point { labels: window.labels.clone(), value: sample?.1, drop_name: window.drop_name })
}

fn quantile(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let q = arguments.scalar(0)?;
    arguments.each_window(1, |window| {
        let value = reduce::quantile(q, window.values().collect());
        Some(Point::nameless(window.labels.clone(), value))
    })
}

/// Holt's linear method: a smoothed value and a smoothed trend.
fn smoothed(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let factor = |index: usize, name: &str| {
        let factor = arguments.scalar(index)?;
        if factor > 0.0 && factor < 1.0 {
            return Ok(factor);
        }
        let reason = format!("invalid {name} factor. Expected: 0 < factor < 1, got: {factor}");
        Err(QueryError::Parameter { reason })
    };
    let (smoothing, trending) = (factor(1, "smoothing")?, factor(2, "trend")?);
    arguments.each_window(0, |window| {
        let [(_, first), (_, second), ..] = window.samples else { return None };
        let (mut before, mut level, mut trend) = (0.0, *first, second - first);
        for (index, value) in window.values().enumerate().skip(1) {
            if index > 1 {
                trend = trending * (level - before) + (1.0 - trending) * trend;
            }
            before = level;
            level = smoothing * value + (1.0 - smoothing) * (level + trend);
        }
        Some(Point::nameless(window.labels.clone(), level))
    })
}
