//! Owns the tests of one real call: what is declared is called once and timed, and what may write is never called.

use std::time::Duration;

use diagnosis::Finding;
use probe::{Declared, Endpoint};
use serde_json::{Value, json};

use crate::server::{Manner, Request, Server, answer};
use crate::{PATIENT, prober, target};

const JSON: &str = "content-type: application/json\r\nmcp-session-id: s-1\r\n";

/// A server with two pages of these tools; `get` answers with `called`, or never.
fn with_tools(
    tools: [Value; 2],
    called: Option<Value>,
) -> impl Fn(&Request) -> Manner + Send + Sync + 'static {
    move |request| {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let result = match body["method"].as_str().unwrap_or(&request.method) {
            "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}),
            "tools/list" if body["params"]["cursor"] == "2" => json!({"tools": [tools[1]]}),
            "tools/list" => json!({"tools": [tools[0]], "nextCursor": "2"}),
            "tools/call" | "resources/read" => match &called {
                Some(result) => result.clone(),
                None => return Manner::Silent,
            },
            _ => return Manner::Says(answer("202 Accepted", "", "")),
        };
        let text = json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string();
        Manner::Says(answer("200 OK", JSON, &text))
    }
}

fn tool(name: &str, annotations: &Value) -> Value {
    json!({"name": name, "annotations": annotations})
}

fn get() -> Declared {
    Declared::Tool { name: "get".to_owned(), arguments: json!({"id": 7}) }
}

/// What was found, and which methods the server has heard.
async fn call(server: &Server, declared: Option<&Declared>, within: Duration) -> (Vec<Finding>, Vec<String>) {
    let target = target(Endpoint::Upstream { url: server.url("/mcp") });
    let found = prober().call_for_real(&target, declared, within).await;
    let method = |request: &Request| {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        body["method"].as_str().unwrap_or(&request.method).to_owned()
    };
    (found, server.requests().iter().map(method).collect())
}

fn outcome(found: &[Finding]) -> String {
    let call = found.iter().find(|one| one.kind() == "tool_call").unwrap();
    format!("{}: {}", call.value().unwrap(), call.message())
}

#[tokio::test]
async fn what_only_reads_is_called_once_and_timed() {
    let reads = json!({"readOnlyHint": true});
    let tools = [tool("put", &json!({})), tool("get", &reads)];
    let server = Server::start(with_tools(tools, Some(json!({"content": []})))).await;
    let (found, heard) = call(&server, Some(&get()), PATIENT).await;
    assert_eq!(
        heard,
        ["initialize", "notifications/initialized", "tools/list", "tools/list", "tools/call", "DELETE"]
    );
    let said = outcome(&found);
    assert!(said.starts_with("ok: `get`: initialize ") && said.contains(", tools/call "), "{said}");
    let seconds = found.iter().find(|one| one.kind() == "tool_call_seconds").unwrap();
    assert!(seconds.value().unwrap().number().is_some_and(|seconds| seconds < 60.0), "{seconds}");
    let arguments: Value = serde_json::from_str(&server.requests()[4].body).unwrap();
    assert_eq!(arguments["params"], json!({"name": "get", "arguments": {"id": 7}}));
}

#[tokio::test]
async fn what_may_write_is_never_called() {
    let reads = json!({"readOnlyHint": true});
    for (tools, why) in [
        ([tool("get", &json!({})), tool("put", &json!({}))], "does not say that it only reads"),
        ([tool("get", &json!({"readOnlyHint": "true"})), tool("put", &json!({}))], "does not say"),
        // Of two that share a name nobody knows which one is called.
        ([tool("get", &reads), tool("get", &json!({"readOnlyHint": false}))], "does not say"),
        ([tool("a", &reads), tool("b", &reads)], "has no such tool"),
    ] {
        let server = Server::start(with_tools(tools, Some(json!({})))).await;
        let (found, heard) = call(&server, Some(&get()), PATIENT).await;
        assert!(!heard.iter().any(|method| method == "tools/call"), "{heard:?}");
        let said = outcome(&found);
        assert!(said.starts_with("unknown: `get`: ") && said.contains(why), "{said}");
    }
    let server = Server::start(with_tools([json!({}), json!({})], Some(json!({})))).await;
    let (found, heard) = call(&server, None, PATIENT).await;
    assert!(found.is_empty() && heard.is_empty(), "nothing is looked for where nothing is declared");
}

#[tokio::test]
async fn failures_and_silence_are_told_apart() {
    let reads = json!({"readOnlyHint": true});
    let tools = || [tool("get", &reads), tool("put", &json!({}))];
    let server = Server::start(with_tools(tools(), Some(json!({"isError": true, "content": []})))).await;
    let (found, _) = call(&server, Some(&get()), PATIENT).await;
    assert!(outcome(&found).starts_with("failed: `get`: the tool says that it failed"), "{found:?}");
    assert_eq!(found.len(), 1, "what failed has no time: {found:?}");
    let server = Server::start(with_tools(tools(), None)).await;
    let (found, heard) = call(&server, Some(&get()), Duration::from_secs(2)).await;
    assert!(outcome(&found).starts_with("timeout: `get`: no answer within"), "{found:?}");
    let is_called = heard.iter().any(|method| method == "tools/call");
    assert!(
        !is_called || heard.ends_with(&["DELETE".to_owned()]),
        "the session is ended all the same: {heard:?}"
    );
    let resource = Declared::Resource("notes://all".to_owned());
    let server = Server::start(with_tools(tools(), Some(json!({"contents": []})))).await;
    let (found, heard) = call(&server, Some(&resource), PATIENT).await;
    assert!(outcome(&found).starts_with("ok: `notes://all`: "), "{found:?}");
    assert!(!heard.iter().any(|method| method == "tools/list"), "{heard:?}");
}
