//! Owns `/api/test-read`: one real read through the server, so that "it answers" can mean "it can read its data".
//!
//! What is read is what the operator has declared. Without that a tool is looked for that says of itself that it only
//! reads and needs no arguments, or only such whose schema gives a value (`default`, `const`, `enum`, `examples`); the
//! one with the fewest, and rather one that does not reach out into the world. Else the first resource. The answer is
//! 200 only if the server has returned a result that is no error; 501 where nothing is known that could be read.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::asked::Asked;
use crate::catalogue::Listing;
use crate::envelope;
use crate::inflight::Answer;
use crate::own::{Own, Read};
use crate::pipe::Unanswered;
use crate::reads::{Reads, tool, tools_of};
use crate::state::Guard;

/// What a tool says is shown as far as it helps to recognise it.
const SHOWN_CHARS: usize = 300;
/// How long looking for a resource may take.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What came of a read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server has read so many bytes, as JSON.
    Read(usize),
    /// It has not, for this reason.
    Failed(String),
    /// Nothing is known that could be read.
    Nothing,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default, rename = "inputSchema")]
    schema: Schema,
    #[serde(default)]
    annotations: Hints,
}

#[derive(Default, Deserialize)]
struct Schema {
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    required: Vec<String>,
}

#[derive(Deserialize)]
struct Hints {
    #[serde(default = "yes", rename = "openWorldHint")]
    open_world: bool,
}

fn yes() -> bool {
    true
}

impl Default for Hints {
    fn default() -> Self {
        Self { open_world: true }
    }
}

/// Answers `GET /api/test-read`.
pub(crate) async fn answer(guard: &Guard) -> (StatusCode, String) {
    let asked = Instant::now();
    let own = guard.own();
    let (read, outcome) = match guard.asked() {
        None => (None, Outcome::Failed(guard.unavailable())),
        Some(server) => {
            let all = within(own.test_read.timeout, guard, &server).await;
            all.unwrap_or_else(|(read, reason)| (read, Outcome::Failed(reason)))
        }
    };
    report(&guard.settings.name, read.as_ref(), &outcome, asked.elapsed())
}

/// Looks for something to read, and reads it.
async fn within(
    timeout: Duration,
    guard: &Guard,
    server: &Asked,
) -> Result<(Option<Read>, Outcome), (Option<Read>, String)> {
    let own = guard.own();
    let read = match &own.test_read.read {
        Some(read) => {
            check_declared(&own, guard, read, server).await.map_err(|reason| (Some(read.clone()), reason))?;
            Some(read.clone())
        }
        None => found(guard, server).await.map_err(|reason| (None, reason))?,
    };
    let Some(read) = read else { return Ok((None, Outcome::Nothing)) };
    let (method, params) = request(&read);
    let outcome =
        judge(server.ask(method, Some(&params), timeout).await, own.test_read.expect.as_deref(), timeout);
    Ok((Some(read), outcome))
}

/// A tool that the operator has declared is called only if it is known to read.
async fn check_declared(own: &Own, guard: &Guard, read: &Read, server: &Asked) -> Result<(), String> {
    let Read::Tool(tool, _) = read else { return Ok(()) };
    let is_read = match own.reads.said(tool) {
        Some(said) => said,
        None => guard.catalogue.of(server).await?.hints.of(tool),
    };
    let refuse = || format!("tool `{tool}` does not say that it only reads: name it in `reads` if it does");
    if is_read { Ok(()) } else { Err(refuse()) }
}

async fn found(guard: &Guard, server: &Asked) -> Result<Option<Read>, String> {
    let listing = guard.catalogue.of(server).await?;
    if let Some(read) = choose(&listing, &guard.own().reads) {
        return Ok(Some(read));
    }
    match server.ask("resources/list", None, LOOK_MAX).await {
        Ok(Answer::Result(result)) => Ok(first_resource(&result).map(Read::Resource)),
        // A server without resources says that it knows no such method.
        Ok(Answer::Error(_)) => Ok(None),
        Ok(Answer::Ended(reason)) | Err(Unanswered::Ended(reason)) => Err(reason),
        Err(Unanswered::TimedOut) => {
            Err(format!("`resources/list` was not answered within {} s", LOOK_MAX.as_secs()))
        }
    }
}

