//! Owns holding one case to what it expects.

use metrics::{
    Annotation, AnnotationKind, Labels, Query, QueryBounds, QueryError, Series, Steps, Store, Value,
};

use super::format::{Eval, Expected, Moment, Remarks, Rows};

/// Numbers are equal if they differ by no more than this part.
const EPSILON: f64 = 1e-6;
/// The time between the steps of the second evaluation of a case at one moment.
const AROUND_MS: i64 = 60_000;
/// Calls about which a remark can be made without native histograms.
const REMARKABLE: [&str; 3] = ["rate(", "increase(", "histogram_quantile"];
/// Calls whose value depends on the steps of the whole query.
const STEP_DEPENDENT: [&str; 5] = ["start()", "end()", "range()", "step()", "sort"];

pub(super) enum Verdict {
    Holds,
    HoldsButFor(String),
    Fails(String),
    Refused(String),
}

/// Evaluates a case; `native` says that native histograms were left out of the store.
pub(super) fn check(store: &Store, eval: &Eval, native: bool) -> Verdict {
    if let Expected::Native = eval.expected {
        return Verdict::Refused("a native histogram is expected".to_owned());
    }
    match holds(store, eval) {
        Ok(None) => Verdict::Holds,
        Ok(Some(reason)) => Verdict::HoldsButFor(reason),
        Err(Failure::Unsupported(reason)) => Verdict::Refused(reason),
        Err(Failure::Differs(reason)) if native => Verdict::Refused(reason),
        Err(Failure::Differs(reason)) => Verdict::Fails(reason),
    }
}

enum Failure {
    Unsupported(String),
    Differs(String),
}

/// Fails if a case does not hold; tells what could not be checked.
fn holds(store: &Store, eval: &Eval) -> Result<Option<String>, Failure> {
    let outcome = Query::parse(&eval.query).and_then(|query| evaluate(&query, store, eval.moment));
    let (value, annotations) = match (&eval.expected, outcome) {
        (Expected::Failure(wording), Err(error)) => {
            let fits = wording.fits(&error.to_string());
            return if fits { Ok(None) } else { Err(Failure::Differs(format!("failed with: {error}"))) };
        }
        (_, Err(error @ QueryError::Unsupported { .. })) => {
            return Err(Failure::Unsupported(error.to_string()));
        }
        (_, Err(error)) => return Err(Failure::Differs(format!("failed: {error}"))),
        (Expected::Failure(_), Ok((value, _))) => {
            return Err(Failure::Differs(format!("expected a failure, got {value:?}")));
        }
        (_, Ok(answer)) => answer,
    };
    compare(eval, &value).map_err(Failure::Differs)?;
    in_a_range(store, eval, &value).map_err(Failure::Differs)?;
    let warnings = said(&annotations, AnnotationKind::Warning);
    fit("warning", &eval.warnings, &warnings).map_err(Failure::Differs)?;
    let infos = said(&annotations, AnnotationKind::Info);
    match fit("info", &eval.infos, &infos) {
        Ok(()) => Ok(None),
        Err(reason) if infos.is_empty() && !REMARKABLE.iter().any(|call| eval.query.contains(call)) => {
            Ok(Some(format!("{reason}; without native histograms nothing can cause it")))
        }
        Err(reason) => Err(Failure::Differs(reason)),
    }
}

fn evaluate(query: &Query, store: &Store, moment: Moment) -> Result<(Value, Vec<Annotation>), QueryError> {
    match moment {
        Moment::Instant(at_ms) => {
            let answer = query.answer(store, at_ms, QueryBounds::default())?;
            Ok((answer.value, answer.annotations))
        }
        Moment::Range(steps) => {
            let (series, annotations) = query.range_answer(store, steps, QueryBounds::default())?;
            Ok((Value::Matrix(series), annotations))
        }
    }
}

