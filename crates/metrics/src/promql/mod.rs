//! Owns queries: PromQL as Prometheus 3 defines it for float samples, evaluated over the store.
//!
//! The parser is `promql-parser`; what is evaluated is its tree. Windows are open on the left, metric names are
//! dropped at the end of an evaluation (delayed), native histograms do not exist here.

mod aggregate;
mod binary;
mod duration;
mod error;
mod eval;
mod functions;
mod histogram;
mod matching;
mod parse;
mod range;
mod reduce;
mod scan;
mod selector;
mod series;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector};

use crate::labels::METRIC_NAME;
use crate::store::Store;
pub use duration::duration_ms;
pub use error::{Position, QueryError};
use eval::Evaluator;
pub use range::Steps;
pub use series::{SeriesSelector, series};
pub use value::shown;
pub use value::{Element, Series, Value};

/// A query that was read and can be evaluated again and again; cheap to clone.
#[derive(Clone)]
pub struct Query(Arc<Parsed>);

struct Parsed {
    text: String,
    expr: Expr,
}

// === impl Query ===

impl Query {
    /// Reads a PromQL expression.
    ///
    /// # Errors
    ///
    /// Fails if the text is not PromQL, is too large, or uses something that is not implemented; the error knows
    /// where in the text.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let expr = parse::parse(text)?;
        Ok(Self(Arc::new(Parsed { text: text.to_owned(), expr })))
    }

    /// Returns the text that was parsed.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Evaluates the query at one moment.
    ///
    /// # Errors
    ///
    /// Fails if vectors do not match, a result has one label set twice, or more samples are needed than a query
    /// may read.
    pub fn instant(&self, store: &Store, at_ms: i64) -> Result<Value, QueryError> {
        let evaluator = Evaluator::new(store, Steps { start_ms: at_ms, end_ms: at_ms, step_ms: 0 });
        evaluator.value(&self.0.expr, at_ms)
    }

    /// Evaluates the query at each step of a stretch of time and joins the results by their labels.
    ///
    /// # Errors
    ///
    /// As [`Query::instant`], and if there are too many steps or the result has no numbers.
    pub fn range(&self, store: &Store, steps: Steps) -> Result<Vec<Series>, QueryError> {
        range::evaluate(store, &self.0.expr, steps)
    }

    /// Returns the names of the metrics that the query selects by name.
    pub fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        collect_names(&self.0.expr, &mut names);
        names
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Query").field(&self.text()).finish()
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Query {}

fn collect_names(expr: &Expr, names: &mut BTreeSet<String>) {
    match expr {
        Expr::VectorSelector(selector) => names.extend(selector_name(selector)),
        Expr::MatrixSelector(matrix) => names.extend(selector_name(&matrix.vs)),
        Expr::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| collect_names(param, names));
            collect_names(&aggregate.expr, names);
        }
        Expr::Unary(unary) => collect_names(&unary.expr, names),
        Expr::Paren(paren) => collect_names(&paren.expr, names),
        Expr::Subquery(subquery) => collect_names(&subquery.expr, names),
        Expr::Binary(binary) => {
            collect_names(&binary.lhs, names);
            collect_names(&binary.rhs, names);
        }
        Expr::Call(call) => call.args.args.iter().for_each(|argument| collect_names(argument, names)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// Returns the one metric name that a selector selects, if it does.
fn selector_name(selector: &VectorSelector) -> Option<String> {
    selector.name.clone().or_else(|| {
        let matchers = selector.matchers.matchers.iter();
        let mut named = matchers.filter(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal);
        named.next().map(|matcher| matcher.value.clone())
    })
}

#[cfg(test)]
mod tests;