/// The method and the parameters of a read.
fn request(read: &Read) -> (&'static str, String) {
    match read {
        Read::Tool(name, arguments) => {
            ("tools/call", format!("{{\"name\":{},\"arguments\":{arguments}}}", Value::from(name.as_str())))
        }
        Read::Resource(uri) => ("resources/read", json!({ "uri": uri }).to_string()),
    }
}

fn judge(answer: Result<Answer, Unanswered>, expect: Option<&str>, timeout: Duration) -> Outcome {
    match answer {
        Ok(Answer::Result(result)) => match envelope::member(&result, "isError") {
            Ok(Some("true")) => Outcome::Failed(format!("the tool says that it failed: {}", said(&result))),
            Ok(_) if expect.is_some_and(|expect| !holds(&result, expect)) => {
                Outcome::Failed(format!("what is expected is not in it, but this: {}", said(&result)))
            }
            Ok(_) => Outcome::Read(result.len()),
            Err(_) => Outcome::Failed("the result is not understood".to_owned()),
        },
        Ok(Answer::Error(error)) => Outcome::Failed(format!("it was answered with the error {error}")),
        Ok(Answer::Ended(reason)) | Err(Unanswered::Ended(reason)) => Outcome::Failed(reason),
        Err(Unanswered::TimedOut) => Outcome::Failed(format!("no answer within {} s", timeout.as_secs_f64())),
    }
}

/// Whether one of the texts of a result has these words in it.
fn holds(result: &str, expect: &str) -> bool {
    let result: Value = serde_json::from_str(result).unwrap_or_default();
    let parts = ["content", "contents"].into_iter().filter_map(|name| result[name].as_array()).flatten();
    let mut texts = parts.filter_map(|one| one["text"].as_str().or_else(|| one["resource"]["text"].as_str()));
    texts.any(|text| text.contains(expect))
}

/// What a tool said.
fn said(result: &str) -> String {
    let content = serde_json::from_str::<Value>(result).map(|result| result["content"].clone());
    let texts = content.unwrap_or_default();
    let texts = texts.as_array().into_iter().flatten().filter_map(|one| one["text"].as_str());
    crate::log::clip(&texts.collect::<Vec<_>>().join(" "), SHOWN_CHARS)
}

/// The tool that is read by, if there is one: it only reads, and its arguments are known.
fn choose(listing: &Listing, reads: &Reads) -> Option<Read> {
    let mut best: Option<((bool, usize), Read)> = None;
    for raw in listing.pages.iter().flat_map(|page| tools_of(page).unwrap_or_default()) {
        let Some((name, _)) = tool(raw) else { continue };
        // Asked by its name: of two that share one, both must say so.
        if !reads.is_read(&name, listing.hints.of(&name)) {
            continue;
        }
        let Ok(described) = serde_json::from_str::<Described>(raw.get()) else { continue };
        let Some(arguments) = arguments(&described.schema) else { continue };
        let rank = (described.annotations.open_world, arguments.len());
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, Read::Tool(name.into_owned(), Value::Object(arguments).to_string())));
        }
    }
    best.map(|(_, read)| read)
}

/// A value for everything that is required, as the schema gives it.
fn arguments(schema: &Schema) -> Option<Map<String, Value>> {
    let value = |name: &String| {
        let property = schema.properties.get(name)?;
        let first = |key: &str| property.get(key).and_then(|all| all.as_array()?.first());
        let given = property.get("default").or_else(|| property.get("const"));
        Some((name.clone(), given.or_else(|| first("enum")).or_else(|| first("examples"))?.clone()))
    };
    schema.required.iter().map(value).collect()
}

fn first_resource(result: &str) -> Option<String> {
    let result: Value = serde_json::from_str(result).ok()?;
    result["resources"].as_array()?.iter().find_map(|one| Some(one["uri"].as_str()?.to_owned()))
}

