//! Owns what the server's half of the talk means: answers, questions, announcements, and its end.

use std::time::Instant;

use super::served::line;
use super::{LEFT_MAX, Ledger, Note, Waiting, key, words};
use crate::audit::Summary;
use crate::envelope::{self, Incoming, Outcome};
use crate::inflight::{Meaning, meaning};
use crate::metrics::{Method, Status};
use crate::outgoing;
use crate::stdio::batch::{Verdict, messages, rebuilt};

// === impl Ledger ===

impl Ledger {
    /// Whether what the server says next may have to be kept from the client, or changed, however long it is.
    pub(crate) fn must_look(&self) -> bool {
        self.handshake.is_replaying()
            || !(self.left.is_empty() && self.late.is_empty())
            || self.gate.is_restricting()
            || self.terms.bounds_answers()
            || self.gate.refuses_results()
    }

    /// The server has said this.
    pub(crate) fn server_said(&mut self, frame: &[u8], now: Instant, notes: &mut Vec<Note>) -> Verdict {
        match messages(frame) {
            Ok(texts) => {
                let verdicts = texts.into_iter().map(|text| (text, self.server_message(text, now, notes)));
                rebuilt(frame, verdicts.collect())
            }
            Err(why) => self.server_unread(why, notes),
        }
    }

    /// Something of the server that is no message: a client may take it for one all the same.
    fn server_unread(&self, why: &'static str, notes: &mut Vec<Note>) -> Verdict {
        if self.gate.refuses_results() {
            notes.push(Note::Withheld(why));
            return Verdict::Drop;
        }
        notes.push(Note::Malformed(why));
        Verdict::Pass
    }

    fn server_message(&mut self, text: &str, now: Instant, notes: &mut Vec<Note>) -> Verdict {
        match envelope::parse(text.as_bytes()) {
            Ok(Incoming::Response { id, outcome }) => self.server_answers(text, id, outcome, now, notes),
            Ok(Incoming::Request { id, .. }) => {
                let own = id.to_owned();
                if self.left.contains(&*key(id)) {
                    self.n_renamed += 1;
                    let name = format!("{}asked-{}\"", self.own, self.n_renamed);
                    let renamed = envelope::exchange(text, id, &name);
                    self.asks(own, name);
                    return Verdict::Instead(renamed.into_bytes());
                }
                self.asks(own, key(id).into_owned());
                Verdict::Pass
            }
            Ok(Incoming::Notification { method, params }) if method == "notifications/cancelled" => {
                self.server_cancels(text, params)
            }
            Ok(Incoming::Notification { method, .. }) => {
                self.terms.announced(&method);
                if method == "notifications/tools/list_changed" {
                    self.gate.forget();
                }
                Verdict::Pass
            }
            Err(malformed) => self.server_unread(words(malformed), notes),
        }
    }

    fn asks(&mut self, own: String, name: String) {
        if self.asked.len() < LEFT_MAX {
            self.asked.insert(own, name);
        }
    }

    /// The server wants no answer any more, to a question that the client may know under another id.
    fn server_cancels(&mut self, text: &str, params: Option<&str>) -> Verdict {
        let id = params.and_then(|params| envelope::member(params, "requestId").ok().flatten());
        let Some((id, name)) = id.and_then(|id| Some((id, self.asked.remove(id)?))) else {
            return Verdict::Pass;
        };
        if name == *key(id) {
            Verdict::Pass
        } else {
            Verdict::Instead(envelope::exchange(text, id, &name).into())
        }
    }

