//! Tests of what the API promises beside its answers: its description, problems, parts of lists, keys, tags, limits, and
//! what is written down.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use incident::Record;
use serde_json::{Value, json};
use server::api::wire::{Detail, Health, Problem, Summary};

use crate::network::{over, token};
use crate::poll::eventually;
use crate::real::installed;
use crate::site::{Server, Setup, Site, block_on};

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// What went wrong, by RFC 9457.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Problem {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, "application/problem+json"),
            "{}",
            self.body
        );
        let problem: Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem.status, status);
        assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{problem:?}");
        problem
    }
}

/// Somebody with a token.
pub(crate) struct Person {
    url: String,
    bearer: String,
}

impl Person {
    pub(crate) fn new(site: &Site, name: &str, role: &str) -> Self {
        let word = fs::read_to_string(token(site, name, &["--role", role])).unwrap();
        Self { url: format!("http://{}", site.listen()), bearer: format!("Bearer {}", word.trim()) }
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let method = method.parse().unwrap();
        let mut request = reqwest::Client::new().request(method, format!("{}{path}", self.url));
        request = request.header("authorization", &self.bearer);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, body: response.text().await.unwrap() }
        })
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], None)
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        self.ask("POST", path, headers, Some(body))
    }
}

/// A site whose server is watched, and nothing else.
fn watched(more: &str) -> Site {
    let servers = [Server::notes("notes").with("mode = \"observe\"")];
    let mut site = Site::of(&Setup { tables: more, servers: &servers, ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    site
}

/// Opens an incident.
pub(crate) fn open(person: &Person) -> String {
    let wanted = json!({ "server": "notes", "procedure": "Server Down", "reason": "to see" });
    let opened = person.post("/api/v1/incidents", &[], wanted);
    assert_eq!(opened.status, 200, "{}", opened.body);
    opened.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_description_is_the_one_in_the_documentation_and_each_of_its_routes_answers() {
    let site = watched("");
    let admin = Person::new(&site, "ada", "admin");
    let stranger = Person { url: admin.url.clone(), bearer: String::new() };
    let described = stranger.get("/api/v1/openapi.json");
    let documented = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json"));
    let documented: Value = serde_json::from_str(&documented.unwrap()).unwrap();
    assert_eq!((described.status, described.json()), (200, documented.clone()));
    for (path, operations) in documented["paths"].as_object().unwrap() {
        if operations["post"]["security"] == json!([{ "word": [] }]) {
            continue;
        }
        let mut filled = path.replace("{server}", "notes").replace("{silence}", "1");
        while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
            filled.replace_range(from..=to, "nothing");
        }
        // Whatever is said, the path is known; and what is not done there is refused by its name.
        let answer = admin.ask("DELETE", path, &[], None);
        answer.problem(405);
        let allowed: Vec<String> =
            answer.header("allow").split(',').map(|one| one.trim().to_lowercase()).collect();
        for (method, operation) in operations.as_object().unwrap() {
            assert!(allowed.contains(method), "{method} {path}: {allowed:?}");
            let answer = admin.ask(&method.to_uppercase(), &filled, &[], None);
            assert!(
                operation["responses"].get(answer.status.to_string()).is_some(),
                "{method} {filled}: {}",
                answer.status
            );
            let is_secured = operation["security"] != json!([]);
            if is_secured {
                stranger.ask(&method.to_uppercase(), &filled, &[], None).problem(401);
            }
        }
    }
}

#[test]
fn every_refusal_is_a_problem() {
    let site = watched("");
    let (admin, viewer) = (Person::new(&site, "ada", "admin"), Person::new(&site, "vic", "viewer"));
    admin.get("/api/v1/nothing").problem(404);
    admin.get("/api/v1/incidents/nothing").problem(404);
    admin.get("/api/v1/incidents/%ff%fe").problem(400);
    admin.get("/api/v1/incidents?limit=many").problem(400);
    admin.get("/api/v1/incidents?limit=0").problem(400);
    admin.get("/api/v1/incidents?cursor=zz").problem(400);
    admin.get("/api/v1/incidents?unknown=1").problem(400);
    admin.get("/api/v1/silences/many/expire").problem(405);
    let silences = "/api/v1/silences";
    admin.post(silences, &[], json!([])).problem(400);
    admin.post(silences, &[], json!({ "matchers": "x" })).problem(422);
    admin.ask("POST", silences, &[("content-type", "text/plain")], None).problem(415);
    let long = "x".repeat(1024 * 1024 + 1);
    admin.post(silences, &[], json!({ "comment": long })).problem(413);
    let problem = viewer.post(silences, &[], json!({})).problem(403);
    assert_eq!(problem.needs_role, Some(server::Role::Responder));
    // A path that leads out of its place leads nowhere.
    for path in [
        "/api/v1/runbooks/..%2f..%2fetc%2fpasswd",
        "/api/v1/traces/..%2f..%2fx",
        "/api/v1/incidents/..%2f..%2fx/report",
    ] {
        let status = admin.get(path).status;
        assert!(status == 400 || status == 404, "{path}: {status}");
    }
    // A page that has bound its name to this machine anew.
    for path in ["/api/v1/incidents", "/metrics", "/prometheus/api/v1/labels", "/health"] {
        let answer = admin.ask("GET", path, &[("host", "evil.example:7477")], None);
        assert!(answer.problem(421).detail.contains("evil.example"), "{path}");
    }
    // The command line tells what a problem says.
    let file = site.path("vic.token");
    let file = file.to_str().unwrap();
    over(&site, site.command(&["incident", "show", "nothing"]), file).failed(1, &["nothing"]);
}

#[test]
fn a_body_that_drips_or_never_ends_is_given_up() {
    let site = watched("");
    let admin = Person::new(&site, "ada", "admin");
    let request = |more: &str| {
        let mut stream = TcpStream::connect(site.listen()).unwrap();
        let head = format!(
            "POST /api/v1/silences HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\ncontent-type: application/json\r\n{more}",
            admin.bearer
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let answer = |mut stream: TcpStream| {
        let mut text = Vec::new();
        let mut bytes = [0; 4096];
        while !text.ends_with(b"}") {
            match stream.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(read) => text.extend_from_slice(&bytes[..read]),
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    let slow = request("content-length: 100\r\n\r\n{");
    // As many chunks as it takes; whoever sends on is cut off.
    let mut endless = request("transfer-encoding: chunked\r\n\r\n");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let mut sent = 0;
    while endless.write_all(chunk.as_bytes()).is_ok() {
        sent += chunk.len();
        assert!(sent < 64 << 20, "nobody reads so much");
        if sent > 2 << 20 {
            break;
        }
    }
    assert!(answer(endless).contains("HTTP/1.1 413"));
    assert!(answer(slow).contains("HTTP/1.1 408"));
    assert_eq!(admin.get("/api/v1/silences").status, 200);
}

#[test]
fn a_list_is_read_in_parts_while_it_grows() {
    let site = watched("");
    let admin = Person::new(&site, "ada", "admin");
    let first = open(&admin);
    let resolve = |id: &str| {
        let said = json!({ "say": { "word": "close", "reason": "seen" } });
        eventually("the incident is closed", || {
            let answer = admin.post(&format!("/api/v1/incidents/{id}/say"), &[], said.clone());
            (answer.status == 200).then_some(())
        });
    };
    resolve(&first);
    let second = open(&admin);
    resolve(&second);
    let part = admin.get("/api/v1/incidents?limit=1");
    let ids = |answer: &Answer| -> Vec<String> {
        let all: Vec<Summary> = serde_json::from_str(&answer.body).unwrap();
        all.iter().map(|one| one.id.to_string()).collect()
    };
    assert_eq!(ids(&part), [first.as_str()]);
    let next =
        part.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    assert!(next.contains("limit=1"), "{next}");
    let third = open(&admin);
    let part = admin.get(&format!("/api/v1/incidents{next}"));
    assert_eq!(ids(&part), [second.as_str()], "what is new does not move it");
    let next =
        part.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let part = admin.get(&format!("/api/v1/incidents{next}"));
    assert_eq!((ids(&part), part.header("link")), (vec![third], ""));

    // The records of an incident, in parts, are what they are whole, where none comes meanwhile.
    let path = format!("/api/v1/incidents/{first}");
    let whole = || -> Detail { serde_json::from_str(&admin.get(&path).body).unwrap() };
    let (before, parts) = eventually("no record comes while they are read", || {
        let before = whole();
        let (mut parts, mut query) = (Vec::new(), "?limit=2".to_owned());
        loop {
            let part = admin.get(&format!("{path}{query}"));
            let detail: Detail = serde_json::from_str(&part.body).unwrap();
            assert!(detail.timeline.len() <= 2);
            parts.extend(detail.timeline);
            match part.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""))
            {
                Some(next) => query = next.to_owned(),
                None => break,
            }
        }
        (whole().timeline.len() == before.timeline.len()).then_some((before, parts))
    });
    assert_eq!(json!(parts), json!(before.timeline));

    // The journal, the newest first, and its chain.
    let entries = admin.get(&format!("/api/v1/journal?incident={first}&limit=1"));
    let seqs: Vec<i64> =
        entries.json().as_array().unwrap().iter().map(|one| one["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs.len(), 1);
    assert!(!entries.header("link").is_empty());
    let opened = admin.get("/api/v1/journal?kind=opened&server=notes").json();
    let seqs: Vec<i64> = opened.as_array().unwrap().iter().map(|one| one["seq"].as_i64().unwrap()).collect();
    assert!(seqs.len() == 3 && seqs.is_sorted_by(|one, other| one > other), "{opened}");
    assert_eq!(admin.get("/api/v1/journal?kind=opened&server=other").json(), json!([]));
    assert_eq!(admin.get("/api/v1/journal/verification").json()["broken"], Value::Null);
}

#[test]
fn a_key_makes_it_happen_once_and_a_tag_says_what_was_read() {
    let site = watched("");
    let (rob, ada) = (Person::new(&site, "rob", "responder"), Person::new(&site, "ada", "responder"));
    let id = open(&rob);
    let say = format!("/api/v1/incidents/{id}/say");
    let note = |text: &str| json!({ "say": { "word": "note", "text": text } });
    let keyed = [("idempotency-key", "k-1")];
    let first = rob.post(&say, &keyed, note("once"));
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""), "{}", first.body);
    let again = rob.post(&say, &keyed, note("once"));
    assert_eq!((again.status, again.header("idempotency-replayed"), &again.body), (200, "true", &first.body));
    rob.post(&say, &keyed, note("another")).problem(422);
    rob.post(&say, &[("idempotency-key", "")], note("x")).problem(400);
    assert_eq!(ada.post(&say, &keyed, note("of ada")).status, 200, "keys are their owner's");
    let notes = || -> Vec<String> {
        let entries = rob.get(&format!("/api/v1/journal?incident={id}&kind=noted")).json();
        let texts =
            entries.as_array().unwrap().iter().map(|one| one["body"]["text"].as_str().unwrap().to_owned());
        texts.collect()
    };
    assert_eq!(notes(), ["of ada", "once"]);

    let path = format!("/api/v1/incidents/{id}");
    // What the walker does by itself comes to an end before it is read.
    let read = eventually("nothing happens any more", || {
        let read = rob.get(&path);
        let known = [("if-none-match", read.header("etag"))];
        let then = rob.ask(
            "GET",
            &format!("{path}/watch?after={}", read.json()["timeline"].as_array().unwrap().len()),
            &[],
            None,
        );
        drop(then);
        (rob.ask("GET", &path, &known, None).status == 304).then_some(read)
    });
    let tag = read.header("etag");
    let known = rob.ask("GET", &path, &[("if-none-match", tag)], None);
    assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", tag));
    assert_eq!(rob.post(&say, &[("if-match", tag)], note("as read")).status, 200);
    rob.post(&say, &[("if-match", tag)], note("as it was")).problem(412);
    assert_eq!(rob.ask("GET", &path, &[("if-none-match", tag)], None).status, 200);
    assert_eq!(notes()[0], "as read");
    for path in ["/api/v1/servers", "/api/v1/runbooks", &format!("{path}/report")] {
        eventually("it is the same twice", || {
            let read = rob.get(path);
            assert_eq!(read.status, 200, "{}", read.body);
            let known = rob.ask("GET", path, &[("if-none-match", read.header("etag"))], None);
            (known.status == 304 && known.body.is_empty()).then_some(())
        });
    }

    // Who asked for what, from where, and what came of it.
    let log = site.serve_log();
    let audit: Vec<&str> = log.lines().filter(|line| line.contains("audit") && line.contains(&say)).collect();
    let of = |by: &str, outcome: &str| {
        audit.iter().any(|line| line.contains(by) && line.contains(outcome) && line.contains("127.0.0.1:"))
    };
    assert!(of("rob", "200") && of("rob", "422") && of("rob", "412") && of("ada", "200"), "{audit:#?}");
}

#[test]
fn who_asks_for_too_much_waits_and_others_do_not() {
    let site = watched("[api]\nrequests_per_minute = 5\n");
    let (rob, ada) = (Person::new(&site, "rob", "viewer"), Person::new(&site, "ada", "viewer"));
    let codes: Vec<u16> = (0..5).map(|_| rob.get("/api/v1/servers").status).collect();
    assert_eq!(codes, [200; 5]);
    let refused = rob.get("/api/v1/servers");
    let problem = refused.problem(429);
    assert!(problem.retry_after_s.is_some_and(|seconds| (1..=60).contains(&seconds)), "{problem:?}");
    assert_eq!(refused.header("retry-after"), problem.retry_after_s.unwrap().to_string());
    assert_eq!(ada.get("/api/v1/servers").status, 200);
    site.run(&["server", "list"]).done();
}

#[test]
fn runbooks_are_read_with_what_the_linter_finds() {
    let site = watched("");
    let viewer = Person::new(&site, "vic", "viewer");
    let all = viewer.get("/api/v1/runbooks").json();
    let name = all[0]["name"].as_str().unwrap();
    assert!(
        all[0]["procedures"].as_array().unwrap().iter().any(|one| one["alert"] == "MCPServerDown"),
        "{all}"
    );
    let one = viewer.get(&format!("/api/v1/runbooks/{name}")).json();
    assert!(
        one["markdown"].as_str().unwrap().starts_with('#')
            || one["markdown"].as_str().unwrap().starts_with("---")
    );
    let count = |level: &str| {
        one["findings"].as_array().unwrap().iter().filter(|finding| finding["level"] == level).count() as u64
    };
    let counted = (count("error"), count("warning"), count("info"));
    let told = ["errors", "warnings", "notes"].map(|key| one[key].as_u64().unwrap());
    assert_eq!(counted, (told[0], told[1], told[2]));
    viewer.get("/api/v1/runbooks/nothing").problem(404);
}

#[test]
fn a_yes_is_for_one_question_and_for_once() {
    let mut site = Site::new(&[Server::notes("notes").with("mode = \"suggest\"")]);
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == RESTART))
    });
    let id = story.id().to_owned();
    let ada = Person::new(&site, "ada", "approver");
    let path = format!("/api/v1/incidents/{id}/approve");
    let asked = ada.get(&format!("/api/v1/journal?incident={id}&kind=approval_asked")).json();
    let question = asked[0]["body"]["binding"].as_str().unwrap();
    let yes =
        |question: &str, unit: &str| json!({ "unit": unit, "question": question, "by": "somebody else" });
    // To a question that nobody has asked, to one of another unit, and to one that is not named.
    ada.post(&path, &[], yes(&"0".repeat(question.len()), RESTART)).problem(409);
    ada.post(&path, &[], yes(question, "7.1")).problem(409);
    ada.post(&path, &[], json!({ "unit": RESTART })).problem(422);
    let said = ada.post(&path, &[], yes(question, RESTART));
    assert_eq!(said.status, 200, "{}", said.body);
    ada.post(&path, &[], yes(question, RESTART)).problem(409);
    let story = site.resolved("notes");
    assert!(story.has(|record| matches!(record, Record::Approved { by, .. } if by == "ada")), "{story}");
    assert_eq!(story.restarts(), 1);
}

