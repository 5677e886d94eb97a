//! Owns the server that the official conformance suite calls: every tool, resource and prompt that it names, over any
//! transport.
//!
//! `fixture` speaks MCP over stdio; `fixture::http` speaks Streamable HTTP. What it says is the same in both.

pub(crate) mod http;
mod said;

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::guarded::block_on;

/// Where what the server says goes to.
pub(crate) trait Way: Send + Sync {
    fn say(&self, message: &Value);

    /// Closes the connection by which the answer would go; the client is to come back for it. Returns once it has.
    fn hang_up(&self) -> impl Future<Output = ()> + Send;
}

/// What one client was asked and has not answered.
#[derive(Default)]
pub(crate) struct Asked {
    waiting: Mutex<(u64, HashMap<u64, oneshot::Sender<Value>>)>,
}

impl Asked {
    /// Asks the client, and waits for its result; an error of the client comes as it is.
    async fn ask(&self, way: &impl Way, method: &str, params: &Value) -> Value {
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut waiting = self.waiting.lock().unwrap();
            waiting.0 += 1;
            let id = waiting.0;
            waiting.1.insert(id, reply);
            id
        };
        way.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        answer.await.unwrap_or_default()
    }

    /// Takes in an answer of the client.
    pub(crate) fn answered(&self, message: &Value) {
        let waiting = message["id"].as_u64().and_then(|id| self.waiting.lock().unwrap().1.remove(&id));
        if let Some(reply) = waiting {
            let result = if message["error"].is_null() { &message["result"] } else { &message["error"] };
            let _ = reply.send(result.clone());
        }
    }
}

/// Answers one request, and says meanwhile what belongs to it.
pub(crate) async fn answer(request: &Value, asked: &Asked, way: &impl Way) -> Value {
    let params = &request["params"];
    let method = request["method"].as_str().unwrap_or_default();
    let result = match method {
        "tools/call" => call(params, asked, way).await,
        _ => said::result(method, params),
    };
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": request["id"], "result": result}),
        Err((code, message)) => {
            json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}})
        }
    }
}

async fn call(params: &Value, asked: &Asked, way: &impl Way) -> Result<Value, (i32, String)> {
    let notify = |method: &str, params: Value| {
        way.say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    };
    let arguments = &params["arguments"];
    let name = params["name"].as_str().unwrap_or_default();
    let said = match name {
        "test_tool_with_logging" => {
            for data in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                notify("notifications/message", json!({"level": "info", "logger": "fixture", "data": data}));
            }
            "logged three times".to_owned()
        }
        "test_tool_with_progress" => {
            let token = &params["_meta"]["progressToken"];
            for progress in [0, 50, 100].into_iter().filter(|_| !token.is_null()) {
                let params = json!({"progressToken": token, "progress": progress, "total": 100});
                notify("notifications/progress", params);
            }
            "done".to_owned()
        }
        "test_sampling" => {
            let content = json!({"type": "text", "text": arguments["prompt"]});
            let params = json!({"messages": [{"role": "user", "content": content}], "maxTokens": 100});
            let result = asked.ask(way, "sampling/createMessage", &params).await;
            format!("LLM response: {}", result["content"]["text"].as_str().unwrap_or(&result.to_string()))
        }
        "test_elicitation" => {
            let text = |description: &str| json!({"type": "string", "description": description});
            let properties =
                json!({"username": text("User's response"), "email": text("User's email address")});
            let form = json!({"type": "object", "properties": properties, "required": ["username", "email"]});
            let params = json!({"message": arguments["message"], "requestedSchema": form});
            let result = asked.ask(way, "elicitation/create", &params).await;
            format!("User response: {}", outcome(&result))
        }
        "test_elicitation_sep1034_defaults" | "test_elicitation_sep1330_enums" => {
            let form = json!({"type": "object", "properties": said::form(name), "required": []});
            let params = json!({"message": "Please look at what is there", "requestedSchema": form});
            let result = asked.ask(way, "elicitation/create", &params).await;
            format!("Elicitation completed: {}", outcome(&result))
        }
        "test_reconnection" => {
            way.hang_up().await;
            "the client came back".to_owned()
        }
        _ => return said::tool(name),
    };
    Ok(json!({"content": [{"type": "text", "text": said}]}))
}

fn outcome(result: &Value) -> String {
    format!("action={}, content={}", result["action"].as_str().unwrap_or("none"), result["content"])
}

// === over stdio ===

/// All clients are one here.
#[derive(Clone, Copy)]
struct Pipe;

impl Way for Pipe {
    fn say(&self, message: &Value) {
        let mut stdout = std::io::stdout().lock();
        // Whoever has started it may be gone.
        let _ = writeln!(stdout, "{message}").and_then(|()| stdout.flush());
    }

    /// A pipe is not closed to come back; but what is said now makes a stream of the answer, on the other side of a guard.
    async fn hang_up(&self) {
        let params = json!({"level": "info", "data": "a pipe stays open"});
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params}));
    }
}

/// `fixture`: until its input ends.
pub(crate) fn role() -> ExitCode {
    let (sender, mut messages) = mpsc::unbounded_channel::<Value>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let _ = sender.send(serde_json::from_str(&line.unwrap()).unwrap());
        }
    });
    block_on(async {
        let asked = Arc::new(Asked::default());
        while let Some(message) = messages.recv().await {
            match (message["method"].is_string(), message["id"].is_null()) {
                (true, false) => {
                    let asked = Arc::clone(&asked);
                    tokio::spawn(async move { Pipe.say(&answer(&message, &asked, &Pipe).await) });
                }
                (false, _) => asked.answered(&message),
                (true, true) => {}
            }
        }
    });
    ExitCode::SUCCESS
}
