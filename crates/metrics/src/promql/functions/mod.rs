//! Owns the functions of PromQL: which there are, what they take, and how each gets at its arguments.

mod signature;

mod date;
mod elementwise;
mod growth;
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
use super::value::{ABSENT, KeyRef, Operand, RowVisitor, Vector, is_absent};
use super::window::{self, Window};
use date::Date;
use growth::Growth;

/// What a function is, by what it works on.
#[derive(Clone, Copy)]
pub(super) enum Function {
    /// Makes a new number of each element of a vector; the name is lost.
    Element(fn(f64) -> f64),
    /// Reads the value of each element as a moment; without a vector, the moment of evaluation.
    Date(fn(Date) -> i64),
    /// Makes one number, or none, of each window of a range; the name is lost.
    Window(fn(Window<'_>) -> Option<f64>),
    /// As `Window`, of how a counter grew: whoever asks for the rate of something else is told.
    Counter(fn(Growth) -> f64),
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
        Function::Window(_) | Function::Kept(_) | Function::Counter(_) => {
            let mut found = Vector::empty(grid.count);
            arguments.each_row(&mut |key, row| {
                found.add(key.to_key()).copy_from_slice(row);
                Ok(())
            })?;
            Ok(Operand::Vector(found))
        }
        Function::Whole(compute) => compute(arguments),
    }
}

/// Hands each row that a call yields to `visit`, if the call makes its rows one by one; tells whether it does.
pub(super) fn each_row(
    evaluator: &Evaluator<'_>,
    call: &Expr,
    grid: Grid,
    visit: &mut RowVisitor<'_>,
) -> Result<bool, QueryError> {
    let Kind::Call { function, arguments: list } = &call.kind else { return Ok(false) };
    Arguments { evaluator, call, function: *function, list, grid }.each_row(visit)
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

    fn each_row(self, visit: &mut RowVisitor<'_>) -> Result<bool, QueryError> {
        match self.function.implementation {
            Function::Window(compute) => {
                self.each_pure_window(compute, &mut |key, row| visit(key.nameless(), row))?;
            }
            Function::Kept(compute) => self.each_pure_window(compute, visit)?,
            Function::Counter(compute) => {
                let mut told = None;
                growth::each(self, compute, &mut |key, row| {
                    self.inform_of_gauge(key, &mut told)?;
                    visit(key.nameless(), row)
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Makes a number, or none, of each window of a range: it depends on the window alone.
    fn each_pure_window(
        self,
        compute: impl Fn(Window<'_>) -> Option<f64>,
        visit: &mut RowVisitor<'_>,
    ) -> Result<(), QueryError> {
        let mut row = vec![ABSENT; self.evaluator.scalars(self.grid)?];
        window::each_series(self.evaluator, self.expr(0)?, self.grid, &mut |key, run| {
            row.fill(ABSENT);
            if run.is_fixed() {
                row.fill(run.windows().next().and_then(|(_, window)| compute(window)).unwrap_or(ABSENT));
            } else {
                self.fill(&mut row, run, |_, window| compute(window))?;
            }
            if row.iter().all(|value| is_absent(*value)) {
                return Ok(());
            }
            self.evaluator.budget.numbers(1, self.grid.count)?;
            visit(key, &row)
        })
    }

    /// Makes a number, or none, of each window of the range at `index`; the step counts, and the name is lost.
    fn each_window(
        self,
        index: usize,
        mut compute: impl FnMut(usize, Window<'_>) -> Option<f64>,
    ) -> Result<Operand, QueryError> {
        let mut found = Vector::empty(self.grid.count);
        window::each_series(self.evaluator, self.expr(index)?, self.grid, &mut |key, run| {
            self.evaluator.budget.numbers(1, self.grid.count)?;
            let row = found.add(key.nameless().to_key());
            self.fill(row, run, &mut compute)?;
            if row.iter().all(|value| is_absent(*value)) {
                found.pop();
            }
            Ok(())
        })?;
        Ok(Operand::Vector(found))
    }

    /// Computes the numbers of a row.
    fn fill(
        self,
        row: &mut [f64],
        run: window::Run<'_>,
        mut compute: impl FnMut(usize, Window<'_>) -> Option<f64>,
    ) -> Result<(), QueryError> {
        let mut touched = 0;
        for (step, window) in run.windows() {
            touched += window.samples.len();
            row[step] = compute(step, window).unwrap_or(ABSENT);
        }
        // Each step looks at its whole window: that is what takes the time.
        self.evaluator.budget.samples(if self.grid.count > 1 { touched } else { 0 })
    }

    /// Says it if a series does not look like a counter by its name, which is not that of the series before.
    fn inform_of_gauge(self, key: KeyRef<'_>, told: &mut Option<String>) -> Result<(), QueryError> {
        let expr = self.expr(0)?;
        let fixed = match &expr.unwrapped().kind {
            Kind::Range { selector, .. } => selector.metric_name(),
            _ => None,
        };
        // All have the same name; there is no need to look at each.
        if fixed.is_some() && told.is_some() {
            return Ok(());
        }
        let Some(name) = fixed.or_else(|| key.labels.metric_name()) else { return Ok(()) };
        if told.as_deref() == Some(name) {
            return Ok(());
        }
        if !COUNTER_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            let reason = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket";
            self.evaluator.inform(expr, format!("{reason}: {name:?}"));
        }
        *told = Some(name.to_owned());
        Ok(())
    }
}
