//! Owns the tests of what a server asks its clients: sampling, elicitation.

use serde_json::{Value, json};

use super::guarded::{DEFAULT, Events, Guarded, Start, block_on};
use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_question_goes_to_the_client_that_is_served", a_question_goes_to_the_client_that_is_served),
    ("only_who_was_asked_can_answer", only_who_was_asked_can_answer),
    ("what_may_be_for_several_is_asked_of_nobody", what_may_be_for_several_is_asked_of_nobody),
    ("outside_of_requests_only_a_client_that_is_alone_is_asked", outside_of_requests),
    ("who_takes_no_stream_is_asked_by_its_own_stream", who_takes_no_stream_is_asked_by_its_own_stream),
    ("a_question_can_be_withdrawn", a_question_can_be_withdrawn),
    ("what_is_logged_goes_to_whom_it_is_about", what_is_logged_goes_to_whom_it_is_about),
    ("updates_go_to_whoever_has_subscribed", updates_go_to_whoever_has_subscribed),
    ("a_page_is_shown_to_who_offers_it_and_done_for_who_has_seen_it", pages),
    ("a_client_that_leaves_or_says_nothing_is_an_error", a_client_that_leaves_or_says_nothing),
];

fn everything() -> Value {
    json!({"sampling": {}, "elicitation": {}, "roots": {}})
}

fn text_of(answer: &Value) -> Value {
    serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
}

/// What the server was told, as another client hears of it.
async fn heard(guarded: &Guarded, session: &str) -> Value {
    let answer = guarded.call(session, &json!(1), "heard", json!({})).await;
    text_of(&serde_json::from_str(&answer).unwrap())
}

fn a_question_goes_to_the_client_that_is_served() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize_with(&everything()).await, guarded.initialize().await);
        for (method, params, result) in [
            ("sampling/createMessage", json!({"maxTokens": 3}), json!({"role": "assistant"})),
            ("elicitation/create", json!({"message": "?"}), json!({"action": "decline"})),
        ] {
            let question = json!({"method": method, "params": params});
            let mut events = guarded.call_streamed(&one, "question", question).await;
            let asked = events.message().await;
            assert_eq!((&asked["method"], &asked["params"]), (&json!(method), &params));
            guarded.tell(&one, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).await;
            let answer = events.message().await;
            assert_eq!(answer["id"], "call");
            assert_eq!(text_of(&answer), json!({"jsonrpc": "2.0", "id": "q", "result": result}));
            assert_eq!(events.next().await, None);
        }
        // An error is an answer, too.
        let mut events =
            guarded.call_streamed(&one, "question", json!({"method": "elicitation/create"})).await;
        let (asked, error) = (events.message().await, json!({"code": -1, "message": "no"}));
        guarded.tell(&one, &json!({"jsonrpc": "2.0", "id": asked["id"], "error": error})).await;
        assert_eq!(text_of(&events.message().await)["error"], error);
        // Nobody is asked for roots: the server would show them to the next client.
        let answer = guarded.call(&one, &json!(1), "question", json!({"method": "roots/list"})).await;
        assert_eq!(text_of(&serde_json::from_str(&answer).unwrap())["error"]["code"], -32601);
        // Who offers nothing is not asked, and neither is anybody else in its place.
        let question = json!({"method": "elicitation/create"});
        let answer = guarded.call(&other, &json!(1), "question", question).await;
        assert_eq!(text_of(&serde_json::from_str(&answer).unwrap())["error"]["code"], -32601);
    });
}

fn only_who_was_asked_can_answer() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let one = guarded.initialize_with(&everything()).await;
        let other = guarded.initialize_with(&everything()).await;
        let mut own = Events::of(guarded.stream(&other).send().await.unwrap());
        let params = json!({"_meta": {"progressToken": "its own"}});
        let question = json!({"method": "sampling/createMessage", "params": params});
        let mut events = guarded.call_streamed(&one, "question", question).await;
        let asked = events.message().await;
        let id = &asked["id"];
        assert_eq!(asked["params"]["_meta"]["progressToken"], *id);
        let says = |session: &str, by: &str| {
            let (guarded, session) = (&guarded, session.to_owned());
            let progress = json!({"progressToken": id, "progress": 1, "message": by});
            let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"by": by}});
            async move {
                let told = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress});
                guarded.tell(&session, &told).await;
                guarded.tell(&session, &answer).await;
            }
        };
        says(&other, "other").await;
        says(&one, "one").await;
        says(&one, "one again").await;
        assert_eq!(text_of(&events.message().await)["result"], json!({"by": "one"}));
        let heard = heard(&guarded, &one).await;
        let progress = json!({"progressToken": "its own", "progress": 1, "message": "one"});
        assert_eq!(heard.as_array().unwrap().len(), 2, "{heard}");
        assert_eq!(heard[0]["params"], progress);
        // The first event has only an id. Nothing but the announcement comes after it.
        assert_eq!(own.next().await.unwrap().1, Value::Null);
        guarded.call(&one, &json!(2), "announce", json!({})).await;
        assert_eq!(own.message().await["method"], "notifications/tools/list_changed");
    });
}

