//! Owns queries: PromQL as Prometheus 3 defines it for float samples, evaluated over the store.
//!
//! Windows are open on the left, metric names are dropped at the end of an evaluation (delayed), native histograms do
//! not exist here. A part of a query is evaluated once for all steps of a range query: series are selected once,
//! labels are hashed once, windows slide.

mod aggregate;
mod annotation;
mod bounds;
mod duration;
mod elsewhere;
mod error;
mod eval;
mod functions;
mod grid;
mod groups;
mod histogram;
mod index;
mod limits;
mod matching;
mod memo;
mod needs;
mod portable;
mod rank;
mod reduce;
mod selector;
mod series;
mod syntax;
mod value;
mod window;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::store::Store;
pub use annotation::{Annotation, AnnotationKind};
pub use bounds::{QueryBounds, QueryLimits};
pub use duration::duration_ms;
pub use elsewhere::Elsewhere;
pub use error::{Position, QueryError};
use eval::Evaluator;
pub use grid::Steps;
pub use limits::Limit;
use memo::Memo;
pub use needs::QueryNeeds;
pub use portable::{Engine, Portable};
pub use series::{SelectorError, SeriesSelector, series};
use syntax::Expr;
pub use value::shown;
pub use value::{Element, Series, Value};

/// A query that was read and can be evaluated again and again; cheap to clone.
///
/// It remembers how the labels of series were grouped and where their last windows began, as long as no series of their
/// metric comes or goes: twelve bytes for each series and aggregation, 40 for each series whose rate is asked for.
#[derive(Clone)]
pub struct Query(Arc<Parsed>, Option<Arc<Elsewhere>>);

struct Parsed {
    text: String,
    expr: Expr,
    memo: Memo,
}

/// What an evaluation yields, and what it has to say beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// Warnings and remarks, warnings first, each once; there are never more than 100.
    pub annotations: Vec<Annotation>,
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
        let expr = syntax::parse(text)?;
        Ok(Self(Arc::new(Parsed { text: text.to_owned(), expr, memo: Memo::default() }), None))
    }

    /// Returns the query with another engine's answer in the place of ours, for [`Query::instant`].
    #[must_use]
    pub fn answered_by(&self, elsewhere: &Arc<Elsewhere>) -> Self {
        Self(Arc::clone(&self.0), Some(Arc::clone(elsewhere)))
    }

    /// Returns the text that was parsed.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Evaluates the query at one moment, within default bounds; where another engine answers it, that is the answer.
    ///
    /// # Errors
    ///
    /// As [`Query::answer`], and where the other engine has none.
    pub fn instant(&self, store: &Store, at_ms: i64) -> Result<Value, QueryError> {
        if let Some(elsewhere) = &self.1 {
            return elsewhere.at(at_ms);
        }
        self.answer(store, at_ms, QueryBounds::default()).map(|answer| answer.value)
    }

    /// Evaluates the query at each step of a stretch of time, within default bounds.
    ///
    /// # Errors
    ///
    /// As [`Query::range_answer`].
    pub fn range(&self, store: &Store, steps: Steps) -> Result<Vec<Series>, QueryError> {
        self.range_answer(store, steps, QueryBounds::default()).map(|(series, _)| series)
    }

    /// Evaluates the query at one moment.
    ///
    /// # Errors
    ///
    /// Fails if vectors do not match, a result has one label set twice, a value cannot be used where it stands, or
    /// more is needed than the bounds allow.
    pub fn answer(&self, store: &Store, at_ms: i64, bounds: QueryBounds<'_>) -> Result<Answer, QueryError> {
        let evaluator = Evaluator::new(store, (self.text(), &self.0.memo), Steps::one(at_ms), bounds);
        let value = evaluator.at_one(&self.0.expr)?;
        Ok(Answer { value, annotations: evaluator.into_annotations() })
    }

    /// Evaluates the query at each step of a stretch of time; returns a series for each label set, in their order,
    /// and what there is to say.
    ///
    /// # Errors
    ///
    /// As [`Query::answer`], and if there are too many steps or the result has no numbers.
    pub fn range_answer(
        &self,
        store: &Store,
        steps: Steps,
        bounds: QueryBounds<'_>,
    ) -> Result<(Vec<Series>, Vec<Annotation>), QueryError> {
        let evaluator = Evaluator::new(store, (self.text(), &self.0.memo), steps, bounds);
        let series = evaluator.at_all(&self.0.expr)?;
        Ok((series, evaluator.into_annotations()))
    }

    /// Returns the names of the metrics that the query selects by name.
    pub fn metric_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.0.expr.selectors(&mut |selector| names.extend(selector.metric_name().map(str::to_owned)));
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

#[cfg(test)]
mod tests;
