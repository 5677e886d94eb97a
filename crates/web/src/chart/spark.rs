//! Owns the sparkline: one path of some twenty points. A fleet of a thousand servers has three thousand of them in one
//! page, so it is drawn here in a tenth of what a library needs for it.

use maud::{Markup, PreEscaped};

use super::{Stretch, runs};

/// The box in which it is drawn; the style sheet says how large that is on the screen.
const WIDTH: f64 = 96.0;
const HEIGHT: f64 = 24.0;

/// How many points it has at most; of several that fall together the highest is shown, because that is what hurts.
const POINTS: usize = 24;

/// A line without axes, from 0 to its own highest value, for a table of the class `sparks`. It stands beside its last
/// value in words, and says nothing to whoever does not see it. Nothing at all where there are no samples.
pub fn spark(samples: &[(i64, f64)], stretch: Stretch, gap_ms: i64) -> Markup {
    let length_ms = (stretch.to_ms - stretch.from_ms).max(1) as f64;
    let slot = |at_ms: i64| ((at_ms - stretch.from_ms) as f64 / length_ms * (POINTS - 1) as f64).round();
    let runs = runs(samples, stretch, gap_ms);
    let high = runs.iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
    if runs.is_empty() {
        return PreEscaped(String::new());
    }
    let mut path = String::new();
    for run in runs {
        let points = run.chunk_by(|(a, _), (b, _)| slot(*a) == slot(*b)).map(|chunk| {
            let value = chunk.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
            let share = if high > 0.0 { (value / high).clamp(0.0, 1.0) } else { 0.0 };
            let across = slot(chunk[0].0) / (POINTS - 1) as f64 * WIDTH;
            // One above the edge, so that the stroke is not cut.
            (across.round() as i64, (1.0 + (HEIGHT - 2.0) * (1.0 - share)).round() as i64)
        });
        draw(points, &mut path);
    }
    PreEscaped(format!("<svg viewBox=\"0 0 96 24\"><path d=\"{path}\"/></svg>"))
}

/// Adds one run of points to a path. What stays level is one stretch, and a single point a stretch of no length, which the
/// round end of the stroke makes a dot.
fn draw(points: impl Iterator<Item = (i64, i64)>, path: &mut String) {
    let mut before: Option<(i64, i64)> = None;
    let (mut level, mut moved) = (0, false);
    for (x, y) in points {
        match before.replace((x, y)) {
            None => path.push_str(&format!("M{x} {y}")),
            Some((from, height)) if height == y => level += x - from,
            Some((from, height)) => {
                if level > 0 {
                    path.push_str(&format!("h{level}"));
                    level = 0;
                }
                let blank = if y > height { " " } else { "" };
                path.push_str(&format!("l{}{blank}{}", x - from, y - height));
                moved = true;
            }
        }
    }
    if level > 0 || !moved {
        path.push_str(&format!("h{level}"));
    }
}
