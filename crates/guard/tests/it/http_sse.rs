//! Owns the tests of HTTP+SSE, the transport of 2024-11-05: served like every client, and gone with its stream.

use std::io::{Read, Write};
use std::net::TcpStream;

use process::ProcessId;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::fake_http::FakeHttp;
use super::guarded::{DEFAULT, Guarded, block_on, call, initialize};
use super::limits::{with, with_settings};
use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("an_old_client_is_served_over_its_stream", an_old_client_is_served),
    ("old_and_new_clients_never_meet", old_and_new_clients_never_meet),
    ("the_end_of_a_stream_is_the_end_of_all_behind_it", the_end_of_a_stream),
    ("an_old_client_has_a_child_of_its_own_for_as_long_as_its_stream", a_child_of_its_own),
    ("a_stream_ends_with_its_server_after_the_last_answer", a_stream_ends_with_its_server),
    ("an_old_client_is_held_to_all_that_holds", an_old_client_is_held_to_all_that_holds),
    ("a_stream_is_whose_token_has_opened_it", a_stream_is_whose_token_has_opened_it),
    ("an_old_client_that_does_not_read_is_let_go", who_does_not_read_is_let_go),
    ("an_old_client_is_served_by_an_upstream", an_upstream),
];

/// A client of the old transport.
pub(crate) struct Old<'a> {
    guarded: &'a Guarded,
    stream: Response,
    text: String,
    messages: String,
    token: Option<&'static str>,
}

impl<'a> Old<'a> {
    /// Opens a stream, and hears where its messages go.
    async fn open(guarded: &'a Guarded) -> Self {
        Self::open_as(guarded, None).await
    }

    async fn open_as(guarded: &'a Guarded, token: Option<&'static str>) -> Self {
        let stream = shown(guarded.http.get(guarded.url("/sse")), token).send().await.unwrap();
        assert_eq!(stream.status(), 200);
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        let mut old = Self { guarded, stream, text: String::new(), messages: String::new(), token };
        let (event, data) = old.next().await.unwrap();
        assert_eq!(event, "endpoint");
        assert!(data.starts_with("/messages?session_id="), "{data}");
        old.messages = guarded.url(&data);
        old
    }

    /// The same, and initializes with what it can be asked.
    pub(crate) async fn initialized(guarded: &'a Guarded, capabilities: &Value) -> Self {
        let mut old = Self::open(guarded).await;
        old.initialize(capabilities).await;
        old
    }

    async fn initialize(&mut self, capabilities: &Value) -> Value {
        let info = json!({"name": "old", "version": "1"});
        let params =
            json!({"protocolVersion": "2024-11-05", "capabilities": capabilities, "clientInfo": info});
        self.post(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await;
        let answer = self.message().await;
        self.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        answer
    }

    fn request(&self, body: String) -> RequestBuilder {
        let request = self.guarded.http.post(&self.messages).header("content-type", "application/json");
        shown(request, self.token).body(body)
    }

    async fn post(&self, message: &Value) {
        assert_eq!(self.request(message.to_string()).send().await.unwrap().status(), 202, "{message}");
    }

    pub(crate) async fn call(&mut self, id: &Value, tool: &str, arguments: &Value) -> Value {
        assert_eq!(self.request(call(id, tool, arguments)).send().await.unwrap().status(), 202);
        self.message().await
    }

    /// The next event and its data; none at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(name), Some(data)) = (field("event: "), field("data: ")) {
                    assert_eq!(field("id: "), None, "nothing is resumed");
                    return Some((name.to_owned(), data.to_owned()));
                }
                continue;
            }
            self.text.push_str(std::str::from_utf8(&self.stream.chunk().await.unwrap()?).unwrap());
        }
    }

    async fn message(&mut self) -> Value {
        let (event, data) = self.next().await.expect("a message");
        assert_eq!(event, "message");
        serde_json::from_str(&data).unwrap()
    }
}

