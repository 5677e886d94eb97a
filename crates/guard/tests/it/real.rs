//! Owns the tests with real servers behind the guard, and a real client in front of it. `./test` installs them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::conformance::{module, node};
use super::guarded::{DEFAULT, Guarded, block_on};
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("servers_of_npm_are_listed_and_called", servers_of_npm),
    ("servers_of_pypi_are_listed_and_called", servers_of_pypi),
    ("a_server_of_an_older_sdk_is_listed_and_called", server_of_an_older_sdk),
    ("the_inspector_is_a_client", the_inspector_is_a_client),
    ("the_python_sdk_is_an_old_client", the_python_sdk_is_an_old_client),
];

/// Lists the tools of a server, calls one, and looks for something in the answer.
async fn ask(guarded: &Guarded, tool: &str, arguments: Value, expect: &str) {
    guarded.settled().await;
    let session = guarded.initialize().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let list: Value = guarded.post(Some(&session), list).send().await.unwrap().json().await.unwrap();
    let tools = list["result"]["tools"].as_array().unwrap();
    assert!(tools.iter().any(|known| known["name"] == tool), "{tool} is not in {list}");
    let answer = guarded.call(&session, &json!(2), tool, arguments).await;
    assert!(answer.contains(expect), "{tool}: {answer}");
    assert_eq!(guarded.health("/health").await.0, 200);
}

/// A program in a folder that `./test` has made; where it is not there, the test says so and passes.
fn program(variable: &str, name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).filter(|folder| !folder.is_empty());
    let found = folder.map(|folder| PathBuf::from(folder).join("bin").join(name));
    let found = found.filter(|program| program.exists());
    if found.is_none() {
        println!("SKIPPED: `{name}` is not in `{variable}`; `./test` installs what this test needs");
    }
    found
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn servers_of_npm() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here.txt"), "x").unwrap();
    let (here, memory) = (text(folder.path()), folder.path().join("memory.json"));
    let memory = format!("MEMORY_FILE_PATH={}", text(&memory));
    let entity = json!({"entities": [{"name": "guard", "entityType": "thing", "observations": ["stands"]}]});
    for (name, argument, tool, arguments, expect) in [
        ("server-everything", "stdio", "get-sum", json!({"a": 19, "b": 23}), "42"),
        ("server-filesystem", here, "list_directory", json!({"path": here}), "here.txt"),
        ("server-memory", "", "create_entities", entity, "stands"),
    ] {
        let Some(script) = module(&format!("@modelcontextprotocol/{name}/dist/index.js")) else { continue };
        block_on(async {
            let guarded = DEFAULT.run(&["env", &memory, "node", text(&script), argument]).await;
            ask(&guarded, tool, arguments, expect).await;
        });
    }
}

fn servers_of_pypi() {
    const VENV: &str = "PARAMEDIC_TEST_VENV";
    if let Some(time) = program(VENV, "mcp-server-time") {
        block_on(async {
            let guarded = DEFAULT.run(&[text(&time)]).await;
            let asked = json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"});
            ask(&guarded, "convert_time", asked, "T03:00:00+00:00").await;
        });
    }
    if let Some(git) = program(VENV, "mcp-server-git") {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("git").args(["init", "-q"]).arg(folder.path()).status();
        if !made.is_ok_and(|made| made.success()) {
            return println!("SKIPPED: git is missing");
        }
        std::fs::write(folder.path().join("new.txt"), "x").unwrap();
        let repository = text(folder.path());
        block_on(async {
            let guarded = DEFAULT.run(&[text(&git), "--repository", repository]).await;
            ask(&guarded, "git_status", json!({"repo_path": repository}), "new.txt").await;
        });
    }
    if let Some(fetch) = program(VENV, "mcp-server-fetch") {
        block_on(async {
            let guarded = DEFAULT.run(&[text(&fetch), "--allow-private-ips"]).await;
            // What it fetches is what the guard says of it.
            let url = guarded.url("/metrics");
            ask(&guarded, "fetch", json!({"url": url, "raw": true}), "mcp_server_up").await;
        });
    }
}

fn server_of_an_older_sdk() {
    let Some(sqlite) = program("PARAMEDIC_TEST_VENV_BEFORE_2", "mcp-server-sqlite") else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("test.db");
    block_on(async {
        let guarded = DEFAULT.run(&[text(&sqlite), "--db-path", text(&database)]).await;
        let made = json!({"query": "CREATE TABLE guarded (n INTEGER)"});
        ask(&guarded, "create_table", made, "created").await;
        ask(&guarded, "list_tables", json!({}), "guarded").await;
    });
}

fn the_inspector_is_a_client() {
    let (Some(node), Some(inspector)) =
        (node(), module("@modelcontextprotocol/inspector/clients/launcher/build/index.js"))
    else {
        return;
    };
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let guarded = DEFAULT.run(&[text(&exe), "fixture"]).await;
        guarded.settled().await;
        for (transport, path, method, arguments, expect) in [
            ("http", "/mcp", "tools/list", &[][..], "test_simple_text"),
            ("http", "/mcp", "tools/call", &["--tool-name", "test_simple_text"], "simple text response"),
            ("http", "/mcp", "resources/read", &["--uri", "test://static-text"], "static text resource"),
            ("http", "/mcp", "prompts/get", &["--prompt-name", "test_simple_prompt"], "a simple prompt"),
            ("sse", "/sse", "tools/call", &["--tool-name", "test_simple_text"], "simple text response"),
        ] {
            let mut client = tokio::process::Command::new(&node);
            client.arg(&inspector).args(["--cli", "--transport", transport, "--server-url"]);
            client.arg(guarded.url(path)).args(["--method", method]).args(arguments).stdin(Stdio::null());
            let output = client.output().await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains(expect), "{method}: {said}{errors}");
        }
    });
}

/// What a client of HTTP+SSE does with the official SDK: what it is greeted with, and what comes of a call with progress.
const OLD_CLIENT: &str = r#"
import asyncio, sys
from mcp import ClientSession
from mcp.client.sse import sse_client

async def main():
    heard = []
    async def progress(done, total, message):
        heard.append(done)
    async with sse_client(sys.argv[1]) as (read, write):
        async with ClientSession(read, write) as session:
            greeted = await session.initialize()
            tools = await session.list_tools()
            text = await session.call_tool("test_simple_text", {})
            await session.call_tool("test_tool_with_progress", {}, progress_callback=progress)
            print(greeted.protocolVersion, len(tools.tools), text.content[0].text, len(heard))

asyncio.run(asyncio.wait_for(main(), 60))
"#;

fn the_python_sdk_is_an_old_client() {
    let Some(python) = program("PARAMEDIC_TEST_VENV_BEFORE_2", "python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("client.py");
    std::fs::write(&script, OLD_CLIENT).unwrap();
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let upstream = format!("http://{}/mcp", super::fixture::http::start().await);
        for server in [&[text(&exe), "fixture"][..], &[&upstream]] {
            let guarded = DEFAULT.run(server).await;
            guarded.settled().await;
            let mut client = tokio::process::Command::new(&python);
            let output = client.arg(&script).arg(guarded.url("/sse")).output().await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            let greeted = said.starts_with("2025-11-25 ") && said.contains("simple text response");
            assert!(output.status.success() && greeted && said.trim_end().ends_with(" 3"), "{said}{errors}");
            while guarded.metric(&["mcp_server_connections_active"]).await > 0.0 {}
        }
    });
}
