//! Owns charts: how a series of numbers is shown, small in a row and large with axes, marks and thresholds.
//!
//! Nothing here has a colour of its own: the style sheet gives a colour to each of the values in `plot`, light and dark.

mod axis;
mod plot;
mod spark;
mod unit;

#[cfg(test)]
mod tests;

use maud::{Markup, html};

pub use spark::spark;
pub use unit::Unit;

/// A threshold so many times above all that was measured is told of in words: on the chart it would press the line flat.
const REACH: f64 = 3.0;

/// A stretch of time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stretch {
    /// Its beginning.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it shows, in a few words.
    pub name: String,
    /// Times in milliseconds since the Unix epoch, rising, and values. What is no finite number is a gap.
    pub samples: Vec<(i64, f64)>,
}

/// A value from which on an alert fires.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The alert.
    pub alert: String,
    /// The value.
    pub value: f64,
}

/// A moment at which something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What.
    pub name: String,
}

/// A chart over a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Its id in the page: letters, digits and `-`.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// In what its values are.
    pub unit: Unit,
    /// What time it shows.
    pub stretch: Stretch,
    /// Two samples that are farther apart than this, in milliseconds, have a gap between them.
    pub gap_ms: i64,
    /// Its lines, three at most: there are no more colours.
    pub lines: Vec<Line>,
    /// From where on alerts fire.
    pub thresholds: Vec<Threshold>,
    /// When incidents began.
    pub marks: Vec<Mark>,
}

/// What one line came to.
struct Summary {
    last: f64,
    low: f64,
    high: f64,
}

// === impl Chart ===

impl Chart {
    /// The chart with its title and the same in words: what each line was last, at least and at most.
    pub fn figure(&self) -> Markup {
        let said: Vec<String> = self.lines.iter().map(|line| self.words(line)).collect();
        let svg = if self.lines.iter().any(|line| summary(&line.samples).is_some()) {
            plot::plot(self).ok()
        } else {
            None
        };
        html! {
            figure.chart id=(self.id) {
                h3 { (self.title) }
                @if let Some(svg) = &svg { (svg) } @else { p.none { "No samples in this time." } }
                figcaption {
                    @for (number, words) in said.iter().enumerate() {
                        span class={ "key key" (number + 1) } { (words) }
                    }
                    @for threshold in &self.thresholds {
                        span.key.limit { (threshold.alert) " above " (self.unit.show(threshold.value)) }
                    }
                }
            }
        }
    }

    fn words(&self, line: &Line) -> String {
        let show = |value| self.unit.show(value);
        match summary(&line.samples) {
            Some(Summary { last, low, high }) => {
                format!("{}: {} (from {} to {})", line.name, show(last), show(low), show(high))
            }
            None => format!("{}: no samples", line.name),
        }
    }

    /// The same for whoever does not see it.
    fn description(&self) -> String {
        let mut said: Vec<String> = self.lines.iter().map(|line| self.words(line)).collect();
        said.extend(
            self.thresholds
                .iter()
                .map(|one| format!("the alert {} fires above {}", one.alert, self.unit.show(one.value))),
        );
        said.extend(self.marks.iter().map(|mark| format!("{} at {}", mark.name, axis::moment(mark.at_ms))));
        said.join("; ")
    }

    /// The lowest and the highest value that it shows.
    fn reach(&self) -> (f64, f64) {
        let all = || self.lines.iter().filter_map(|line| summary(&line.samples));
        let low = all().map(|one| one.low).fold(0.0, f64::min);
        let high = all().map(|one| one.high).fold(0.0, f64::max);
        let near = self.thresholds.iter().map(|one| one.value).filter(|value| *value <= high * REACH);
        (low, near.fold(high, f64::max))
    }
}

/// What finite samples came to; none where there are none.
fn summary(samples: &[(i64, f64)]) -> Option<Summary> {
    let finite = || samples.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    Some(Summary {
        last: finite().next_back()?,
        low: finite().fold(f64::INFINITY, f64::min),
        high: finite().fold(f64::NEG_INFINITY, f64::max),
    })
}

/// The runs of finite samples that no gap divides, within a stretch.
fn runs(samples: &[(i64, f64)], stretch: Stretch, gap_ms: i64) -> Vec<Vec<(i64, f64)>> {
    let mut runs: Vec<Vec<(i64, f64)>> = Vec::new();
    let mut before = None;
    for (at_ms, value) in samples.iter().copied() {
        if !value.is_finite() || at_ms < stretch.from_ms || at_ms > stretch.to_ms {
            before = None;
            continue;
        }
        let goes_on = before.is_some_and(|before_ms| at_ms - before_ms <= gap_ms);
        match runs.last_mut().filter(|_| goes_on) {
            Some(run) => run.push((at_ms, value)),
            None => runs.push(vec![(at_ms, value)]),
        }
        before = Some(at_ms);
    }
    runs
}
