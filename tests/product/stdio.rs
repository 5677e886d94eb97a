//! Tests of the guard in a client's configuration: real clients, real servers, and each of them killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use metrics::AlertState;
use process::control::Status;
use process::{ProcessId, Signal, descendants, send};
use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::service::{RoleClient, RunningService};
use serde_json::{Value, json};
use server::api::wire::AlertStatus;
use server::client::Client;

use crate::poll::eventually;
use crate::processes;
use crate::real::installed;
use crate::site::{EXE, Server, Setup, Site, block_on};

/// Only reached where a test fails.
const ANSWER_MAX: Duration = Duration::from_secs(30);

const NOTES: [&str; 3] = [EXE, "demo-server", "notes"];

/// A client of the official Rust SDK, and the guard that it has started.
struct Connected {
    client: RunningService<RoleClient, ()>,
    guard: tokio::process::Child,
}

impl Connected {
    /// Starts `paramedic guard --stdio -- COMMAND…` as the SDK's own transport for child processes does.
    async fn start(site: &Site, command: &[&str]) -> Self {
        let words = [&["guard", "--stdio"], &command_words(command)[..]].concat();
        let mut guard = tokio::process::Command::from(guard_command(site, &words));
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut guard = guard.spawn().unwrap();
        let transport = (guard.stdout.take().unwrap(), guard.stdin.take().unwrap());
        let client = tokio::time::timeout(ANSWER_MAX, ().serve(transport)).await.unwrap().unwrap();
        Self { client, guard }
    }

    async fn call(&self, tool: &'static str, arguments: &Value) -> Result<String, String> {
        let mut call = CallToolRequestParams::new(tool);
        call.arguments = arguments.as_object().cloned();
        let result = tokio::time::timeout(ANSWER_MAX, self.client.call_tool(call)).await.unwrap();
        let content = result.map_err(|error| error.to_string())?.content;
        let texts: Vec<&str> = content.iter().filter_map(|one| Some(one.as_text()?.text.as_str())).collect();
        Ok(texts.join("\n"))
    }

    /// Waits until the client has seen the end of its connection: until then a call may end in a broken pipe as well.
    async fn ended(&self) {
        let seen = async {
            while !self.client.is_transport_closed() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(ANSWER_MAX, seen).await.unwrap();
    }

    fn id(&self) -> ProcessId {
        ProcessId::of(i32::try_from(self.guard.id().unwrap()).unwrap()).unwrap()
    }

    /// Everything below the guard.
    fn below(&self) -> Vec<ProcessId> {
        descendants(Path::new("/proc"), self.id().pid)
    }
}

fn command_words<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [&["--"], command].concat()
}

/// A guard in a client's configuration, as a command. The options of the product stand before the server's command.
pub(crate) fn guard_command(site: &Site, words: &[&str]) -> std::process::Command {
    let place = words.iter().position(|word| *word == "--").unwrap();
    let config = site.config();
    let mut all: Vec<&str> = words[..place].to_vec();
    all.extend(["--config", config.to_str().unwrap()]);
    all.extend(&words[place..]);
    let mut command = std::process::Command::new(EXE);
    command.args(all).current_dir(site.path(""));
    crate::site::clean(&mut command, &site.path(""));
    command
}

/// What the guard of this name says at a path of its socket.
fn said(site: &Site, name: &str, path: &str) -> Option<Value> {
    let client = Client::new(&site.path(&format!("data/run/clients/{name}.sock"))).unwrap();
    block_on(client.get_text(path)).ok().and_then(|text| serde_json::from_str(&text).ok())
}

fn status(site: &Site, name: &str) -> Status {
    let status = eventually("the guard's status", || said(site, name, "/admin/status"));
    serde_json::from_value(status).unwrap()
}

fn child(site: &Site, name: &str) -> ProcessId {
    eventually("a server that is ready", || {
        let status = status(site, name);
        status.child.filter(|_| format!("{:?}", status.phase) == "Ready")
    })
}

#[track_caller]
fn all_gone(processes: &[ProcessId]) {
    eventually("all of them are gone", || processes.iter().all(|one| !one.is_alive()).then_some(()));
}

