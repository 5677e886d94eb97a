//! Owns metrics: exposition text, series, PromQL, alerting rules, alert states, silences and inhibition. No network; time is an argument.

mod alert;
pub mod exposition;
mod fingerprint;
mod inhibition;
mod labels;
mod matcher;
mod promql;
mod rule;
mod silence;
mod store;

pub use alert::{Alert, AlertState, Alerts, AtOnce, EvaluationError, Transition};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use inhibition::{InhibitRule, inhibitors};
pub use labels::{Labels, METRIC_NAME, Sample};
pub use matcher::{Comparison, Matcher, MatcherError, all_match, parse_matchers};
pub use promql::{
    Annotation, AnnotationKind, Answer, Element, Position, Query, QueryBounds, QueryError, QueryLimits,
    Series, Steps, Value,
};
pub use rule::{ALERT_NAME, AlertingRule};
pub use silence::{Breadth, Silence, SilenceError, SilenceState, Silences};
pub use store::{AppendError, Limits, ScrapeSummary, Size, Store};
