//! Owns the tests of the envelope: what counts as a message, and that only ids and tokens are exchanged.

use expect_test::{Expect, expect};

use super::{
    Incoming, Outcome, error, exchange, member, notification, parse, progress_token, request, response,
};

#[track_caller]
fn check(text: &str, expect: &Expect) {
    let shown = match parse(text.as_bytes()) {
        Ok(message) => format!("{message:?}"),
        Err(malformed) => format!("{malformed:?}"),
    };
    expect.assert_eq(&shown);
}

#[test]
fn messages_are_told_apart() {
    check(
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#,
        &expect![[r#"Request { id: "7", method: "tools/list", params: None }"#]],
    );
    check(
        r#" {"params":{ "a": [1, 2.50] },"method":"x\u002fy","id":"a\"b","jsonrpc":"2.0","extra":1}"#,
        &expect![[r#"Request { id: "\"a\\\"b\"", method: "x/y", params: Some("{ \"a\": [1, 2.50] }") }"#]],
    );
    check(
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        &expect![[r#"Notification { method: "notifications/initialized", params: None }"#]],
    );
    check(
        r#"{"jsonrpc":"2.0","id":-1,"result":null}"#,
        &expect![[r#"Response { id: "-1", outcome: Result("null") }"#]],
    );
    check(
        r#"{"jsonrpc":"2.0","id":"x","error":{"code":1}}"#,
        &expect![[r#"Response { id: "\"x\"", outcome: Error("{\"code\":1}") }"#]],
    );
}

#[test]
fn what_is_no_message_is_refused() {
    let neither = expect![[r#"Invalid("it is neither a request, nor a notification, nor a response")"#]];
    check("", &expect!["NotJson"]);
    check("hello", &expect!["NotJson"]);
    check("\"hello\"", &expect!["NotJson"]);
    check(r#"{"jsonrpc":"2.0","method":"x""#, &expect!["NotJson"]);
    check(r#"{"jsonrpc":"2.0","method":"x"} {}"#, &expect!["NotJson"]);
    check("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{\"a\":\"line\nbreak\"}}", &expect!["NotJson"]);
    check(r#"[{"jsonrpc":"2.0","method":"x"}]"#, &expect!["Batch"]);
    check(r#"{"level":"info","message":"started"}"#, &expect![[r#"Invalid("`jsonrpc` must be \"2.0\"")"#]]);
    check(r#"{"jsonrpc":"1.0","method":"x"}"#, &expect![[r#"Invalid("`jsonrpc` must be \"2.0\"")"#]]);
    check(r#"{"jsonrpc":"2.0"}"#, &neither);
    check(r#"{"jsonrpc":"2.0","result":1}"#, &neither);
    check(r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, &neither);
    check(r#"{"jsonrpc":"2.0","id":1,"method":"x","result":1}"#, &neither);
    check(
        r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
        &expect![[r#"Invalid("`id` must be a string or a number")"#]],
    );
    check(r#"{"jsonrpc":"2.0","id":1,"method":5}"#, &expect![[r#"Invalid("`method` must be a string")"#]]);
    check(
        r#"{"jsonrpc":"2.0","method":"x","params":[1]}"#,
        &expect![[r#"Invalid("`params` must be an object")"#]],
    );
    check(
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#,
        &expect![[r#"Invalid("a member is there twice")"#]],
    );
    assert!(parse(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}").is_err());
}

#[test]
fn members_are_found_however_they_are_written() {
    assert_eq!(member(r#"{"a": 1 ,"b":{"a":2}}"#, "a"), Ok(Some("1")));
    assert_eq!(member(r#"{"\u0061":"x"}"#, "a"), Ok(Some("\"x\"")));
    assert_eq!(member(r#"{"b":{"a":2}}"#, "a"), Ok(None));
    assert_eq!(member("[1]", "a"), Ok(None));
    assert!(member(r#"{"a":1,"\u0061":2}"#, "a").is_err());
}

#[test]
fn a_progress_token_is_exchanged_in_place() {
    let params = r#"{"progressToken":0,"_meta":{"x":[5], "progress\u0054oken" : "5" ,"y":1},"arguments":{}}"#;
    let token = progress_token(params).unwrap().unwrap();
    assert_eq!(token, "\"5\"");
    assert_eq!(
        exchange(params, token, "42"),
        r#"{"progressToken":0,"_meta":{"x":[5], "progress\u0054oken" : 42 ,"y":1},"arguments":{}}"#
    );
    assert_eq!(progress_token(r#"{"progressToken":1}"#), Ok(None));
    assert_eq!(progress_token(r#"{"_meta":[1]}"#), Ok(None));
    assert_eq!(progress_token(r#"{"_meta":null}"#), Ok(None));
    assert!(progress_token(r#"{"_meta":{"progressToken":1},"_meta":{}}"#).is_err());
    assert!(progress_token(r#"{"_meta":{"progressToken":{}}}"#).is_err());
}

#[test]
fn messages_are_written_on_one_line() {
    let text = |message: Vec<u8>| String::from_utf8(message).unwrap();
    assert_eq!(
        text(request(7, "tools/call", Some("{\r\n \"a\": \"\\n\"\n}"))),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{   \"a\": \"\\n\" }}\n"
    );
    assert_eq!(text(notification("a\"b", None)), r#"{"jsonrpc":"2.0","method":"a\"b"}"#);
    assert_eq!(text(response("\"x\"", Outcome::Result("{}"))), r#"{"jsonrpc":"2.0","id":"x","result":{}}"#);
    assert_eq!(
        text(error(None, -32700, "no \"JSON\"")),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no \"JSON\""}}"#
    );
    let line = request(7, "x", Some(r#"{"a":1}"#));
    let parsed = parse(&line).unwrap();
    assert_eq!(parsed, Incoming::Request { id: "7", method: "x".into(), params: Some(r#"{"a":1}"#) });
}