#[test]
fn a_client_of_mcp_server_time_goes_on_when_its_server_is_killed() {
    let Some(program) = installed("PARAMEDIC_TEST_VENV", "bin/mcp-server-time") else { return };
    let arguments = json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"});
    let name = "mcp-server-time";
    let package = (name, "2026.10.19");
    goes_on(&[program.to_str().unwrap()], name, package, "convert_time", &arguments, "T03:00:00+00:00");
}

#[test]
fn a_client_of_server_filesystem_goes_on_when_its_server_is_killed() {
    let script = "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("note.txt");
    fs::write(&file, "read me").unwrap();
    let command = ["node", script.to_str().unwrap(), folder.path().to_str().unwrap()];
    let package = ("@modelcontextprotocol/server-filesystem", "2026.8.31");
    goes_on(&command, "server-filesystem", package, "read_text_file", &json!({"path": file}), "read me");
}

/// The server alone is killed, three times: the client of the same session hears of it at most once each time.
#[track_caller]
fn goes_on(
    command: &[&str],
    name: &str,
    package: (&str, &str),
    tool: &'static str,
    arguments: &Value,
    right: &str,
) {
    let site = Site::new(&[]);
    block_on(async {
        let connected = Connected::start(&site, command).await;
        let mut pids = Vec::new();
        for starts in 1..=3 {
            let answer = connected.call(tool, arguments).await.unwrap();
            assert!(answer.contains(right), "{answer}");
            let status = std::thread::scope(|scope| {
                let ask = || (child(&site, name), status(&site, name));
                scope.spawn(ask).join().unwrap()
            });
            assert_eq!(status.1.starts, starts);
            pids.push(status.0);
            send(status.0, Signal::KILL).unwrap();
            // In flight or held: one of both, and the next one is answered by the new server.
            if let Err(error) = connected.call(tool, arguments).await {
                assert!(error.contains("has ended (killed by SIGKILL)"), "{error}");
            }
        }
        assert!(connected.call(tool, arguments).await.unwrap().contains(right));
        let found = std::thread::scope(|scope| {
            scope.spawn(|| eventually("the package", || status(&site, name).package)).join().unwrap()
        });
        assert_eq!((found.name.as_str(), found.version.as_str()), package);
        all_gone(&pids);
        let (guard, below) = (connected.id(), connected.below());
        assert!(below.len() >= 2, "{below:?}");
        connected.client.cancel().await.unwrap();
        all_gone(&[&[guard], &below[..]].concat());
    });
    processes::gone(&site.path(""));
}

#[test]
fn a_killed_guard_leaves_nothing_and_its_client_sees_the_end() {
    let site = Site::new(&[]);
    block_on(async {
        // The server is the child of a wrapper, and something else runs beside it.
        let script = format!("sleep 983 & {} demo-server notes; true", EXE);
        let connected = Connected::start(&site, &["sh", "-c", &script]).await;
        let below = connected.below();
        assert_eq!(below.len(), 4, "the lifeline, the shell, `sleep` and the server");
        send(connected.id(), Signal::KILL).unwrap();
        connected.ended().await;
        let error = connected.call("add_note", &json!({"text": "x"})).await.unwrap_err();
        assert!(error.to_lowercase().contains("closed"), "{error}");
        all_gone(&below);
    });
    processes::gone(&site.path(""));
}

/// A client that is no program of ours: a shell that has started the guard and speaks to it.
struct ShellClient {
    shell: Child,
}

impl ShellClient {
    fn start(site: &Site) -> Self {
        let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "sh", "version": "1"}}});
        let script = format!(
            "coproc {{ exec {EXE} guard --stdio --config {} -- {}; }}\n\
             printf '%s\\n' '{initialize}' >&\"${{COPROC[1]}}\"\n\
             read -r answer <&\"${{COPROC[0]}}\"\n\
             echo \"$answer\"\nread -r forever <&\"${{COPROC[0]}}\"\n",
            site.config().display(),
            NOTES.join(" "),
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script]);
        crate::site::clean(&mut command, &site.path(""));
        let mut shell = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut answer = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut answer).unwrap();
        assert!(answer.contains("serverInfo"), "{answer}");
        Self { shell }
    }

    fn id(&self) -> ProcessId {
        ProcessId::of(i32::try_from(self.shell.id()).unwrap()).unwrap()
    }
}

