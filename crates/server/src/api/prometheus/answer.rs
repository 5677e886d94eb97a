//! Owns the JSON forms of Prometheus' API.

use metrics::{Annotation, AnnotationKind, Element, Labels, Series, Value};
use serde::{Deserialize, Serialize};

/// The envelope of every answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Answer<T> {
    /// It was answered.
    Success {
        /// What was asked for.
        data: T,
        /// Why it may not be what was meant.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
        /// What was assumed, or set right.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        infos: Vec<String>,
    },
    /// It was not.
    Error {
        /// `bad_data`, `execution`, `timeout` or `internal`.
        #[serde(rename = "errorType")]
        error_type: String,
        /// Why.
        error: String,
    },
}

/// The result of a query.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub enum Data {
    /// One number.
    Scalar(Point),
    /// A text.
    String(Point),
    /// Series with one value each.
    Vector(Vec<Instant>),
    /// Series with their samples.
    Matrix(Vec<Range>),
}

/// A moment in seconds since the Unix epoch, and a number in the notation of Prometheus, or a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point(pub f64, pub String);

/// A series and its value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instant {
    /// What tells it from the others.
    pub metric: Labels,
    /// Its value.
    pub value: Point,
}

/// A series and its samples.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Range {
    /// What tells it from the others.
    pub metric: Labels,
    /// In the order of time.
    pub values: Vec<Point>,
}

/// What Grafana wants to know of a data source before it asks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Build {
    application: &'static str,
    /// The language is the one of this version of Prometheus.
    version: &'static str,
    revision: &'static str,
}

// === impl Answer ===

impl<T> Answer<T> {
    pub(super) fn success(data: T, annotations: &[Annotation]) -> Self {
        let of = |kind| {
            let of_kind = annotations.iter().filter(|one| one.kind == kind);
            of_kind.map(ToString::to_string).collect()
        };
        Self::Success { data, warnings: of(AnnotationKind::Warning), infos: of(AnnotationKind::Info) }
    }
}

// === impl Data ===

impl Data {
    /// The result of a query at one moment.
    pub(super) fn at(value: Value, at_ms: i64) -> Self {
        match value {
            Value::Scalar(value) => Self::Scalar(Point::new(at_ms, value)),
            Value::Text(text) => Self::String(Point(seconds(at_ms), text)),
            Value::Vector(elements) => Self::Vector(
                elements
                    .into_iter()
                    .map(|Element { labels, value }| Instant {
                        metric: labels,
                        value: Point::new(at_ms, value),
                    })
                    .collect(),
            ),
            Value::Matrix(series) => Self::over(series),
        }
    }

    /// The result of a query over a stretch of time.
    pub(super) fn over(series: Vec<Series>) -> Self {
        let range = |Series { labels, samples }| Range {
            metric: labels,
            values: samples.into_iter().map(|(at_ms, value)| Point::new(at_ms, value)).collect(),
        };
        Self::Matrix(series.into_iter().map(range).collect())
    }
}

// === impl Point ===

impl Point {
    fn new(at_ms: i64, value: f64) -> Self {
        Self(seconds(at_ms), metrics::shown(value))
    }

    /// The number; none where the text is not one.
    pub fn number(&self) -> Option<f64> {
        self.1.parse().ok()
    }

    /// The moment, in milliseconds since the Unix epoch.
    pub fn at_ms(&self) -> i64 {
        (self.0 * 1e3).round() as i64
    }
}

// === impl Build ===

impl Build {
    pub(super) fn current() -> Self {
        Self { application: "Paramedic", version: "3.0.0", revision: env!("CARGO_PKG_VERSION") }
    }
}

/// Exact to the millisecond for the next hundred thousand years.
fn seconds(at_ms: i64) -> f64 {
    at_ms as f64 / 1e3
}