fn what_may_be_for_several_is_asked_of_nobody() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let one = guarded.initialize_with(&everything()).await;
        let other = guarded.initialize_with(&everything()).await;
        let hanging = guarded.post(Some(&other), super::guarded::call(&json!(1), "hang", &json!({})));
        let hanging = tokio::spawn(hanging.send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let answer = guarded.call(&one, &json!(1), "question", json!({"method": "elicitation/create"})).await;
        let error = text_of(&serde_json::from_str(&answer).unwrap())["error"].clone();
        assert_eq!(error["code"], -32000, "{error}");
        assert!(error["message"].as_str().unwrap().contains("several clients"), "{error}");
        hanging.abort();
    });
}

fn pages() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let one = guarded.initialize_with(&json!({"elicitation": {"url": {}}})).await;
        let other = guarded.initialize_with(&json!({"elicitation": {}})).await;
        let mut to_one = Events::of(guarded.stream(&one).send().await.unwrap());
        let mut to_other = Events::of(guarded.stream(&other).send().await.unwrap());
        let page = json!({"mode": "url", "elicitationId": "asked", "url": "https://x", "message": "?"});
        let question = json!({"method": "elicitation/create", "params": page});
        let mut events = guarded.call_streamed(&one, "question", question.clone()).await;
        let asked = events.message().await;
        assert_eq!(asked["params"], page);
        let result = json!({"action": "accept"});
        guarded.tell(&one, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).await;
        assert_eq!(text_of(&events.message().await)["result"], result);
        let answer = guarded.call(&other, &json!(1), "question", question).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(text_of(&answer)["error"]["code"], -32602, "it offers forms only");
        // The error says which pages, and comes through as it is.
        let answer = guarded.call(&other, &json!(2), "required", json!({})).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["data"]["elicitations"][1]["elicitationId"], "two", "{answer}");
        // Whoever makes the server say that it is done: only who has seen the page hears of it, and once.
        for id in ["two", "unknown", "asked", "asked"] {
            guarded.call(&one, &json!(3), "complete", json!({"elicitationId": id})).await;
        }
        guarded.call(&one, &json!(4), "announce", json!({})).await;
        let (to_one, to_other) = (
            [to_one.message().await, to_one.message().await],
            [to_other.message().await, to_other.message().await],
        );
        for (heard, id) in [(to_one, "asked"), (to_other, "two")] {
            assert_eq!(heard[0]["params"], json!({"elicitationId": id}), "{heard:?}");
            assert_eq!(heard[1]["method"], "notifications/tools/list_changed", "{heard:?}");
        }
    });
}

fn outside_of_requests() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let one = guarded.initialize_with(&everything()).await;
        let mut own = Events::of(guarded.stream(&one).send().await.unwrap());
        let sampling = json!({"method": "sampling/createMessage"});
        guarded.call(&one, &json!(1), "question-later", sampling.clone()).await;
        let asked = own.message().await;
        assert_eq!(asked["method"], "sampling/createMessage");
        guarded.tell(&one, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"n": 1}})).await;
        assert_eq!(heard(&guarded, &one).await[0]["result"], json!({"n": 1}));
        let other = guarded.initialize_with(&everything()).await;
        guarded.call(&one, &json!(1), "question-later", sampling).await;
        // A request before the server has asked would be one in the course of which it asks.
        eventually("the refusal", || {
            let log = guarded.log();
            let refused =
                |line: &Value| line["message"].as_str().unwrap().starts_with("did not ask a client");
            log.iter().any(refused).then_some(())
        });
        assert_eq!(heard(&guarded, &other).await[1]["error"]["code"], -32000);
    });
}

fn who_takes_no_stream_is_asked_by_its_own_stream() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let one = guarded.initialize_with(&everything()).await;
        let question = json!({"method": "elicitation/create"});
        let ask = || {
            let call = super::guarded::call(&json!(1), "question", &question);
            let mut request = guarded.post(Some(&one), call).build().unwrap();
            request.headers_mut().insert("accept", "application/json".parse().unwrap());
            let http = guarded.http.clone();
            async move { http.execute(request).await.unwrap().json::<Value>().await.unwrap() }
        };
        let error = text_of(&ask().await)["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("no open stream"), "{error}");
        let mut own = Events::of(guarded.stream(&one).send().await.unwrap());
        let asking = tokio::spawn(ask());
        let asked = own.message().await;
        guarded.tell(&one, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"n": 2}})).await;
        assert_eq!(text_of(&asking.await.unwrap())["result"], json!({"n": 2}));
    });
}