fn shown(request: RequestBuilder, token: Option<&str>) -> RequestBuilder {
    match token {
        // As if a proxy had passed it on: on this machine the guard's own user needs no token.
        Some(token) => {
            request.header("authorization", format!("Bearer {token}")).header("x-forwarded-for", "192.0.2.1")
        }
        None => request,
    }
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

async fn nobody_is_left(guarded: &Guarded) {
    while guarded.metric(&["mcp_server_connections_active"]).await > 0.0 {}
    while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await > 0.0 {}
}

fn an_old_client_is_served() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let mut old = Old::open(&guarded).await;
        let greeted = old.initialize(&json!({"sampling": {}})).await;
        assert_eq!(greeted["result"]["protocolVersion"], "2024-11-05");
        assert_eq!(text(&old.call(&json!("a"), "echo", &json!({"n": 1})).await), "{\"n\":1}");
        assert_eq!(guarded.metric(&["mcp_server_connections_active"]).await, 1.0);
        // Progress comes before the answer, under the client's own token.
        let mut progress: Value = serde_json::from_str(&call(&json!(2), "progress", &json!({}))).unwrap();
        progress["params"]["_meta"] = json!({"progressToken": "mine"});
        old.post(&progress).await;
        for done in 1..=2 {
            let told = old.message().await;
            assert_eq!(told["params"], json!({"progressToken": "mine", "progress": done}));
        }
        assert_eq!((&old.message().await["id"], 2), (&json!(2), 2));
        // What the server asks, and what it announces.
        let asking = call(&json!(3), "question", &json!({"method": "sampling/createMessage"}));
        old.post(&serde_json::from_str(&asking).unwrap()).await;
        let asked = old.message().await;
        assert_eq!(asked["method"], "sampling/createMessage");
        old.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"role": "assistant"}})).await;
        assert!(text(&old.message().await).contains("assistant"));
        old.post(&serde_json::from_str(&call(&json!(4), "announce", &json!({}))).unwrap()).await;
        let both = [old.message().await, old.message().await];
        assert!(both.iter().any(|one| one["method"] == "notifications/tools/list_changed"), "{both:?}");
        assert!(both.iter().any(|one| one["id"] == 4), "{both:?}");
        // What is wrong is said, and ends nothing.
        for (body, status) in [("{", 400), ("{\"jsonrpc\":\"2.0\",\"id\":true}", 400), ("[]", 202)] {
            assert_eq!(old.request(body.to_owned()).send().await.unwrap().status(), status, "{body}");
        }
        assert_eq!(old.request("x".repeat(5 << 20)).send().await.unwrap().status(), 413);
        let again = json!({"jsonrpc": "2.0", "id": 9, "method": "initialize", "params": {}});
        old.post(&again).await;
        let refused = old.message().await;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(9), &json!(-32600)));
        assert_eq!(text(&old.call(&json!(5), "echo", &json!({})).await), "{}");
        // Each call is a line in the log, as everybody's.
        guarded.logged("the calls", |log| {
            let calls = log.iter().filter(|line| line["event"] == "response" && line["tool"] == "echo");
            calls.filter(|line| line["client"] == "old" && line["outcome"] == "success").count() == 2
        });
        // New clients that try the old address first, as the protocol has it, go on to it.
        let tried = guarded.http.post(guarded.url("/sse")).body(initialize("2025-11-25"));
        assert_eq!(tried.send().await.unwrap().status(), 405);
    });
}

