//! Owns what the settings make of the client's requests: refused, answered with what is kept, or given a time to be
//! answered in.

use std::time::Instant;

use super::{LEFT_MAX, Ledger, Note, Tries, Waiting, key};
use crate::audit::Asked;
use crate::cache::Wanted;
use crate::envelope::{Incoming, Malformed, Outcome, response};
use crate::limits::Slot;
use crate::metrics::Method;
use crate::stdio::batch::Verdict;
use crate::stdio::terms::Over;

/// A request of the client.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    pub(super) method: &'a str,
    pub(super) tool: Option<&'a str>,
    pub(super) params: Option<&'a str>,
    pub(super) bytes: usize,
}

/// What one that is passed on has got.
pub(super) struct Served {
    pub(super) asked: Asked,
    pub(super) deadline: Option<Instant>,
    pub(super) slot: Option<Slot>,
    pub(super) wanted: Option<Wanted>,
}

// === impl Ledger ===

impl Ledger {
    /// What a request gets that is to be passed on.
    ///
    /// # Errors
    /// Where it is not passed on, because it is over a limit or its answer is kept: then there is a note of it.
    pub(super) fn serve(
        &mut self,
        call: Call<'_>,
        tries: Tries,
        now: Instant,
        notes: &mut Vec<Note>,
    ) -> Result<Served, Verdict> {
        let Call { id, method, tool, params, bytes } = call;
        let slot = match tries {
            Tries::First => self.terms.take(method, tool, now),
            Tries::Again => Ok(None),
        };
        let slot = slot.map_err(|over| {
            let (id, method) = (Some(id.to_owned()), Some(Method::of(method)));
            notes.push(Note::Over { id, method, tool: tool.map(str::to_owned), over });
            Verdict::Drop
        })?;
        let initialized = self.handshake.result().unwrap_or_default();
        let wanted = match self.terms.kept(initialized, method, params, now) {
            Some((wanted, Some(result))) => {
                if let Some(result) = self.shown(method, &result) {
                    let (id, method) = (id.to_owned(), Method::of(method));
                    let (extent, client) = (self.gate.extent(), self.gate.client());
                    let asked = self.terms.asked(extent, client, (tool, params), bytes);
                    notes.push(Note::Kept { id, method, kind: wanted.kind(), result, asked });
                    return Err(Verdict::Drop);
                }
                Some(wanted)
            }
            Some((wanted, None)) => Some(wanted),
            None => None,
        };
        notes.extend(wanted.as_ref().map(|wanted| Note::NotKept(wanted.kind())));
        let asked = self.terms.asked(self.gate.extent(), self.gate.client(), (tool, params), bytes);
        Ok(Served { asked, deadline: self.terms.deadline(method, tool, now), slot, wanted })
    }

    /// A kept answer as it may be shown now; none where that cannot be told.
    fn shown(&mut self, method: &str, result: &str) -> Option<String> {
        match method {
            "tools/list" => self.gate.listed(result).unwrap_or_else(|| Ok(result.to_owned())).ok(),
            _ => Some(result.to_owned()),
        }
    }

    /// A message of the client that is longer than may be. A server that waits for it is told.
    pub(super) fn too_long(
        &mut self,
        incoming: Result<Incoming<'_>, Malformed>,
        over: Over,
        notes: &mut Vec<Note>,
    ) -> Verdict {
        let (mut id, mut method, mut verdict) = (None, None, Verdict::Drop);
        match incoming {
            Ok(Incoming::Request { id: of, method: name, .. }) => {
                (id, method) = (Some(of.to_owned()), Some(Method::of(&name)));
            }
            Ok(Incoming::Response { id: of, .. }) => {
                let asked =
                    self.asked.iter().find(|(_, name)| **name == *key(of)).map(|(own, _)| own.clone());
                if let Some(own) = asked {
                    self.asked.remove(&own);
                    verdict = Verdict::Instead(line(&own, &over.error()));
                }
            }
            Ok(Incoming::Notification { method: name, .. }) => method = Some(Method::of(&name)),
            Err(_) => {}
        }
        notes.push(Note::Over { id, method, tool: None, over });
        verdict
    }

    /// Those whose time is up. They wait no more, and what the server says to them later is for nobody.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<Waiting> {
        let mut overdue = Vec::new();
        for (key, entries) in &mut self.waiting {
            let is_late = |entry: &mut Waiting| entry.deadline.is_some_and(|deadline| deadline <= now);
            let late: Vec<Waiting> = entries.extract_if(.., is_late).collect();
            if !late.is_empty() && self.late.len() < LEFT_MAX {
                self.late.insert(key.clone());
            }
            overdue.extend(late);
        }
        self.waiting.retain(|_, entries| !entries.is_empty());
        self.n_waiting -= overdue.len();
        overdue
    }

    /// The only request of the client that waits; none where there are none or several.
    pub(crate) fn only_one(&mut self) -> Option<Waiting> {
        let only = self.n_waiting == 1;
        let key = self.waiting.keys().next().filter(|_| only)?.clone();
        self.answered(&key)
    }

    /// The error that the client is told in the place of an answer that is longer than may be; none where it is not.
    pub(super) fn cut(&self, method: Method, outcome: Outcome<'_>, notes: &mut Vec<Note>) -> Option<String> {
        let Outcome::Result(result) = outcome else { return None };
        // Without this answer there would be no talk at all.
        let over = self.terms.answer_too_long(result.len()).filter(|_| method != Method::INITIALIZE)?;
        let error = over.error();
        notes.push(Note::Over { id: None, method: Some(method), tool: None, over });
        Some(error)
    }
}

