//! Owns the functions of PromQL: which there are, what they take, and how each gets at its arguments.

mod signature;

mod date;
mod elementwise;
mod histogram;
mod info;
mod label;
mod over_time;
mod rate;
mod whole;

pub(super) use signature::{Signature, Support};

use super::QueryError;
use super::eval::Evaluator;
use super::grid::Grid;
use super::syntax::{Expr, Kind};
use super::value::{ABSENT, Key, Operand, Vector, is_absent};
use super::window::{self, Window};
use date::Date;

/// What a function is, by what it works on.
#[derive(Clone, Copy)]
pub(super) enum Function {
    /// Makes a new number of each element of a vector; the name is lost.
    Element(fn(f64) -> f64),
    /// Reads the value of each element as a moment; without a vector, the moment of evaluation.
    Date(fn(Date) -> i64),
    /// Makes one number, or none, of each window of a range; the name is lost.
    Window(fn(Window<'_>) -> Option<f64>),
    /// As `Window`, of a counter: whoever asks for the rate of something else is told.
    Counter(fn(Window<'_>) -> Option<f64>),
    /// As `Window`, but what it yields is a value that the series really had, and so the name stays.
    Kept(fn(Window<'_>) -> Option<f64>),
    /// Does as it likes.
    Whole(fn(Arguments<'_>) -> Result<Operand, QueryError>),
}

/// The arguments of one call, and what evaluates them.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a> {
    evaluator: &'a Evaluator<'a>,
    call: &'a Expr,
    function: Signature,
    list: &'a [Expr],
    grid: Grid,
}

/// Endings that the name of a counter has.
const COUNTER_ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

pub(super) fn evaluate(
    evaluator: &Evaluator<'_>,
    call: &Expr,
    function: Signature,
    list: &[Expr],
    grid: Grid,
) -> Result<Operand, QueryError> {
    let arguments = Arguments { evaluator, call, function, list, grid };
    match function.implementation {
        Function::Element(compute) => elementwise::each(arguments.vector(0)?, |_, value| compute(value)),
        Function::Date(part) => date::evaluate(arguments, part),
        Function::Window(compute) => arguments.each_pure_window(compute, Key::into_nameless),
        Function::Kept(compute) => arguments.each_pure_window(compute, |key| key),
        Function::Counter(compute) => {
            let vector = arguments.each_pure_window(compute, Key::into_nameless)?;
            arguments.inform_of_gauges(&vector)?;
            Ok(vector)
        }
        Function::Whole(compute) => compute(arguments),
    }
}

// === impl Key ===

impl Key {
    fn into_nameless(self) -> Self {
        Self { drop_name: true, ..self }
    }
}

// === impl Arguments ===

impl<'a> Arguments<'a> {
    fn len(self) -> usize {
        self.list.len()
    }

    fn expr(self, index: usize) -> Result<&'a Expr, QueryError> {
        self.list.get(index).ok_or_else(|| self.evaluator.invalid(self.call, "an argument is missing"))
    }

    fn scalar(self, index: usize) -> Result<Vec<f64>, QueryError> {
        self.evaluator.scalar(self.expr(index)?, self.grid)
    }

    fn vector(self, index: usize) -> Result<Vector, QueryError> {
        self.evaluator.vector(self.expr(index)?, self.grid)
    }

    fn text(self, index: usize) -> Result<String, QueryError> {
        self.evaluator.string(self.expr(index)?)
    }

    fn invalid(self, reason: impl Into<String>) -> QueryError {
        self.evaluator.invalid(self.call, reason)
    }

    /// Makes a number, or none, of each window of a range: it depends on the window alone.
    fn each_pure_window(
        self,
        compute: fn(Window<'_>) -> Option<f64>,
        key_of: fn(Key) -> Key,
    ) -> Result<Operand, QueryError> {
        let mut found = Vector::empty(self.grid.count);
        window::each_series(self.evaluator, self.expr(0)?, self.grid, &mut |key, run| {
            if run.is_fixed() {
                let value = run.windows().next().and_then(|(_, window)| compute(window));
                if let Some(value) = value {
                    self.evaluator.budget.numbers(1, self.grid.count)?;
                    found.add_constant(key_of(key), value);
                }
                return Ok(());
            }
            self.add_windows(&mut found, key_of(key), run, |_, window| compute(window))
        })?;
        Ok(Operand::Vector(found))
    }

    /// Makes a number, or none, of each window of the range at `index`; the step counts, and the name is lost.
    fn each_window(
        self,
        index: usize,
        mut compute: impl FnMut(usize, Window<'_>) -> Option<f64>,
    ) -> Result<Operand, QueryError> {
        let mut found = Vector::empty(self.grid.count);
        window::each_series(self.evaluator, self.expr(index)?, self.grid, &mut |key, run| {
            self.add_windows(&mut found, key.into_nameless(), run, &mut compute)
        })?;
        Ok(Operand::Vector(found))
    }

    fn add_windows(
        self,
        found: &mut Vector,
        key: Key,
        run: window::Run<'_>,
        mut compute: impl FnMut(usize, Window<'_>) -> Option<f64>,
    ) -> Result<(), QueryError> {
        self.evaluator.budget.numbers(1, self.grid.count)?;
        let row = found.add(key);
        let mut touched = 0;
        for (step, window) in run.windows() {
            touched += window.samples.len();
            row[step] = compute(step, window).unwrap_or(ABSENT);
        }
        if row.iter().all(|value| is_absent(*value)) {
            found.pop();
        }
        // Each step looks at its whole window: that is what takes the time.
        self.evaluator.budget.samples(if self.grid.count > 1 { touched } else { 0 })
    }

    /// Says which of the series do not look like counters by their names.
    fn inform_of_gauges(self, found: &Operand) -> Result<(), QueryError> {
        let Operand::Vector(vector) = found else { return Ok(()) };
        let expr = self.expr(0)?;
        let inform = |name: &str| {
            if !COUNTER_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
                let reason = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket";
                self.evaluator.inform(expr, format!("{reason}: {name:?}"));
            }
        };
        if let Kind::Range { selector, .. } = &expr.unwrapped().kind
            && let Some(name) = selector.metric_name()
        {
            // All have the same name; there is no need to look at each.
            if vector.len() > 0 {
                inform(name);
            }
            return Ok(());
        }
        let mut last = None;
        for name in vector.keys.iter().filter_map(|key| key.labels.metric_name()) {
            if last.replace(name) != Some(name) {
                inform(name);
            }
        }
        Ok(())
    }
}
