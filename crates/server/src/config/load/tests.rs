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
    check(
        "\nlisen = 5\n",
        &expect![
            "2:1: `lisen`: unknown field `lisen`, expected one of `data_dir`, `run_dir`, `log_dir`, `controls_dir`, `listen`, `guard_address`, `runbooks`, `trusted_owner`, `probe`, `metrics`, `scrape`, `backup`, `integrity`, `intrusion`, `verify`, `retention`, `api`, `evidence`, `containment`, `traces`, `policy`, `rules`, `alerts`, `server`, `contact`, `escalation`, `triage`, `inbound`, `alertmanager`"
        ],
    );
}

#[test]
fn a_wrong_type() {
    check(
        "[[server]]\nname = \"a\"\nport = \"x\"\nstdio = [\"x\"]\n",
        &expect![[r#"3:8: `port`: invalid type: string "x", expected u16"#]],
    );
}

#[test]
fn a_wrong_duration() {
    check(
        "[probe]\ninterval = \"soon\"\n",
        &expect!["2:12: `interval`: `soon` is no duration; write it as 500ms, 5s or 1h30m"],
    );
}

#[test]
fn broken_toml() {
    check("[[server]\nname = \"a\"\n", &expect!["1:10: `[[server]`: unclosed array table, expected `]`"]);
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
[[server.dependency]]
name = "db"
postgres = "postgres://db/notes?sslmode=verified"
[policy]
allow = ["destroy"]
"#,
        &expect![[r#"
            7:8: `name`: the name `a` is taken by the server at line 3
            7:8: `stdio`: the server `a` has no transport: give it `stdio = ["COMMAND", …]`, `upstream = "URL"` or `unit = "NAME.service"`
            8:8: `port`: the port 8001 is taken by the server at line 4
            10:8: `name`: `-b` is no name for a server: it begins with a letter or digit and goes on with those, `-`, `_` or `.`, at most 63 in all
            10:8: `upstream`: the server `-b` has two transports: `stdio` and `upstream` exclude each other
            11:8: `port`: the port 7477 is where `serve` itself listens (`listen`)
            15:8: `dependency`: the dependency `none` has no check: give it one of `http`, `tcp`, `postgres`, `process`, `file`, `env`, `nagios`
            17:8: `dependency`: the dependency `db`: `sslmode=verified` is none of disable, allow, prefer, require, verify-ca, verify-full
            20:1: `allow`: `destroy` cannot be allowed; any of `observe`, `change`, `disrupt` can (what destroys or is not understood always needs a person)"#]],
    );
}

#[test]
fn a_policy_that_cannot_be_meant() {
    check(
        r#"
[policy]
mode = "auto"
allow = ["change"]
allow_critical = ["disrupt", "destroy"]
allow_info = ["Change"]
storm_servers = 1
storm_window = "0s"
approval_expiry = "1ms"
runs_max = 0
"#,
        &expect![[r#"
            5:1: `allow_critical`: `destroy` cannot be allowed; any of `observe`, `change`, `disrupt` can (what destroys or is not understood always needs a person)
            6:1: `allow_info`: `Change` cannot be allowed; any of `observe`, `change`, `disrupt` can (what destroys or is not understood always needs a person)
            7:1: `storm_servers`: one server in trouble is no storm; 2 are the least
            8:1: `storm_window`: `0s` is too short; 10ms is the least
            9:1: `approval_expiry`: `1ms` is too short; 10ms is the least
            10:1: `runs_max`: a procedure is followed at least once"#]],
    );
    check(
        "[policy]\nmode = \"careful\"\n",
        &expect!["2:8: `mode`: unknown variant `careful`, expected one of `observe`, `suggest`, `auto`"],
    );
    check(
        "[policy]\nsecond_person = 2\n",
        &expect!["2:17: `second_person`: invalid type: integer `2`, expected a boolean"],
    );
    check(
        "[policy]\nchanges_per_hour = -1\n",
        &expect!["2:20: `changes_per_hour`: invalid value: integer `-1`, expected u32"],
    );
    check(
        "[alerts.A]\nmodes = \"auto\"\n",
        &expect!["2:1: `modes`: unknown field `modes`, expected one of `for`, `keep_firing_for`, `mode`"],
    );
    check(
        "[[server]]\nname = \"a\"\nport = 1\nstdio = [\"x\"]\nmodes = { A = \"on\" }\n",
        &expect!["5:15: `modes`: unknown variant `on`, expected one of `observe`, `suggest`, `auto`"],
    );
}

#[test]
fn a_unit_is_an_owner_of_its_own() {
    let server =
        |more: &str| format!("[[server]]\nname = \"a\"\nport = 1\nunit = \"mcp-server-a.service\"\n{more}");
    check(&server(""), &expect!["fine: 1 server(s)"]);
    check(&server("upstream = \"http://127.0.0.1:1/mcp\"\n"), &expect!["fine: 1 server(s)"]);
    check(
        &server("stdio = [\"x\"]\n"),
        &expect![
            "2:8: `unit`: the server `a` would have two owners of its restarts: `serve` restarts what it runs by `stdio`, systemd what lives in a `unit`"
        ],
    );
    check(
        &server("").replace("-a.service", "-*.service"),
        &expect!["4:8: `unit`: `mcp-server-*.service` is no name of a unit: `*` may not be in it"],
    );
}

#[test]
fn contacts_and_levels() {
    check(
        "[[contact]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"x\"]\n\
         [escalation]\nloops = 3\n[[escalation.level]]\ncontacts = [\"a\", \"log\"]\ndelay = \"1m\"\n",
        &expect!["fine: 0 server(s)"],
    );
    check(
        "[[contact]]\nname = \"a b\"\nkind = \"log\"\n[[contact]]\nname = \"c\"\nkind = \"command\"\n\
         [[contact]]\nname = \"c\"\nkind = \"webhook\"\nurl = \"ftp://x\"\n\
         [[contact]]\nname = \"log\"\nkind = \"webhook\"\nurl = \"http://x\"\n\
         [escalation]\nloops = 10\n[[escalation.level]]\ncontacts = [\"d\"]\ndelay = \"1ms\"\n\
         [[escalation.level]]\ncontacts = []\n",
        &expect![[r#"
            1:1: `command`: the contact `c` of kind `command` has none
            2:1: `name`: `a b` is no name for a contact: it has letters, digits, `-_.@:+/`, at most 128 in all
            2:1: `name`: `log` is the log of `serve`; take another name
            2:1: `name`: two contacts are called `c`
            10:1: `url`: the contact `c` of kind `webhook` needs an http or https URL
            16:1: `loops`: all levels are called again 9 times at most
            18:1: `contacts`: there is no contact `d`; give it a `[[contact]]`
            18:1: `contacts`: a level calls nobody
            19:1: `delay`: `1ms` is too short; 10ms is the least"#]],
    );
}

#[test]
fn what_never_flaps() {
    check(
        "[triage]\nflapping_reopens = 0\nflapping_quiet = \"1ms\"\n",
        &expect![[r#"
            2:1: `flapping_reopens`: what never came back does not flap; 1 is the least
            3:1: `flapping_quiet`: `1ms` is too short; 10ms is the least"#]],
    );
    check("[triage]\nreopen_within = \"0s\"\n", &expect!["fine: 0 server(s)"]);
}

#[test]
fn a_guarded_upstream_is_somewhere_else_on_this_machine() {
    let said = |keys: &str| {
        let parsed = parse(&format!("[[server]]\nname = \"a\"\nport = 8001\n{keys}"));
        parsed.map(|config| config.server[0].has_guard()).map_err(|problems| problems[0].to_string())
    };
    assert_eq!(said("upstream = \"http://127.0.0.1:9000/mcp\"\nguarded = true"), Ok(true));
    assert_eq!(said("upstream = \"http://127.0.0.1:9000/mcp\""), Ok(false));
    assert_eq!(said("stdio = [\"x\"]"), Ok(true));
    for (keys, words) in [
        ("stdio = [\"x\"]\nguarded = true", "is for an `upstream`"),
        ("unit = \"a.service\"\nguarded = true", "is for an `upstream`"),
        (
            "unit = \"a.service\"\nupstream = \"http://127.0.0.1:9000/mcp\"\nguarded = true",
            "lives in a `unit`",
        ),
        ("upstream = \"https://127.0.0.1:9000/mcp\"\nguarded = true", "speaks http to it"),
        ("upstream = \"http://localhost:8001/mcp\"\nguarded = true", "give the guard another"),
    ] {
        let error = said(keys).unwrap_err();
        assert!(error.contains(words), "{keys}: {error}");
    }
}
