//! Owns the functions that tell how fast something moves: rates, increases, deltas, slopes.

use super::growth::Growth;
use super::{Arguments, Function, Signature};
use crate::promql::syntax::Type::{Range, Scalar};
use crate::promql::value::Operand;
use crate::promql::window::Window;
use crate::promql::{QueryError, reduce};

pub(super) fn find(name: &str) -> Option<Signature> {
    Some(match name {
        "delta" => {
            let delta = |window: Window<'_>| Growth::of_gauge(window).map(Growth::extrapolated);
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
        "increase" => Signature::range("increase", Function::Counter(Growth::extrapolated)),
        "irate" => Signature::range("irate", Function::Window(instant_rate)),
        "rate" => Signature::range("rate", Function::Counter(Growth::per_second)),
        "predict_linear" => {
            Signature::new("predict_linear", &[Range, Scalar], Function::Whole(predict_linear))
        }
        _ => return None,
    })
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
