//! Owns what the guard knows from reading along: who waits for what, and how the client and the server met.
//!
//! It is pure: frames and moments in, verdicts and notes out. A frame is one message, or a batch of them (revision
//! 2025-03-26); whatever is neither is passed on like everything else. There are four exceptions to that:
//!
//! - Answers to the guard's own requests, whose ids begin with a random word of this guard, are for the guard.
//! - An answer of the client to a server that has ended is for nobody.
//! - What operators have forbidden (`gate`), and what the settings limit or keep (`terms`).
//! - A request of the server under an id that a server before it has left unanswered gets another id towards the
//!   client: otherwise the late answer to the old question would answer the new one.

mod served;
mod server;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::batch::{Verdict, messages, rebuilt};
use super::gate::Gate;
use super::handshake::Handshake;
use super::terms::{Over, Terms};
use crate::audit::{Asked, Summary};
use crate::cache::{Kind, Wanted};
use crate::controls::Refused;
use crate::envelope::{self, Incoming, Malformed};
use crate::inflight::Meaning;
use crate::limits::Slot;
use crate::metrics::Method;
use crate::security::Seen;
use crate::spans;
use served::{Call, Served};

/// Requests beyond these are passed on all the same, and not waited for.
const REQUESTS_MAX: usize = 4096;
/// Ids that were left unanswered, and are remembered; a server seldom has two open.
const LEFT_MAX: usize = 1024;
/// Looking for the name of a tool in more than this would cost more than it says.
const NAMED_BYTES_MAX: usize = 64 << 10;

/// What is known.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) handshake: Handshake,
    pub(crate) gate: Gate,
    pub(crate) terms: Terms,
    /// The requests of the client that wait, by their id; there is one of each, unless the client errs.
    waiting: HashMap<String, Vec<Waiting>>,
    n_waiting: usize,
    n_noted: u64,
    /// How ids of the guard's own begin, as JSON.
    own: String,
    /// What the present server has asked the client, by id, and what it is called there.
    asked: HashMap<String, String>,
    /// What earlier servers have left unanswered.
    left: HashSet<String>,
    /// The requests of the client that were answered in the place of the present server, by their ids.
    late: HashSet<String>,
    n_renamed: u64,
}

/// A request of the client that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Its id, as JSON, exactly as it was written.
    pub(crate) id: Box<str>,
    pub(crate) method: Method,
    /// The tool that it calls.
    pub(crate) tool: Option<String>,
    pub(crate) since: Instant,
    number: u64,
    /// The revision that it names, where it is of the era without a handshake.
    revision: Option<Box<str>>,
    pub(crate) asked: Asked,
    /// Until when it has to be answered.
    deadline: Option<Instant>,
    /// Its place among those that run, which is free again with it.
    _slot: Option<Slot>,
    /// What is kept of its answer.
    wanted: Option<Wanted>,
}

/// What was learned from a frame.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most notes are answers, which are the largest")]
pub(crate) enum Note {
    /// The client calls a tool.
    Called(String),
    /// A request of this id, as JSON, is not passed on.
    Refused { id: String, method: Method, tool: Option<String>, refused: Refused, reason: String },
    /// The call of a tool, or what the server says of one, shows signs of an attack.
    Suspicious { tool: String, seen: Seen },
    /// A request of this id, as JSON, or another message is over a limit, and is not passed on.
    Over { id: Option<String>, method: Option<Method>, tool: Option<String>, over: Over },
    /// A request of this id, as JSON, is answered with what is kept.
    Kept { id: String, method: Method, kind: Kind, result: String, asked: Asked },
    /// Nothing is kept of this.
    NotKept(Kind),
    /// This is no message, for this reason, and is withheld while something is forbidden.
    Withheld(&'static str),
    /// One of its requests was answered.
    Answered(Waiting, Meaning, Duration, Summary),
    /// The server has met its client: it is ready.
    Met,
    /// The server said this to the handshake that was replayed to it.
    Replayed(Result<String, String>),
    /// An own request was answered.
    Own(u64),
    /// This is no message, and why not.
    Malformed(&'static str),
}

/// Whether a frame of the client comes for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tries {
    First,
    /// The server that it was for has ended before it took it: nothing is taken for it twice.
    Again,
}

/// A frame of the client that was noted.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) verdict: Verdict,
    numbers: Range<u64>,
}

// === impl Ledger ===

impl Ledger {
    /// `word` is random: it tells the guard's own ids from those of anybody else.
    pub(crate) fn new(word: u128, gate: Gate, terms: Terms) -> Self {
        Self {
            handshake: Handshake::default(),
            gate,
            terms,
            waiting: HashMap::new(),
            n_waiting: 0,
            n_noted: 0,
            own: format!("\"paramedic-{word:032x}-"),
            asked: HashMap::new(),
            left: HashSet::new(),
            late: HashSet::new(),
            n_renamed: 0,
        }
    }

