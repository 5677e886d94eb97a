//! Owns which page stands at which path, for whoever looks.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use web::{Markup, Part, Place};

use super::door::Guest;
use super::{Web, fleet, incidents, journal, library, servers, shown};
use crate::api::Failure;
use crate::tokens::{Role, Token};

/// A page as it stands now.
pub(super) struct View {
    pub(super) title: String,
    pub(super) place: Place,
    /// What stands in the frame, with the parts in it.
    pub(super) body: Markup,
    /// What of it changes by itself.
    pub(super) parts: Vec<Part>,
    /// How long it may be shown without another look, where no incident has changed meanwhile.
    pub(super) again: Duration,
}

/// For whom a page is rendered: all those see the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Eye {
    pub(super) role: Role,
    /// The servers that they may see; empty for all.
    pub(super) servers: Vec<String>,
    /// What stands for the word of their forms until it is put in.
    pub(super) csrf: String,
}

/// A longer text is looked for as far as this.
const TEXT_CHARS_MAX: usize = 200;

/// What somebody looks for, as it was typed.
pub(super) fn typed(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// What stands at a path.
///
/// Another page is another line here: parts of one function, for a path of words.
pub(super) async fn view(web: &Web, path: &str, query: &str, eye: &Eye) -> Result<View, Failure> {
    let words: Vec<&str> = path.trim_matches('/').split('/').collect();
    match words[..] {
        [""] => fleet::page(web, query, eye).await,
        ["servers", name] => servers::page(web, name, query, eye).await,
        ["traces", typed] => library::trace(&web.flow, typed, eye),
        ["runbooks"] => library::list(&web.flow, eye).await,
        ["runbooks", name] => library::one(&web.flow, name, eye).await,
        ["journal"] => journal::page(web, query, eye).await,
        ["incidents"] => incidents::list(&web.flow, query, eye).await,
        ["incidents", typed] => incidents::one(&web.flow, typed, eye).await,
        _ => Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no page `{path}`"))),
    }
}

/// Answers with a page.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(guest): Extension<Guest>,
    method: Method,
    uri: Uri,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    shown::page(&web, &guest, &uri, None).await
}

// === impl Eye ===

impl Eye {
    pub(super) fn of(web: &Web, token: &Token) -> Self {
        Self { role: token.role, servers: token.servers.clone(), csrf: web.csrf_mark.clone() }
    }

    /// Whether they may see this server.
    pub(super) fn is_for(&self, server: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|one| one == server)
    }

    /// Whether they may see this incident.
    pub(super) fn may_see(&self, incident: &incident::Incident) -> bool {
        self.is_for(&incident.server) && incident.members().all(|server| self.is_for(server))
    }
}
