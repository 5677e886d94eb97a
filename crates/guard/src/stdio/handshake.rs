//! Owns how client and server met, kept so that another server can be met in the same way.
//!
//! In the era of the handshake (revisions up to 2025-11-25) the client says `initialize`, is answered, and says
//! `notifications/initialized`; both lines are kept as they were, byte for byte. In the era without one (2026-07-28)
//! every request says for itself who asks, and a new server needs nothing. Which era it is, the client decides: the
//! guard sends nothing before it has, for some servers take the first word as the choice.

use serde_json::Value;

use crate::envelope::{self, Outcome};
use crate::metrics::Method;

/// What names the revision in a request of the era without a handshake.
const REVISION: &str = "io.modelcontextprotocol/protocolVersion";
/// A handshake names two programs and what they can do.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What is compared between two servers that were met in the same way.
const COMPARED: [&str; 3] = ["serverInfo", "capabilities", "protocolVersion"];
/// What a server announces changes of, and how.
const LISTS: [(&str, &str); 3] = [
    ("tools", "notifications/tools/list_changed"),
    ("prompts", "notifications/prompts/list_changed"),
    ("resources", "notifications/resources/list_changed"),
];

/// How they met.
#[derive(Debug, Default)]
pub(crate) struct Handshake {
    request: Option<Vec<u8>>,
    /// The id of that request, as JSON.
    id: String,
    /// The result that the client knows.
    result: Option<String>,
    initialized: Option<Vec<u8>>,
    /// Whether the answer to a replay is awaited.
    replaying: bool,
    /// The revision of the era without a handshake, as JSON.
    revision: Option<Box<str>>,
}

/// What is said to a new server before anybody else speaks to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replay {
    /// This line, and its answer is awaited.
    Line(Vec<u8>),
    /// Nothing: the client says itself what there is to say.
    Nothing,
}

// === impl Handshake ===

impl Handshake {
    /// The client says `initialize`.
    pub(crate) fn begins(&mut self, frame: &[u8], id: &str) {
        let fits = frame.len() <= LINE_BYTES_MAX;
        *self = Self { request: fits.then(|| frame.to_vec()), id: id.to_owned(), ..Self::default() };
    }

    /// The client says `notifications/initialized`.
    pub(crate) fn initialized(&mut self, frame: &[u8]) {
        if frame.len() <= LINE_BYTES_MAX {
            self.initialized = Some(frame.to_vec());
        }
    }

    /// The revision that a request names, as JSON, while it is not known how the two meet.
    pub(crate) fn revision_of(&self, params: Option<&str>) -> Option<Box<str>> {
        if self.is_met() {
            return None;
        }
        let meta = envelope::member(params?, "_meta").ok()??;
        envelope::member(meta, REVISION).ok()?.map(Into::into)
    }

    /// A request was answered. Returns whether the two have met by that.
    pub(crate) fn answered(&mut self, method: Method, revision: Option<&str>, outcome: Outcome<'_>) -> bool {
        let Outcome::Result(result) = outcome else { return false };
        if method == Method::INITIALIZE {
            self.result = Some(result.to_owned());
            return true;
        }
        if self.is_met() || revision.is_none() {
            return false;
        }
        self.revision = revision.map(Into::into);
        true
    }

    /// What the server has said of itself, as JSON.
    pub(crate) fn result(&self) -> Option<&str> {
        self.result.as_deref()
    }

    /// Whether they have met.
    pub(crate) fn is_met(&self) -> bool {
        self.result.is_some() || self.revision.is_some()
    }

    /// What a new server is told. From then on the answer is awaited.
    pub(crate) fn replay(&mut self) -> Replay {
        match (&self.request, &self.result) {
            (Some(request), Some(_)) => {
                self.replaying = true;
                Replay::Line(request.clone())
            }
            _ => Replay::Nothing,
        }
    }

    /// Whether this id belongs to the answer of a replay. Asked once: from then on it is not awaited any more.
    pub(crate) fn is_replayed(&mut self, id: &str) -> bool {
        let answer = self.replaying && self.id == id;
        if answer {
            self.replaying = false;
        }
        answer
    }

    /// Whether the answer to a replay is awaited.
    pub(crate) fn is_replaying(&self) -> bool {
        self.replaying
    }

    pub(crate) fn server_ended(&mut self) {
        self.replaying = false;
    }

    /// What the client said after it had been answered, if it has.
    pub(crate) fn closing_line(&self) -> Option<Vec<u8>> {
        self.initialized.clone()
    }

    /// The question by which the server's health is asked, and its parameters; none while they have not met.
    pub(crate) fn health_question(&self) -> Option<(&'static str, Option<String>)> {
        match (&self.revision, &self.result) {
            (Some(revision), _) => {
                let version = env!("CARGO_PKG_VERSION");
                let client = format!("{{\"name\":\"paramedic-guard\",\"version\":\"{version}\"}}");
                let meta = format!(
                    "{{\"_meta\":{{\"{REVISION}\":{revision},\"io.modelcontextprotocol/clientCapabilities\":{{}},\"io.modelcontextprotocol/clientInfo\":{client}}}}}"
                );
                Some(("server/discover", Some(meta)))
            }
            (None, Some(_)) => Some(("ping", None)),
            (None, None) => None,
        }
    }

    /// In which way a new server, which said this, is another one than the client knows; none if it is the same.
    pub(crate) fn difference(&self, result: &str) -> Option<String> {
        let known: Value = serde_json::from_str(self.result.as_deref()?).ok()?;
        let new: Value = serde_json::from_str(result).ok()?;
        let told = |name: &str| format!("`{name}` was {} and is {}", known[name], new[name]);
        let differing = COMPARED.into_iter().filter(|name| known[*name] != new[*name]);
        let told: Vec<String> = differing.map(told).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// The notifications by which a server that said this may announce that its lists are others.
pub(crate) fn announcements(result: &str) -> Vec<Vec<u8>> {
    let capabilities = serde_json::from_str::<Value>(result).map(|result| result["capabilities"].clone());
    let capabilities = capabilities.unwrap_or_default();
    let announced = LISTS.iter().filter(|(list, _)| capabilities[*list]["listChanged"] == Value::Bool(true));
    let line = |(_, method): &(&str, &str)| {
        let mut line = envelope::notification(method, None);
        line.push(b'\n');
        line
    };
    announced.map(line).collect()
}
