//! Owns the tests of streams that break off and go on, by `Last-Event-ID`.

use serde_json::{Value, json};

use super::guarded::{DEFAULT, Events, Guarded, block_on, call};
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("an_answer_is_fetched_after_its_connection_broke_off", an_answer_is_fetched),
    ("announcements_that_were_missed_come_again", announcements_that_were_missed_come_again),
    ("a_stream_of_another_session_is_not_resumed", a_stream_of_another_session_is_not_resumed),
    ("older_revisions_get_no_event_without_data", older_revisions_get_no_event_without_data),
];

/// Goes on with a stream after this event.
async fn resume(guarded: &Guarded, session: &str, id: &str) -> reqwest::Response {
    guarded.stream(session).header("last-event-id", id).send().await.unwrap()
}

fn an_answer_is_fetched() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize_with(&json!({"elicitation": {}})).await;
        let question = json!({"method": "elicitation/create"});
        let mut events = guarded.call_streamed(&session, "question", question).await;
        let (first, only_an_id) = events.next().await.unwrap();
        assert_eq!((first.as_str(), only_an_id), ("1-1", Value::Null));
        let (second, asked) = events.next().await.unwrap();
        drop(events);
        // The question comes again, and then what comes after it.
        let mut resumed = Events::of(resume(&guarded, &session, &first).await);
        assert_eq!(resumed.next().await, Some((second.clone(), asked.clone())));
        drop(resumed);
        guarded.tell(&session, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"n": 1}})).await;
        // Another stream of the same session has events of its own.
        let progress = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": 1}});
        let body = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": progress});
        let text = guarded.post(Some(&session), body.to_string()).send().await.unwrap().text().await.unwrap();
        assert!(text.contains("id: 2-") && !text.contains("id: 1-"), "{text}");
        let mut resumed = Events::of(resume(&guarded, &session, &second).await);
        let (third, answer) = resumed.next().await.unwrap();
        assert!(third.starts_with("1-") && answer["id"] == "call", "{third} {answer}");
        assert_eq!(resumed.next().await, None, "the stream ends with the answer");
        let mut resumed = Events::of(resume(&guarded, &session, &third).await);
        assert_eq!(resumed.next().await, None, "nothing was missed");
        for unknown in ["9-1", "1-99", "nonsense", ""] {
            let response = resume(&guarded, &session, unknown).await;
            assert_eq!(response.status(), 400, "{unknown}");
            assert!(response.text().await.unwrap().contains("Last-Event-ID"), "{unknown}");
        }
    });
}

fn announcements_that_were_missed_come_again() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let mut own = Events::of(guarded.stream(&one).send().await.unwrap());
        let (first, _) = own.next().await.unwrap();
        // Whoever comes back takes the stream over, also if its old connection was not seen to end.
        let mut resumed = Events::of(resume(&guarded, &one, &first).await);
        assert_eq!(own.next().await, None);
        guarded.call(&other, &json!(1), "announce", json!({})).await;
        let (second, told) = resumed.next().await.unwrap();
        assert_eq!(told["method"], "notifications/tools/list_changed");
        drop(resumed);
        guarded.call(&other, &json!(1), "announce", json!({})).await;
        let mut resumed = Events::of(resume(&guarded, &one, &second).await);
        assert_eq!(resumed.next().await.unwrap().1, told);
        assert_eq!(guarded.delete(&one).send().await.unwrap().status(), 204);
        assert_eq!(resumed.next().await, None);
        assert_eq!(resume(&guarded, &one, &second).await.status(), 404);
    });
}

fn a_stream_of_another_session_is_not_resumed() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let progress = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": 1}});
        let body = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": progress});
        guarded.post(Some(&one), body.to_string()).send().await.unwrap().text().await.unwrap();
        assert_eq!(resume(&guarded, &one, "1-1").await.status(), 200);
        assert_eq!(resume(&guarded, &other, "1-1").await.status(), 400);
        assert_eq!(resume(&guarded, "unknown", "1-1").await.status(), 404);
    });
}

fn older_revisions_get_no_event_without_data() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let response = guarded.post(None, super::guarded::initialize("2025-06-18")).send().await.unwrap();
        let session = response.headers()[super::guarded::SESSION].to_str().unwrap().to_owned();
        let mut request = guarded.post(Some(&session), call(&json!(6), "echo", &json!({}))).build().unwrap();
        request.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
        let text = guarded.http.execute(request).await.unwrap().text().await.unwrap();
        assert!(text.starts_with("event: message\nid: 1-1\ndata: {\"jsonrpc\":\"2.0\",\"id\":6,"), "{text}");
    });
}
