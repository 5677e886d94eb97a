//! Owns the functions that make one number of the samples of a stretch of time.

use super::{Arguments, Function, Signature};
use crate::promql::syntax::Type::{Range, Scalar};
use crate::promql::value::Operand;
use crate::promql::window::Window;
use crate::promql::{QueryError, reduce};

pub(super) fn find(name: &str) -> Option<Signature> {
    let (name, compute): (_, fn(Window<'_>) -> Option<f64>) = match name {
        "avg_over_time" => ("avg_over_time", |window| Some(reduce::mean(window.values()))),
        "changes" => ("changes", |window| Some(count(window, |before, after| !same(before, after)))),
        "count_over_time" => ("count_over_time", |window| Some(window.samples.len() as f64)),
        "mad_over_time" => ("mad_over_time", |window| Some(median_deviation(window))),
        "max_over_time" => ("max_over_time", |window| Some(reduce::max(window.values()))),
        "min_over_time" => ("min_over_time", |window| Some(reduce::min(window.values()))),
        "present_over_time" => ("present_over_time", |_| Some(1.0)),
        "resets" => ("resets", |window| Some(count(window, |before, after| after < before))),
        "stddev_over_time" => ("stddev_over_time", |window| Some(reduce::variance(window.values()).sqrt())),
        "stdvar_over_time" => ("stdvar_over_time", |window| Some(reduce::variance(window.values()))),
        "sum_over_time" => ("sum_over_time", |window| Some(reduce::sum(window.values()))),
        "ts_of_first_over_time" => ("ts_of_first_over_time", |window| seconds(window.first())),
        "ts_of_last_over_time" => ("ts_of_last_over_time", |window| seconds(window.last())),
        "ts_of_max_over_time" => {
            ("ts_of_max_over_time", |window| extreme(window, |value, most| value >= most))
        }
        "ts_of_min_over_time" => {
            ("ts_of_min_over_time", |window| extreme(window, |value, least| value <= least))
        }
        _ => return with_parameters(name),
    };
    Some(Signature::range(name, Function::Window(compute)))
}

fn with_parameters(name: &str) -> Option<Signature> {
    Some(match name {
        "first_over_time" => {
            let first = |window: Window<'_>| window.first().map(|(_, value)| value);
            Signature::range("first_over_time", Function::Kept(first))
        }
        "last_over_time" => {
            let last = |window: Window<'_>| window.last().map(|(_, value)| value);
            Signature::range("last_over_time", Function::Kept(last))
        }
        "quantile_over_time" => {
            Signature::new("quantile_over_time", &[Scalar, Range], Function::Whole(quantile))
        }
        "double_exponential_smoothing" => Signature::new(
            "double_exponential_smoothing",
            &[Range, Scalar, Scalar],
            Function::Whole(smoothed),
        ),
        _ => return None,
    })
}

/// Counts the neighbours for which something holds.
fn count(window: Window<'_>, holds: impl Fn(f64, f64) -> bool) -> f64 {
    window.steps().filter(|(before, after)| holds(*before, *after)).count() as f64
}

fn same(left: f64, right: f64) -> bool {
    left == right || left.is_nan() && right.is_nan()
}

fn median_deviation(window: Window<'_>) -> f64 {
    let median = reduce::quantile(0.5, &mut window.values().collect::<Vec<_>>());
    reduce::quantile(0.5, &mut window.values().map(|value| (value - median).abs()).collect::<Vec<_>>())
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

fn quantile(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let quantiles = arguments.scalar(0)?;
    let mut values = Vec::new();
    let mut odd: Vec<f64> = Vec::new();
    let found = arguments.each_window(1, |step, window| {
        values.clear();
        values.extend(window.values());
        let q = quantiles[step];
        if !(0.0..=1.0).contains(&q) && odd.last().is_none_or(|last| last.to_bits() != q.to_bits()) {
            odd.push(q);
        }
        Some(reduce::quantile(q, &mut values))
    })?;
    arguments.evaluator.check_quantiles(arguments.expr(0)?, &odd);
    Ok(found)
}

/// Holt's linear method: a smoothed value and a smoothed trend.
fn smoothed(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (smoothing, trending) = (arguments.scalar(1)?, arguments.scalar(2)?);
    let mut odd = None;
    let found = arguments.each_window(0, |step, window| {
        for (factor, name, short) in [(smoothing[step], "smoothing", "sf"), (trending[step], "trend", "tf")] {
            if factor <= 0.0 || factor >= 1.0 {
                odd.get_or_insert_with(|| {
                    format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}")
                });
                return None;
            }
        }
        smooth(window, smoothing[step], trending[step])
    })?;
    odd.map_or(Ok(found), |reason| Err(arguments.invalid(reason)))
}

fn smooth(window: Window<'_>, smoothing: f64, trending: f64) -> Option<f64> {
    let [(_, first), (_, second), ..] = window.samples else { return None };
    let (mut before, mut level, mut trend) = (0.0, *first, second - first);
    for (index, value) in window.values().enumerate().skip(1) {
        if index > 1 {
            trend = trending * (level - before) + (1.0 - trending) * trend;
        }
        before = level;
        level = smoothing * value + (1.0 - smoothing) * (level + trend);
    }
    Some(level)
}
