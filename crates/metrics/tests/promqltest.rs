//! Owns the runner for PromQL cases in the format that Prometheus tests itself with: `load`, `eval`, what to expect.
//!
//! The cases beside this file are run always. Prometheus' own files are run from the folder `promqltest` of
//! `$PARAMEDIC_SHARED`, or of `shared` beside the workspace, and skipped where it is absent.

#[path = "promqltest/format.rs"]
mod format;

use std::fs;
use std::path::{Path, PathBuf};

use format::{Command, Eval, Expected, Moment};
use metrics::{Element, Labels, Limits, Query, Series, Steps, Store, Value};

const LIMITS: Limits =
    Limits { retention_ms: i64::MAX, series_max: 100_000, samples_per_series_max: 1_000_000 };
const EPSILON: f64 = 1e-6;

#[test]
fn own_cases_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promqltest");
    run_folder(&folder);
}

#[test]
fn upstream_cases_hold() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("PARAMEDIC_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("promqltest");
    if folder.is_dir() {
        run_folder(&folder);
    } else {
        println!(
            "SKIPPED: Prometheus' own cases are not at {}; PARAMEDIC_SHARED names another place",
            folder.display()
        );
    }
}

fn run_folder(folder: &Path) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the directory can be read")
        .map(|entry| entry.expect("the entry can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    let mut failures = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("the file can be read");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (total, failed) = run(&text);
        eprintln!("{name}: {} of {total} hold", total - failed.len());
        failures.extend(failed.into_iter().map(|failure| format!("{name}:{failure}")));
    }
    assert!(failures.is_empty(), "{} cases do not hold:\n{}", failures.len(), failures.join("\n"));
}

fn run(text: &str) -> (usize, Vec<String>) {
    let mut store = Store::new(LIMITS);
    let (mut total, mut failures) = (0, Vec::new());
    for command in format::read(text) {
        match command {
            Command::Clear => store = Store::new(LIMITS),
            Command::Load(samples) => {
                for sample in samples {
                    store.append(&sample.labels, sample.at_ms, sample.value).expect("cases are in order");
                }
            }
            Command::Eval(eval) => {
                total += 1;
                if let Err(reason) = holds(&store, &eval) {
                    failures.push(format!("{}: {}: {reason}", eval.line, eval.query));
                }
            }
        }
    }
    (total, failures)
}

fn holds(store: &Store, eval: &Eval) -> Result<(), String> {
    let outcome = Query::parse(&eval.query).and_then(|query| match eval.moment {
        Moment::Instant(at_ms) => query.instant(store, at_ms),
        Moment::Range(steps) => query.range(store, steps).map(Value::Matrix),
    });
    let value = match (&eval.expected, outcome) {
        (Expected::Failure(part), Err(error)) if error.to_string().contains(part.as_str()) => return Ok(()),
        (_, Err(error)) => return Err(error.to_string()),
        (_, Ok(value)) => value,
    };
    match (&eval.expected, &value) {
        (Expected::Scalar(expected), Value::Scalar(value)) if close(*expected, *value) => Ok(()),
        (Expected::Text(expected), Value::Text(text)) if expected == text => Ok(()),
        (Expected::Vector(expected, order), Value::Vector(elements)) => {
            let got: Vec<(Labels, Vec<(i64, f64)>)> = elements
                .iter()
                .map(|Element { labels, value }| (labels.clone(), vec![(0, *value)]))
                .collect();
            same(expected.clone(), got, *order)
        }
        (Expected::Vector(expected, order), Value::Matrix(all)) => {
            let got =
                all.iter().map(|Series { labels, samples }| (labels.clone(), samples.clone())).collect();
            same(expected.clone(), got, *order)
        }
        (expected, value) => Err(format!("expected {expected:?}, got {value:?}")),
    }
}

fn same(
    mut expected: Vec<(Labels, Vec<(i64, f64)>)>,
    mut got: Vec<(Labels, Vec<(i64, f64)>)>,
    order: format::Order,
) -> Result<(), String> {
    if order == format::Order::Any {
        expected.sort_by(|left, right| left.0.cmp(&right.0));
        got.sort_by(|left, right| left.0.cmp(&right.0));
    }
    let equal = expected.len() == got.len()
        && expected.iter().zip(&got).all(|(expected, got)| {
            expected.0 == got.0
                && expected.1.len() == got.1.len()
                && expected
                    .1
                    .iter()
                    .zip(&got.1)
                    .all(|(expected, got)| expected.0 == got.0 && close(expected.1, got.1))
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

#[test]
fn steps_are_counted_from_the_start() {
    let moments: Vec<i64> = Steps { start_ms: 5, end_ms: 26, step_ms: 10 }.moments().collect();
    assert_eq!(moments, [5, 15, 25]);
}