    /// The id of an own request, as JSON.
    pub(crate) fn own_id(&self, number: u64) -> String {
        format!("{}{number}\"", self.own)
    }

    /// The client has said this, and it is about to be passed on.
    pub(crate) fn client_said(&mut self, frame: &[u8], now: Instant, notes: &mut Vec<Note>) -> Noted {
        self.said(frame, Tries::First, now, notes)
    }

    /// The same of a frame that was taken back.
    pub(crate) fn client_said_before(&mut self, frame: &[u8], now: Instant, notes: &mut Vec<Note>) -> Noted {
        self.said(frame, Tries::Again, now, notes)
    }

    fn said(&mut self, frame: &[u8], tries: Tries, now: Instant, notes: &mut Vec<Note>) -> Noted {
        let from = self.n_noted;
        let verdict = match messages(frame) {
            Ok(texts) => {
                let alone = texts.len() == 1;
                let frames = texts.into_iter().map(|text| {
                    let whole = alone.then_some(frame);
                    (text, self.client_message(text, whole, (tries, now), notes))
                });
                rebuilt(frame, frames.collect())
            }
            Err(why) => self.unread(why, notes),
        };
        Noted { verdict, numbers: from..self.n_noted }
    }

    fn client_message(
        &mut self,
        text: &str,
        frame: Option<&[u8]>,
        (tries, now): (Tries, Instant),
        notes: &mut Vec<Note>,
    ) -> Verdict {
        let incoming = envelope::parse(text.as_bytes());
        if let Some(over) = self.terms.request_too_long(text.len()) {
            return self.too_long(incoming, over, notes);
        }
        match incoming {
            Ok(Incoming::Request { id, method, params }) => {
                let tool = params.filter(|_| method == "tools/call").and_then(tool_name);
                if method == "initialize" {
                    self.gate.meets(params);
                }
                if let Some((refused, reason)) = self.gate.refusal(&method, params, tool.as_deref()) {
                    self.unusual(tool.as_deref(), now, notes);
                    let (id, method) = (id.to_owned(), Method::of(&method));
                    notes.push(Note::Refused { id, method, tool, refused, reason });
                    return Verdict::Drop;
                }
                if let Some(tool) = &tool {
                    let much = self.gate.called(tool, params, now).filter(|_| tries == Tries::First);
                    notes.extend(much.map(|seen| Note::Suspicious { tool: tool.clone(), seen }));
                    let (seen, refused) = self.gate.inspect(tool, params);
                    let seen = seen.filter(|_| tries == Tries::First);
                    notes.extend(seen.map(|seen| Note::Suspicious { tool: tool.clone(), seen }));
                    if let Some((refused, reason)) = refused {
                        self.unusual(Some(tool), now, notes);
                        let (id, method, tool) = (id.to_owned(), Method::of(&method), Some(tool.clone()));
                        notes.push(Note::Refused { id, method, tool, refused, reason });
                        return Verdict::Drop;
                    }
                }
                let call = Call { id, method: &method, tool: tool.as_deref(), params, bytes: text.len() };
                let served = match self.serve(call, tries, now, notes) {
                    Ok(served) => served,
                    Err(verdict) => return verdict,
                };
                notes.extend(tool.clone().map(Note::Called));
                if let (true, Some(frame)) = (method == "initialize", frame) {
                    self.handshake.begins(frame, id);
                }
                let revision = self.handshake.revision_of(params);
                // A greeting is kept, and repeated as the client has said it.
                let own = served.asked.part.handed_on().filter(|_| method != "initialize");
                self.wait(id, Method::of(&method), (tool, revision), now, served);
                if let Some((own, params)) = own.zip(params) {
                    let told = envelope::exchange(text, params, &spans::with_parent(params, own));
                    return Verdict::Instead(told.into_bytes());
                }
            }
            Ok(Incoming::Notification { method, params }) => match (&*method, frame) {
                ("notifications/initialized", Some(frame)) => self.handshake.initialized(frame),
                // Whoever cancels does not wait, and servers are not to answer.
                ("notifications/cancelled", _) => self.cancelled(params),
                _ => {}
            },
            Ok(Incoming::Response { id, .. }) => {
                let key = key(id);
                let asked = self.asked.iter().find(|(_, name)| **name == *key).map(|(own, _)| own.clone());
                match asked {
                    Some(own) => {
                        self.asked.remove(&own);
                        if own != *key {
                            return Verdict::Instead(envelope::exchange(text, id, &own).into_bytes());
                        }
                    }
                    None if self.left.remove(&*key) => return Verdict::Drop,
                    None => {}
                }
            }
            Err(malformed) => return self.unread(words(malformed), notes),
        }
        Verdict::Pass
    }

    /// The client is refused something, and told of where that happens again and again.
    fn unusual(&mut self, tool: Option<&str>, now: Instant, notes: &mut Vec<Note>) {
        let tool = tool.unwrap_or_default().to_owned();
        notes.extend(self.gate.refused(now).map(|seen| Note::Suspicious { tool, seen }));
    }