/// An error in the place of an answer, as a line.
pub(super) fn line(id: &str, error: &str) -> Vec<u8> {
    let mut line = response(id, Outcome::Error(error));
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use crate::controls::Refused;
    use crate::own::Own;
    use crate::stdio::batch::Verdict;
    use crate::stdio::gate::Gate;
    use crate::stdio::ledger::{Ledger, Note};
    use crate::stdio::terms::Terms;

    struct Talk {
        ledger: Ledger,
        now: Instant,
    }

    impl Talk {
        fn new(settings: &str) -> Self {
            let own = Own::of(settings);
            let gate = Gate::new(Arc::default(), &own, 42, || 0);
            Self { ledger: Ledger::new(7, gate, Terms::of(&own)), now: Instant::now() }
        }

        fn client(&mut self, id: u32, method: &str, params: &str) -> (Verdict, Vec<Note>) {
            let line =
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n");
            let mut notes = Vec::new();
            (self.ledger.client_said(line.as_bytes(), self.now, &mut notes).verdict, notes)
        }

        fn server(&mut self, text: &str) -> (Verdict, Vec<Note>) {
            let mut notes = Vec::new();
            let line = format!("{text}\n");
            (self.ledger.server_said(line.as_bytes(), self.now, &mut notes), notes)
        }

        fn answers(&mut self, id: u32, result: &str) -> (Verdict, Vec<Note>) {
            self.server(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"))
        }

        #[track_caller]
        fn is_over(&mut self, id: u32, method: &str, params: &str, limit: &str) {
            let (verdict, notes) = self.client(id, method, params);
            assert_eq!(verdict, Verdict::Drop);
            assert!(
                notes.iter().any(|note| matches!(note, Note::Over { over, .. } if over.limit == limit)),
                "{notes:?}"
            );
        }
    }

    #[test]
    fn without_settings_nothing_is_limited_or_kept() {
        let mut talk = Talk::new("");
        for id in 0..100 {
            assert_eq!(talk.client(id, "tools/list", "{}").0, Verdict::Pass);
        }
        assert!(!talk.ledger.must_look());
        talk.now += Duration::from_secs(86_400);
        assert!(talk.ledger.overdue(talk.now).is_empty());
    }

    #[test]
    fn rates_and_places_hold_and_pings_are_free() {
        let mut talk = Talk::new(
            "[limits]\nin_flight = 2\n[limits.tools.a]\ncalls_per_second = 1\nburst = 1\nin_flight = 1",
        );
        assert_eq!(talk.client(1, "tools/call", "{\"name\":\"a\"}").0, Verdict::Pass);
        talk.is_over(2, "tools/call", "{\"name\":\"a\"}", "tool_in_flight");
        assert_eq!(talk.client(3, "tools/call", "{\"name\":\"b\"}").0, Verdict::Pass);
        talk.is_over(4, "prompts/list", "{}", "in_flight");
        assert_eq!(talk.client(5, "ping", "{}").0, Verdict::Pass);
        assert_eq!(talk.answers(1, "{}").0, Verdict::Pass);
        talk.is_over(6, "tools/call", "{\"name\":\"a\"}", "calls_per_second");
        talk.now += Duration::from_secs(1);
        assert_eq!(talk.client(7, "tools/call", "{\"name\":\"a\"}").0, Verdict::Pass);
        // Those of a server that has ended are free again.
        talk.ledger.server_ended();
        assert_eq!(talk.client(8, "prompts/list", "{}").0, Verdict::Pass);
    }

    #[test]
    fn whoever_takes_too_long_is_answered_once() {
        let mut talk = Talk::new("[limits.tools.slow]\ntimeout_seconds = 2");
        talk.client(1, "tools/call", "{\"name\":\"slow\"}");
        talk.client(2, "tools/call", "{\"name\":\"quick\"}");
        talk.now += Duration::from_secs(2);
        let late = talk.ledger.overdue(talk.now);
        assert_eq!(late.iter().map(|one| &*one.id).collect::<Vec<_>>(), ["1"]);
        assert!(talk.ledger.must_look());
        assert_eq!(talk.answers(1, "{}").0, Verdict::Drop, "the late answer is for nobody");
        assert_eq!(talk.answers(2, "{}").0, Verdict::Pass);
        assert!(!talk.ledger.must_look());
        // An id that is used again has the answer that comes.
        for _ in 0..2 {
            talk.client(1, "tools/call", "{\"name\":\"slow\"}");
            talk.now += Duration::from_secs(3);
            assert_eq!(talk.ledger.overdue(talk.now).len(), 1);
        }
        talk.client(1, "tools/call", "{\"name\":\"slow\"}");
        assert_eq!(talk.answers(1, "{}").0, Verdict::Pass);
    }

    #[test]
    fn what_is_too_long_is_told_to_whoever_waits() {
        let mut talk = Talk::new("[limits]\nrequest_bytes = 100\nanswer_bytes = 10");
        let long = format!("{{\"name\":\"{}\"}}", "x".repeat(100));
        talk.is_over(1, "tools/call", &long, "request_bytes");
        assert_eq!(talk.client(2, "initialize", "{}").0, Verdict::Pass);
        assert_eq!(talk.answers(2, "{\"protocolVersion\":\"2025-11-25\"}").0, Verdict::Pass);
        assert_eq!(talk.client(3, "tools/list", "{}").0, Verdict::Pass);
        let (verdict, notes) = talk.answers(3, "{\"tools\":[1,2,3]}");
        let Verdict::Instead(error) = verdict else { panic!("{verdict:?}") };
        let error: serde_json::Value = serde_json::from_slice(&error).unwrap();
        assert_eq!((&error["id"], &error["error"]["data"]["limit"]), (&3.into(), &"answer_bytes".into()));
        assert!(
            matches!(&notes[..], [Note::Over { over, .. }, Note::Answered(..)] if over.refused == Refused::Size)
        );
        // What the client says to a question of the server, which waits for it.
        talk.server("{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"roots/list\"}");
        let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":\"{}\"}}", "x".repeat(100));
        let mut notes = Vec::new();
        let noted = talk.ledger.client_said(answer.as_bytes(), talk.now, &mut notes);
        let Verdict::Instead(error) = noted.verdict else { panic!("{:?}", noted.verdict) };
        assert!(String::from_utf8(error).unwrap().contains("\"id\":\"q\",\"error\""));
    }

    #[test]
    fn what_gives_a_secret_away_stays_and_so_does_what_nobody_can_read() {
        let secret = "gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17".replace('^', "");
        let result = format!("{{\"content\":[{{\"type\":\"text\",\"text\":\"{secret}\"}}]}}");
        let settings = "[security]\nresults = true\n";
        for (block, stays) in [("", false), ("block = ['secret_exposure']", true)] {
            let mut talk = Talk::new(&format!("{settings}{block}"));
            assert_eq!(talk.ledger.must_look(), stays);
            talk.client(1, "tools/call", "{\"name\":\"a\"}");
            // One that was asked for, one that nobody has asked for, and both in one frame.
            let batch = format!("[{{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{result}}}]");
            for (verdict, notes) in [talk.answers(1, &result), talk.answers(7, &result), talk.server(&batch)]
            {
                assert!(
                    notes.iter().any(|note| matches!(note, Note::Suspicious { seen, .. } if seen.refused.is_some() == stays)),
                    "{notes:?}"
                );
                match verdict {
                    Verdict::Instead(line) if stays => {
                        let line = String::from_utf8(line).unwrap();
                        assert!(
                            line.contains("github-token of 40 bytes") && !line.contains(&secret),
                            "{line}"
                        );
                    }
                    verdict => assert!(!stays && verdict == Verdict::Pass, "{verdict:?}"),
                }
            }
            for garbage in ["Token: x", "[[]]", "{\"jsonrpc\":\"2.0\"}"] {
                let is_dropped = talk.server(garbage).0 == Verdict::Drop;
                assert_eq!(is_dropped, stays, "{garbage}");
            }
        }
    }

    #[test]
    fn refusals_again_and_again_are_told_once() {
        let mut talk =
            Talk::new("[security]\nblock = ['path_traversal']\n[security.usual]\nrefusals_per_minute = 3");
        let attack = "{\"name\":\"a\",\"arguments\":{\"path\":\"../../etc/passwd\"}}";
        let told: Vec<_> = (0..10).flat_map(|id| talk.client(id, "tools/call", attack).1).collect();
        let of = |rule: &str| {
            let is_it =
                |note: &&Note| matches!(note, Note::Suspicious { seen, .. } if seen.signs[0].rule == rule);
            told.iter().filter(is_it).count()
        };
        assert_eq!((of("path-climbs"), of("refused-again")), (10, 1));
    }

    #[test]
    fn lists_are_kept_until_they_change() {
        let mut talk = Talk::new("[cache]\nlists_seconds = 60");
        assert_eq!(talk.client(1, "tools/list", "{}").0, Verdict::Pass);
        talk.answers(1, "{\"tools\":[]}");
        let (verdict, notes) = talk.client(2, "tools/list", "{}");
        assert_eq!(verdict, Verdict::Drop);
        assert!(
            matches!(&notes[..], [Note::Kept { id, result, .. }] if id == "2" && result == "{\"tools\":[]}")
        );
        talk.server("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
        assert_eq!(talk.client(3, "tools/list", "{}").0, Verdict::Pass);
        // What is on its way while the server ends is not kept.
        talk.ledger.server_ended();
        assert_eq!(talk.client(4, "tools/list", "{}").0, Verdict::Pass);
    }
}