#[test]
fn hostile_texts_are_shown_as_text() {
    let site = watched("");
    let rob = Person::new(&site, "rob", "responder");
    let id = open(&rob);
    let hostile = "<script>alert(1)</script>\u{1b}]0;owned\u{7}\u{202e}\nevent=audit by=root";
    let said = rob.post(
        &format!("/api/v1/incidents/{id}/say"),
        &[],
        json!({ "say": { "word": "note", "text": hostile } }),
    );
    assert_eq!((said.status, said.header("content-type")), (200, "application/json"), "{}", said.body);
    let noted = rob.get(&format!("/api/v1/journal?incident={id}&kind=noted")).json();
    assert_eq!(noted[0]["body"]["text"], hostile, "it is kept as it was said");
    let shown = site.run(&["incident", "show", &id]).done();
    let tricks = |text: &str| text.chars().any(|letter| matches!(letter, '\u{1b}' | '\u{7}' | '\u{202e}'));
    assert!(shown.contains("alert(1)") && !tricks(&shown), "{shown}");
    let report = rob.get(&format!("/api/v1/incidents/{id}/report?format=html"));
    assert!(
        report.body.contains("&lt;script&gt;") && !report.body.contains("<script>alert"),
        "{}",
        report.body
    );
    assert!(!tricks(&site.serve_log()), "{}", site.serve_log());
}

