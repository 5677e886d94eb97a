//! Owns `info`: labels of info metrics are added to the elements of the same instance and job.

use std::collections::BTreeMap;

use super::{Arguments, Function, Signature};
use crate::labels::{Labels, METRIC_NAME};
use crate::promql::QueryError;
use crate::promql::index::{Index, Projection};
use crate::promql::selector;
use crate::promql::syntax::Type::Vector as InstantVector;
use crate::promql::syntax::{Condition, Kind, Matcher, Selector, When};
use crate::promql::value::{Key, Operand, Vector};

/// The info metric of those who name none.
const TARGET_INFO: &str = "target_info";
/// What an element and an info series must have in common.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

pub(super) fn find(name: &str) -> Option<Signature> {
    let function = || Signature::new("info", &[InstantVector, InstantVector], Function::Whole(info));
    (name == "info").then(|| function().optional(1).selecting_at(1))
}

fn info(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let base = arguments.vector(0)?;
    let (named, wanted) = conditions(arguments)?;
    let identity = Projection::Only(IDENTIFYING.map(str::to_owned).to_vec());
    let anonymous = |labels: &Labels| identity.apply(labels).is_empty();
    let is_info = |labels: &Labels| {
        let name = labels.metric_name().unwrap_or_default();
        named.iter().all(|matcher| matcher.accepts(name))
    };
    let mut index = Index::new(identity.clone());
    let ignored: Vec<bool> = base.keys.iter().map(|key| is_info(&key.labels)).collect();
    let groups: Vec<Option<usize>> = base
        .keys
        .iter()
        .zip(&ignored)
        .map(|(key, ignored)| (!ignored && !anonymous(&key.labels)).then(|| index.number(&key.labels)))
        .collect();
    let infos = InfoSeries::select(arguments, &named, &wanted, &index)?;
    let mut enriched = Vector::empty(base.steps);
    let mut places: BTreeMap<(usize, Labels), usize> = BTreeMap::new();
    for (row, key) in base.keys.iter().enumerate() {
        for step in 0..base.steps {
            let Some(value) = base.get(row, step) else { continue };
            let labels = match (ignored[row], groups[row]) {
                (true, _) => Some(key.labels.clone()),
                (false, group) => infos.enriched(arguments, &key.labels, (group, step), &wanted)?,
            };
            let Some(labels) = labels else { continue };
            let next = enriched.len();
            let place = *places.entry((row, labels.clone())).or_insert(next);
            if place == next {
                arguments.evaluator.budget.numbers(1, base.steps)?;
                enriched.add(Key { drop_name: key.drop_name, ..Key::of(labels) });
            }
            enriched.row_mut(place)[step] = value;
        }
    }
    arguments.evaluator.merged(arguments.call, enriched).map(Operand::Vector)
}

/// Returns the conditions for the names of info metrics, and those for their other labels.
fn conditions(arguments: Arguments<'_>) -> Result<(Vec<Matcher>, Vec<Matcher>), QueryError> {
    let all = match arguments.len() {
        0 | 1 => Vec::new(),
        _ => match &arguments.expr(1)?.kind {
            Kind::Selector(selector) => selector.matchers.clone(),
            _ => return Err(arguments.invalid("expected label matchers in braces")),
        },
    };
    let (mut named, wanted): (Vec<Matcher>, Vec<Matcher>) =
        all.into_iter().partition(|matcher| matcher.name == METRIC_NAME);
    if named.is_empty() {
        let condition = Condition::Equal(TARGET_INFO.to_owned());
        named.push(Matcher { name: METRIC_NAME.to_owned(), condition });
    }
    Ok((named, wanted))
}

/// The selected info series: when each of them was last seen, and which elements it is for.
struct InfoSeries {
    /// The time of the newest sample at each step, in milliseconds.
    times: Vector,
    /// By group, and then by the name of the metric.
    rows: Vec<BTreeMap<String, Vec<usize>>>,
}

// === impl InfoSeries ===

impl InfoSeries {
    fn select(
        arguments: Arguments<'_>,
        named: &[Matcher],
        wanted: &[Matcher],
        index: &Index,
    ) -> Result<Self, QueryError> {
        let matchers = named.iter().chain(wanted).cloned().collect();
        // Its place is none of the query's.
        let selector = Selector { matchers, when: when_of(arguments)?, offset: usize::MAX };
        let grid = arguments.grid;
        let times = selector::instant(arguments.evaluator, &selector, grid, |at_ms, _| at_ms as f64)?;
        let mut rows = vec![BTreeMap::<String, Vec<usize>>::new(); index.len()];
        for (row, key) in times.keys.iter().enumerate() {
            if let Some(group) = index.find(&key.labels) {
                let name = key.labels.metric_name().unwrap_or_default().to_owned();
                rows[group].entry(name).or_default().push(row);
            }
        }
        Ok(Self { times, rows })
    }

    /// Returns the labels of an element with what the info series tell of it; none if it is left out.
    fn enriched(
        &self,
        arguments: Arguments<'_>,
        base: &Labels,
        (group, step): (Option<usize>, usize),
        wanted: &[Matcher],
    ) -> Result<Option<Labels>, QueryError> {
        let mut added: BTreeMap<&str, &str> = BTreeMap::new();
        let mut any = false;
        for rows in group.into_iter().flat_map(|group| self.rows[group].values()) {
            let Some(row) = self.newest(arguments, rows, step)? else { continue };
            any = true;
            for (name, value) in self.times.keys[row].labels.iter() {
                let asked = wanted.is_empty() || wanted.iter().any(|matcher| matcher.name == name);
                if name == METRIC_NAME || !asked {
                    continue;
                }
                if added.get(name).is_some_and(|known| *known != value) {
                    return Err(arguments.invalid(format!("conflicting label: {name}")));
                }
                if base.get(name).is_none() {
                    added.insert(name, value);
                }
            }
        }
        if !any && !wanted.iter().all(|matcher| matcher.accepts("")) {
            return Ok(None);
        }
        if added.is_empty() {
            return Ok(Some(base.clone()));
        }
        Ok(Some(base.iter().chain(added).collect()))
    }

    /// Returns the one of some info series of one metric that was seen last.
    fn newest(
        &self,
        arguments: Arguments<'_>,
        rows: &[usize],
        step: usize,
    ) -> Result<Option<usize>, QueryError> {
        let mut newest: Option<(f64, usize)> = None;
        for row in rows {
            let Some(time) = self.times.get(*row, step) else { continue };
            match newest {
                Some((known, _)) if known > time => {}
                Some((known, other)) if known == time => {
                    let (one, two) = (&self.times.keys[other].labels, &self.times.keys[*row].labels);
                    let reason = format!(
                        "found duplicate series for info metric: existing {one} @ {time}, new {two} @ {time}"
                    );
                    return Err(arguments.invalid(reason));
                }
                _ => newest = Some((time, *row)),
            }
        }
        Ok(newest.map(|(_, row)| row))
    }
}

/// Returns from which moment the info series are looked at: as the first selector among the elements is.
fn when_of(arguments: Arguments<'_>) -> Result<When, QueryError> {
    let mut first = None;
    arguments.expr(0)?.selectors(&mut |selector| {
        first.get_or_insert_with(|| selector.when.clone());
    });
    Ok(first.unwrap_or_default())
}
