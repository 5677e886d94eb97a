//! Owns who a client is, where clients have to show that: by a bearer token that the settings name by its file.
//!
//! ```toml
//! [clients.ci]
//! token_file = "ci-token"       # 16 to 1024 characters on its first line; root's or the guard's user's, closed to others
//! ```
//!
//! With at least one client named, `/mcp` and `/api/test-read` take `Authorization: Bearer …`, and answer 401 otherwise.
//! Root and the guard's own user need none on this machine, as for `/admin`: they could read the tokens. A session belongs to whoever has
//! opened it, and is unknown to everybody else. The token is the guard's own affair: no server gets to see it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use host::Roots;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::admin::access::{self, Ends};
use crate::clock;
use crate::controls::{BlockKind, Refused};
use crate::http::{Body, problem};
use crate::log::{About, Level};
use crate::mcp::SESSION;
use crate::mcp::problem::Problem;
use crate::metrics::Failure;
use crate::origin::admitted;
use crate::own::OwnError;
use crate::rotation::Before;
use crate::secret::{Secret, Shown};
use crate::state::Guard;

/// Longer names would make lines and labels long.
const NAME_BYTES_MAX: usize = 64;

/// Who may come, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clients(Vec<Client>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Client {
    name: Arc<str>,
    secret: Secret,
    /// The token before this one, which may still be taken.
    before: Option<Before>,
}

/// The table `[clients]`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Table(BTreeMap<String, ClientTable>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientTable {
    token_file: PathBuf,
}

/// One connection: its ends, and whose process is at the other one, once that was looked up.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) ends: Ends,
    user: OnceCell<Option<u32>>,
    /// The `Host` that was admitted first.
    host: OnceLock<Box<[u8]>>,
}

// === impl Table, Clients, Peer ===

impl Table {
    /// Whether nobody is named.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who is named, and the file of each token. `base` is where the settings are.
    pub(crate) fn files(self, base: &Path) -> Vec<(String, PathBuf)> {
        self.0.into_iter().map(|(name, table)| (name, base.join(table.token_file))).collect()
    }

    /// Reads the tokens. `base` is where the settings are.
    pub(crate) fn read(self, base: &Path, wrong: impl Fn(String) -> OwnError) -> Result<Clients, OwnError> {
        let mut clients: Vec<Client> = Vec::new();
        for (name, table) in self.0 {
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
                return Err(wrong(format!("[clients]: a name has 1 to {NAME_BYTES_MAX} visible characters")));
            }
            let file = base.join(table.token_file);
            let secret = Secret::read(&file)?;
            if let Some(other) = clients.iter().find(|known| known.secret == secret) {
                return Err(wrong(format!("clients `{}` and `{name}` have the same token", other.name)));
            }
            clients.push(Client { name: name.into(), secret, before: Before::beside(&file)? });
        }
        Ok(Clients(clients))
    }
}

impl Clients {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|client| &*client.name)
    }

    /// Whose token this is by then. Looks at all of them, whichever it is.
    pub(crate) fn of(&self, token: &str, now_ms: i64) -> Option<&Arc<str>> {
        let shown = Shown::of(token);
        self.0.iter().fold(None, |found, client| {
            let was = client.before.as_ref().is_some_and(|before| before.is(&shown, now_ms));
            if client.secret.is(&shown) | was { Some(&client.name) } else { found }
        })
    }
}

impl Peer {
    pub(crate) fn new(ends: Ends) -> Self {
        Self { ends, user: OnceCell::new(), host: OnceLock::new() }
    }

    /// Whether a request may come from where it says, or the reason why not. A connection says the same again and again.
    pub(crate) fn admitted(&self, head: &Parts, listen: SocketAddr) -> Result<(), String> {
        let only = only_host(head);
        if only.is_some() && only == self.host.get().map(|host| &**host) {
            return Ok(());
        }
        admitted(head, listen)?;
        if let Some(only) = only {
            let _ = self.host.set(only.into());
        }
        Ok(())
    }

