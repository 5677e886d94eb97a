//! Owns the tests of reading along: who waits, who is told, and that nothing is changed that need not be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Ledger, Note};
use crate::controls::{Block, BlockKind, Refused, Set};
use crate::inflight::Meaning;
use crate::metrics::{Failure, Method};
use crate::own::Own;
use crate::stdio::batch::Verdict;
use crate::stdio::gate::Gate;
use crate::stdio::handshake::Replay;
use crate::stdio::terms::Terms;

struct Talk {
    ledger: Ledger,
    now: Instant,
    notes: Vec<Note>,
}

impl Talk {
    fn new() -> Self {
        Self {
            ledger: Ledger::new(
                7,
                Gate::new(Arc::default(), &Own::default(), 42, || 0),
                Terms::of(&Own::default()),
            ),
            now: Instant::now(),
            notes: Vec::new(),
        }
    }

    fn client(&mut self, text: &str) -> Verdict {
        self.ledger.client_said(format!("{text}\n").as_bytes(), self.now, &mut self.notes).verdict
    }

    fn server(&mut self, text: &str) -> Verdict {
        self.ledger.server_said(format!("{text}\n").as_bytes(), self.now, &mut self.notes)
    }

    fn asks(&mut self, id: &str, method: &str) {
        assert_eq!(self.client(&request(id, method)), Verdict::Pass);
    }

    fn meet(&mut self) {
        self.asks("0", "initialize");
        assert_eq!(self.server(&result("0", "{\"protocolVersion\":\"2025-11-25\"}")), Verdict::Pass);
        self.client("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    }

    fn ended(&mut self) -> (Vec<String>, Vec<String>) {
        let (waiting, open) = self.ledger.server_ended();
        (waiting.into_iter().map(|one| one.id.into()).collect(), open)
    }
}

fn request(id: &str, method: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\"}}")
}

fn result(id: &str, result: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}")
}

#[test]
fn whoever_waits_is_known_until_there_is_an_answer() {
    let mut talk = Talk::new();
    talk.asks("1", "tools/list");
    talk.client(
        r#"{"method":"tools/call","params":{"name":"x","arguments":{}},"jsonrpc":"2.0","id":"a\u0062"}"#,
    );
    talk.asks("3", "ping");
    talk.now += Duration::from_secs(2);
    assert_eq!(talk.ledger.youngest_call(talk.now), Some(Duration::from_secs(2)));
    assert_eq!(talk.server(&result("\"ab\"", "{\"isError\":true}")), Verdict::Pass);
    match &talk.notes[..] {
        [Note::Called(tool), Note::Answered(one, Meaning::Failed(Failure::Tool), took, _)] => {
            assert_eq!((tool.as_str(), one.tool.as_deref()), ("x", Some("x")));
            assert_eq!((one.method, *took), (Method::TOOLS_CALL, Duration::from_secs(2)));
        }
        other => panic!("{other:?}"),
    }
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#;
    assert_eq!(talk.client(cancelled), Verdict::Pass);
    talk.asks("4", "prompts/list");
    assert_eq!(talk.ended(), (vec!["1".to_owned(), "4".to_owned()], vec![]));
    assert_eq!(talk.ended().0, Vec::<String>::new());
}

#[test]
fn batches_and_what_is_no_message_pass() {
    let mut talk = Talk::new();
    let batch = format!("[{},{}]", request("1", "ping"), request("2", "tools/list"));
    assert_eq!(talk.client(&batch), Verdict::Pass);
    for text in ["Server started!", "{\"level\":\"info\"}", "{\"jsonrpc\":\"2.0\",", "[1,2]", "", "[]"] {
        assert_eq!((talk.client(text), talk.server(text)), (Verdict::Pass, Verdict::Pass), "{text}");
    }
    assert_eq!(talk.ledger.server_said(b"\xff\n", talk.now, &mut talk.notes), Verdict::Pass);
    let malformed = talk.notes.iter().filter(|note| matches!(note, Note::Malformed(_))).count();
    assert_eq!(malformed, 11, "{:?}", talk.notes);
    assert_eq!(talk.server(&format!("[{}]", result("2", "{}"))), Verdict::Pass);
    assert_eq!(talk.ended().0, ["1"]);
}

