//! Owns the functions of classic histograms: buckets are put together by their other labels once, for all steps.

use super::{Arguments, Function, Signature};
use crate::labels::Labels;
use crate::promql::QueryError;
use crate::promql::groups::{Groups, Members};
use crate::promql::histogram::{self, BUCKET_LABEL, Bucket, Raised};
use crate::promql::index::Projection;
use crate::promql::syntax::Expr;
use crate::promql::syntax::Type::{Scalar, Text, Vector as InstantVector};
use crate::promql::value::{Key, Operand, Vector, brief, is_absent, shown};

pub(super) fn find(name: &str) -> Option<Signature> {
    Some(match name {
        "histogram_fraction" => Signature::new(
            "histogram_fraction",
            &[Scalar, Scalar, InstantVector],
            Function::Whole(histogram_fraction),
        ),
        "histogram_quantile" => Signature::new(
            "histogram_quantile",
            &[Scalar, InstantVector],
            Function::Whole(histogram_quantile),
        ),
        "histogram_quantiles" => Signature::new(
            "histogram_quantiles",
            &[InstantVector, Text, Scalar],
            Function::Whole(histogram_quantiles),
        )
        .repeated(Some(QUANTILES_MAX + 2)),
        _ => return None,
    })
}

/// As many quantiles at once as in Prometheus.
const QUANTILES_MAX: usize = 10;

/// What is said when a bucket has fewer observations than the one below it.
const RAISED: &str = "input to histogram_quantile needed to be fixed for monotonicity \
     (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

/// Histograms: the rows of each are its buckets.
struct Histograms {
    groups: Groups,
    /// The bound of each row.
    uppers: Vec<f64>,
    steps: usize,
    /// The counts at each step, row after row.
    counts: Vec<f64>,
}

/// Puts the buckets of a vector together by their other labels; an element without a bound is none, and that is said.
fn collect(arguments: Arguments<'_>, expr: &Expr) -> Result<Histograms, QueryError> {
    // The metric's name goes at the very end, and until then tells what the histogram is.
    let projection = Projection::AllButOne(BUCKET_LABEL);
    let Arguments { evaluator, grid, .. } = arguments;
    let mut members = Members::new(evaluator, arguments.call, projection);
    let (mut uppers, mut counts) = (Vec::new(), Vec::new());
    evaluator.each_row(expr, grid, &mut |key, row| {
        let upper = members.fact(key, bound);
        if upper.is_nan() {
            let le = key.labels.get(BUCKET_LABEL).unwrap_or_default();
            let text = format!("bucket label \"le\" is missing or has a malformed value of {le:?}");
            evaluator.warn(expr, with_name(text, key.labels.metric_name()));
            return Ok(());
        }
        members.add(key);
        uppers.push(upper);
        counts.extend_from_slice(row);
        Ok(())
    })?;
    let groups = members.groups();
    evaluator.budget.numbers(groups.len(), grid.count)?;
    Ok(Histograms { groups, uppers, steps: grid.count, counts })
}

/// Returns the upper bound that a label set tells; NaN if it tells none.
fn bound(labels: &Labels) -> f64 {
    labels.get(BUCKET_LABEL).and_then(|bound| bound.parse().ok()).unwrap_or(f64::NAN)
}

fn with_name(text: String, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{text} for metric name {name:?}"),
        None => text,
    }
}

// === impl Histograms ===

impl Histograms {
    /// Returns the labels and the rows of each.
    fn iter(&self) -> impl Iterator<Item = (&Labels, &[u32])> {
        self.groups.keys.iter().map(|key| &key.labels).zip(self.groups.iter())
    }

    /// Takes the counts of one histogram at one step; tells whether there are any.
    fn at(&self, rows: &[u32], step: usize, buckets: &mut Vec<Bucket>) -> bool {
        buckets.clear();
        let counts = rows.iter().map(|row| {
            let row = *row as usize;
            Bucket { upper: self.uppers[row], count: self.counts[row * self.steps + step] }
        });
        buckets.extend(counts.filter(|bucket| !is_absent(bucket.count)));
        !buckets.is_empty()
    }
}

fn histogram_fraction(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (lower, upper) = (arguments.scalar(0)?, arguments.scalar(1)?);
    let histograms = collect(arguments, arguments.expr(2)?)?;
    let mut fractions = Vector::empty(histograms.steps);
    let mut buckets = Vec::new();
    for (labels, rows) in histograms.iter() {
        let row = fractions.add(Key::nameless(labels.clone()));
        for (step, value) in row.iter_mut().enumerate() {
            if histograms.at(rows, step, &mut buckets) {
                *value = histogram::fraction(lower[step], upper[step], &mut buckets);
            }
        }
    }
    Ok(Operand::Vector(fractions))
}

fn histogram_quantile(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let quantiles = arguments.scalar(0)?;
    arguments.evaluator.check_quantiles(arguments.expr(0)?, &quantiles);
    let expr = arguments.expr(1)?;
    let histograms = collect(arguments, expr)?;
    Ok(Operand::Vector(compute(arguments, expr, &histograms, &quantiles, &|labels| labels.clone())))
}

/// Several quantiles at once, each told by a label.
fn histogram_quantiles(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let label = arguments.text(1)?;
    if label.is_empty() {
        return Err(arguments.invalid("invalid label name \"\""));
    }
    let expr = arguments.expr(0)?;
    let histograms = collect(arguments, expr)?;
    let mut all = Vector::empty(histograms.steps);
    for index in 2..arguments.len() {
        let quantiles = arguments.scalar(index)?;
        arguments.evaluator.check_quantiles(arguments.expr(index)?, &quantiles);
        // The label is the same at all steps where the number is.
        let name = quantile_name(quantiles.first().copied().unwrap_or(f64::NAN));
        if quantiles.iter().any(|q| quantile_name(*q) != name) {
            return Err(arguments.invalid("a quantile must be the same at all steps"));
        }
        arguments.evaluator.budget.numbers(histograms.groups.len(), histograms.steps)?;
        let with_quantile = |labels: &Labels| labels.with(&label, &name);
        let mut some = compute(arguments, expr, &histograms, &quantiles, &with_quantile);
        all.keys.append(&mut some.keys);
        all.values.append(&mut some.values);
    }
    Ok(Operand::Vector(all))
}

/// Returns a number the way OpenMetrics writes it: with a point if it is whole.
fn quantile_name(q: f64) -> String {
    let name = shown(q);
    if q.is_finite() && !name.contains('.') { format!("{name}.0") } else { name }
}

fn compute(
    arguments: Arguments<'_>,
    expr: &Expr,
    histograms: &Histograms,
    quantiles: &[f64],
    name: &dyn Fn(&Labels) -> Labels,
) -> Vector {
    let mut found = Vector::empty(histograms.steps);
    let mut buckets = Vec::new();
    for (labels, rows) in histograms.iter() {
        let mut raised = None;
        let row = found.add(Key::nameless(name(labels)));
        for (step, value) in row.iter_mut().enumerate() {
            if histograms.at(rows, step, &mut buckets) {
                let (quantile, now_raised) = histogram::quantile(quantiles[step], &mut buckets);
                *value = quantile;
                raised = raised.or(now_raised);
            }
        }
        if let Some(raised) = raised {
            let text = with_name(RAISED.to_owned(), labels.metric_name());
            let Raised { lowest, highest, most } = raised;
            let (lowest, highest) = (brief(lowest), brief(highest));
            let where_to = format!(", from buckets {lowest} to {highest}, with a max diff of {most:.2e}");
            arguments.evaluator.inform(expr, text + &where_to);
        }
    }
    found.compact();
    found
}