    /// The user whose process on this machine it is, if that one needs no token. The kernel is asked once.
    pub(crate) async fn user(&self) -> Option<u32> {
        let ends = self.ends;
        let look = || async move {
            let user = tokio::task::spawn_blocking(move || access::own_user(ends, &Roots::default()));
            user.await.unwrap_or_default()
        };
        *self.user.get_or_init(look).await
    }
}

/// The one host that a request names, where nothing else says where it is from or for.
fn only_host(head: &Parts) -> Option<&[u8]> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let only = hosts.next().filter(|_| hosts.next().is_none())?;
    let is_all = head.uri.authority().is_none() && !head.headers.contains_key(header::ORIGIN);
    is_all.then(|| only.as_bytes())
}

/// Who sends this request; none where nobody has to say. Or the answer to somebody who does not say it.
pub(crate) async fn who(
    guard: &Guard,
    head: &Parts,
    peer: &Peer,
) -> Result<Option<Arc<str>>, Box<Response<Body>>> {
    let own = guard.own();
    if own.clients.is_empty() {
        return Ok(None);
    }
    match access::token(&head.headers) {
        Some(shown) => match shown.and_then(|shown| own.clients.of(shown, clock::now_ms())) {
            Some(name) => match guard.controls.now().blocked(BlockKind::Token, name, clock::now_ms()) {
                Some(block) => {
                    guard.metrics.refused(Refused::Token);
                    Err(unknown(guard, peer.ends, &block.to_string(), true))
                }
                None => Ok(Some(Arc::clone(name))),
            },
            None => Err(unknown(guard, peer.ends, "this is no token of a client", true)),
        },
        None if access::is_forwarded(&head.headers) => {
            Err(unknown(guard, peer.ends, "a token is needed (Authorization: Bearer …)", false))
        }
        None => match peer.user().await {
            Some(user) => Ok(Some(format!("user {user}").into())),
            None => Err(unknown(guard, peer.ends, "a token is needed (Authorization: Bearer …)", false)),
        },
    }
}

fn unknown(guard: &Guard, ends: Ends, reason: &str, is_wrong: bool) -> Box<Response<Body>> {
    guard.metrics.failed(Failure::Authentication);
    if let Some(unsaid) = guard.held.say(Instant::now()) {
        let fields = [("address", ends.client.ip().to_string().into()), ("unsaid_before", unsaid.into())];
        guard.note(Level::Warning, About::Security, &format!("refused: {reason}"), fields);
    }
    let name: String = guard.settings.name.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
    let error = if is_wrong { ", error=\"invalid_token\"" } else { "" };
    let mut response =
        problem(StatusCode::UNAUTHORIZED, &format!("server `{}`: {reason}", guard.settings.name));
    if let Ok(value) = HeaderValue::from_str(&format!("Bearer realm=\"{name}\"{error}")) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    Box::new(response)
}

/// Refuses a session that is somebody else's, as one that nobody knows.
pub(crate) fn check(guard: &Guard, headers: &HeaderMap, ends: Ends, user: &Arc<str>) -> Result<(), Problem> {
    match headers.get(&SESSION).and_then(|value| value.to_str().ok()) {
        Some(id) if owner(guard, id, ends, user).is_some_and(|owner| owner != *user) => {
            Err(Problem::session_not_found())
        }
        Some(_) | None => Ok(()),
    }
}

/// Whoever is given a session has it.
pub(crate) fn given(guard: &Guard, response: &Response<Body>, ends: Ends, user: &Arc<str>) {
    if let Some(id) = response.headers().get(&SESSION).and_then(|value| value.to_str().ok()) {
        owner(guard, id, ends, user);
    }
}

/// Whose session this is; from now on `user`'s where it was nobody's. None where there is no such session.
fn owner(guard: &Guard, id: &str, ends: Ends, user: &Arc<str>) -> Option<Arc<str>> {
    let now = Instant::now();
    match &guard.upstream {
        Some(upstream) => {
            let session = upstream.seen.of(Some(id), ends.client.ip(), now);
            Some(Arc::clone(session.user.get_or_init(|| Arc::clone(user))))
        }
        None => {
            let session = guard.sessions.find(id, now)?;
            Some(Arc::clone(session.user.get_or_init(|| Arc::clone(user))))
        }
    }
}