/// The answer, as HTTP has it.
pub(crate) fn report(
    server: &str,
    read: Option<&Read>,
    outcome: &Outcome,
    took: Duration,
) -> (StatusCode, String) {
    let read = read.map(|read| match read {
        Read::Tool(name, arguments) => json!({
            "tool": name, "arguments": serde_json::from_str::<Value>(arguments).unwrap_or_default(),
        }),
        Read::Resource(uri) => json!({ "resource": uri }),
    });
    let (code, status, reason, bytes) = match outcome {
        Outcome::Read(bytes) => (StatusCode::OK, "read", "the server has read".to_owned(), Some(*bytes)),
        Outcome::Failed(reason) => (StatusCode::SERVICE_UNAVAILABLE, "failed", reason.clone(), None),
        Outcome::Nothing => {
            let reason = "no tool says that it only reads and needs no arguments, and there is no resource: declare \
                          `test_read` in the guard's settings file";
            (StatusCode::NOT_IMPLEMENTED, "unknown", reason.to_owned(), None)
        }
    };
    let document = json!({
        "status": status,
        "server": server,
        "reason": reason,
        "read": read,
        "bytes": bytes,
        "duration_ms": took.as_micros() as f64 / 1000.0,
    });
    (code, document.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Outcome, choose, judge, report};
    use crate::catalogue::Listing;
    use crate::inflight::Answer;
    use crate::own::Read;
    use crate::reads::{Hints, Reads};

    fn chosen(tools: &Value) -> Option<String> {
        let pages = vec![json!({ "tools": tools }).to_string()];
        let mut hints = Hints::default();
        pages.iter().for_each(|page| hints.learn(page));
        choose(&Listing { hints, pages }, &Reads::default()).map(|read| match read {
            Read::Tool(name, arguments) => format!("{name} {arguments}"),
            Read::Resource(uri) => uri,
        })
    }

    #[test]
    fn a_tool_is_found_whose_arguments_are_known() {
        let read = json!({ "readOnlyHint": true });
        let near = json!({ "readOnlyHint": true, "openWorldHint": false });
        let needs = |property: Value| json!({ "properties": { "zone": property }, "required": ["zone"] });
        let tool = |name: &str, annotations: &Value, schema: Value| json!({ "name": name, "annotations": annotations, "inputSchema": schema });
        let write = tool("write", &json!({}), json!({}));
        let asks = tool("asks", &read, needs(json!({ "type": "string" })));
        for (tools, expect) in [
            (json!([]), None),
            (json!([write]), None),
            (json!([asks]), None),
            (json!([write, asks, tool("plain", &read, json!({ "type": "object" }))]), Some("plain {}")),
            (json!([tool("a", &read, needs(json!({ "default": "UTC" })))]), Some("a {\"zone\":\"UTC\"}")),
            (json!([tool("a", &read, needs(json!({ "enum": [3, 4] })))]), Some("a {\"zone\":3}")),
            (json!([tool("a", &read, json!({ "required": ["x"] }))]), None),
            (
                json!([tool("far", &read, json!({})), tool("near", &near, needs(json!({ "const": 1 })))]),
                Some("near {\"zone\":1}"),
            ),
            (json!([tool("two", &read, json!({})), { "name": "two" }]), None),
            (json!([tool("odd", &read, json!({ "required": 7 })), 3]), None),
        ] {
            assert_eq!(chosen(&tools).as_deref(), expect, "{tools}");
        }
    }

    #[test]
    fn what_is_known_of_the_data_has_to_be_in_what_is_read() {
        let check = |result: &str, right: bool| {
            let answer = Ok(Answer::Result(result.to_owned()));
            let outcome = judge(answer, Some("[(1, 'ada')]"), std::time::Duration::from_secs(1));
            assert_eq!(matches!(outcome, Outcome::Read(_)), right, "{result}: {outcome:?}");
        };
        check(r#"{"content":[{"type":"text","text":"rows: [(1, 'ada')]"}]}"#, true);
        check(r#"{"contents":[{"uri":"a:b","text":"[(1, 'ada')]"}]}"#, true);
        check(r#"{"content":[{"type":"text","text":"[]"}]}"#, false);
        check(r#"{"content":[]}"#, false);
        check("{}", false);
    }

    #[test]
    fn only_a_result_that_is_no_error_is_a_read() {
        let second = std::time::Duration::from_secs(1);
        let result = |text: &str| judge(Ok(Answer::Result(text.to_owned())), None, second);
        assert_eq!(result("{\"content\":[]}"), Outcome::Read(14));
        let failed = result(r#"{"isError":true,"content":[{"type":"text","text":"disk gone"}]}"#);
        assert_eq!(failed, Outcome::Failed("the tool says that it failed: disk gone".to_owned()));
        assert!(matches!(judge(Ok(Answer::Error("{}".to_owned())), None, second), Outcome::Failed(_)));
        for (outcome, code) in [(Outcome::Read(1), 200), (failed, 503), (Outcome::Nothing, 501)] {
            assert_eq!(report("mem", None, &outcome, second).0.as_u16(), code);
        }
    }
}