fn old_and_new_clients_never_meet() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let mut old = Old::initialized(&guarded, &json!({})).await;
        let mut other = Old::initialized(&guarded, &json!({})).await;
        let new = guarded.initialize().await;
        // `pair` answers two calls together, the second one first; all have the same id.
        let (id, old_one, other_one) = (json!(1), json!({"of": "old"}), json!({"of": "other"}));
        let (one, two) = tokio::join!(
            old.call(&id, "pair", &old_one),
            guarded.call(&new, &id, "pair", json!({"of": "new"})),
        );
        assert!(text(&one).contains("old") && two.contains("new") && !two.contains("old"), "{one} {two}");
        let (one, two) = tokio::join!(old.call(&id, "pair", &old_one), other.call(&id, "pair", &other_one),);
        assert!(text(&one).contains("\"old\"") && text(&two).contains("other"), "{one} {two}");
        // Nobody takes back what is another's.
        old.post(&serde_json::from_str(&call(&json!(7), "hang", &json!({}))).unwrap()).await;
        other
            .post(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
            .await;
        assert_eq!(text(&other.call(&json!(8), "cancelled", &json!({})).await), "[]");
        for wrong in ["", "?session_id=", "?session_id=0123456789abcdef0123456789abcdef", "?x=1"] {
            let posted = guarded.http.post(guarded.url(&format!("/messages{wrong}")));
            let posted = posted.header("content-type", "application/json").body("{}").send().await.unwrap();
            assert_eq!(posted.status(), 404, "{wrong}");
        }
    });
}

fn the_end_of_a_stream() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let watching = guarded.initialize().await;
        let old = Old::initialized(&guarded, &json!({})).await;
        old.post(&serde_json::from_str(&call(&json!(7), "hang", &json!({}))).unwrap()).await;
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let messages = old.messages.clone();
        drop(old);
        while guarded.metric(&["mcp_server_connections_active"]).await > 1.0 {}
        assert_eq!(guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await, 0.0);
        let heard = guarded.call(&watching, &json!(1), "cancelled", json!({})).await;
        assert!(!heard.contains("\"text\":\"[]\""), "the server was told: {heard}");
        let posted = guarded.http.post(&messages).header("content-type", "application/json").body("{}");
        assert_eq!(posted.send().await.unwrap().status(), 404);
        guarded.logged("the end, and the call that was lost", |log| {
            let ended = log.iter().any(|line| {
                line["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("HTTP+SSE ended: its client is gone"))
            });
            ended && log.iter().any(|line| line["tool"] == "hang" && line["outcome"] == "error")
        });
    });
}

fn a_child_of_its_own() {
    block_on(async {
        let guarded = with_settings("[sessions]\nchild = 'each'").await;
        let mut old = Old::initialized(&guarded, &json!({"roots": {}})).await;
        let pid: i32 = text(&old.call(&json!(1), "pid", &json!({})).await).parse().unwrap();
        let process = ProcessId::of(pid).unwrap();
        assert_ne!(process, guarded.child().await);
        // It asks whatever it asks, also when no call runs.
        assert_eq!(
            text(&old.call(&json!(2), "question-later", &json!({"method": "roots/list"})).await),
            "later"
        );
        let asked = old.message().await;
        assert_eq!(asked["method"], "roots/list");
        old.post(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}})).await;
        assert!(text(&old.call(&json!(3), "heard", &json!({})).await).contains("roots"));
        drop(old);
        nobody_is_left(&guarded).await;
        eventually("the child has ended", || (!process.is_alive()).then_some(()));
    });
}

fn a_stream_ends_with_its_server() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let mut old = Old::initialized(&guarded, &json!({})).await;
        let answer = old.call(&json!(1), "exit", &json!({})).await;
        assert!(answer["error"]["message"].as_str().unwrap().contains("exited with code 7"), "{answer}");
        assert_eq!(old.next().await, None, "its client opens another");
        assert_eq!(old.request("{}".to_owned()).send().await.unwrap().status(), 404);
    });
}

