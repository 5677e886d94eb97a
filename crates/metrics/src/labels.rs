//! Owns label sets: sorted, unique, cheap to clone, shown the way Prometheus shows them.

mod dictionary;
mod symbol;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use dictionary::{LabelReader, LabelWriter};
use symbol::Symbol;
pub(crate) use symbol::Symbols;

/// The label that holds the name of a metric.
pub const METRIC_NAME: &str = "__name__";

/// A sorted set of labels, no name twice and no value empty: an empty value means that the label is absent.
///
/// A clone counts a reference; a subset shares its names and values with the set that it came from.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels(Arc<[Symbol]>);

/// One value of one series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series, metric name included.
    pub labels: Labels,
    /// When the value held, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The value; NaN and infinities are values like others.
    pub value: f64,
}

// === impl Labels ===

impl Labels {
    /// Returns the set without any label.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Returns the set of one metric: its name and further labels.
    pub fn metric(name: &str, labels: &[(&str, &str)]) -> Self {
        std::iter::once((METRIC_NAME, name)).chain(labels.iter().copied()).collect()
    }

    /// Returns the value of a label, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|known| known.name().cmp(name)).ok()?;
        Some(self.0[index].value())
    }

    /// Returns the name of the metric, if there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Returns the set with this label set to this value; an empty value removes the label.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut labels = self.0.to_vec();
        match labels.binary_search_by(|known| known.name().cmp(name)) {
            Ok(index) => labels[index] = Symbol::new(name, value),
            Err(index) => labels.insert(index, Symbol::new(name, value)),
        }
        labels.retain(|label| !label.value().is_empty());
        Self(labels.into())
    }

    /// Returns the set without the label of this name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        if self.get(name).is_none() {
            return self.clone();
        }
        self.filtered(|known| known != name)
    }

    /// Returns the set of those labels whose name passes.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        // The order is kept, so there is nothing to sort.
        Self(self.0.iter().filter(|label| keep(label.name())).cloned().collect())
    }

    /// Returns the labels in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|label| (label.name(), label.value()))
    }

    fn of(mut labels: Vec<Symbol>) -> Self {
        labels.sort_by(|left, right| left.name().cmp(right.name()));
        labels.dedup_by(|later, earlier| {
            let same = later.name() == earlier.name();
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        labels.retain(|label| !label.value().is_empty());
        Self(labels.into())
    }

    /// Returns how many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    /// Of two labels with one name the later one stays.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let labels = labels.into_iter();
        Self::of(labels.map(|(name, value)| Symbol::new(name.as_ref(), value.as_ref())).collect())
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outside, name) = match self.metric_name() {
            Some(name) if is_metric_name(name) => (name, None),
            name => ("", name),
        };
        let pairs = self.iter().filter(|(name, _)| *name != METRIC_NAME).map(|(name, value)| {
            let name = if is_label_name(name) { name.to_owned() } else { quoted(name) };
            format!("{name}={}", quoted(value))
        });
        let inside: Vec<String> = name.map(quoted).into_iter().chain(pairs).collect();
        f.write_str(outside)?;
        if outside.is_empty() || !inside.is_empty() {
            write!(f, "{{{}}}", inside.join(","))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let labels = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(labels.into_iter().collect())
    }
}

/// Tells whether a name can stand outside quotes as the name of a metric.
pub(crate) fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(is_metric_byte)
}

/// Tells whether a name can stand outside quotes as the name of a label.
pub fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}

/// Tells whether a byte may be part of an unquoted metric name.
pub(crate) fn is_metric_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

/// Returns the text in double quotes, with the three escapes that the exposition format knows.
pub(crate) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &Labels, shown: &str) {
        assert_eq!(labels.to_string(), shown);
    }

    #[test]
    fn shows_as_prometheus_does() {
        check(&Labels::empty(), "{}");
        check(&Labels::metric("up", &[]), "up");
        check(&Labels::metric("up", &[("b", "2"), ("a", "1")]), r#"up{a="1",b="2"}"#);
        check(&Labels::from_iter([("a", "1")]), r#"{a="1"}"#);
        check(&Labels::metric("my.metric", &[]), r#"{"my.metric"}"#);
        check(&Labels::metric("my.metric", &[("a.b", "x\"\\\n")]), r#"{"my.metric","a.b"="x\"\\\n"}"#);
    }

    #[test]
    fn the_later_of_two_wins_and_empty_is_absent() {
        check(&Labels::from_iter([("a", "1"), ("a", "2"), ("b", "")]), r#"{a="2"}"#);
        let labels = Labels::metric("up", &[("a", "1")]);
        check(&labels.with("a", "2"), r#"up{a="2"}"#);
        check(&labels.with("a", ""), "up");
        check(&labels.without("a"), "up");
        check(&labels.without(METRIC_NAME), r#"{a="1"}"#);
        assert_eq!(labels.get("a"), Some("1"));
        assert_eq!(labels.get("b"), None);
        assert_eq!(labels.metric_name(), Some("up"));
    }

    #[test]
    fn order_of_writing_does_not_matter() {
        let one = Labels::from_iter([("a", "1"), ("b", "2")]);
        let other = Labels::from_iter([("b", "2"), ("a", "1")]);
        assert_eq!(one, other);
    }
}
