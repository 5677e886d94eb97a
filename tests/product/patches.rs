//! Tests that the package of a server is compared with what registries say, which are stand-ins on loopback; and that nothing is
//! run or changed by it.

use std::fs;

use serde_json::{Value, json};

use crate::real::installed;
use crate::site::{Server, Site, free_port};
use crate::stub::{Said, Stub};

fn json_of(body: &Value) -> Said {
    (200, "Content-Type: application/json\r\n".to_owned(), body.to_string())
}

fn absent() -> Said {
    (404, String::new(), String::new())
}

#[test]
fn a_package_of_npm_beside_its_registry() {
    let name = "@modelcontextprotocol/server-filesystem";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", &format!("node_modules/{name}/dist/index.js")) else {
        return;
    };
    let docs = tempfile::tempdir().unwrap();
    let server = Server::new("docs", &["node", script.to_str().unwrap(), docs.path().to_str().unwrap()]);
    let mut site = Site::new(&[server]);
    site.serve_until_ready(&["docs"]);
    let status = site.until("docs", "known", |status| status.package.is_some());
    let version = status.package.unwrap().version;
    let registry = Stub::new(move |asked| match asked.line.as_str() {
        line if line.starts_with("GET /newer/@modelcontextprotocol%2Fserver-filesystem ") => {
            json_of(&json!({ "dist-tags": { "latest": "9999.1.0" } }))
        }
        line if line.starts_with("POST /newer/-/npm/v1/security/advisories/bulk ") => json_of(&json!({
            name: [{ "id": 1, "url": "https://github.com/advisories/GHSA-x", "title": "a way out", "severity": "high", "vulnerable_versions": "<9999" }]
        })),
        line if line.starts_with("GET /same/") => json_of(&json!({ "dist-tags": { "latest": version } })),
        line if line.starts_with("POST /same/") => json_of(&json!({})),
        line if line.starts_with("GET /half/") => json_of(&json!({ "dist-tags": { "latest": version } })),
        _ => absent(),
    });
    let ask = |path: &str, more: &[&str]| {
        let registry = format!("--npm=http://127.0.0.1:{}/{path}", registry.port());
        site.run(&[&["security", "patches", "docs", &registry], more].concat())
    };
    let told = ask("newer", &[]);
    let expect = [
        "newest: 9999.1.0",
        "advisory GHSA-x (high): a way out",
        "proposed, and not run: npm install --prefix ",
        "server-filesystem@9999.1.0",
    ];
    assert!(told.code == Some(1) && expect.iter().all(|words| told.stdout.contains(words)), "{told:?}");
    assert_eq!(ask("same", &[]).done().lines().nth(1), Some("newest: this one"));
    ask("half", &[]).failed(3, &["not known: advisories: ", "does not have it"]);
    ask("nothing", &[]).failed(3, &["not known: newest version: "]);
    // Nobody is asked, and nobody answers.
    let before = registry.asked("").len();
    ask("same", &["--offline"]).failed(3, &["nobody was asked"]);
    assert_eq!(registry.asked("").len(), before);
    let nobody = format!("--npm=http://127.0.0.1:{}", free_port());
    site.run(&["security", "patches", "docs", &nobody]).failed(3, &["not known: newest version: "]);
    // Advisories of this machine are enough to know that something is wrong.
    let affected = json!([{ "package": { "ecosystem": "npm", "name": name }, "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }] }] }]);
    fs::create_dir(site.path("osv")).unwrap();
    fs::write(site.path("osv/GHSA-y.json"), json!({ "id": "GHSA-y", "affected": affected }).to_string())
        .unwrap();
    let told = ask("same", &["--advisories", site.path("osv").to_str().unwrap(), "-o", "json"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(
        (&told["verdict"], &told["advisories"][0]["id"], &told["command"]),
        (&json!("behind"), &json!("GHSA-y"), &Value::Null)
    );
}

#[test]
fn a_distribution_of_python_beside_its_index() {
    let Some(program) = installed("PARAMEDIC_TEST_VENV", "bin/mcp-server-time") else { return };
    let mut site = Site::new(&[Server::new("clock", &[program.to_str().unwrap()])]);
    site.serve_until_ready(&["clock"]);
    let status = site.until("clock", "known", |status| status.package.is_some());
    let version = status.package.unwrap().version;
    let index = Stub::new(move |asked| match asked.line.as_str() {
        line if line.starts_with("GET /simple/mcp-server-time/ ") => json_of(&json!({
            "versions": ["0.1", version, "9999.1", "9999.2rc1", "9999.3"],
            "files": [{ "filename": "mcp_server_time-9999.3-py3-none-any.whl", "yanked": "it deletes" }],
        })),
        line if line.starts_with("GET /pypi/mcp-server-time/") => json_of(&json!({
            "vulnerabilities": [{ "id": "PYSEC-1", "details": "reads too much\nand more", "fixed_in": ["9999.1"], "withdrawn": null }]
        })),
        _ => absent(),
    });
    let told = site.run(&[
        "security",
        "patches",
        "clock",
        &format!("--pypi=http://127.0.0.1:{}/simple", index.port()),
    ]);
    let expect = [
        "newest: 9999.1\n",
        "advisory PYSEC-1: reads too much; mended: 9999.1",
        "/bin/python -m pip install mcp-server-time==9999.1",
    ];
    assert!(told.code == Some(1) && expect.iter().all(|words| told.stdout.contains(words)), "{told:?}");
}

#[test]
fn a_program_of_no_package_is_said_to_be_one() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    site.run(&["security", "patches", "notes", "--offline"])
        .failed(3, &["nobody knows which package `notes` runs"]);
    site.run(&["security", "patches", "nobody"]).failed(1, &["nobody"]);
}