/// What runs it: a module that it reads when it is deep in others already is read first, which Python 3.11 wants.
const SCHEMATHESIS: &str =
    "import schemathesis.transport.asgi\nfrom schemathesis.cli import schemathesis\nschemathesis()";

/// What is not asked: who watches waits for news; alerts are told by others; whoever takes their own token back is out; and
/// what looks at the whole machine takes longer than there is.
const NOT_ASKED: [&str; 6] = [
    "/api/v1/servers/{server}/diagnosis",
    "/api/v1/incidents/{incident}/watch",
    "/api/v1/alerts/alertmanager",
    "/api/v1/alerts/webhook",
    "/api/v1/tokens/{token}/revoke",
    "/v1/traces",
];

/// Requests that a program makes up from the description, good ones and bad ones.
#[test]
fn schemathesis_finds_nothing() {
    let Some(program) = installed("PARAMEDIC_TEST_SCHEMATHESIS", "bin/python3") else { return };
    let site = watched("[api]\nrequests_per_minute = 1000000\n");
    let ada = Person::new(&site, "ada", "admin");
    open(&ada);
    // Words that nobody knows are counted, which another test sees: here it is the right one always.
    let mut described = ada.get("/api/v1/openapi.json").json();
    described["components"].as_object_mut().unwrap().remove("securitySchemes").unwrap();
    let operations = described["paths"].as_object_mut().unwrap().values_mut();
    for operation in operations.flat_map(|path| path.as_object_mut().unwrap().values_mut()) {
        operation.as_object_mut().unwrap().remove("security").unwrap();
    }
    fs::write(site.path("described.json"), described.to_string()).unwrap();
    let mut command = Command::new(program);
    command.args(["-c", SCHEMATHESIS, "run", "described.json", "--url", &ada.url]);
    command.args(["--header", &format!("Authorization: {}", ada.bearer), "--checks", "all"]);
    // What a text has to be is not said by a schema.
    command.args(["--exclude-checks", "positive_data_acceptance,ignored_auth"]);
    command.args(NOT_ASKED.iter().flat_map(|path| ["--exclude-path", path]));
    command.args(["--exclude-operation-id", "post_evidence"]);
    command.args(["--phases", "coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--workers", "1"]);
    command.args(["--max-time", "45", "--request-timeout", "10", "--continue-on-failure", "--no-color"]);
    let output = command.current_dir(site.path(".")).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    let counted = said.lines().find_map(|line| line.trim().split_once(" generated, "));
    let passed = counted.and_then(|(_, rest)| rest.strip_suffix(" passed")?.parse::<u32>().ok());
    println!("{} requests, all answered as described", passed.unwrap_or_default());
    assert!(passed.is_some_and(|passed| passed > 100), "{said}");
    // It is still well, and nothing in it has panicked.
    assert_eq!(site.get::<Health>("/health").unwrap().status, "healthy");
    assert!(!site.serve_log().contains("panicked"), "{}", site.serve_log());
}

