//! Owns the tests of reading the configuration.

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(text: &str, expect: &Expect) {
    let shown = match parse(text) {
        Ok(config) => format!("fine: {} server(s)", config.server.len()),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    expect.assert_eq(&shown);
}

#[test]
fn an_empty_one_is_fine() {
    check("", &expect!["fine: 0 server(s)"]);
}

#[test]
fn a_whole_one_is_fine() {
    check(
        r#"
listen = "127.0.0.1:7478"
[probe]
interval = "500ms"
[alerts.MCPServerDown]
for = "2s"
[[server]]
name = "time"
port = 8001
stdio = ["mcp-server-time", "--local-timezone", "UTC"]
parameters = { API_ENDPOINT = "https://example.org" }
[[server.dependency]]
name = "disk"
file = "/"
[[server]]
name = "remote"
port = 8002
upstream = "http://127.0.0.1:9000/mcp"
"#,
        &expect!["fine: 2 server(s)"],
    );
}

#[test]
fn an_unknown_key() {
    check("\nlisen = 5\n", &expect![""]);
}

#[test]
fn a_wrong_type() {
    check("[[server]]\nname = \"a\"\nport = \"x\"\nstdio = [\"x\"]\n", &expect![""]);
}

#[test]
fn a_wrong_duration() {
    check("[probe]\ninterval = \"soon\"\n", &expect![""]);
}

#[test]
fn broken_toml() {
    check("[[server]\nname = \"a\"\n", &expect![""]);
}

#[test]
fn duplicates_and_everything_else_at_once() {
    check(
        r#"
[[server]]
name = "a"
port = 8001
stdio = ["x"]
[[server]]
name = "a"
port = 8001
[[server]]
name = "-b"
port = 7477
stdio = ["x"]
upstream = "http://x"
[[server.dependency]]
name = "none"
[policy]
allow = ["destroy"]
"#,
        &expect![""],
    );
}
