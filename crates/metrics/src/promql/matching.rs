//! Owns vector matching: which element of one side belongs to which of the other, and what labels come of it.

use std::collections::{HashMap, HashSet};

use promql_parser::parser::{BinModifier, LabelModifier, VectorMatchCardinality};

use super::QueryError;
use super::binary::{Answer, Operator, SetOperator};
use super::value::Point;
use crate::labels::{Labels, METRIC_NAME, quoted};

/// Applies an operator to each pair of matching elements.
pub(super) fn join(
    operator: Operator,
    answer: Answer,
    left: &[Point],
    right: &[Point],
    modifier: Option<&BinModifier>,
) -> Result<Vec<Point>, QueryError> {
    let matching = Matching::of(modifier);
    let (many, one) = if matching.swapped { (right, left) } else { (left, right) };
    let ones = matching.index(one)?;
    // Whether a group of the one side was met already, and with which labels.
    let mut met: HashMap<Labels, HashSet<Labels>> = HashMap::new();
    let mut joined = Vec::new();
    for many in many {
        let signature = matching.signature(&many.labels);
        let Some(one) = ones.get(&signature) else { continue };
        let (lhs, rhs) = if matching.swapped { (one.value, many.value) } else { (many.value, one.value) };
        let Some((value, nameless)) = operator.apply(lhs, rhs, lhs, answer) else { continue };
        let arithmetic = matches!(operator, Operator::Arithmetic(_));
        let labels = matching.labels(&many.labels, &one.labels, arithmetic);
        let group = met.entry(signature);
        let first = matches!(group, std::collections::hash_map::Entry::Vacant(_));
        if !first && !matching.grouped {
            let reason =
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
            return Err(QueryError::Matching { reason: reason.to_owned() });
        }
        if !group.or_default().insert(labels.clone()) {
            let reason = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(QueryError::Matching { reason: reason.to_owned() });
        }
        joined.push(Point { labels, value, drop_name: many.drop_name || nameless });
    }
    Ok(joined)
}

/// Applies a set operator.
pub(super) fn set(
    operator: SetOperator,
    left: Vec<Point>,
    right: Vec<Point>,
    modifier: Option<&BinModifier>,
) -> Vec<Point> {
    let matching = Matching::of(modifier);
    let signatures = |points: &[Point]| -> HashSet<Labels> {
        points.iter().map(|point| matching.signature(&point.labels)).collect()
    };
    match operator {
        SetOperator::And | SetOperator::Unless => {
            let wanted = matches!(operator, SetOperator::And);
            let there = signatures(&right);
            let keep = |point: &Point| there.contains(&matching.signature(&point.labels)) == wanted;
            left.into_iter().filter(keep).collect()
        }
        SetOperator::Or => {
            let there = signatures(&left);
            let missing =
                right.into_iter().filter(|point| !there.contains(&matching.signature(&point.labels)));
            left.into_iter().chain(missing).collect()
        }
    }
}

/// How elements of two sides find one another.
struct Matching<'m> {
    /// `on` these labels, or all but these (`ignoring`).
    labels: &'m [String],
    on: bool,
    /// Several elements of one side may match the same one of the other.
    grouped: bool,
    /// The side with several elements is the right one.
    swapped: bool,
    /// Labels taken over from the one side.
    included: &'m [String],
}

// === impl Matching ===

impl<'m> Matching<'m> {
    fn of(modifier: Option<&'m BinModifier>) -> Self {
        let (labels, on) = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
            None => (&[][..], false),
            Some(LabelModifier::Include(on)) => (&on.labels[..], true),
            Some(LabelModifier::Exclude(ignored)) => (&ignored.labels[..], false),
        };
        let (swapped, included) = match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(included)) => (false, Some(included)),
            Some(VectorMatchCardinality::OneToMany(included)) => (true, Some(included)),
            _ => (false, None),
        };
        let grouped = included.is_some();
        Self { labels, on, grouped, swapped, included: included.map_or(&[], |included| &included.labels) }
    }

    fn names(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label == name)
    }

    /// Returns what two elements must have in common to match.
    fn signature(&self, labels: &Labels) -> Labels {
        match self.on {
            true => labels.filtered(|name| self.names(name)),
            false => labels.filtered(|name| name != METRIC_NAME && !self.names(name)),
        }
    }

    /// Returns the labels of the result of two matching elements.
    fn labels(&self, many: &Labels, one: &Labels, arithmetic: bool) -> Labels {
        let mut labels = many.clone();
        if arithmetic {
            labels = labels.without(METRIC_NAME);
        }
        if !self.grouped {
            labels = labels.filtered(|name| self.names(name) == self.on);
        }
        for name in self.included {
            labels = labels.with(name, one.get(name).unwrap_or_default());
        }
        labels
    }

    /// Finds the elements of the side where each signature may occur only once.
    fn index<'p>(&self, points: &'p [Point]) -> Result<HashMap<Labels, &'p Point>, QueryError> {
        let mut index: HashMap<Labels, &Point> = HashMap::new();
        for point in points {
            let signature = self.signature(&point.labels);
            if let Some(other) = index.get(&signature) {
                let side = if self.swapped { "left" } else { "right" };
                let reason = format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: \
                     [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    in_braces(&signature),
                    in_braces(&other.labels),
                    in_braces(&point.labels),
                );
                return Err(QueryError::Matching { reason });
            }
            index.insert(signature, point);
        }
        Ok(index)
    }
}

/// Returns labels as Prometheus shows them in this message: the name inside the braces like any other.
fn in_braces(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