fn an_old_client_is_held_to_all_that_holds() {
    block_on(async {
        let guarded = with_settings("[limits.tools.echo]\ncalls_per_second = 0.01\nburst = 1").await;
        for (name, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
            let opened = guarded.http.get(guarded.url("/sse")).header(name, value).send().await.unwrap();
            assert_eq!(opened.status(), 403, "{name}");
        }
        let admin =
            async |path: &str| guarded.http.post(guarded.url(path)).send().await.unwrap().status().as_u16();
        let mut old = Old::initialized(&guarded, &json!({})).await;
        let evil = old.request(call(&json!(1), "echo", &json!({}))).header("origin", "http://evil.example");
        assert_eq!(evil.send().await.unwrap().status(), 403);
        assert_eq!(text(&old.call(&json!(1), "echo", &json!({})).await), "{}");
        let refused = old.call(&json!(2), "echo", &json!({})).await;
        assert_eq!(refused["error"]["data"]["limit"], "calls_per_second", "{refused}");
        // Read-only mode is announced, and holds.
        assert_eq!(admin("/admin/readonly-mode").await, 200);
        assert_eq!(old.message().await["method"], "notifications/tools/list_changed");
        let refused = old.call(&json!(3), "update", &json!({"uri": "x"})).await;
        assert!(refused["error"]["message"].as_str().unwrap().contains("read-only"), "{refused}");
        old.post(&json!({"jsonrpc": "2.0", "id": 4, "method": "tools/list"})).await;
        let listed = old.message().await.to_string();
        assert!(listed.contains("\"pid\"") && !listed.contains("\"update\""), "{listed}");
        assert_eq!(admin("/admin/enable-writes").await, 200);
        assert_eq!(old.message().await["method"], "notifications/tools/list_changed");
        // Nobody is let in while it is drained; who is there hears it by the stream.
        assert_eq!(admin("/admin/drain").await, 200);
        let drained = guarded.get("/sse").await;
        assert_eq!((drained.status().as_u16(), &drained.headers()["retry-after"] == "1"), (503, true));
        let refused = old.call(&json!(5), "pid", &json!({})).await;
        assert!(refused["id"] == 5 && refused["error"]["message"].as_str().unwrap().contains("drained"));
        assert_eq!(admin("/admin/drain?off=true").await, 200);
        assert_eq!(admin("/admin/block?address=127.0.0.1&for=1h").await, 200);
        assert_eq!(guarded.get("/sse").await.status(), 403);
        assert_eq!(old.request(call(&json!(6), "pid", &json!({}))).send().await.unwrap().status(), 403);
    });
}

fn a_stream_is_whose_token_has_opened_it() {
    const ANN: &str = "0123456789abcdef-ann";
    block_on(async {
        let clients = "[clients.ann]\ntoken_file = 'ann'\n[clients.ben]\ntoken_file = 'ben'\n";
        let exe = std::env::current_exe().unwrap();
        let server = [exe.to_str().unwrap(), "fake", ""];
        let guarded = with(clients, &server, super::clients::tokens).await;
        let nobody = guarded.http.get(guarded.url("/sse")).header("x-forwarded-for", "192.0.2.1");
        assert_eq!(nobody.send().await.unwrap().status(), 401);
        let mut old = Old::open_as(&guarded, Some(ANN)).await;
        old.initialize(&json!({})).await;
        assert_eq!(text(&old.call(&json!(1), "echo", &json!({})).await), "{}");
        for (token, expect) in [(Some("0123456789abcdef-ben"), 404), (Some("wrong-wrong-wrong"), 401)] {
            old.token = token;
            let posted = old.request(call(&json!(2), "echo", &json!({}))).send().await.unwrap();
            assert_eq!(posted.status(), expect);
        }
        guarded.logged("who has called", |log| {
            log.iter().any(|line| line["tool"] == "echo" && line["user"] == "ann")
        });
    });
}

