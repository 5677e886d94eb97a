//! Owns sending spans: to a receiver of OTLP over HTTP or a local socket, many at once, beside the path of requests.
//!
//! What a receiver does not take now (nobody is there, 429, 5xx) is tried again with what has come meanwhile, so often and
//! no more. Nothing of it holds a request up, and what is lost is counted.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use traces::{Attributes, Kind, Resource, Span, attribute, to_protobuf};

use super::{Spans, WAITING_MAX, Waiting};
use crate::metrics::Method;

/// How long spans are gathered.
const GATHER: Duration = Duration::from_millis(500);
/// How long one message may take.
const SEND_MAX: Duration = Duration::from_secs(5);
/// At its end the guard waits so long for the last of them.
const LAST_MAX: Duration = Duration::from_secs(1);
/// Spans of one message.
const MESSAGE_SPANS: usize = 512;
/// How often spans are tried, with pauses that double: some 15 s, in which a `serve` is started anew.
const TRIES_MAX: u32 = 6;
/// Where a receiver takes traces, unless its URL says otherwise.
const PATH: &str = "/v1/traces";

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A local socket.
    Unix(PathBuf),
    /// A host with its port, and a path.
    Http { authority: String, path: String },
}

/// Why spans were not taken.
#[derive(Debug)]
enum Unsent {
    /// Nobody is there, or it broke off.
    Away(io::Error),
    /// It says no.
    Refused(StatusCode),
}

// === impl Endpoint ===

impl Endpoint {
    /// # Errors
    /// In words, when this is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(path.into()));
        }
        let uri: Option<Uri> = text.parse().ok().filter(|uri: &Uri| uri.scheme_str() == Some("http"));
        let authority = uri.as_ref().and_then(Uri::authority).filter(|one| !one.as_str().contains('@'));
        let (Some(uri), Some(authority)) = (&uri, authority) else {
            return Err(format!(
                "`{text}` is no endpoint for traces: write http://HOST:PORT or unix:/PATH (what needs HTTPS is sent on by `serve`)"
            ));
        };
        let port = authority.port_u16().unwrap_or(80);
        let path = if matches!(uri.path(), "" | "/") { PATH } else { uri.path() };
        Ok(Self::Http { authority: format!("{}:{port}", authority.host()), path: path.to_owned() })
    }

    async fn post(&self, message: Bytes) -> Result<StatusCode, io::Error> {
        match self {
            Self::Unix(path) => post(UnixStream::connect(path).await?, "paramedic", PATH, message).await,
            Self::Http { authority, path } => {
                post(TcpStream::connect(authority).await?, authority, path, message).await
            }
        }
    }
}

/// One message over a connection of its own: there are two a second at most.
async fn post(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
    path: &str,
    message: Bytes,
) -> Result<StatusCode, io::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connected = tokio::spawn(connection);
    let request = Request::post(path)
        .header(http::header::HOST, host)
        .header(http::header::CONTENT_TYPE, "application/x-protobuf")
        .body(Full::new(message))
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    connected.abort();
    Ok(response.status())
}

// === impl Unsent ===

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) => error.fmt(f),
            Self::Refused(status) => write!(f, "HTTP {status}"),
        }
    }
}

impl Unsent {
    /// Whether it may be taken later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::Refused(status) => status.is_server_error() || status.as_u16() == 429,
        }
    }
}

// === impl Spans ===

impl Spans {
    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts spans back before those that have come meanwhile, as far as there is room.
    fn put_back(&self, mut list: Vec<Waiting>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        list.append(&mut waiting);
        let too_many = list.len().saturating_sub(WAITING_MAX);
        list.drain(..too_many);
        self.dropped.fetch_add(too_many as u64, Ordering::Relaxed);
        *waiting = list;
    }

    /// Sends what waits. Returns why the rest was not, which waits again.
    async fn send_all(&self, endpoint: &Endpoint) -> Result<(), Unsent> {
        let mut list = self.take();
        let resource = Arc::new(self.resource());
        while !list.is_empty() {
            let rest = list.split_off(list.len().min(MESSAGE_SPANS));
            let spans: Vec<Span> = list.iter().map(|waiting| waiting.span(&resource)).collect();
            let post = tokio::time::timeout(SEND_MAX, endpoint.post(to_protobuf(&spans).into())).await;
            let unsent = match post {
                Ok(Ok(status)) if status.is_success() => {
                    self.sent.fetch_add(list.len() as u64, Ordering::Relaxed);
                    list = rest;
                    continue;
                }
                Ok(Ok(status)) => Unsent::Refused(status),
                Ok(Err(error)) => Unsent::Away(error),
                Err(_) => Unsent::Away(io::ErrorKind::TimedOut.into()),
            };
            if unsent.may_pass() {
                list.extend(rest);
                self.put_back(list);
            } else {
                self.dropped.fetch_add(list.len() as u64, Ordering::Relaxed);
                self.put_back(rest);
            }
            return Err(unsent);
        }
        Ok(())
    }