#[test]
fn answers_to_the_guards_own_questions_are_for_nobody_else() {
    let mut talk = Talk::new();
    let own = talk.ledger.own_id(5);
    assert_eq!(own, "\"paramedic-00000000000000000000000000000007-5\"");
    assert_eq!(talk.server(&result(&own, "{}")), Verdict::Drop);
    assert!(matches!(talk.notes[..], [Note::Own(5)]));
    talk.asks("1", "ping");
    let batch = format!("[{},{}]", result(&own, "{}"), result("1", "{}"));
    let Verdict::Instead(rest) = talk.server(&batch) else { panic!("the whole batch") };
    assert_eq!(String::from_utf8(rest).unwrap(), format!("[{}]\n", result("1", "{}")));
    let other = result("\"paramedic-00000000000000000000000000000008-5\"", "{}");
    assert_eq!(talk.server(&other), Verdict::Pass, "it is another guard's");
}

#[test]
fn a_new_server_is_met_with_the_clients_own_bytes() {
    let mut talk = Talk::new();
    assert_eq!(talk.ledger.handshake.replay(), Replay::Nothing);
    let first = r#" {"jsonrpc":"2.0",  "id": 0,"method":"initialize","params":{"x":[1 , 2]}}"#;
    talk.client(first);
    assert_eq!(talk.ledger.handshake.replay(), Replay::Nothing, "it was never answered");
    talk.server(&result("0", "{\"serverInfo\":{\"version\":\"1\"}}"));
    assert!(talk.notes.iter().any(|note| matches!(note, Note::Met)));
    talk.client("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    talk.asks("0", "tools/list");
    assert_eq!(talk.ended().0, ["0"]);
    assert_eq!(talk.ledger.handshake.replay(), Replay::Line(format!("{first}\n").into_bytes()));
    talk.notes.clear();
    let second = "{\"serverInfo\":{\"version\":\"2\"}}";
    assert_eq!(talk.server(&result("0", second)), Verdict::Drop);
    assert!(matches!(&talk.notes[..], [Note::Replayed(Ok(text))] if text == second), "{:?}", talk.notes);
    let difference = talk.ledger.handshake.difference(second).unwrap();
    assert_eq!(difference, "`serverInfo` was {\"version\":\"1\"} and is {\"version\":\"2\"}");
    assert_eq!(talk.ledger.handshake.difference("{\"serverInfo\":{\"version\":\"1\"}}"), None);
    assert!(talk.ledger.handshake.closing_line().is_some());
    // From then on the id is the client's again.
    talk.asks("0", "tools/list");
    assert_eq!(talk.server(&result("0", "{}")), Verdict::Pass);
}

#[test]
fn the_client_decides_the_era() {
    let modern = |id: u32, method: &str| {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"_meta": meta}}).to_string()
    };
    let mut talk = Talk::new();
    assert_eq!(talk.ledger.handshake.health_question(), None);
    // A client that tries the new era with a server of the old one.
    talk.client(&modern(1, "server/discover"));
    talk.server(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#);
    assert_eq!(talk.ledger.handshake.health_question(), None);
    talk.meet();
    assert_eq!(talk.ledger.handshake.health_question(), Some(("ping", None)));

    let mut talk = Talk::new();
    talk.client(&modern(1, "tools/list"));
    talk.server(&result("1", "{}"));
    let (method, params) = talk.ledger.handshake.health_question().unwrap();
    let params: Value = serde_json::from_str(&params.unwrap()).unwrap();
    assert_eq!(method, "server/discover");
    assert_eq!(params["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(talk.ledger.handshake.replay(), Replay::Nothing);
}

#[test]
fn what_an_old_server_has_asked_never_answers_a_new_one() {
    let mut talk = Talk::new();
    talk.meet();
    assert_eq!(talk.server(&request("0", "roots/list")), Verdict::Pass);
    assert_eq!(talk.server(&request("\"s\"", "sampling/createMessage")), Verdict::Pass);
    assert_eq!(talk.client(&result("\"s\"", "{}")), Verdict::Pass);
    assert_eq!(talk.ended().1, ["0"]);
    // The new one counts from the beginning again.
    let Verdict::Instead(asked) = talk.server(&request("0", "roots/list")) else { panic!("passed on") };
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    assert_eq!((&asked["method"], asked["id"].is_string()), (&json!("roots/list"), true));
    assert_eq!(talk.client(&result("0", "{\"roots\":[]}")), Verdict::Drop, "the late answer to the old one");
    let Verdict::Instead(answer) = talk.client(&result(&asked["id"].to_string(), "{\"roots\":[1]}")) else {
        panic!("passed on as it was")
    };
    assert_eq!(String::from_utf8(answer).unwrap().trim_end(), result("0", "{\"roots\":[1]}"));
    assert_eq!(talk.server(&request("0", "roots/list")), Verdict::Pass, "nothing is in the way any more");
    // What a server takes back is taken back under the id that the client knows.
    talk.ended();
    talk.server(&request("0", "roots/list"));
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}"#;
    let Verdict::Instead(told) = talk.server(cancelled) else { panic!("passed on as it was") };
    assert!(String::from_utf8(told).unwrap().contains("asked-2"));
    assert_eq!(talk.ended().1, Vec::<String>::new());
}

#[test]
fn a_frame_that_was_not_taken_is_as_if_never_said() {
    let mut talk = Talk::new();
    let frame = format!("[{},{}]\n", request("1", "ping"), request("2", "ping"));
    let noted = talk.ledger.client_said(frame.as_bytes(), talk.now, &mut talk.notes);
    assert!(talk.ledger.take_back(&noted));
    assert_eq!(talk.ended().0, Vec::<String>::new());
    let noted = talk.ledger.client_said(frame.as_bytes(), talk.now, &mut talk.notes);
    assert_eq!(talk.ended().0, ["1", "2"]);
    assert!(!talk.ledger.take_back(&noted), "somebody has answered");
    assert_eq!(talk.ledger.refused(frame.as_bytes()), ["1", "2"]);
    assert_eq!(talk.ended().0, Vec::<String>::new());
}

proptest! {
    /// Of all requests, each is answered by the server or by the guard when it ends: once.
    #[test]
    fn every_request_has_one_answer(steps in proptest::collection::vec((0_u8..3, 0_u32..6), 0..60)) {
        let mut talk = Talk::new();
        let (mut open, mut by_guard) = (Vec::new(), 0);
        for (step, id) in steps {
            match step {
                0 => {
                    talk.asks(&id.to_string(), "tools/list");
                    open.push(id.to_string());
                }
                1 => {
                    let known = open.iter().position(|one| *one == id.to_string());
                    talk.notes.clear();
                    let passed = talk.server(&result(&id.to_string(), "{}"));
                    prop_assert_eq!(passed, Verdict::Pass);
                    prop_assert_eq!(talk.notes.len(), usize::from(known.is_some()));
                    known.map(|place| open.remove(place));
                }
                _ => {
                    let (told, _) = talk.ended();
                    by_guard += told.len();
                    prop_assert_eq!(&told, &open);
                    open.clear();
                }
            }
        }
        prop_assert_eq!(talk.ledger.running(Instant::now()).len(), open.len());
        prop_assert!(by_guard < 60);
    }

    /// Whatever bytes come: nothing panics, and what is not for the guard is passed on.
    #[test]
    fn any_bytes_pass(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut talk = Talk::new();
        prop_assert_eq!(talk.ledger.server_said(&bytes, talk.now, &mut talk.notes), Verdict::Pass);
        prop_assert_eq!(talk.ledger.client_said(&bytes, talk.now, &mut talk.notes).verdict, Verdict::Pass);
        talk.ledger.refused(&bytes);
    }
}

/// What was refused, by id.
fn refusals(talk: &mut Talk) -> Vec<(String, Refused)> {
    let notes = talk.notes.drain(..);
    notes
        .filter_map(|note| match note {
            Note::Refused { id, refused, .. } => Some((id, refused)),
            _ => None,
        })
        .collect()
}

fn call(id: &str, tool: &str) -> String {
    let params = json!({ "name": tool, "arguments": {} });
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{params}}}")
}

