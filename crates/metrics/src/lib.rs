//! Owns metrics: exposition text, series, PromQL, alerting rules and alert states. No network; time is an argument.

mod alert;
pub mod exposition;
mod fingerprint;
mod labels;
mod promql;
mod rule;
mod store;

pub use alert::{Alert, AlertState, Alerts, AtOnce, EvaluationError, Transition};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use labels::{Labels, METRIC_NAME, Sample};
pub use promql::{Element, Position, Query, QueryError, Series, Steps, Value};
pub use rule::AlertingRule;
pub use store::{AppendError, Limits, ScrapeSummary, Size, Store};
