//! Owns the functions that Prometheus adds to the language, and the list of all of them.

use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use super::format::general;
use super::scope::Scope;
use super::value::{Sample, Value};
use super::{clock, humanize, text};
use crate::labels::Labels;
use crate::promql::Element;
use crate::rule::parse_duration;

/// An expression is compiled each time, and that costs as much as so many steps.
const REGEX_STEPS: usize = 1_000;
/// How large a compiled expression may become.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Every function that a template may name.
const NAMES: &[&str] = &[
    "and",
    "args",
    "call",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "tmpl",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "urlquery",
    "value",
];

/// Returns the name of a function, if there is one of that name.
pub(super) fn named(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|known| **known == name).copied()
}

/// Makes the list of what a query found.
pub(super) fn elements(elements: Vec<Element>) -> Value {
    let sample =
        |element: Element| Value::Sample(Rc::new(Sample { labels: element.labels, value: element.value }));
    Value::List(Rc::new(elements.into_iter().map(sample).collect()))
}

/// Calls a function of Prometheus.
pub(super) fn call(name: &str, arguments: &[Value], scope: &mut Scope<'_>) -> Result<Value, String> {
    let external_url = scope.context.external_url;
    match (name, arguments) {
        ("query", [Value::Text(query)]) => scope.query(query),
        ("first", [Value::List(list)]) => {
            list.first().cloned().ok_or_else(|| "first() called on vector with no elements".to_owned())
        }
        ("label", [Value::Text(name), Value::Sample(sample)]) => Ok(of_label(&sample.labels, name)),
        ("strvalue", [Value::Sample(sample)]) => Ok(of_label(&sample.labels, "__value__")),
        ("value", [Value::Sample(sample)]) => Ok(Value::Float(sample.value)),
        ("sortByLabel", [Value::Text(name), Value::List(list)]) => {
            scope.spend(list.len())?;
            Ok(sorted(name, list))
        }
        ("args", _) => {
            let named = arguments.iter().enumerate().map(|(idx, value)| (format!("arg{idx}"), value.clone()));
            Ok(Value::Map(Rc::new(named.collect())))
        }
        ("now", []) => Ok(Value::Float(scope.context.at_ms as f64 / 1e3)),
        ("pathPrefix", []) => Ok(Value::text(text::url_path(external_url))),
        ("externalURL", []) => Ok(Value::text(external_url)),
        ("reReplaceAll", [Value::Text(pattern), Value::Text(by), Value::Text(text)]) => {
            scope.spend(REGEX_STEPS)?;
            replaced(&regex(pattern)?, by, text)
        }
        ("match", [Value::Text(pattern), Value::Text(text)]) => {
            scope.spend(REGEX_STEPS)?;
            Ok(Value::Bool(regex(pattern)?.is_match(text)))
        }
        (_, [Value::Text(argument)]) if let Some(found) = of_text(name, argument) => found.map(Value::text),
        ("parseDuration", [Value::Text(text)]) => seconds_of(text),
        (_, [argument]) if let Some(found) = of_number(name, argument) => found,
        _ => Err(wrong(name, arguments)),
    }
}

fn wrong(name: &str, arguments: &[Value]) -> String {
    let types: Vec<&str> = arguments.iter().map(Value::type_name).collect();
    format!("`{name}` does not take ({})", types.join(", "))
}

fn of_label(labels: &Labels, name: &str) -> Value {
    Value::text(labels.get(name).unwrap_or_default())
}

fn sorted(name: &str, list: &[Value]) -> Value {
    let mut sorted = list.to_vec();
    let key = |value: &Value| match value {
        Value::Sample(sample) => sample.labels.get(name).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    sorted.sort_by_key(key);
    Value::List(Rc::new(sorted))
}

/// Functions of one text.
fn of_text(name: &str, argument: &str) -> Option<Result<String, String>> {
    let link = |tab: u8| format!("/graph?g0.expr={}&g0.tab={tab}", text::query_escape(argument));
    Some(Ok(match name {
        "title" => text::title(argument),
        "toUpper" => argument.to_uppercase(),
        "toLower" => argument.to_lowercase(),
        "stripPort" => text::strip_port(argument).to_owned(),
        "stripDomain" => text::strip_domain(argument),
        "safeHtml" => argument.to_owned(),
        "urlQueryEscape" => text::query_escape(argument),
        "graphLink" => link(0),
        "tableLink" => link(1),
        _ => return None,
    }))
}

/// Functions of one number, which may be written as a text.
fn of_number(name: &str, argument: &Value) -> Option<Result<Value, String>> {
    let shown = |write: fn(f64) -> String| number(argument).map(|number| Value::text(write(number)));
    Some(match name {
        "humanize" => shown(humanize::humanize),
        "humanize1024" => shown(humanize::humanize_1024),
        "humanizeDuration" => shown(humanize::humanize_duration),
        "humanizePercentage" => shown(humanize::humanize_percentage),
        "humanizeTimestamp" => number(argument).and_then(|seconds| match seconds.is_finite() {
            true => clock::shown(seconds).map(Value::text).ok_or_else(|| too_far(seconds)),
            false => Ok(Value::text(general(seconds, Some(4)))),
        }),
        "toTime" => number(argument).and_then(|seconds| match clock::shown(seconds) {
            Some(_) => Ok(Value::Time(seconds)),
            None => Err(too_far(seconds)),
        }),
        "toDuration" => number(argument).and_then(|seconds| {
            let nanoseconds = seconds * 1e9;
            if nanoseconds.abs() < i64::MAX as f64 {
                Ok(Value::Length(nanoseconds as i64))
            } else {
                Err(too_far(seconds))
            }
        }),
        _ => return None,
    })
}

fn too_far(seconds: f64) -> String {
    format!("{} cannot be represented as a nanoseconds timestamp", general(seconds, None))
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Length(nanoseconds) => Ok(*nanoseconds as f64 / 1e9),
        Value::Text(text) => text.parse().map_err(|_| format!("`{text}` is not a number")),
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn seconds_of(text: &str) -> Result<Value, String> {
    let (sign, length) = text.strip_prefix('-').map_or((1.0, text), |length| (-1.0, length));
    let length_ms = parse_duration(length).ok_or_else(|| format!("`{text}` is not a valid duration"))?;
    Ok(Value::Float(sign * length_ms as f64 / 1e3))
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    let regex = builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
    regex.map_err(|error| format!("regular expression `{pattern}` cannot be used: {error}"))
}

fn replaced(regex: &Regex, by: &str, text: &str) -> Result<Value, String> {
    // The text may grow with every hit; what it becomes is bounded before it is made.
    let grows = regex.find_iter(text).count().saturating_mul(by.len());
    if grows > super::scope::BYTES_MAX {
        return Err(format!("replacing makes more than {} bytes", super::scope::BYTES_MAX));
    }
    Ok(Value::text(regex.replace_all(text, by).into_owned()))
}