fn a_question_can_be_withdrawn() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let one = guarded.initialize_with(&everything()).await;
        let question = json!({"method": "elicitation/create"});
        let mut events = guarded.call_streamed(&one, "question-withdrawn", question).await;
        let (asked, withdrawn) = (events.message().await, events.message().await);
        assert_eq!(withdrawn["method"], "notifications/cancelled");
        assert_eq!(withdrawn["params"], json!({"requestId": asked["id"], "reason": "never mind"}));
        assert_eq!(events.message().await["result"]["content"][0]["text"], "withdrawn");
        guarded.tell(&one, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": {}})).await;
        assert_eq!(heard(&guarded, &one).await, json!([]), "it is not told what it does not want to know");
    });
}

fn a_client_that_leaves_or_says_nothing() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize_with(&everything()).await, guarded.initialize().await);
        let question = json!({"method": "elicitation/create"});
        let mut events = guarded.call_streamed(&one, "question", question.clone()).await;
        events.message().await;
        assert_eq!(guarded.delete(&one).send().await.unwrap().status(), 204);
        let told = heard(&guarded, &other).await;
        assert!(told[0]["error"]["message"].as_str().unwrap().contains("ended its session"), "{told}");

        let guarded = Start { request_timeout_ms: 300, ..DEFAULT }.fake("").await;
        let one = guarded.initialize_with(&everything()).await;
        let mut events = guarded.call_streamed(&one, "question", question).await;
        let asked = events.message().await;
        let mut answer = events.message().await;
        if answer["method"] == "notifications/cancelled" {
            assert_eq!(answer["params"]["requestId"], asked["id"]);
            answer = events.message().await;
        }
        assert!(answer["error"]["message"].as_str().unwrap().contains("no answer within"), "{answer}");
        let told = loop {
            // It is too late for the first of these while the server still waits.
            let answer = guarded.call(&one, &json!(2), "heard", json!({})).await;
            let answer: Value = serde_json::from_str(&answer).unwrap();
            if answer["result"].is_object() {
                break text_of(&answer);
            }
        };
        let told = told.as_array().unwrap().iter().find(|told| told["id"] == "q").unwrap().clone();
        assert!(told["error"]["message"].as_str().unwrap().contains("did not answer in time"), "{told}");
    });
}

fn what_is_logged_goes_to_whom_it_is_about() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let mut own = Events::of(guarded.stream(&other).send().await.unwrap());
        let mut events = guarded.call_streamed(&one, "log", json!({})).await;
        assert_eq!(events.message().await["method"], "notifications/message");
        assert_eq!(events.message().await["id"], "call");
        let hanging = guarded.post(Some(&other), super::guarded::call(&json!(1), "hang", &json!({})));
        let hanging = tokio::spawn(hanging.send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let answer = guarded.call(&one, &json!(1), "log", json!({})).await;
        assert!(answer.starts_with("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\""), "{answer}");
        guarded.call(&one, &json!(2), "announce", json!({})).await;
        assert_eq!(own.message().await["method"], "notifications/tools/list_changed");
        let n_logged = || {
            let log = guarded.log();
            log.iter().filter(|line| line["source"] == "notifications/message").count()
        };
        assert_eq!(eventually("a line of the log", || Some(n_logged()).filter(|n| *n > 0)), 1);
        hanging.abort();
    });
}

fn updates_go_to_whoever_has_subscribed() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let mut to_one = Events::of(guarded.stream(&one).send().await.unwrap());
        let mut to_other = Events::of(guarded.stream(&other).send().await.unwrap());
        let asks = async |session: &str, method: &str, uri: &str| {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"uri": uri}});
            let response = guarded.post(Some(session), body.to_string()).send().await.unwrap();
            assert_eq!(response.json::<Value>().await.unwrap()["result"], json!({}));
        };
        let update = async |uri: &str| {
            guarded.call(&one, &json!(1), "update", json!({"uri": uri})).await;
        };
        asks(&one, "resources/subscribe", "mem://a").await;
        asks(&other, "resources/subscribe", "mem://a").await;
        asks(&other, "resources/subscribe", "mem://b").await;
        update("mem://b").await;
        update("mem://a/part").await;
        assert_eq!(to_other.message().await["params"]["uri"], "mem://b");
        for stream in [&mut to_one, &mut to_other] {
            assert_eq!(stream.message().await["params"]["uri"], "mem://a/part");
        }
        // The server goes on while anybody wants to know.
        asks(&one, "resources/unsubscribe", "mem://a").await;
        update("mem://a").await;
        assert_eq!(to_other.message().await["params"]["uri"], "mem://a");
        asks(&other, "resources/unsubscribe", "mem://a").await;
        guarded.call(&one, &json!(1), "announce", json!({})).await;
        assert_eq!(to_one.message().await["method"], "notifications/tools/list_changed");
        let heard = heard(&guarded, &one).await;
        let heard: Vec<&Value> = heard.as_array().unwrap().iter().map(|heard| &heard["method"]).collect();
        let subscribe = "resources/subscribe";
        assert_eq!(heard, [subscribe, subscribe, subscribe, "resources/unsubscribe"]);
    });
}
