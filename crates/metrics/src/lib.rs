//! Owns metrics: exposition text, series, PromQL, alerting rules, alert states, silences and inhibition. No network; time is an argument.

mod alert;
mod backtest;
mod code;
mod disk;
pub mod exposition;
mod fingerprint;
mod frame;
mod hash;
mod inhibition;
mod labels;
mod matcher;
pub mod notation;
mod promql;
mod rule;
mod rule_test;
mod silence;
mod store;
mod template;

pub use alert::{
    Alert, AlertState, Alerts, AtOnce, EvaluationError, GroupStatus, Restoring, RuleSettings, RuleStatus,
    Transition,
};
pub use backtest::{
    Backtest, BacktestError, Firing, History, HistoryFull, PastAlert, PastFailure, backtest, read_recorded,
};
pub use disk::{Damage, Disk, DiskError, Files, Recovery};
pub use exposition::{Format, Metadata, PageLimits, metadata};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use inhibition::{InhibitRule, inhibitors};
pub use labels::{Labels, METRIC_NAME, Sample, is_label_name};
pub use matcher::{Comparison, Matcher, MatcherError, all_match, parse_matchers};
pub use promql::{
    Annotation, AnnotationKind, Answer, Element, Elsewhere, Engine, Limit, Portable, Position, Query,
    QueryBounds, QueryError, QueryLimits, QueryNeeds, SelectorError, Series, SeriesSelector, Steps, Value,
    duration_ms, series, shown,
};
pub use rule::{
    ALERT_NAME, AlertingRule, RecordingRule, Rule, RuleGroup, RuleLevel, RuleProblem, parse_rules,
    parse_rules_with,
};
pub use rule_test::{RuleTestFailure, RuleTestFile, parse_rule_tests};
pub use silence::{Breadth, Silence, SilenceError, SilenceState, Silences};
pub use store::{AppendError, Bounds, Counters, Limits, Piece, Scrape, ScrapeSummary, Size, Store, Stretch};
pub use template::{Template, TemplateContext, TemplateError};