    /// Something of the client that is no message: a server may take it for one all the same.
    fn unread(&self, why: &'static str, notes: &mut Vec<Note>) -> Verdict {
        if self.gate.is_restricting() {
            notes.push(Note::Withheld(why));
            return Verdict::Drop;
        }
        notes.push(Note::Malformed(why));
        Verdict::Pass
    }

    fn wait(
        &mut self,
        id: &str,
        method: Method,
        (tool, revision): (Option<String>, Option<Box<str>>),
        since: Instant,
        served: Served,
    ) {
        if self.n_waiting < REQUESTS_MAX {
            let number = self.n_noted;
            self.n_noted += 1;
            self.n_waiting += 1;
            let Served { asked, deadline, slot: _slot, wanted } = served;
            let key = key(id).into_owned();
            let id = id.into();
            let entry = Waiting { id, method, tool, since, number, revision, asked, deadline, _slot, wanted };
            // Whoever uses an id again waits for the answer that comes next.
            self.late.remove(&key);
            self.waiting.entry(key).or_default().push(entry);
        }
    }

    fn cancelled(&mut self, params: Option<&str>) {
        let id = params.and_then(|params| envelope::member(params, "requestId").ok().flatten());
        if let Some(id) = id {
            self.answered(&key(id));
        }
    }

    /// Takes the oldest request of this id out.
    fn answered(&mut self, key: &str) -> Option<Waiting> {
        let entries = self.waiting.get_mut(key)?;
        let entry = entries.remove(0);
        if entries.is_empty() {
            self.waiting.remove(key);
        }
        self.n_waiting -= 1;
        Some(entry)
    }

    /// The frame did not reach the server: takes back what was noted. False where somebody has answered it already.
    pub(crate) fn take_back(&mut self, noted: &Noted) -> bool {
        let numbers = &noted.numbers;
        let n_before = self.n_waiting;
        self.waiting.retain(|_, entries| {
            entries.retain(|entry| !numbers.contains(&entry.number));
            !entries.is_empty()
        });
        self.n_waiting = self.waiting.values().map(Vec::len).sum();
        (n_before - self.n_waiting) as u64 == numbers.end - numbers.start
    }

    /// The client has said this while there is nobody to say it to: the ids of what must be refused.
    pub(crate) fn refused(&mut self, frame: &[u8]) -> Vec<String> {
        let mut ids = Vec::new();
        for text in messages(frame).unwrap_or_default() {
            match envelope::parse(text.as_bytes()) {
                Ok(Incoming::Request { id, .. }) => ids.push(id.to_owned()),
                Ok(Incoming::Notification { method, .. }) if method == "notifications/initialized" => {
                    self.handshake.initialized(frame);
                }
                Ok(Incoming::Response { id, .. }) => {
                    self.left.remove(&*key(id));
                }
                Ok(_) | Err(_) => {}
            }
        }
        ids
    }

    /// What the client waits for, and for how long.
    pub(crate) fn running(&self, now: Instant) -> Vec<(Method, Duration)> {
        self.entries().map(|entry| (entry.method, now.saturating_duration_since(entry.since))).collect()
    }

    /// How many tools that are called now are not among those that only read.
    pub(crate) fn writes(&self) -> usize {
        let calls = self.entries().filter(|entry| entry.method == Method::TOOLS_CALL);
        calls.filter(|entry| !entry.tool.as_deref().is_some_and(|tool| self.gate.is_read(tool))).count()
    }

    /// How long the youngest tool call has been running.
    pub(crate) fn youngest_call(&self, now: Instant) -> Option<Duration> {
        let calls = self.entries().filter(|entry| entry.method == Method::TOOLS_CALL);
        calls.map(|entry| now.saturating_duration_since(entry.since)).min()
    }

    /// Since when the client waits for an answer to `initialize`.
    pub(crate) fn initializing_since(&self) -> Option<Instant> {
        let first = self.entries().filter(|entry| entry.method == Method::INITIALIZE);
        first.map(|entry| entry.since).min()
    }

    fn entries(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values().flatten()
    }
}

fn words(malformed: Malformed) -> &'static str {
    match malformed {
        Malformed::NotJson => "not JSON",
        Malformed::Batch => "a batch in a batch",
        Malformed::Invalid(reason) => reason,
    }
}

/// An id as it is meant: two programs may write one string in two ways.
fn key(id: &str) -> Cow<'_, str> {
    if !id.contains('\\') {
        return Cow::Borrowed(id);
    }
    match serde_json::from_str::<String>(id).and_then(|text| serde_json::to_string(&text)) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(id),
    }
}

fn tool_name(params: &str) -> Option<String> {
    if params.len() > NAMED_BYTES_MAX {
        return None;
    }
    serde_json::from_str(envelope::member(params, "name").ok()??).ok()
}

#[cfg(test)]
mod tests;
