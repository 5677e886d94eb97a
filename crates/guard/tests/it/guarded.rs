//! Owns a guard in a process of its own, in front of a fake server, and clients that speak to it.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use process::ProcessId;
use process::control::{Client as Control, Message, Phase, Status};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use super::poll::eventually;

pub(crate) const SESSION: &str = "mcp-session-id";

/// `guard FOLDER LISTEN START_TIMEOUT_MS REQUEST_TIMEOUT_MS -- COMMAND…`
pub(crate) fn role(args: &[String]) -> ExitCode {
    let folder = PathBuf::from(&args[0]);
    let socket = process::activation::tcp_listener().unwrap().map(std::sync::Arc::new);
    let millis = |text: &str| Duration::from_millis(text.parse().unwrap());
    let upstream = args.get(5).filter(|word| word.starts_with("http")).cloned();
    let settings = guard::Settings {
        name: "mem".to_owned(),
        listen: socket
            .as_ref()
            .map_or_else(|| args[1].parse().unwrap(), |socket| socket.local_addr().unwrap()),
        socket,
        control: folder.join("mem.sock"),
        log: folder.join("logs/mem.log"),
        command: if upstream.is_some() { Vec::new() } else { args[5..].to_vec() },
        upstream,
        environment: Vec::new(),
        directory: None,
        start_timeout: millis(&args[2]),
        install_timeout: guard::INSTALL_TIMEOUT,
        request_timeout: millis(&args[3]),
        once: false,
        take_over: std::env::var_os("TAKE_OVER").is_some(),
        tuning: None,
        own: own(&folder),
        controls: Some(folder.join("controls/mem.json")),
        tie: std::env::var("TIE").ok().map(|pid| pid.parse().unwrap()),
        paramedic_exe: std::env::current_exe().unwrap(),
    };
    match block_on(guard::run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
            ExitCode::from(error.exit_code())
        }
    }
}