#[test]
fn a_read_only_server_is_only_read() {
    let list = json!({ "tools": [
        { "name": "get", "annotations": { "readOnlyHint": true } },
        { "name": "put", "annotations": { "readOnlyHint": false } },
    ], "nextCursor": "x" });
    let mut talk = Talk::new();
    talk.meet();
    let before = Talk::client(&mut talk, &call("1", "put"));
    assert_eq!((before, talk.ledger.writes()), (Verdict::Pass, 1));
    let _ = talk
        .ledger
        .gate
        .kept()
        .change(|controls| controls.enable_writes(0, None, Set::new("ann", 0, None)))
        .unwrap();
    assert_eq!(talk.ledger.writes(), 1, "it still runs");
    // Nobody has listed the tools yet, so none is known to read.
    assert_eq!(talk.client(&call("2", "get")), Verdict::Drop);
    talk.asks("3", "tools/list");
    let Verdict::Instead(shown) = talk.server(&result("3", &list.to_string())) else {
        panic!("it is shown as it is")
    };
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    assert_eq!(shown["id"], 3);
    assert_eq!(shown["result"]["nextCursor"], "x");
    assert_eq!(shown["result"]["tools"].as_array().unwrap().len(), 1);
    assert_eq!(shown["result"]["tools"][0]["name"], "get");
    assert_eq!(talk.client(&call("4", "get")), Verdict::Pass);
    assert_eq!(talk.client(&call("5", "put")), Verdict::Drop);
    let batch = format!("[{},{}]", call("6", "put"), request("7", "ping"));
    assert_eq!(talk.client(&batch), Verdict::Instead(format!("[{}]\n", request("7", "ping")).into()));
    // What only some readers take for a request.
    for odd in [
        "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"ping\",\"method\":\"tools/call\"}",
        "{\"id\":8,\"method\":\"tools/call\",\"params\":{\"name\":\"put\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"tools/call\",\"params\":{\"name\":\"get\",\"name\":\"put\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"records/delete\"}",
        "put!",
    ] {
        assert_eq!(talk.client(odd), Verdict::Drop, "{odd}");
    }
    let withheld = talk.notes.iter().filter(|note| matches!(note, Note::Withheld(_))).count();
    assert_eq!(withheld, 3);
    let refused: Vec<String> = refusals(&mut talk).into_iter().map(|(id, _)| id).collect();
    assert_eq!(refused, ["2", "5", "6", "8", "8"]);
    talk.server("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}");
    assert_eq!(talk.client(&call("9", "get")), Verdict::Drop, "it may be another tool now");
}

#[test]
fn what_is_blocked_is_neither_shown_nor_called() {
    let mut talk = Talk::new();
    let (kind, name, set) = (BlockKind::Tool, "put".to_owned(), Set::new("ann", 0, None));
    let block = Block { kind, name, until_ms: None, set };
    let _ = talk.ledger.gate.kept().change(|controls| controls.block(block, 0)).unwrap();
    talk.meet();
    talk.asks("1", "tools/list");
    let list = r#"{"tools":[{"name":"put"},{"name":"delete"}]}"#;
    let Verdict::Instead(shown) = talk.server(&result("1", list)) else { panic!("it is shown as it is") };
    assert_eq!(String::from_utf8(shown).unwrap(), result("1", r#"{"tools":[{"name":"delete"}]}"#) + "\n");
    assert_eq!(talk.client(&call("2", "put")), Verdict::Drop);
    assert_eq!(talk.client(&call("3", "\u{70}ut")), Verdict::Drop);
    assert_eq!(talk.client(&call("4", "delete")), Verdict::Pass);
    assert_eq!(refusals(&mut talk), [("2".to_owned(), Refused::Tool), ("3".to_owned(), Refused::Tool)]);
}
