//! Owns the guard's own session with an upstream: for health, the test read, and what its tools are.
//!
//! It is opened when it is needed, with the handshake of 2025-11-25, and opened anew, once, when the upstream does not
//! know it any more: then it was restarted. Only what reads is asked here, so asking again is safe.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;

use super::Upstream;
use super::events::Events;
use super::wire::Flow;
use crate::child::PROTOCOL_VERSION;
use crate::envelope::{self, Incoming, Outcome};
use crate::inflight::Answer;
use crate::mcp::{SESSION, VERSION};
use crate::pipe::Unanswered;

/// The longest answer to a question of the guard, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The guard's own session.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Held while it is opened; questions wait.
    opening: tokio::sync::Mutex<()>,
    met: Mutex<Met>,
    last_id: std::sync::atomic::AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Met {
    /// How often a session was opened.
    generation: u64,
    session: Option<String>,
    /// The result of `initialize`, as JSON.
    initialized: Option<String>,
    version: String,
}

/// Why a question was not answered.
enum Trouble {
    /// The upstream does not know the session.
    Forgotten,
    Unanswered(String),
}

// === impl Own ===

impl Own {
    /// How often the upstream was met: another number is another process, as far as can be seen.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// What the upstream said of itself when it was met last.
    pub(crate) fn initialized(&self) -> Option<String> {
        self.met().initialized
    }

    /// Asks the upstream something that changes nothing.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub(crate) async fn ask(
        &self,
        upstream: &Upstream,
        method: &str,
        params: Option<&str>,
        within: Duration,
    ) -> Result<Answer, Unanswered> {
        let asked = async {
            for last in [false, true] {
                let met = self.meet(upstream).await?;
                match self.request(upstream, &met, method, params).await {
                    Ok(answer) => return Ok(answer),
                    Err(Trouble::Forgotten) if !last => self.forget(met.generation),
                    Err(Trouble::Forgotten) => {
                        return Err("the upstream forgets each session at once".to_owned());
                    }
                    Err(Trouble::Unanswered(reason)) => return Err(reason),
                }
            }
            Err("the upstream forgets each session at once".to_owned())
        };
        match tokio::time::timeout(within, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(Unanswered::Ended(reason)),
            Err(_) => Err(Unanswered::TimedOut),
        }
    }

    async fn meet(&self, upstream: &Upstream) -> Result<Met, String> {
        let _opening = self.opening.lock().await;
        let met = self.met();
        if met.initialized.is_some() {
            return Ok(met);
        }
        let params = serde_json::json!({
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": { "name": "paramedic-guard", "version": env!("CARGO_PKG_VERSION") },
        });
        let stranger = Met::default();
        let body = envelope::request_as("\"paramedic-0\"", "initialize", Some(&params.to_string()));
        let sent = upstream
            .send(&Method::POST, headers(&stranger).iter(), body.into())
            .await
            .map_err(|error| error.words())?;
        let session = sent.headers().get(&SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let result = match answer(sent, "\"paramedic-0\"").await {
            Ok(Answer::Result(result)) => result,
            Ok(Answer::Error(error)) => {
                return Err(format!("`initialize` was answered with the error {error}"));
            }
            Ok(Answer::Ended(reason)) | Err(Trouble::Unanswered(reason)) => return Err(reason),
            Err(Trouble::Forgotten) => {
                return Err("`initialize` was answered with 404: is this its path?".to_owned());
            }
        };
        let version = envelope::member(&result, "protocolVersion").ok().flatten();
        let version = version.and_then(|json| serde_json::from_str::<String>(json).ok()).unwrap_or_default();
        let met = Met { generation: met.generation + 1, session, initialized: Some(result), version };
        let told = envelope::notification("notifications/initialized", None);
        // An upstream that does not take it says so at the next question.
        let _ = upstream.send(&Method::POST, headers(&met).iter(), told.into()).await;
        *self.lock() = met.clone();
        Ok(met)
    }

    async fn request(
        &self,
        upstream: &Upstream,
        met: &Met,
        method: &str,
        params: Option<&str>,
    ) -> Result<Answer, Trouble> {
        let number = self.last_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let id = format!("\"paramedic-{number}\"");
        let body = envelope::request_as(&id, method, params);
        let sent = upstream.send(&Method::POST, headers(met).iter(), body.into()).await;
        answer(sent.map_err(|error| Trouble::Unanswered(error.words()))?, &id).await
    }

    /// The session of this generation is over.
    fn forget(&self, generation: u64) {
        let mut met = self.lock();
        if met.generation == generation {
            met.initialized = None;
            met.session = None;
        }
    }

    /// Nobody knows whether the upstream is still the one that was met.
    pub(crate) fn doubt(&self) {
        self.forget(self.generation());
    }

    /// Says goodbye, if there was a session.
    pub(crate) async fn leave(&self, upstream: &Upstream, within: Duration) {
        let met = self.met();
        if met.session.is_some() {
            let headers = headers(&met);
            let leaving = upstream.send(&Method::DELETE, headers.iter(), Bytes::new());
            let _ = tokio::time::timeout(within, leaving).await;
        }
    }

    fn met(&self) -> Met {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn headers(met: &Met) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    for (name, value) in [(&SESSION, met.session.as_deref()), (&VERSION, Some(&*met.version))] {
        let value =
            value.filter(|value| !value.is_empty()).and_then(|value| HeaderValue::from_str(value).ok());
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    headers
}

/// The answer to a question, in whichever form it comes.
async fn answer(response: http::Response<Flow>, id: &str) -> Result<Answer, Trouble> {
    let status = response.status();
    let lost = |reason: String| Trouble::Unanswered(reason);
    let is_stream = super::is_stream(response.headers());
    let mut body = response.into_body();
    // Some say 400 to a session that they do not know.
    if status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST {
        return Err(Trouble::Forgotten);
    }
    if !status.is_success() {
        return Err(lost(format!("the upstream has answered {status}")));
    }
    let (mut events, mut whole) = (Events::default(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| lost(format!("its answer has broken off: {error}")))?;
        let Ok(part) = frame.into_data() else { continue };
        if is_stream {
            let found = events.feed(&part).into_iter().filter_map(|event| event.data);
            if let Some(found) = found.filter_map(|data| mine(&data, id)).next() {
                return Ok(found);
            }
        } else {
            whole.extend_from_slice(&part);
        }
        if whole.len() > ANSWER_BYTES_MAX {
            return Err(lost("its answer is longer than 16 MiB".to_owned()));
        }
    }
    mine(&whole, id).ok_or_else(|| lost("its answer is none to what was asked".to_owned()))
}

fn mine(message: &[u8], id: &str) -> Option<Answer> {
    match envelope::parse(message) {
        Ok(Incoming::Response { id: found, outcome }) if found == id => Some(match outcome {
            Outcome::Result(result) => Answer::Result(result.to_owned()),
            Outcome::Error(error) => Answer::Error(error.to_owned()),
        }),
        _ => None,
    }
}