/// What a test has written before the start.
pub(crate) fn own(folder: &std::path::Path) -> guard::Own {
    let path = folder.join("guard.toml");
    if path.exists() { guard::Own::read(&path).unwrap() } else { guard::Own::default() }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// How to start one.
pub(crate) struct Start {
    pub(crate) listen: &'static str,
    pub(crate) start_timeout_ms: u32,
    pub(crate) request_timeout_ms: u32,
}

pub(crate) const DEFAULT: Start =
    Start { listen: "127.0.0.1:0", start_timeout_ms: 20_000, request_timeout_ms: 60_000 };

/// A running guard, killed at the end of its test.
pub(crate) struct Guarded {
    pub(crate) process: Child,
    pub(crate) folder: TempDir,
    pub(crate) http: Client,
    url: String,
}

impl Start {
    pub(crate) fn command(&self, folder: &std::path::Path, command: &[&str]) -> Command {
        let mut guard = Command::new(std::env::current_exe().unwrap());
        guard.arg("guard").arg(folder).arg(self.listen);
        guard.args([self.start_timeout_ms.to_string(), self.request_timeout_ms.to_string()]);
        guard.arg("--").args(command).stdin(Stdio::null());
        guard
    }

    /// Starts a guard in front of any command, and waits for its first status.
    pub(crate) async fn run(&self, command: &[&str]) -> Guarded {
        let folder = tempfile::tempdir().unwrap();
        let process = self.command(folder.path(), command).spawn().unwrap();
        Guarded::of(process, folder).await
    }

    /// Starts a guard in front of a fake server in this mode, and waits until it is ready or has failed.
    pub(crate) async fn fake(&self, mode: &str) -> Guarded {
        let exe = std::env::current_exe().unwrap();
        let guarded = self.run(&[exe.to_str().unwrap(), "fake", mode]).await;
        guarded.settled().await;
        guarded
    }
}

impl Guarded {
    pub(crate) async fn of(process: Child, folder: TempDir) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let socket = folder.path().join("mem.sock");
        eventually("the control socket", || socket.exists().then_some(()));
        let mut guarded = Self { process, folder, http, url: String::new() };
        guarded.url = format!("http://{}", guarded.status().await.listen);
        guarded
    }

    pub(crate) async fn control(&self) -> (Control, Receiver<Message>, Status) {
        let (control, mut messages) = Control::connect(&self.folder.path().join("mem.sock")).await.unwrap();
        match messages.recv().await {
            Some(Message::Hello { status }) => (control, messages, status),
            other => panic!("no hello but {other:?}"),
        }
    }

    pub(crate) async fn status(&self) -> Status {
        self.control().await.2
    }

    /// Waits until no start is going on.
    pub(crate) async fn settled(&self) -> Status {
        let (_control, mut messages, mut status) = self.control().await;
        while matches!(status.phase, Phase::Starting | Phase::Installing) {
            tokio::time::timeout(Duration::from_secs(20), messages.recv()).await.unwrap().unwrap();
            status = self.status().await;
        }
        status
    }

    pub(crate) async fn child(&self) -> ProcessId {
        let child = async {
            loop {
                if let Some(child) = self.status().await.child {
                    return child;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), child).await.expect("a child")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Kills the guard, and gives its folder to the next.
    pub(crate) fn end(&mut self) -> TempDir {
        let _ = self.process.kill();
        let _ = self.process.wait();
        std::fs::remove_file(self.folder.path().join("mem.sock")).unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// The status code and the document of `/health` or `/ready`.
    pub(crate) async fn health(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn metrics(&self) -> String {
        self.get("/metrics").await.text().await.unwrap()
    }

    /// The value of the one series of `/metrics` that contains all of these.
    pub(crate) async fn metric(&self, parts: &[&str]) -> f64 {
        let page = self.metrics().await;
        let line =
            page.lines().find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)));
        let line = line.unwrap_or_else(|| panic!("no {parts:?} in\n{page}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    pub(crate) fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("logs/mem.log")).unwrap();
        // The last line may be half there.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until the log, which is written by a thread of its own, holds what is looked for.
    #[track_caller]
    pub(crate) fn logged(&self, what: &str, is: impl Fn(&[Value]) -> bool) {
        eventually(what, || is(&self.log()).then_some(()));
    }

    /// A POST to `/mcp` as clients send it.
    pub(crate) fn post(&self, session: Option<&str>, body: impl Into<String>) -> RequestBuilder {
        let request = self.http.post(format!("{}/mcp", self.url)).body(body.into());
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        match session {
            Some(session) => request.header(SESSION, session),
            None => request,
        }
    }

    pub(crate) fn stream(&self, session: &str) -> RequestBuilder {
        let request = self.http.get(format!("{}/mcp", self.url));
        request.header("accept", "text/event-stream").header(SESSION, session)
    }

    pub(crate) fn delete(&self, session: &str) -> RequestBuilder {
        self.http.delete(format!("{}/mcp", self.url)).header(SESSION, session)
    }

    pub(crate) async fn initialize(&self) -> String {
        self.initialize_with(&json!({})).await
    }

    /// Opens a session for a client that can do this.
    pub(crate) async fn initialize_with(&self, capabilities: &Value) -> String {
        let info = json!({"name": "t", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info});
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let response = self.post(None, body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let session = response.headers()[SESSION].to_str().unwrap().to_owned();
        let initialized = json!({"jsonrpc":"2.0","method":"notifications/initialized"});
        let response = self.post(Some(&session), initialized.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 202);
        session
    }

    /// Calls a tool, and returns the whole answer as text.
    pub(crate) async fn call(&self, session: &str, id: &Value, tool: &str, arguments: Value) -> String {
        let response = self.post(Some(session), call(id, tool, &arguments)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// Calls a tool, and reads the stream of its answer.
    pub(crate) async fn call_streamed(&self, session: &str, tool: &str, arguments: Value) -> Events {
        let call = call(&json!("call"), tool, &arguments);
        Events::of(self.post(Some(session), call).send().await.unwrap())
    }

    /// Sends a notification or a response.
    pub(crate) async fn tell(&self, session: &str, message: &Value) {
        assert_eq!(self.post(Some(session), message.to_string()).send().await.unwrap().status(), 202);
    }

    /// Waits for the guard's own end.
    pub(crate) fn wait(&mut self) -> (std::process::ExitStatus, String) {
        let status = eventually("the guard ends", || self.process.try_wait().unwrap());
        let mut said = String::new();
        if let Some(stderr) = &mut self.process.stderr {
            stderr.read_to_string(&mut said).unwrap();
        }
        (status, said)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The events of a stream, one after the other.
pub(crate) struct Events {
    response: Response,
    text: String,
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The id and the message of the next event; the message is null if it has only an id. None at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let found = field("id: ").map(|id| {
                    let data = field("data: ").filter(|data| !data.is_empty()).unwrap_or("null");
                    (id.to_owned(), serde_json::from_str(data).unwrap())
                });
                self.text = rest.to_owned();
                if found.is_some() {
                    return found;
                }
                continue;
            }
            self.text.push_str(std::str::from_utf8(&self.response.chunk().await.unwrap()?).unwrap());
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let (_, message) = self.next().await.expect("a message");
            if !message.is_null() {
                return message;
            }
        }
    }
}

pub(crate) fn initialize(version: &str) -> String {
    let params =
        json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string()
}

pub(crate) fn call(id: &Value, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}
