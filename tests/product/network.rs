//! Tests of the API over the network: who comes in, what each may do, and who is written down.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

use incident::Record;

use crate::site::{Ran, Server, Site, block_on, run};

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

/// Makes a token by the command; returns the file with its word.
pub(crate) fn token(site: &Site, name: &str, arguments: &[&str]) -> String {
    let word = site.run(&[&["token", "create", name], arguments].concat()).done();
    let path = site.path(&format!("{name}.token"));
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, word.as_bytes()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Lets a command speak over the network.
pub(crate) fn over(site: &Site, mut command: Command, file: &str) -> Ran {
    command.env("PARAMEDIC_SERVER_URL", format!("http://{}", site.listen()));
    command.env("PARAMEDIC_TOKEN_FILE", file).env_remove("PARAMEDIC_CONFIG");
    run(command)
}

/// The status of a plain request.
fn asked(site: &Site, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut request = reqwest::Client::new().get(format!("http://{}{path}", site.listen()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    block_on(request.send()).unwrap().status().as_u16()
}

#[test]
fn a_token_does_what_its_role_and_its_servers_allow_and_its_owner_is_written_down() {
    let mut site = Site::new(&[
        Server::notes("notes").with("mode = \"suggest\""),
        Server::notes("other").with("mode = \"suggest\""),
    ]);
    site.serve_until_ready(&["notes", "other"]);
    site.kill("notes");
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == RESTART))
    });
    let id = story.id();
    let viewer = token(&site, "vic", &[]);
    let responder = token(&site, "rob", &["--role", "responder", "--days", "1"]);
    let approver = token(&site, "ada", &["--role", "approver"]);
    let of_other = token(&site, "oda", &["--role", "approver", "--server", "other"]);
    let admin = token(&site, "root", &["--role", "admin"]);
    let as_ = |file: &str, words: &[&str]| over(&site, site.command(words), file);

    // Each looks; who may not do more is told what it takes.
    for file in [&viewer, &responder, &approver, &admin] {
        let listed = as_(file, &["incident", "list"]).done();
        assert!(listed.contains("notes") && listed.contains("approval of 6.1"), "{listed}");
        assert!(as_(file, &["server", "list"]).done().contains("other"));
    }
    as_(&viewer, &["incident", "ack", id]).failed(4, &["vic is a viewer", "takes a responder"]);
    as_(&responder, &["incident", "ack", id]).done();
    over(&site, site.approval(id, RESTART), &responder)
        .failed(4, &["rob is a responder", "takes an approver"]);
    as_(&approver, &["token", "list"]).failed(4, &["takes an admin"]);
    as_(&admin, &["doctor"]).failed(2, &["the machine that it runs on"]);

    // One that is for another server sees that one alone.
    let seen = as_(&of_other, &["server", "list"]).done();
    assert!(seen.contains("other") && !seen.contains("notes"), "{seen}");
    assert!(!as_(&of_other, &["incident", "list", "--all"]).done().contains("notes"));
    let elsewhere: [&[&str]; 6] = [
        &["incident", "show", id],
        &["incident", "hold", id, "--reason", "x"],
        &["incident", "open", "--server", "notes", "--procedure", "Server Down", "--reason", "x"],
        &["server", "status", "notes"],
        &["server", "restart", "notes"],
        &["alert", "list"],
    ];
    for words in elsewhere {
        as_(&of_other, words).failed(4, &["is for other only"]);
    }

    // The yes of a person, who is the one of the token whatever else is said.
    over(&site, site.approval(id, RESTART), &approver).done();
    let story = site.resolved("notes");
    let by = |name: &str| {
        let said = |record: &Record| match record {
            Record::Approved { by, .. } | Record::Acknowledged { by, .. } => by == name,
            _ => false,
        };
        story.has(said)
    };
    assert!(by("ada") && by("rob") && !by("tester"), "{story}");

    // An admin gives and takes tokens from afar; what was taken back is no good at once.
    let made = as_(&admin, &["token", "create", "eve", "-o", "json"]).done();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["token"]["name"], &made["token"]["created_by"]), (&"eve".into(), &"root".into()));
    let eve = made["word"].as_str().unwrap();
    let bearer = format!("Bearer {eve}");
    assert_eq!(asked(&site, "/api/v1/servers", &[("authorization", &bearer)]), 200);
    as_(&admin, &["token", "revoke", "eve"]).done();
    assert_eq!(asked(&site, "/api/v1/servers", &[("authorization", &bearer)]), 401);
    site.run(&["token", "revoke", "vic"]).done();
    as_(&viewer, &["incident", "list"]).failed(4, &["the token of vic was taken back by tester"]);
    let listed = site.run(&["token", "list"]).done();
    assert!(listed.contains("taken back by root") && listed.contains("oda"), "{listed}");

    // No word is kept or told anywhere.
    let words = [eve.to_owned(), fs::read_to_string(&approver).unwrap().trim().to_owned()];
    let kept = fs::read_to_string(site.path("data/tokens.json")).unwrap() + &site.serve_log();
    assert!(words.iter().all(|word| !kept.contains(&word["paramedic_00000000".len()..])), "{kept}");
}

#[test]
fn strangers_pages_and_guesses_stay_outside() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let file = token(&site, "ada", &["--role", "admin"]);
    let bearer = format!("Bearer {}", fs::read_to_string(&file).unwrap().trim());
    let good = ("authorization", bearer.as_str());
    let all = ["/api/v1/incidents", "/api/v1/servers/notes", "/api/v1/tokens", "/api/v1/would"];
    for path in all {
        assert_eq!(asked(&site, path, &[]), 401, "{path}");
        assert_eq!(asked(&site, path, &[good]), 200, "{path}");
        assert_eq!(asked(&site, path, &[good, ("origin", "http://127.0.0.1:7477")]), 403, "{path}");
        assert_eq!(asked(&site, path, &[("authorization", "Basic YTpi")]), 401, "{path}");
    }
    // What a command tells of this machine is for the local socket alone.
    assert_eq!(asked(&site, "/api/v1/changes", &[good]), 404);
    assert_eq!(asked(&site, "/health", &[]), 200, "health is for everybody");
    for (body, expect) in [("{", 400), ("[]", 400), ("{\"by\":\"eve\"}", 404)] {
        let url = format!("http://{}/api/v1/tokens/nobody/revoke", site.listen());
        let request = reqwest::Client::new().post(url).header(good.0, good.1);
        let answer = block_on(request.header("content-type", "application/json").body(body).send()).unwrap();
        assert_eq!(answer.status().as_u16(), expect, "{body}");
    }
    // A file that others may read is no secret; a word that nobody knows is no token.
    let open = site.path("open.token");
    fs::write(&open, &bearer["Bearer ".len()..]).unwrap();
    let open = open.to_str().unwrap();
    over(&site, site.command(&["server", "list"]), open).failed(2, &["is not secret"]);
    let wrong = ("authorization", "Bearer paramedic_00000000_0000");
    let codes: Vec<u16> = (0..25).map(|_| asked(&site, "/api/v1/servers", &[wrong])).collect();
    assert_eq!((codes[0], codes[24]), (401, 429), "{codes:?}");
    assert_eq!(asked(&site, "/api/v1/servers", &[good]), 429, "from there nobody gets in for a while");
    site.run(&["server", "list"]).done();
}