fn who_does_not_read_is_let_go() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let address = guarded.url("").strip_prefix("http://").unwrap().to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(b"GET /sse HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        let path = loop {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
            let text = String::from_utf8_lossy(&head);
            if let Some((_, rest)) = text.split_once("data: ")
                && let Some((path, _)) = rest.split_once('\n')
            {
                break path.to_owned();
            }
        };
        // From here on it reads nothing.
        let post = async |body: String| {
            let posted = guarded.http.post(guarded.url(&path)).header("content-type", "application/json");
            posted.body(body).send().await.unwrap().status().as_u16()
        };
        assert_eq!(post(initialize("2024-11-05")).await, 202);
        while guarded.metric(&["mcp_server_connections_active"]).await < 2.0 {}
        let mut sent = 0;
        while post(call(&json!(sent), "big", &json!({"bytes": 8 << 20}))).await == 202 {
            sent += 1;
            assert!(sent < 100, "it is never let go");
            let answer = guarded.call(&session, &json!(1), "echo", json!({"n": 1})).await;
            assert!(answer.contains("\\\"n\\\":1"), "others are served: {answer}");
        }
        while guarded.metric(&["mcp_server_connections_active"]).await > 1.0 {}
        assert_eq!(guarded.metric(&["error_type=\"timeout\""]).await, 1.0);
        guarded.logged("why", |log| {
            log.iter().any(|line| {
                line["message"].as_str().is_some_and(|text| text.contains("its client does not read"))
            })
        });
    });
}

fn an_upstream() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = DEFAULT.run(&[&server.url()]).await;
        guarded.settled().await;
        let mut old = Old::open_as(&guarded, None).await;
        let greeted = old.initialize(&json!({})).await;
        assert_eq!(greeted["result"]["serverInfo"]["name"], "http");
        assert_eq!(text(&old.call(&json!(1), "get", &json!({})).await), "get");
        // What comes before the answer, and what it says by itself.
        old.post(&serde_json::from_str(&call(&json!(2), "wait", &json!({}))).unwrap()).await;
        server
            .go_on(
                "data: {\"jsonrpc\":\"2.0\",\n\"x\":1,\r\ndata: \"method\":\"notifications/progress\"}\n\n",
            )
            .await;
        assert_eq!(old.message().await["method"], "notifications/progress");
        server.go_on("id: 3\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n\n").await;
        assert_eq!(old.message().await["id"], 2);
        server.go_on("").await;
        while server.count("GET") == 0 {
            tokio::task::yield_now().await;
        }
        server.announce("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n").await;
        assert_eq!(old.message().await["method"], "notifications/message");
        // A stream of a call that it ends on the way is gone on with.
        old.post(&serde_json::from_str(&call(&json!(5), "wait", &json!({}))).unwrap()).await;
        server.go_on("id: 7\ndata: \n\n").await;
        server.go_on("").await;
        let is_resumed = || {
            let seen = server.seen.lock().unwrap();
            let mut gets = seen.asked.iter().filter(|(what, _)| what == "GET");
            gets.any(|(_, head)| head.get("last-event-id").is_some_and(|id| id == "7"))
        };
        while !is_resumed() {
            tokio::task::yield_now().await;
        }
        server.announce("data: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}\n\n").await;
        assert_eq!(old.message().await["id"], 5);
        // Both streams have brought it.
        assert_eq!(old.message().await["id"], 5);
        // It is cancelled there, and its session ended, when the stream ends.
        old.post(&serde_json::from_str(&call(&json!(3), "wait", &json!({}))).unwrap()).await;
        server.go_on(": it works\n\n").await;
        drop(old);
        while server.count("notifications/cancelled") == 0 || server.count("DELETE") == 0 {
            tokio::task::yield_now().await;
        }
        // One that has forgotten its sessions is told of, and its stream ends.
        let listening = server.count("GET");
        let mut old = Old::initialized(&guarded, &json!({})).await;
        // One that is asked for its announcements after it forgot says so by itself, and the stream is over sooner.
        while server.count("GET") == listening {
            tokio::task::yield_now().await;
        }
        server.seen.lock().unwrap().sessions.clear();
        let answer = old.call(&json!(4), "get", &json!({})).await;
        assert!(answer["id"] == 4 && answer["error"]["code"] == -32000, "{answer}");
        assert_eq!(old.next().await, None);
    });
}
