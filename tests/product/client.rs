//! Owns a real client: the official Rust SDK, a new session for each question.

use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::Value;

use crate::poll::eventually;
use crate::site::block_on;

/// How long one session may take: a server that hangs is asked again in a new one.
const SESSION_MAX: Duration = Duration::from_secs(20);

/// Something to ask a server, and how its answer must look.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) tool: &'static str,
    pub(crate) arguments: Value,
    /// What the right answer holds.
    pub(crate) right: &'static str,
}

impl Question {
    /// Asks in new sessions until there is the right answer.
    #[track_caller]
    pub(crate) fn ask_until_right(&self, endpoint: &str) {
        let mut last = String::new();
        eventually(&format!("a right answer to {self:?}"), || {
            match ask(endpoint, self.tool, &self.arguments) {
                Ok(answer) => {
                    assert!(answer.contains(self.right), "wrong: {answer}");
                    Some(())
                }
                Err(reason) => {
                    last = reason;
                    None
                }
            }
        });
    }
}

/// A client for pages on loopback. It trusts nobody's certificates: to read those of the host takes longer than to ask.
pub(crate) fn http() -> reqwest::Client {
    probe::install_crypto();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// What the SDK speaks through.
pub(crate) fn transport(endpoint: &str) -> StreamableHttpClientTransport<reqwest::Client> {
    let config = StreamableHttpClientTransportConfig::with_uri(endpoint.to_owned());
    StreamableHttpClientTransport::with_client(http(), config)
}

/// One session with one call. The error is the SDK's own words.
pub(crate) fn ask(endpoint: &str, tool: &'static str, arguments: &Value) -> Result<String, String> {
    ask_within(endpoint, tool, arguments, SESSION_MAX)
}

/// The same, with another patience.
pub(crate) fn ask_within(
    endpoint: &str,
    tool: &'static str,
    arguments: &Value,
    within: Duration,
) -> Result<String, String> {
    let session = async {
        let client = ().serve(transport(endpoint)).await.map_err(|error| error.to_string())?;
        let tools = client.list_all_tools().await.map_err(|error| error.to_string())?;
        assert!(tools.iter().any(|one| one.name == tool), "no `{tool}` among {tools:?}");
        let mut call = CallToolRequestParams::new(tool);
        call.arguments = arguments.as_object().cloned();
        let result = client.call_tool(call).await.map_err(|error| error.to_string());
        let _ = client.cancel().await;
        let content = result?.content;
        let texts: Vec<&str> = content.iter().filter_map(|one| Some(one.as_text()?.text.as_str())).collect();
        Ok(texts.join("\n"))
    };
    block_on(async {
        match tokio::time::timeout(within, session).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {within:?}")),
        }
    })
}
