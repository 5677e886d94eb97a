//! Owns the functions that tell how fast something moves: rates, increases, deltas, slopes.

use super::{Arguments, Function, Signature};
use crate::promql::syntax::Type::{Range, Scalar};
use crate::promql::value::Operand;
use crate::promql::window::Window;
use crate::promql::{QueryError, reduce};

/// A sample that is further from the edge of its window than the usual distance and a tenth did not begin (or end)
/// there by accident: the series did.
const GAP_FACTOR: f64 = 1.1;

/// How the values of a series are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A smaller value than the one before is a restart from zero.
    Counter,
    Gauge,
}

pub(super) fn find(name: &str) -> Option<Signature> {
    Some(match name {
        "delta" => {
            let delta = |window: Window<'_>| extrapolated(window, Reading::Gauge, 1.0);
            Signature::range("delta", Function::Window(delta))
        }
        "deriv" => {
            let slope = |window: Window<'_>| line_from_first(window).map(|(slope, _)| slope);
            Signature::range("deriv", Function::Window(slope))
        }
        "idelta" => {
            let difference = |window: Window<'_>| latest(window).map(|(before, after)| after.1 - before.1);
            Signature::range("idelta", Function::Window(difference))
        }
        "increase" => {
            let increase = |window: Window<'_>| extrapolated(window, Reading::Counter, 1.0);
            Signature::range("increase", Function::Counter(increase))
        }
        "irate" => Signature::range("irate", Function::Window(instant_rate)),
        "rate" => Signature::range("rate", Function::Counter(rate)),
        "predict_linear" => {
            Signature::new("predict_linear", &[Range, Scalar], Function::Whole(predict_linear))
        }
        _ => return None,
    })
}

fn rate(window: Window<'_>) -> Option<f64> {
    let length_s = window.end_ms.saturating_sub(window.start_ms) as f64 / 1000.0;
    extrapolated(window, Reading::Counter, length_s)
}

/// Returns by how much a series moved, as if its samples reached to the edges of the window.
///
/// A counter cannot have been below zero, so it is not taken further back than to where it would have been zero.
/// The result is divided by `per`.
fn extrapolated(window: Window<'_>, reading: Reading, per: f64) -> Option<f64> {
    let ((first_ms, first), (last_ms, last)) = (window.first()?, window.last()?);
    if window.samples.len() < 2 {
        return None;
    }
    let mut moved = last - first;
    let is_restart = |(before, after): &(f64, f64)| after < before;
    // Most counters did not start again, and to see that costs less than to add up what they did not lose.
    if reading == Reading::Counter && window.steps().any(|pair| is_restart(&pair)) {
        window.steps().filter(is_restart).for_each(|(before, _)| moved += before);
    }
    let covered = last_ms.saturating_sub(first_ms) as f64 / 1000.0;
    let distance = covered / (window.samples.len() - 1) as f64;
    let threshold = distance * GAP_FACTOR;
    let to_edge = |gap_ms: i64| {
        let gap = gap_ms as f64 / 1000.0;
        if gap >= threshold { distance / 2.0 } else { gap }
    };
    let mut before = to_edge(first_ms.saturating_sub(window.start_ms));
    if reading == Reading::Counter && moved > 0.0 && first >= 0.0 {
        before = before.min(covered * (first / moved));
    }
    let after = to_edge(window.end_ms.saturating_sub(last_ms));
    Some(moved * ((covered + before + after) / covered / per))
}

fn latest(window: Window<'_>) -> Option<((i64, f64), (i64, f64))> {
    let [.., before, after] = window.samples else { return None };
    Some((*before, *after))
}

fn instant_rate(window: Window<'_>) -> Option<f64> {
    let ((before_ms, before), (after_ms, after)) = latest(window)?;
    let moved = if after < before { after } else { after - before };
    Some(moved / (after_ms.saturating_sub(before_ms) as f64 / 1000.0))
}

fn line_from_first(window: Window<'_>) -> Option<(f64, f64)> {
    let (first_ms, _) = window.first()?;
    line(window, first_ms)
}

/// Returns the slope per second of the line of least squares, and its value at a moment.
fn line(window: Window<'_>, zero_ms: i64) -> Option<(f64, f64)> {
    if window.samples.len() < 2 {
        return None;
    }
    let points =
        window.samples.iter().map(|(at_ms, value)| (at_ms.saturating_sub(zero_ms) as f64 / 1000.0, *value));
    Some(reduce::line(points))
}

fn predict_linear(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let ahead_s = arguments.scalar(1)?;
    let grid = arguments.grid;
    arguments.each_window(0, |step, window| {
        let (slope, now) = line(window, grid.at(step))?;
        Some(slope * ahead_s[step] + now)
    })
}
