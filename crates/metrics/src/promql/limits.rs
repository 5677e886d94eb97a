//! Owns the limits in a query: above which value of what it yields something, for whoever draws that.

use super::Query;
use super::needs::QueryNeeds;
use super::syntax::{Expr, Kind, Operator, SetOperator};

/// A value above which a query yields something.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// The series that are looked at, as PromQL selects them, sorted.
    pub selectors: Vec<String>,
    /// The value.
    pub value: f64,
}

// === impl Query ===

impl Query {
    /// Returns the limits that hold each for itself: comparisons with a number (`>`, `>=`), and those beside them by `or`.
    /// What holds only together with something else is none.
    pub fn limits(&self) -> Vec<Limit> {
        let mut limits = Vec::new();
        take(&self.0.expr, &mut limits);
        limits
    }

    /// Returns the series that it looks at, as in [`Limit::selectors`].
    pub fn selectors(&self) -> Vec<String> {
        selectors(&self.0.expr)
    }
}

fn take(expr: &Expr, into: &mut Vec<Limit>) {
    let Kind::Binary { operator, left, right, is_bool: false, .. } = &expr.unwrapped().kind else { return };
    match operator {
        Operator::Set(SetOperator::Or) => {
            take(left, into);
            take(right, into);
        }
        Operator::Comparison(holds) => {
            // Which way round it is only the comparison itself knows.
            let found = match (holds(1.0, 0.0), holds(0.0, 1.0)) {
                (true, false) => number(right).map(|value| (left, value)),
                (false, true) => number(left).map(|value| (right, value)),
                _ => None,
            };
            into.extend(found.map(|(of, value)| Limit { selectors: selectors(of), value }));
        }
        Operator::Arithmetic(_) | Operator::Set(_) => {}
    }
}

fn selectors(expr: &Expr) -> Vec<String> {
    let mut selectors: Vec<String> =
        QueryNeeds::of(expr).selectors.into_iter().map(|(_, text)| text).collect();
    selectors.dedup();
    selectors
}

/// The number that an expression of numbers alone is.
fn number(expr: &Expr) -> Option<f64> {
    match &expr.unwrapped().kind {
        Kind::Number(value) => Some(*value),
        Kind::Negated(inner) => Some(-number(inner)?),
        Kind::Binary { operator: Operator::Arithmetic(apply), left, right, .. } => {
            Some(apply(number(left)?, number(right)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expect: &[(&str, f64)]) {
        let limits = Query::parse(query).unwrap().limits();
        let found: Vec<(String, f64)> =
            limits.into_iter().map(|limit| (limit.selectors.join(" "), limit.value)).collect();
        let expect: Vec<(String, f64)> =
            expect.iter().map(|(of, value)| ((*of).to_owned(), *value)).collect();
        assert_eq!(found, expect, "{query}");
    }

    #[test]
    fn limits_of_queries() {
        let (x, y) = (r#"{__name__="x"}"#, r#"{__name__="y",a="b"}"#);
        check("x > 5", &[(x, 5.0)]);
        check("(x) >= (2 * 1024 ^ 3)", &[(x, 2_147_483_648.0)]);
        check("5 < sum by (a) (rate(x[5m]))", &[(x, 5.0)]);
        check("x > -1 or max(y{a=\"b\"}) > 3", &[(x, -1.0), (y, 3.0)]);
        check("x > 5 or (x > 1 and y > 2)", &[(x, 5.0)]);
        for query in
            ["x", "x < 5", "x == 0", "x != 0", "x > y", "x > bool 5", "x > 5 unless y", "5 > 4 + x", "x + 1"]
        {
            check(query, &[]);
        }
        assert_eq!(Query::parse("rate(x[5m])").unwrap().selectors(), [x]);
    }
}
