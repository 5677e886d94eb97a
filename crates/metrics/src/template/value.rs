//! Owns the values of expressions: what is true, what has fields, and how each is written.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::clock;
use super::format::general;
use crate::labels::Labels;

/// What an expression yields; cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `nil`, or what a map does not have.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    /// Label sets: an absent label is an empty text.
    Labels(Labels),
    /// What `args` makes.
    Map(Rc<BTreeMap<String, Value>>),
    List(Rc<Vec<Value>>),
    /// One element of what `query` found.
    Sample(Rc<Sample>),
    /// Seconds since the Unix epoch, of `toTime`.
    Time(f64),
    /// Nanoseconds, of `toDuration`.
    Length(i64),
    /// What a template is given: `.`, `$`.
    Root,
}

/// An element of what `query` found.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    pub(super) value: f64,
}

// === impl Value ===

impl Value {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// Whether `if` takes it for true: whatever is not empty, zero or nothing.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Length(length) => *length != 0,
            Self::Sample(_) | Self::Time(_) | Self::Root => true,
        }
    }

    /// What messages call its type, in Go's words.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::List(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Time(_) => "*time.Time",
            Self::Length(_) => "*time.Duration",
            Self::Root => "struct",
        }
    }

    /// The value as it is written into the text.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            _ => self.written(),
        }
    }

    /// The value as `print` writes it.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => general(*number, None),
            Self::Text(text) => text.to_string(),
            Self::Labels(labels) => {
                let pairs: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Map(map) => {
                let pairs: Vec<String> =
                    map.iter().map(|(name, value)| format!("{name}:{}", value.written())).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::List(list) => {
                let all: Vec<String> = list.iter().map(Self::written).collect();
                format!("[{}]", all.join(" "))
            }
            Self::Sample(sample) => {
                format!("{} {}", Self::Labels(sample.labels.clone()).written(), general(sample.value, None))
            }
            Self::Time(seconds) => clock::shown(*seconds).unwrap_or_default(),
            Self::Length(nanoseconds) => clock::length_shown(*nanoseconds),
            Self::Root => "map[]".to_owned(),
        }
    }
}
