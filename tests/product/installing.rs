//! Tests the start of a server that is still being installed: a real `npx` with a cold cache, and a registry that takes its
//! time.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::client::Question;
use crate::poll::eventually;
use crate::site::{Server, Site};

/// The whole of a server that its registry keeps.
const SERVER: &str = r#"#!/usr/bin/env node
const answers = {
  initialize: () => ({protocolVersion: "2025-06-18", capabilities: {tools: {}}, serverInfo: {name: "slow", version: "1"}}),
  ping: () => ({}),
  "tools/list": () => ({tools: [{name: "hello", inputSchema: {type: "object"}}]}),
  "tools/call": () => ({content: [{type: "text", text: "hello"}]}),
};
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const {id, method} = JSON.parse(line);
  if (id === undefined) return;
  console.log(JSON.stringify({jsonrpc: "2.0", id, result: answers[method]()}));
});
"#;

/// What the package weighs, in bytes, and how it comes: so many at a time, with a pause.
const BALLAST: usize = 2_000_000;
const PORTION: usize = 40_000;
const PAUSE: Duration = Duration::from_millis(100);

/// Packs the server as `npm pack` does, with ballast that cannot be compressed.
fn pack(folder: &Path) -> Vec<u8> {
    let package = folder.join("package");
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("server.js"), SERVER).unwrap();
    let about = json!({"name": "slow-server", "version": "1.2.3", "bin": {"slow-server": "server.js"}});
    fs::write(package.join("package.json"), about.to_string()).unwrap();
    let mut ballast = vec![0; BALLAST];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut ballast).unwrap();
    fs::write(package.join("ballast"), ballast).unwrap();
    let packed =
        Command::new("tar").args(["czf", "package.tgz", "package"]).current_dir(folder).status().unwrap();
    assert!(packed.success());
    fs::read(folder.join("package.tgz")).unwrap()
}

fn respond(stream: &mut TcpStream, path: &str, tarball: &[u8]) -> std::io::Result<()> {
    let address = stream.local_addr()?;
    let head = |kind: &str, bytes: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n"
        )
    };
    if !path.ends_with(".tgz") {
        let about = json!({"name": "slow-server", "dist-tags": {"latest": "1.2.3"}, "versions": {"1.2.3": {
            "name": "slow-server", "version": "1.2.3", "bin": {"slow-server": "server.js"},
            "dist": {"tarball": format!("http://{address}/slow-server-1.2.3.tgz")}}}})
        .to_string();
        return stream.write_all((head("application/json", about.len()) + &about).as_bytes());
    }
    stream.write_all(head("application/octet-stream", tarball.len()).as_bytes())?;
    for portion in tarball.chunks(PORTION) {
        // A slow line; nobody waits for anything here.
        stream.write_all(portion)?;
        thread::park_timeout(PAUSE);
    }
    Ok(())
}

/// A registry with one package; it ends with the test's process.
fn registry(tarball: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, tarball) = (stream.unwrap(), tarball.clone());
            thread::spawn(move || {
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let _ = reader.read_line(&mut line);
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {}
                let _ = respond(&mut stream, &path, &tarball);
            });
        }
    });
    url
}

#[test]
fn a_cold_npx_is_installing_and_not_down() {
    if Command::new("npx").arg("--version").output().is_err() {
        println!("SKIPPED: npx is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(pack(folder.path()));
    // It comes in five seconds and takes npm some of its own; a start may take three.
    let mut site =
        Site::new(&[Server::new("slow", &["npx", "-y", "slow-server"]).with("start_timeout = \"3s\"")]);
    site.set("npm_config_registry", &registry);
    for unwanted in ["npm_config_update_notifier", "npm_config_audit", "npm_config_fund"] {
        site.set(unwanted, "false");
    }
    site.serve();
    let status = site.until("slow", "being installed", |status| status.phase == "installing");
    assert_eq!(status.starts, Some(1), "{status:?}");
    let checked = site.run(&["check", "slow", "--type", "liveness"]);
    assert_eq!(checked.code, Some(1), "it does not answer yet: {checked:?}");
    assert!(checked.stdout.contains("is being installed: `npm exec` has worked for"), "{checked:?}");
    let status = eventually("it is ready", || {
        let status = site.status("slow");
        assert_ne!(status.phase, "failed", "{:#?}", site.server_log("slow"));
        (status.phase == "ready").then_some(status)
    });
    assert_eq!((status.starts, status.last_exit.clone()), (Some(1), None), "{status:?}");
    let log = site.server_log("slow");
    assert!(site.starts_ms("slow")[0] > 4_000, "nothing was slow: {log:#?}");
    assert!(site.incidents().is_empty(), "{:?}", site.incidents());

    // Which version it was is known, and written down.
    let status = eventually("the package is known", || {
        let status = site.status("slow");
        status.package.is_some().then_some(status)
    });
    let package = status.package.unwrap();
    assert_eq!((package.name.as_str(), package.version.as_str()), ("slow-server", "1.2.3"));
    eventually("it is in the log", || {
        site.server_log("slow").iter().any(|line| line["package"]["version"] == "1.2.3").then_some(())
    });
    let page = site.run(&["metrics", "slow", "-o", "prometheus"]).done();
    let series =
        "mcp_server_package{server_name=\"slow\",package=\"slow-server\",version=\"1.2.3\",kind=\"npm\"} 1";
    assert!(page.contains(series), "{page}");
    Question { tool: "hello", arguments: json!({}), right: "hello" }.ask_until_right(&site.endpoint("slow"));

    // It goes down: from a warm cache it is back at once, and that is one incident.
    site.kill("slow");
    assert_eq!(site.resolved("slow").restarts(), 1);
}