#[test]
fn the_command_line_does_from_afar_what_it_does_here() {
    let site = watched("");
    let admin = token(&site, "ada", &["--role", "admin"]);
    let viewer = token(&site, "vic", &[]);
    let far = |file: &str, words: &[&str]| over(&site, site.command(words), file);
    site.run(&["evidence", "collect", "notes", "--depth", "t0"]).done();

    let listed = far(&admin, &["evidence", "list", "-o", "json"]).done();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let bundle = listed[0]["bundle"].as_str().unwrap().to_owned();
    assert!(far(&admin, &["evidence", "verify", &bundle]).done().contains("as it was sealed"));
    let to = site.path("exported");
    fs::create_dir(&to).unwrap();
    far(&admin, &["evidence", "export", &bundle, "--to", to.to_str().unwrap()]).done();
    // What came over the network is the bundle: it is sound by itself.
    let exported = to.join(&bundle);
    site.run(&["evidence", "verify", exported.to_str().unwrap()]).done();
    far(&admin, &["evidence", "verify", "20261127_000000_none"]).failed(1, &["there is no bundle"]);
    far(&viewer, &["evidence", "list"]).failed(4, &["takes a responder"]);
    let person = |file: &str| Person {
        url: format!("http://{}", site.listen()),
        bearer: format!("Bearer {}", fs::read_to_string(file).unwrap().trim()),
    };
    let files = format!("/api/v1/evidence/{bundle}/files");
    for name in ["..%2f..%2fjournal.db", "..", "%2fetc%2fpasswd", "seal.json%00", ".reserve%2f"] {
        let status = person(&admin).get(&format!("{files}/{name}")).status;
        assert!((400..500).contains(&status), "{name}: {status}");
    }
    // A link that somebody has put beside them is none of its files.
    let own = site.path("data").join("evidence").join(&bundle);
    if own.is_dir() {
        std::os::unix::fs::symlink("/etc/passwd", own.join("passwd")).unwrap();
        person(&admin).get(&format!("{files}/passwd")).problem(404);
    }

    let lines = far(&viewer, &["logs", "--server", "notes", "-o", "jsonl"]).done();
    assert!(lines.contains("ready after"), "{lines}");
    let none = far(&viewer, &["logs", "--server", "notes", "--search", "no such words", "-o", "json"]).done();
    assert_eq!(none.trim(), "[]");
    far(&viewer, &["logs", "--server", "../tokens"]).failed(1, &[]);
    far(&viewer, &["logs", "--server", "notes", "--search", "(", "--regex"]).failed(2, &[]);
    assert!(far(&viewer, &["runbook", "list"]).done().contains("MCPServerDown"));
    assert!(far(&viewer, &["journal", "verify"]).done().contains("all whole"));
    assert!(site.run(&["journal", "verify"]).done().contains("all whole"), "the same over the local socket");

    // The guard does what it is told from afar, and it is written down with the value before.
    far(&viewer, &["server", "readonly", "notes"]).failed(4, &["takes an approver"]);
    far(&admin, &["server", "readonly", "notes", "--reason", "disk"]).done();
    let laid = person(&viewer).get("/api/v1/servers/notes/controls").json();
    assert!(laid.to_string().contains("read_only") || laid.to_string().contains("read-only"), "{laid}");
    assert!(site.status("notes").restriction.is_some());
    far(&admin, &["server", "block", "notes", "--tool", "write", "--for", "1h"]).done();
    far(&admin, &["server", "unblock", "notes", "--tool", "write"]).done();
    far(&admin, &["server", "writes", "notes"]).done();
    let changes = person(&viewer).get("/api/v1/journal?kind=changed").json();
    let by = |one: &Value| one["body"]["by"] == "ada" && one["body"]["change"]["target"] == "notes";
    assert_eq!(changes.as_array().unwrap().iter().filter(|one| by(one)).count(), 4, "{changes}");
    far(&admin, &["server", "readonly", "nobody"]).failed(1, &["nobody"]);

    far(&viewer, &["kill-switch", "on", "--reason", "flood"]).failed(4, &["takes a responder"]);
    far(&admin, &["kill-switch", "on", "--reason", "flood"]).done();
    let here = site.run(&["kill-switch", "status"]).done();
    assert!(here.starts_with("on") && here.contains("ada: flood"), "{here}");
    far(&admin, &["server", "readonly", "notes"]).failed(1, &["the kill switch is on"]);
    far(&admin, &["kill-switch", "off"]).done();
    assert!(site.run(&["kill-switch", "status"]).done().starts_with("off"));
    let number = far(&admin, &["maintenance", "start", "notes", "--for", "1h", "--reason", "disk"]).done();
    let windows = site.run(&["maintenance", "list"]).done();
    assert!(windows.contains("disk") && windows.contains("ada"), "{windows}");
    far(&admin, &["maintenance", "start", "nobody", "--for", "1h", "--reason", "disk"])
        .failed(1, &["nobody"]);
    far(&admin, &["maintenance", "end", number.trim()]).done();
    assert!(!far(&viewer, &["maintenance", "list"]).done().contains("disk"));
    assert!(far(&admin, &["config", "show"]).done().contains("\"notes\""));
    far(&viewer, &["config", "show"]).failed(4, &["takes an admin"]);
    let listed = far(&viewer, &["journal", "list", "--limit", "3", "-o", "json"]).done();
    assert!(serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len() <= 3);
}

/// The kernel says who has connected, whatever became of the socket's mode.
#[test]
fn the_local_socket_is_for_root_and_the_user_of_serve() {
    let site = watched("");
    let socket = site.path("data/run/paramedic.sock");
    let places = [site.path("."), site.path("data"), site.path("data/run"), socket.clone()];
    for place in places {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(place, mode).unwrap();
    }
    let ask = |user: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--clear-groups", "curl", "-sS", "--unix-socket"]).arg(&socket);
        command.arg("http://localhost/api/v1/servers").output()
    };
    let root = ask("0");
    if !root.as_ref().is_ok_and(|said| said.status.success()) {
        println!("SKIPPED: it takes root, setpriv and curl: {root:?}");
        return;
    }
    let said = |user: &str| String::from_utf8(ask(user).unwrap().stdout).unwrap();
    assert!(said("0").contains("\"notes\""), "{}", said("0"));
    let refused = said("65534");
    assert!(refused.contains("403") && refused.contains("over the network there are tokens"), "{refused}");
    let log = site.serve_log();
    assert!(log.contains("from=the local socket (user 65534, process "), "{log}");
}
