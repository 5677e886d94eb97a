//! Tests a day of ordinary traffic, as fast as it goes, with everything switched on that looks for attacks: honest sessions
//! with every tool of real servers, honest text that looks bad, restarts, a backup, a deploy, people who mistype. Nobody is
//! refused, nothing is certain, and nobody is called.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use process::Signal;
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::transport;
use crate::drills::site;
use crate::installed::installed;
use crate::intruders::with_sign_ins;
use crate::poll::eventually;
use crate::site::{Server, Site, block_on};

/// The files of labelled calls and answers that the rules are held to.
const CALLS: &str = include_str!("../../crates/threats/src/labelled.txt");
const ANSWERS: &str = include_str!("../../crates/threats/src/labelled_results.txt");

const ALL: &str = "[security]\nresults = true\nblock = [\"path_traversal\", \"command_injection\", \"tool_poisoning\", \
                   \"rug_pull\", \"secret_exposure\", \"resource_abuse\", \"probing\"]\n";

/// Tools that ask their client for a form, a page or a model.
const ASKING: [&str; 4] = [
    "simulate-research-query",
    "trigger-elicitation-request",
    "trigger-sampling-request",
    "trigger-url-elicitation",
];

/// Texts of honest people: those in labelled calls that are no sign, and those of labelled answers.
fn honest_texts() -> Vec<String> {
    let honest = |line: &&str| line.ends_with(" => -");
    let mut texts = Vec::new();
    for line in CALLS.lines().filter(honest) {
        let json = line.split_once(' ').unwrap().1.trim_end_matches(" => -");
        strings(&serde_json::from_str(&json.replace('^', "")).unwrap(), &mut texts);
    }
    for line in ANSWERS.lines().filter(honest) {
        strings(&serde_json::from_str(line.trim_end_matches(" => -")).unwrap(), &mut texts);
    }
    texts
}

fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(members) => members.values().for_each(|member| strings(member, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What an honest client asks of each tool. Whatever is not here takes no arguments.
fn arguments(tool: &str, folder: &Path, n: usize) -> Value {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let note = format!("note-{n}.md");
    match tool {
        "echo" => json!({"message": "hello"}),
        "get-sum" => json!({"a": 19, "b": 23}),
        "get-annotated-message" => json!({"messageType": "success", "includeImage": true}),
        "get-resource-links" => json!({"count": 3}),
        "get-resource-reference" => json!({"resourceType": "Text", "resourceId": 1}),
        "get-structured-content" => json!({"location": "New York"}),
        "gzip-file-as-resource" => {
            json!({"name": "a.gz", "data": "data:text/plain;base64,aGVsbG8=", "outputType": "resource"})
        }
        "trigger-long-running-operation" => json!({"duration": 1, "steps": 2}),
        "read_file" | "read_text_file" | "read_media_file" | "get_file_info" => json!({"path": path("a.md")}),
        "read_multiple_files" => json!({"paths": [path("a.md"), path("b & c; d (1).md")]}),
        "write_file" => json!({"path": path(&note), "content": "# Notes\n\n`a`; b && c > d\n"}),
        "edit_file" => {
            json!({"path": path(&note), "edits": [{"oldText": "# Notes", "newText": "# $(date)"}]})
        }
        "create_directory" => json!({"path": path("R&D")}),
        "list_directory" | "list_directory_with_sizes" | "directory_tree" => json!({"path": path("")}),
        "move_file" => json!({"source": path(&note), "destination": path(&format!("moved-{note}"))}),
        "search_files" => json!({"path": path(""), "pattern": "**/*.md", "excludePatterns": ["../x"]}),
        "create_table" => json!({"query": format!("CREATE TABLE IF NOT EXISTS t{n} (a TEXT, b TEXT)")}),
        "write_query" => {
            json!({"query": format!("INSERT INTO t{n} VALUES ('`x`; rm -rf', '$(y) || 1 > 0 -- z')")})
        }
        "read_query" => json!({"query": format!("SELECT a || b FROM t{n} WHERE a > ''; ")}),
        "describe_table" => json!({"table_name": format!("t{n}")}),
        "append_insight" => json!({"insight": "sales & costs | Q3 > Q2; see `report`"}),
        _ => json!({}),
    }
}

/// The order in which a person would: what makes something comes before what reads it.
fn rank(tool: &str) -> usize {
    let order = ["create_table", "write_query", "create_directory", "write_file", "edit_file", "move_file"];
    order.iter().position(|one| *one == tool).unwrap_or(order.len())
}

/// One session of a client: every tool of the server, and every honest text as something that is said and written.
fn session(site: &Site, server: &str, folder: &Path, n: usize, texts: &[String]) -> BTreeMap<String, bool> {
    block_on(async {
        let client = ().serve(transport(&site.endpoint(server))).await.unwrap();
        let mut tools: Vec<String> =
            client.list_all_tools().await.unwrap().iter().map(|tool| tool.name.to_string()).collect();
        tools.sort_by_key(|tool| rank(tool));
        let mut went_well = BTreeMap::new();
        let call = async |tool: &str, arguments: Value| {
            let mut params = CallToolRequestParams::new(tool.to_owned());
            params.arguments = arguments.as_object().cloned();
            let answered = client.call_tool(params).await;
            let words = answered.as_ref().map_or_else(ToString::to_string, |_| String::new());
            assert!(!words.contains("attack") && !words.contains("passed on"), "{server} {tool}: {words}");
            answered.is_ok_and(|result| result.is_error != Some(true))
        };
        for tool in &tools {
            went_well.insert(tool.clone(), call(tool, arguments(tool, folder, n)).await);
        }
        for (number, text) in texts.iter().enumerate() {
            if tools.iter().any(|tool| tool == "echo") {
                assert!(call("echo", json!({ "message": text })).await, "{text}");
            }
            if tools.iter().any(|tool| tool == "write_file") {
                let path = folder.join(format!("text-{n}-{number}.txt"));
                let path = path.to_str().unwrap();
                assert!(call("write_file", json!({"path": path, "content": text})).await, "{text}");
                assert!(call("read_text_file", json!({ "path": path })).await, "{text}");
            }
        }
        client.cancel().await.unwrap();
        went_well
    })
}

/// People whose work it is: they mistype now and then, and come from where they always come.
fn sign_ins(days_ago: i64) -> String {
    let at = |minutes: i64, text: &str| {
        let at =
            chrono::Utc::now() - chrono::TimeDelta::days(days_ago) - chrono::TimeDelta::minutes(60 - minutes);
        format!("{} host {text}\n", at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
    };
    [
        at(0, "sshd[7]: Failed password for ada from 198.51.100.7 port 40000 ssh2"),
        at(1, "sshd[7]: Accepted password for ada from 198.51.100.7 port 40000 ssh2"),
        at(20, "sshd[8]: Failed password for bob from 198.51.100.8 port 40001 ssh2"),
        at(21, "sshd[8]: Failed password for bob from 198.51.100.8 port 40001 ssh2"),
        at(22, "sshd[8]: Accepted password for bob from 198.51.100.8 port 40001 ssh2"),
        at(30, "sudo:      ada : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl restart docs"),
    ]
    .concat()
}

/// What `security check` is certain of.
fn certain(checked: &str) -> Vec<Value> {
    let signs: Vec<Value> =
        serde_json::from_str(checked).unwrap_or_else(|error| panic!("{error}: {checked}"));
    signs.into_iter().filter(|sign| sign["certainty"] == "certain").collect()
}

/// The real servers that there are here, with their settings.
struct Day {
    site: Site,
    names: Vec<String>,
    docs: TempDir,
    /// What a deploy changes.
    settings: PathBuf,
    _own: TempDir,
}

// === impl Day ===

impl Day {
    fn begin(everything: &Path, files: &Path) -> Self {
        let (docs, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, text) in [("a.md", "# a\n"), ("b & c; d (1).md", "b\n")] {
            fs::write(docs.path().join(name), text).unwrap();
        }
        let settings = own.path().join("settings.json");
        fs::write(&settings, "{\"version\": 1}").unwrap();
        let docs_path = docs.path().to_str().unwrap();
        let roots = format!("{ALL}roots = [{docs_path:?}]\n");
        let keeps_data = format!("data = [{{ path = {docs_path:?} }}]");
        let mut servers = vec![
            (Server::new("everything", &["node", everything.to_str().unwrap(), "stdio"]), ALL),
            (Server::new("docs", &["node", files.to_str().unwrap(), docs_path]).with(&keeps_data), &*roots),
        ];
        let sqlite = std::env::var_os("PARAMEDIC_TEST_VENV_BEFORE_2")
            .and_then(|_| installed("PARAMEDIC_TEST_VENV_BEFORE_2", "bin/mcp-server-sqlite"));
        let database = own.path().join("notes.db");
        if let Some(sqlite) = &sqlite {
            let words = [sqlite.to_str().unwrap(), "--db-path", database.to_str().unwrap()];
            servers.push((Server::new("notes", &words), ALL));
        }
        let names: Vec<String> = servers.iter().map(|(server, _)| server.name().to_owned()).collect();
        let tables =
            format!("[intrusion]\nevery = \"200ms\"\nown = [{settings:?}]\n[backup]\ndir = \"backup\"\n");
        let mut site = site(&tables, &servers);
        site.serve_until_ready(&names.iter().map(String::as_str).collect::<Vec<_>>());
        // What is there belongs there.
        for name in &names {
            site.run(&["security", "baseline", name, "--reason", "as it is"]).done();
        }
        Self { site, names, docs, settings, _own: own }
    }

    /// Clients come and go, three at a time.
    fn clients(&self, texts: &[String], first: usize) {
        thread::scope(|scope| {
            for n in first..first + 3 {
                scope.spawn(move || {
                    for name in &self.names {
                        let part: Vec<String> = texts.iter().skip(n % 3).step_by(3).cloned().collect();
                        for (tool, went_well) in session(&self.site, name, self.docs.path(), n, &part) {
                            // Those ask their client for what this one does not offer.
                            assert!(went_well || ASKING.contains(&&*tool), "{name}: {tool}");
                        }
                    }
                });
            }
        });
    }

    /// A person changes what is the server's own, and says so.
    fn deploy(&self) {
        fs::write(&self.settings, "{\"version\": 2}").unwrap();
        self.site.run(&["security", "baseline", "docs", "--reason", "version 2"]).done();
    }

    /// Nobody was refused, or taken for an attacker. Returns what was told all the same, by rule.
    fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for name in &self.names {
            let page = self.site.run(&["metrics", name, "-o", "prometheus"]).done();
            for line in page.lines().filter(|line| !line.ends_with(" 0")) {
                let counts = |metric: &str, label: &str| line.starts_with(metric) && line.contains(label);
                assert!(!counts("paramedic_guard_signs_total", "\"refused\""), "{line}");
                assert!(!counts("mcp_server_errors_total", "\"security\""), "{line}");
                assert!(!counts("mcp_server_requests_refused_total", ""), "{line}");
            }
            for line in self.site.server_log(name).iter().filter(|line| line["event"] == "security") {
                assert!(line["message"].as_str().unwrap().starts_with("seen, and let through"), "{line}");
                *told.entry(line["rule"].as_str().unwrap_or_default().to_owned()).or_insert(0) += 1;
            }
            let checked = self.site.run(&["security", "check", name, "-o", "json"]).stdout;
            assert_eq!(certain(&checked), [Value::Null; 0], "{name}");
        }
        told
    }
}

#[test]
fn a_day_of_ordinary_traffic_is_no_incident() {
    let script = |name: &str| format!("node_modules/@modelcontextprotocol/{name}/dist/index.js");
    let (Some(everything), Some(files)) = (
        installed("PARAMEDIC_TEST_NPM", &script("server-everything")),
        installed("PARAMEDIC_TEST_NPM", &script("server-filesystem")),
    ) else {
        return;
    };
    let began = Instant::now();
    let texts = honest_texts();
    assert!(texts.len() > 60, "{}", texts.len());
    let mut day = Day::begin(&everything, &files);
    // The people who have come these days are who comes.
    let before = sign_ins(3) + &sign_ins(2);
    let learn = |day: &Day| {
        let ran = with_sign_ins(&day.site, &before, "security baseline docs --reason reviewed");
        ran.iter().for_each(|ran| assert_eq!(ran.code, Some(0), "{ran:?}"));
    };
    learn(&day);
    day.clients(&texts, 0);
    // An operator restarts a server; the nightly backup, during which nobody writes; a deploy.
    day.site.run(&["server", "restart", "docs"]).done();
    day.site.ready("docs");
    day.site.run(&["backup", "create", "docs", "--read-only"]).done();
    day.deploy();
    learn(&day);
    day.clients(&texts, 3);

    let incidents = day.site.incidents();
    assert!(incidents.is_empty(), "{incidents:?}");
    let told = day.told();
    let today = before.clone() + &sign_ins(0);
    if let Some(ran) = with_sign_ins(&day.site, &today, "security check docs -o json") {
        assert_eq!(certain(&ran.stdout), [Value::Null; 0], "{ran:?}");
    }
    // Nor did `serve` by itself see anybody, which has looked five times a second.
    let asked = |query: &str| day.site.run(&["query", query, "-o", "json"]).stdout;
    eventually("looks of its own", || asked("paramedic_intrusion_signs").contains("\"docs\"").then_some(()));
    let seen = asked("paramedic_intrusion_signs{certainty=\"certain\"} > 0");
    assert!(!seen.contains("server_name"), "{seen}");
    println!("a day in {:?}; likely signs, by rule: {told:?}", began.elapsed());
    day.site.end_serve(Signal::TERM);
}