impl Drop for ShellClient {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[test]
fn a_killed_client_leaves_nothing() {
    let site = Site::new(&[]);
    let client = ShellClient::start(&site);
    let below = descendants(Path::new("/proc"), client.id().pid);
    assert_eq!(below.len(), 3, "the guard, its lifeline, and the server");
    send(client.id(), Signal::KILL).unwrap();
    all_gone(&below);
    drop(client);
    processes::gone(&site.path(""));
    assert!(!site.path("data/run/clients/paramedic.sock").exists());
}

#[test]
fn all_of_them_killed_at_once_leave_nothing() {
    let site = Site::new(&[]);
    let client = ShellClient::start(&site);
    let all = [&[client.id()][..], &descendants(Path::new("/proc"), client.id().pid)].concat();
    assert_eq!(all.len(), 4);
    for one in &all {
        // The death of one may have ended the next already.
        let _ = send(*one, Signal::KILL);
    }
    drop(client);
    all_gone(&all);
    processes::gone(&site.path(""));
}

#[test]
fn serve_finds_a_clients_server_and_absent_is_not_down() {
    // Down counts after a second, so that this test need not wait for ten.
    let mut site = Site::of(&Setup { servers: &[Server::notes("notes")], ..Setup::default() });
    let config = fs::read_to_string(site.config()).unwrap().replace("for = \"10s\"", "for = \"1s\"");
    site.write_config(&config);
    site.serve_until_ready(&["notes"]);
    let client = ShellClient::start(&site);
    let found = site.ready("paramedic");
    assert_eq!((found.source.as_str(), found.restart_owner.as_str()), ("client", "client"));
    site.until("paramedic", "healthy", |status| status.health == "healthy");
    let shown = site.run(&["server", "status", "paramedic"]).done();
    assert!(shown.contains("restarts by client"), "{shown}");
    let checked = site.run(&["check", "paramedic", "--type", "liveness", "-o", "json"]).done();
    assert!(checked.contains("the server answers"), "{checked}");
    let page = site.run(&["metrics", "paramedic", "-o", "prometheus"]).done();
    assert!(page.contains("mcp_server_up{server_name=\"paramedic\"} 1"), "{page}");
    // It is its client's: nobody else restarts it.
    site.run(&["server", "restart", "paramedic"]).failed(4, &["was started by its client"]);

    // Down is when the client is there, and the server does not answer.
    let server = child(&site, "paramedic");
    send(server, Signal::STOP).unwrap();
    let story = site.incident("paramedic", "open", |_| true);
    assert!(story.alarm().summary.contains("SIGSTOP"), "{}", story.alarm().summary);
    send(server, Signal::CONT).unwrap();
    site.incident("paramedic", "resolved", |story| {
        story.has(|record| matches!(record, incident::Record::Resolved {}))
    });
    assert_eq!(site.status("paramedic").starts, Some(1), "nobody has restarted it");

    // A client that goes while its server is down takes the trouble with it.
    send(server, Signal::STOP).unwrap();
    eventually("a second incident", || Some(site.incidents()).filter(|all| all.len() == 2));
    drop(client);
    let absent = site.until("paramedic", "absent", |status| status.phase == "absent");
    assert_eq!((absent.health.as_str(), absent.reason.as_str()), ("unknown", "its client has closed it"));
    site.incident("paramedic", "closed", |story| {
        story.has(|record| matches!(record, incident::Record::Closed { by, .. } if by == "serve"))
    });
    eventually("no alert of it is active", || {
        let alerts: Vec<AlertStatus> = site.get("/api/v1/alerts")?;
        let active = |one: &AlertStatus| one.server == "paramedic" && one.state != AlertState::Resolved;
        (!alerts.iter().any(active)).then_some(())
    });
    eventually("nothing is exported of it", || {
        (!site.metrics().contains("server_name=\"paramedic\"")).then_some(())
    });
    site.run(&["check", "paramedic"]).failed(2, &["no client has started one"]);

    // And is the same server when it comes back.
    let _client = ShellClient::start(&site);
    site.ready("paramedic");
    assert_eq!(site.incidents().len(), 2);
    assert_eq!(site.status("notes").starts, Some(1));
}
