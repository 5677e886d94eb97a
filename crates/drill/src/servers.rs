//! Owns the demonstration's MCP servers: small, and real, over the official Rust SDK and standard input and output.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::{ServerHandler, ServiceExt, schemars, tool, tool_handler, tool_router};

/// How many notes are kept: the oldest are dropped.
const NOTES_MAX: usize = 1_000;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Keeps notes, in memory.
    Notes,
    /// Adds numbers.
    Sums,
}

/// Why a demonstration server ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The client never greeted properly.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Serves one client on standard input and output until it goes away.
///
/// # Errors
/// Where the handshake fails or the connection breaks.
pub async fn serve(kind: Kind) -> Result<(), ServerError> {
    match kind {
        Kind::Notes => serve_one(Notes::new()).await,
        Kind::Sums => serve_one(Sums::new()).await,
    }
}

async fn serve_one<S: ServerHandler>(server: S) -> Result<(), ServerError> {
    let running = server
        .serve(rmcp::transport::stdio())
        .await
        .map_err(|error| ServerError::Handshake(error.to_string()))?;
    running.waiting().await.map_err(|error| ServerError::Broken(error.to_string()))?;
    Ok(())
}

/// Keeps notes.
#[derive(Debug, Clone)]
struct Notes {
    tool_router: ToolRouter<Self>,
    notes: Arc<Mutex<Vec<String>>>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Note {
    /// The text of the note.
    text: String,
}

/// Adds numbers.
#[derive(Debug, Clone)]
struct Sums {
    tool_router: ToolRouter<Self>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Terms {
    /// The numbers to add.
    terms: Vec<f64>,
}

// === impl Kind ===

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "notes" => Ok(Self::Notes),
            "sums" => Ok(Self::Sums),
            other => Err(format!("there is no demonstration server `{other}`; there are `notes` and `sums`")),
        }
    }
}

// === impl Notes ===

#[tool_router]
impl Notes {
    fn new() -> Self {
        Self { tool_router: Self::tool_router(), notes: Arc::default() }
    }

    #[tool(description = "Keeps a note and returns how many there are.", annotations(read_only_hint = false))]
    async fn add_note(&self, Parameters(Note { text }): Parameters<Note>) -> String {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= NOTES_MAX {
            notes.remove(0);
        }
        notes.push(text);
        notes.len().to_string()
    }

    #[tool(description = "Returns all notes, one a line.", annotations(read_only_hint = true))]
    async fn list_notes(&self) -> String {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

// === impl Sums ===

#[tool_router]
impl Sums {
    fn new() -> Self {
        Self { tool_router: Self::tool_router() }
    }

    #[tool(description = "Adds numbers.", annotations(read_only_hint = true))]
    async fn add(&self, Parameters(Terms { terms }): Parameters<Terms>) -> String {
        terms.iter().sum::<f64>().to_string()
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Sums {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}
