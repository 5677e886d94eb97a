//! Owns the demonstration's client: a new session, one tool call, and a look whether the answer is right.

use std::time::{Duration, Instant};

use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;

use super::{DemoError, LOOK};

/// Asks a server until it answers rightly.
pub(super) async fn answer_within(
    name: &str,
    endpoint: &str,
    allowed: Duration,
) -> Result<String, DemoError> {
    let deadline = Instant::now() + allowed;
    loop {
        match tokio::time::timeout(allowed, ask(name, endpoint)).await {
            Ok(Ok(answer)) => return judge(name, answer),
            Ok(Err(_)) if Instant::now() < deadline => tokio::time::sleep(LOOK).await,
            Ok(Err(error)) => {
                return Err(DemoError::Late(format!("`{name}` did not answer ({error})"), allowed));
            }
            Err(_) => return Err(DemoError::Late(format!("`{name}` did not answer"), allowed)),
        }
    }
}

/// One session with one call. The error is the SDK's own words.
async fn ask(name: &str, endpoint: &str) -> Result<String, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let client =
        ().serve(StreamableHttpClientTransport::from_uri(endpoint)).await.map_err(|error| words(&error))?;
    let (tool, arguments) = match name {
        "sums" => ("add", serde_json::json!({ "terms": [19, 23] })),
        _ => ("add_note", serde_json::json!({ "text": "hello" })),
    };
    let mut call = CallToolRequestParams::new(tool);
    call.arguments = arguments.as_object().cloned();
    let result = client.call_tool(call).await.map_err(|error| words(&error));
    let text = result.map(|result| {
        result
            .content
            .first()
            .and_then(|content| content.as_text())
            .map(|text| text.text.clone())
            .unwrap_or_default()
    });
    let _ = client.cancel().await;
    text
}

fn judge(name: &str, answer: String) -> Result<String, DemoError> {
    let (asked, right) = match name {
        "sums" => ("19 + 23", answer == "42"),
        _ => ("a note is kept, and now there are", answer.parse::<u32>().is_ok_and(|n| n >= 1)),
    };
    if right {
        Ok(format!("{asked} = {answer}").replace("are =", "are"))
    } else {
        Err(DemoError::Wrong { server: name.to_owned(), answer })
    }
}