    fn server_answers(
        &mut self,
        text: &str,
        id: &str,
        outcome: Outcome<'_>,
        now: Instant,
        notes: &mut Vec<Note>,
    ) -> Verdict {
        if let Some(rest) = id.strip_prefix(&self.own) {
            // One that came too late has a number that nobody waits for.
            notes.extend(rest.strip_suffix('"').and_then(|number| number.parse().ok()).map(Note::Own));
            return Verdict::Drop;
        }
        let key = key(id);
        if self.handshake.is_replayed(&key) {
            notes.push(Note::Replayed(match outcome {
                Outcome::Result(result) => Ok(result.to_owned()),
                Outcome::Error(error) => Err(error.to_owned()),
            }));
            return Verdict::Drop;
        }
        let Some(mut entry) = self.answered(&key) else {
            // It was answered in the server's place, because it took too long.
            if self.late.remove(&*key) {
                return Verdict::Drop;
            }
            let held_back = self.held_back((None, None), outcome, now, notes);
            return held_back.map_or(Verdict::Pass, |error| Verdict::Instead(line(id, &error)));
        };
        let took = now.saturating_duration_since(entry.since);
        let about = (Some(entry.method), entry.tool.as_deref());
        let instead = self.cut(entry.method, outcome, notes);
        if let Some(error) = instead.or_else(|| self.held_back(about, outcome, now, notes)) {
            let summary = Summary::of(entry.method, Outcome::Error(&error), Status::Error);
            notes.push(Note::Answered(entry, Meaning::Lost, took, summary));
            return Verdict::Instead(line(id, &error));
        }
        let mut verdict = Verdict::Pass;
        if let (Method::TOOLS_LIST, Outcome::Result(result)) = (entry.method, outcome) {
            verdict = self.listed(text, id, result);
            let seen = self.gate.take_seen().into_iter();
            notes.extend(seen.map(|(tool, seen)| Note::Suspicious { tool, seen }));
        }
        if self.handshake.answered(entry.method, entry.revision.as_deref(), outcome) {
            notes.push(Note::Met);
        }
        if let (Some(wanted), Outcome::Result(result)) = (entry.wanted.take(), outcome) {
            self.terms.keep(wanted, result, now);
        }
        let meaning = meaning(entry.method, outcome);
        let summary = Summary::of(entry.method, outcome, meaning.status());
        notes.push(Note::Answered(entry, meaning, took, summary));
        verdict
    }

    /// The error in the place of an answer that gives something away; none where it goes on.
    fn held_back(
        &mut self,
        (method, tool): (Option<Method>, Option<&str>),
        outcome: Outcome<'_>,
        now: Instant,
        notes: &mut Vec<Note>,
    ) -> Option<String> {
        let (seen, much) = self.gate.answered(method, outcome, now);
        let error = seen.as_ref().and_then(|seen| seen.refused.as_deref()).map(outgoing::error);
        let tool = tool.unwrap_or_default();
        let told = seen.into_iter().chain(much);
        notes.extend(told.map(|seen| Note::Suspicious { tool: tool.to_owned(), seen }));
        error
    }

    /// A list of tools, with those that may be called.
    fn listed(&mut self, text: &str, id: &str, result: &str) -> Verdict {
        match self.gate.listed(result) {
            None => Verdict::Pass,
            Some(Ok(narrowed)) => Verdict::Instead(envelope::exchange(text, result, &narrowed).into()),
            Some(Err(error)) => Verdict::Instead(line(id, &error)),
        }
    }

    /// The server has ended: everybody who waits, in the order in which they asked, and the ids of what it has asked
    /// the client, as JSON.
    pub(crate) fn server_ended(&mut self) -> (Vec<Waiting>, Vec<String>) {
        self.handshake.server_ended();
        self.gate.forget();
        self.terms.clear();
        self.late.clear();
        let mut entries: Vec<Waiting> = self.waiting.drain().flat_map(|(_, entries)| entries).collect();
        entries.sort_unstable_by_key(|entry| entry.number);
        self.n_waiting = 0;
        let open: Vec<String> = self.asked.drain().map(|(_, name)| name).collect();
        if self.left.len() + open.len() > LEFT_MAX {
            self.left.clear();
        }
        self.left.extend(open.iter().cloned());
        (entries, open)
    }
}