    /// Drops what waits, and says how much that was.
    fn give_up(&self) -> usize {
        let count = self.take().len();
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
        count
    }

    fn resource(&self) -> Resource {
        Resource { attributes: vec![attribute("service.name", &*self.server)] }
    }
}

/// Sends spans until the task is dropped.
pub(crate) async fn send(spans: Arc<Spans>) {
    let Some(endpoint) = &spans.endpoint else { return };
    let mut failures = 0;
    loop {
        tokio::time::sleep(GATHER.saturating_mul(1 << failures)).await;
        match spans.send_all(endpoint).await {
            Ok(()) => failures = 0,
            // The others are none the worse for it.
            Err(unsent) if !unsent.may_pass() => {
                tracing::warn!(?endpoint, reason = %unsent, "spans are refused, and given up");
                failures = 0;
            }
            Err(unsent) => {
                failures += 1;
                if failures == 1 {
                    tracing::info!(?endpoint, reason = %unsent, "spans are not taken; they are tried again");
                }
                if failures == TRIES_MAX {
                    let spans = spans.give_up();
                    tracing::warn!(?endpoint, reason = %unsent, spans, "spans are not taken, and given up");
                    failures = 1;
                }
            }
        }
    }
}

/// Sends the last of them, where that is quick.
pub(crate) async fn send_last(spans: &Spans) {
    if let Some(endpoint) = &spans.endpoint {
        let _ = tokio::time::timeout(LAST_MAX, spans.send_all(endpoint)).await;
    }
}

// === impl Waiting ===

impl Waiting {
    /// The span as it is sent.
    fn span(&self, resource: &Arc<Resource>) -> Span {
        let method = self.method.name();
        let name = match &self.tool {
            Some(tool) => format!("{method} {tool}"),
            None => method.to_owned(),
        };
        let status = match &self.error {
            Some(failed) => traces::Status::Error(failed.reason.to_string()),
            None => traces::Status::Unset,
        };
        Span {
            trace: self.own.trace,
            id: self.own.span,
            parent: self.given.map(|given| given.span),
            state: String::new(),
            name,
            kind: Kind::Server,
            start_ns: self
                .end_ns
                .saturating_sub(u64::try_from(self.took.as_nanos()).unwrap_or(u64::MAX))
                .max(1),
            end_ns: self.end_ns,
            status,
            attributes: self.attributes(method),
            events: Vec::new(),
            links: Vec::new(),
            scope: "paramedic.guard".into(),
            resource: resource.clone(),
        }
    }

    fn attributes(&self, method: &str) -> Attributes {
        let mut attributes = vec![attribute("mcp.method.name", method)];
        let mut put = |name: &str, value: &str| attributes.push(attribute(name, value));
        if self.method == Method::TOOLS_CALL {
            put("gen_ai.operation.name", "execute_tool");
        }
        if let Some(tool) = &self.tool {
            put("gen_ai.tool.name", tool);
        }
        if !self.session.is_empty() {
            put("mcp.session.id", &self.session);
        }
        if let Some(failed) = &self.error {
            put("error.type", &failed.kind);
            if failed.kind.parse::<i64>().is_ok() {
                put("rpc.response.status_code", &failed.kind);
            }
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn endpoints_are_read() {
        let http = |authority: &str, path: &str| {
            Some(Endpoint::Http { authority: authority.to_owned(), path: path.to_owned() })
        };
        for (text, expect) in [
            ("unix:/run/x.sock", Some(Endpoint::Unix("/run/x.sock".into()))),
            ("http://127.0.0.1:4318", http("127.0.0.1:4318", "/v1/traces")),
            ("http://[::1]:4318/", http("[::1]:4318", "/v1/traces")),
            ("http://collector/otlp/v1/traces", http("collector:80", "/otlp/v1/traces")),
            ("https://collector:4318", None),
            ("http://a:b@collector", None),
            ("unix:x", None),
            ("", None),
        ] {
            assert_eq!(Endpoint::parse(text).ok(), expect, "{text}");
        }
    }
}