fn compare(eval: &Eval, value: &Value) -> Result<(), String> {
    match (&eval.expected, value) {
        (Expected::Scalar(expected), Value::Scalar(value)) if close(*expected, *value) => Ok(()),
        (Expected::Text(expected), Value::Text(text)) if expected == text => Ok(()),
        (Expected::Rows(expected), Value::Vector(_) | Value::Matrix(_)) => {
            same(expected.clone(), rows(value), eval.is_ordered)
        }
        (Expected::Rows(rows), Value::Scalar(value)) if rows.is_empty() => {
            Err(format!("expected nothing, got the scalar {value}"))
        }
        // A range query yields its only number as a series without labels.
        (Expected::Scalar(expected), Value::Matrix(series)) => {
            let holds = |series: &Series| series.samples.iter().all(|(_, value)| close(*expected, *value));
            if series.iter().all(holds) {
                Ok(())
            } else {
                Err(format!("expected {expected}, got {series:?}"))
            }
        }
        (expected, value) => Err(format!("expected {expected:?}, got {value:?}")),
    }
}

/// Evaluates a case at one moment as the middle step of a range query.
fn in_a_range(store: &Store, eval: &Eval, value: &Value) -> Result<(), String> {
    let Moment::Instant(at_ms) = eval.moment else { return Ok(()) };
    let depends = STEP_DEPENDENT.iter().any(|call| eval.query.contains(call));
    if depends || !matches!(value, Value::Vector(_) | Value::Scalar(_)) {
        return Ok(());
    }
    let steps = Steps { start_ms: at_ms - AROUND_MS, end_ms: at_ms + AROUND_MS, step_ms: AROUND_MS };
    let query = Query::parse(&eval.query).map_err(|error| error.to_string())?;
    let series = query.range(store, steps);
    let series = match series {
        Ok(series) => series,
        // Another step may have what cannot be used.
        Err(QueryError::Invalid { .. } | QueryError::Duplicate { .. }) => return Ok(()),
        Err(error) => return Err(format!("failed in a range query: {error}")),
    };
    let middle = series.into_iter().filter_map(|Series { labels, samples }| {
        let (_, value) = samples.into_iter().find(|(sample_ms, _)| *sample_ms == at_ms)?;
        Some((labels, vec![(0, value)]))
    });
    same(rows(value), middle.collect(), false).map_err(|reason| format!("in a range query: {reason}"))
}

fn rows(value: &Value) -> Rows {
    match value {
        Value::Scalar(value) => vec![(Labels::empty(), vec![(0, *value)])],
        Value::Vector(elements) => {
            elements.iter().map(|element| (element.labels.clone(), vec![(0, element.value)])).collect()
        }
        Value::Matrix(all) => {
            all.iter().map(|series| (series.labels.clone(), series.samples.clone())).collect()
        }
        Value::Text(_) => Vec::new(),
    }
}

fn same(mut expected: Rows, mut got: Rows, is_ordered: bool) -> Result<(), String> {
    if !is_ordered {
        expected.sort_by(|left, right| left.0.cmp(&right.0));
        got.sort_by(|left, right| left.0.cmp(&right.0));
    }
    let equal = expected.len() == got.len()
        && expected.iter().zip(&got).all(|(expected, got)| {
            let samples = expected.1.iter().zip(&got.1);
            let mut equal = samples.map(|(expected, got)| expected.0 == got.0 && close(expected.1, got.1));
            expected.0 == got.0 && expected.1.len() == got.1.len() && equal.all(|equal| equal)
        });
    if equal { Ok(()) } else { Err(format!("expected {expected:?}, got {got:?}")) }
}

fn close(expected: f64, got: f64) -> bool {
    if expected == got || expected.is_nan() && got.is_nan() {
        return true;
    }
    let (sum, difference) = (expected.abs() + got.abs(), (expected - got).abs());
    if expected == 0.0 || got == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

fn said(annotations: &[Annotation], kind: AnnotationKind) -> Vec<String> {
    annotations.iter().filter(|annotation| annotation.kind == kind).map(Annotation::to_string).collect()
}

fn fit(kind: &str, expected: &Remarks, got: &[String]) -> Result<(), String> {
    match expected {
        Remarks::Whatever => Ok(()),
        Remarks::None if got.is_empty() => Ok(()),
        Remarks::None => Err(format!("expected no {kind}, got {got:?}")),
        Remarks::Some(wordings) => {
            let missing = wordings.iter().find(|wording| !got.iter().any(|text| wording.fits(text)));
            let odd = got.iter().find(|text| !wordings.iter().any(|wording| wording.fits(text)));
            match (missing, odd) {
                (None, None) => Ok(()),
                _ => Err(format!("expected {wordings:?} as {kind}, got {got:?}")),
            }
        }
    }
}
