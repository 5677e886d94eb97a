//! Owns the official conformance suite through the guard: the same server directly, over stdio and over HTTP.
//!
//! What the suite says of the guard is never worse than what it says of the server itself. With the same suite and a
//! fixture over stdio, supergateway 4.0.0 passes 80 of 81 checks and mcp-proxy 0.13.0 passes 65 of 72.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::fixture;
use super::guarded::{DEFAULT, block_on};
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[("the_official_suite_through_the_guard", the_official_suite)];

const REVISION: &str = "2025-11-25";

/// A file of what `./test` has installed from npm; where it is not there, the test says so and passes.
pub(crate) fn module(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PARAMEDIC_TEST_NPM").filter(|folder| !folder.is_empty());
    let found = folder.map(|folder| PathBuf::from(folder).join("node_modules").join(path));
    let found = found.filter(|found| found.exists());
    if found.is_none() {
        println!("SKIPPED: `{path}` is not in `PARAMEDIC_TEST_NPM`; `./test` installs what this test needs");
    }
    found
}

/// Node of the version that the suite and the inspector need.
pub(crate) fn node() -> Option<PathBuf> {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    module(&format!("node-linux-{machine}/bin/node"))
}

/// What was said of each check.
type Verdicts = BTreeMap<String, String>;

async fn run(node: &Path, suite: &Path, url: &str) -> Verdicts {
    let results = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(node);
    command.arg(suite).args(["server", "--url", url, "--requirements", REVISION, "--output-dir"]);
    command.arg(results.path()).current_dir(results.path()).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let mut verdicts = Verdicts::new();
    for entry in std::fs::read_dir(results.path()).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("checks.json")) else { continue };
        let scenario = scenario(&folder);
        for check in serde_json::from_str::<Vec<Value>>(&text).unwrap() {
            let id = format!("{scenario}: {}", check["id"].as_str().unwrap());
            let status = check["status"].as_str().unwrap().to_owned();
            if status == "FAILURE" || status == "WARNING" {
                println!("{url}: {id}: {status}: {}", check["errorMessage"]);
            }
            // A check that is made several times is as good as its worst.
            let worst = verdicts.entry(id).or_insert_with(|| status.clone());
            if rank(&status) < rank(worst) {
                *worst = status;
            }
        }
    }
    assert!(!verdicts.is_empty(), "the suite wrote no results: {said}");
    verdicts
}

/// `server-NAME-TIME` without the time.
fn scenario(folder: &Path) -> String {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let end = name.find("-20").unwrap_or(name.len());
    name[..end].to_owned()
}

fn rank(status: &str) -> usize {
    ["FAILURE", "WARNING", "SKIPPED", "INFO", "SUCCESS"].iter().position(|known| *known == status).unwrap()
}

fn count(verdicts: &Verdicts, status: &str) -> usize {
    verdicts.values().filter(|known| *known == status).count()
}

fn the_official_suite() {
    let Some(suite) = module("@modelcontextprotocol/conformance/dist/index.js") else { return };
    let Some(node) = node() else { return };
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let direct = format!("http://{}/mcp", fixture::http::start().await);
        let stdio = DEFAULT.run(&[exe.to_str().unwrap(), "fixture"]).await;
        stdio.settled().await;
        let http = DEFAULT.run(&[&direct]).await;
        http.settled().await;
        let (stdio, http) = (stdio.url("/mcp"), http.url("/mcp"));
        let (direct, stdio, http) =
            tokio::join!(run(&node, &suite, &direct), run(&node, &suite, &stdio), run(&node, &suite, &http),);
        never_worse("direct", &direct, &direct);
        never_worse("over stdio", &stdio, &direct);
        never_worse("over HTTP", &http, &direct);
        // The same with nothing in between: the suite was really run.
        assert!(count(&direct, "SUCCESS") >= 84, "{direct:#?}");
        assert_eq!(count(&http, "SUCCESS"), count(&direct, "SUCCESS"));
        for verdicts in [&stdio, &http] {
            let rebinding = "server-dns-rebinding-protection: localhost-host-rebinding-rejected";
            assert_eq!(verdicts[rebinding], "SUCCESS");
        }
    });
}

/// Nothing fails or is warned of, and what passes directly passes through the guard.
#[track_caller]
fn never_worse(name: &str, verdicts: &Verdicts, direct: &Verdicts) {
    let (passed, failed) = (count(verdicts, "SUCCESS"), count(verdicts, "FAILURE"));
    println!("{name}: {passed} checks passed, {failed} failed, {} made", verdicts.len());
    for (check, status) in verdicts {
        assert!(rank(status) > rank("WARNING"), "{name}: {check}: {status}");
    }
    for (check, _) in direct.iter().filter(|(_, status)| *status == "SUCCESS") {
        let status = verdicts.get(check).map_or("not made", String::as_str);
        // These are about streams, where the guard may answer with JSON, and does while an answer is quick.
        let may_be_json = ["server-server-sse-multiple-streams: ", "server-server-sse-polling: "];
        let is_excused = may_be_json.iter().any(|scenario| check.starts_with(scenario));
        assert!(status == "SUCCESS" || is_excused, "{name}: {check}: {status}, and SUCCESS directly");
        if status != "SUCCESS" {
            println!("{name}: {check}: {status}");
        }
    }
}
