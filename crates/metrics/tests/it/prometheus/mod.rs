//! Owns the comparison with a real Prometheus: the same samples, random queries, and no difference.
//!
//! Debian's Prometheus is older than version 3: its windows are closed on the left. So no edge of a window falls upon a
//! sample here, and what else changed between the versions is not asked for. It is found by `PARAMEDIC_TEST_DEBIAN`.

mod data;
mod queries;
mod rival;

use std::collections::BTreeMap;
use std::path::PathBuf;

use metrics::{Limits, Query, QueryError, Series, Store, Value};

use queries::Generator;
use rival::Rival;

const LIMITS: Limits = Limits { retention_ms: i64::MAX, series_max: 10_000, samples_per_series_max: 100_000 };
/// Numbers are the same if they differ by no more than this part.
const TOLERANCE: f64 = 1e-9;
/// Sums of numbers that cancel out leave this much behind.
const CANCELLED: f64 = 1e-9;
/// What is run always; PARAMEDIC_PROMQL_QUERIES says another number.
const QUERIES: usize = 600;
/// The first query is always the same; another run can begin elsewhere.
const SEED: u64 = 20_261_126;

/// Labels as text, and the samples: what two results have in common.
type Rows = BTreeMap<String, Vec<(i64, f64)>>;

#[test]
fn random_queries_yield_what_prometheus_yields() {
    let Some(programs) = installed() else { return };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let samples = data::samples();
    let mut store = Store::new(LIMITS);
    for sample in &samples {
        store.append(&sample.labels, sample.at_ms, sample.value).expect("samples are in order");
    }
    let rival = Rival::start(&programs, folder.path(), &data::exposition(&samples));
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, seed) =
        (number("PARAMEDIC_PROMQL_QUERIES", QUERIES as u64), number("PARAMEDIC_PROMQL_SEED", SEED));
    let mut generator = Generator::new(seed);
    let (mut answered, mut differences) = (0, Vec::new());
    for _ in 0..count {
        let (text, steps) = (generator.query(), generator.steps());
        let query = Query::parse(&text).unwrap_or_else(|error| panic!("`{text}` cannot be read: {error}"));
        let ours = query.instant(&store, steps.end_ms).map(|value| rows(value, steps.end_ms));
        answered += usize::from(ours.as_ref().is_ok_and(|rows| !rows.is_empty()));
        let theirs = rival.instant(&text, steps.end_ms);
        differences.extend(difference(&text, "at one moment", &ours, &theirs));
        let ours = query.range(&store, steps).map(|series| rows(Value::Matrix(series), 0));
        let theirs = rival.range(&text, steps);
        differences.extend(difference(&text, "in a range", &ours, &theirs));
    }
    println!("{count} queries, {answered} with an answer, {} differences", differences.len());
    assert!(differences.is_empty(), "seed {seed}:\n{}", differences.join("\n"));
    assert!(answered as u64 * 10 >= count * 7, "only {answered} of {count} queries find something");
}

/// Returns the folder of the programs, or says why nothing is tested.
fn installed() -> Option<PathBuf> {
    let programs =
        PathBuf::from(std::env::var_os("PARAMEDIC_TEST_DEBIAN").unwrap_or_default()).join("usr/bin");
    let found = ["prometheus", "promtool"].iter().all(|program| programs.join(program).is_file());
    if !found {
        println!("SKIPPED: no Prometheus; `./test --deps` installs it, PARAMEDIC_TEST_DEBIAN says where");
    }
    found.then_some(programs)
}

fn rows(value: Value, at_ms: i64) -> Rows {
    match value {
        Value::Scalar(value) => Rows::from([("{}".to_owned(), vec![(at_ms, value)])]),
        Value::Vector(elements) => {
            elements.into_iter().map(|one| (one.labels.to_string(), vec![(at_ms, one.value)])).collect()
        }
        Value::Matrix(all) => {
            all.into_iter().map(|Series { labels, samples }| (labels.to_string(), samples)).collect()
        }
        Value::Text(_) => Rows::new(),
    }
}

/// Says in what two results differ. Where both refuse, they agree.
fn difference(
    text: &str,
    way: &str,
    ours: &Result<Rows, QueryError>,
    theirs: &Result<Rows, String>,
) -> Option<String> {
    let same = match (ours, theirs) {
        (Err(_), Err(_)) => true,
        (Ok(ours), Ok(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|((our_labels, ours), (their_labels, theirs))| {
                    our_labels == their_labels
                        && ours.len() == theirs.len()
                        && ours
                            .iter()
                            .zip(theirs)
                            .all(|(our, their)| our.0 == their.0 && close(our.1, their.1))
                })
        }
        _ => false,
    };
    (!same).then(|| format!("{text} {way}:\n  ours   {ours:?}\n  theirs {theirs:?}"))
}

fn close(ours: f64, theirs: f64) -> bool {
    let largest = ours.abs().max(theirs.abs());
    ours == theirs
        || ours.is_nan() && theirs.is_nan()
        || (ours - theirs).abs() <= (largest * TOLERANCE).max(CANCELLED)
}
