//! Owns reading what an engine answers: no more of it is held than series are allowed, however many there are.

use std::fmt;

use metrics::{Element, Labels};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::BackendError;
use crate::api::prometheus::answer::{Instant, Point};

/// The envelope. What is found is read when it is known what it is.
#[derive(Deserialize)]
struct Reply<'a> {
    status: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    result_type: String,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// The elements of an answer.
///
/// # Errors
/// Where it is a no, is not understood, or has more series than are allowed.
pub(super) fn elements(body: &[u8], series_max: usize) -> Result<Vec<Element>, BackendError> {
    let form = |error: serde_json::Error| BackendError::Form(error.to_string());
    let reply: Reply<'_> = serde_json::from_slice(body).map_err(form)?;
    if let Some(error) = reply.error.filter(|_| reply.status != "success") {
        return Err(BackendError::Says(error));
    }
    let data = reply.data.filter(|_| reply.status == "success");
    let data = data.ok_or_else(|| BackendError::Form(format!("its status is `{}`", reply.status)))?;
    match data.result_type.as_str() {
        "scalar" => {
            let point: Point = serde_json::from_str(data.result.get()).map_err(form)?;
            Ok(vec![Element { labels: Labels::empty(), value: number(&point)? }])
        }
        "vector" => {
            let mut reader = serde_json::Deserializer::from_str(data.result.get());
            let (found, count) = UpTo(series_max).deserialize(&mut reader).map_err(form)?;
            if count > series_max {
                return Err(BackendError::TooMany { found: count, max: series_max });
            }
            let element = |one: Instant| Ok(Element { value: number(&one.value)?, labels: one.metric });
            found.into_iter().map(element).collect()
        }
        _ => Err(BackendError::Form("it is no vector".to_owned())),
    }
}

fn number(point: &Point) -> Result<f64, BackendError> {
    point.number().ok_or_else(|| BackendError::Form(format!("`{}` is no number", point.1)))
}

/// Reads the first so many of an array, and counts all.
struct UpTo(usize);

impl<'de> DeserializeSeed<'de> for UpTo {
    type Value = (Vec<Instant>, usize);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for UpTo {
    type Value = (Vec<Instant>, usize);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("series")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while found.len() < self.0 {
            let Some(one) = all.next_element()? else { break };
            found.push(one);
        }
        let mut count = found.len();
        while all.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((found, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_bad_ones_are_named() {
        let check = |body: &str, expect: &str| {
            let shown = match elements(body.as_bytes(), 2) {
                Ok(found) => found
                    .iter()
                    .map(|one| format!("{} {}", one.labels, one.value))
                    .collect::<Vec<_>>()
                    .join(", "),
                Err(error) => format!("error: {error}"),
            };
            assert_eq!(shown, expect, "{body}");
        };
        let vector = |elements: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#)
        };
        let one = r#"{"metric":{"__name__":"a","b":"c"},"value":[1.5,"7"]}"#;
        check(&vector(one), r#"a{b="c"} 7"#);
        check(&vector(&one.replace('7', "NaN")), r#"a{b="c"} NaN"#);
        check(&vector(""), "");
        check(
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"+Inf"]},"warnings":["x"]}"#,
            "{} inf",
        );
        // Whichever comes first.
        check(r#"{"data":{"result":[],"resultType":"vector"},"isPartial":false,"status":"success"}"#, "");
        check(&vector(&[one; 3].join(",")), "error: 3 series were found, and 2 are the most (`series_max`)");
        // Those that are too many are counted, whatever they look like.
        check(
            &vector(&[one, one, "7", "[]"].join(",")),
            "error: 4 series were found, and 2 are the most (`series_max`)",
        );
        check(
            &vector(&one.replace('7', "seven")),
            "error: its answer is not understood: `seven` is no number",
        );
        check(r#"{"status":"error","errorType":"x","error":"too heavy"}"#, "error: it says: too heavy");
        check(r#"{"status":"error"}"#, "error: its answer is not understood: its status is `error`");
        check(r#"{"status":"success"}"#, "error: its answer is not understood: its status is `success`");
        check(
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            "error: its answer is not understood: it is no vector",
        );
        check("<html>", "error: its answer is not understood: expected value at line 1 column 1");
        check("", "error: its answer is not understood: EOF while parsing a value at line 1 column 0");
    }
}
