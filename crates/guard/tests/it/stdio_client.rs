//! Owns a client that speaks to a guard over standard input and output, line by line, and looks at its socket.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use process::ProcessId;
use process::control::Status;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::guarded::block_on;
use super::poll::eventually;

/// Only reached where a test fails.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// `guard-stdio FOLDER START_TIMEOUT_MS -- COMMAND…`
pub(crate) fn role(args: &[String]) -> ExitCode {
    let folder = Path::new(&args[0]);
    let settings = guard::StdioSettings {
        kind: "fake".to_owned(),
        reserved: Vec::new(),
        sockets: folder.to_owned(),
        logs: folder.to_owned(),
        command: args[3..].to_vec(),
        start_timeout: Duration::from_millis(args[1].parse().unwrap()),
        install_timeout: guard::INSTALL_TIMEOUT,
        own: super::guarded::own(folder),
        controls: Some(folder.join("controls")),
        paramedic_exe: std::env::current_exe().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(guard::run_stdio(settings));
    runtime.shutdown_background();
    result.map_or_else(|error| ExitCode::from(error.exit_code()), |()| ExitCode::SUCCESS)
}

/// A client, and its guard, killed at the end of its test.
pub(crate) struct StdioClient {
    pub(crate) guard: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    folder: TempDir,
    last_id: u32,
    /// What came while something else was waited for.
    pub(crate) others: Vec<Value>,
}

impl StdioClient {
    /// Starts a guard with these settings in front of a fake server.
    pub(crate) fn with_settings(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("guard.toml"), settings).unwrap();
        let exe = std::env::current_exe().unwrap();
        Self::start_in(folder, 20_000, &[exe.to_str().unwrap(), "fake", ""])
    }

    /// The same client with another guard, where this one was.
    pub(crate) fn again(&mut self) -> Self {
        assert_eq!(self.leave(), Some(0));
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let exe = std::env::current_exe().unwrap();
        Self::start_in(folder, 20_000, &[exe.to_str().unwrap(), "fake", ""])
    }

    /// Starts a guard in front of any command.
    pub(crate) fn start(start_timeout_ms: u32, command: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), start_timeout_ms, command)
    }

    fn start_in(folder: TempDir, start_timeout_ms: u32, command: &[&str]) -> Self {
        let mut guard = Command::new(std::env::current_exe().unwrap());
        guard.arg("guard-stdio").arg(folder.path()).arg(start_timeout_ms.to_string()).arg("--").args(command);
        let mut guard = guard.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(guard.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        let stdin = guard.stdin.take();
        Self { guard, stdin, lines, folder, last_id: 0, others: Vec::new() }
    }

    /// Starts a guard in front of a fake server in this mode.
    pub(crate) fn fake(mode: &str) -> Self {
        let exe = std::env::current_exe().unwrap();
        Self::start(20_000, &[exe.to_str().unwrap(), "fake", mode])
    }

    /// The same, and meets the server.
    pub(crate) fn met(mode: &str) -> Self {
        let mut client = Self::fake(mode);
        let answer = client.initialize();
        assert_eq!(answer["result"]["serverInfo"]["name"], "fake", "{answer}");
        client
    }

    pub(crate) fn initialize(&mut self) -> Value {
        let info = json!({"name": "the client", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-06-18", "capabilities": {"roots": {}}, "clientInfo": info});
        let answer = self.ask("initialize", &params);
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// The next line, whatever it is.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Vec<u8> {
        self.lines.recv_timeout(ANSWER_MAX).expect("a line")
    }

    /// No line is on its way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    /// Sends a request; returns its id.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> u32 {
        self.last_id += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}));
        self.last_id
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> u32 {
        self.send("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Waits for the first message that is so; what comes before is kept.
    #[track_caller]
    pub(crate) fn until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.line();
            let message: Value = serde_json::from_slice(&line).unwrap_or_else(|_| panic!("{line:?}"));
            if is(&message) {
                return message;
            }
            self.others.push(message);
        }
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, id: u32) -> Value {
        self.until(|message| message["id"] == id && message["method"].is_null())
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// The text that a tool gives.
    #[track_caller]
    pub(crate) fn text(&mut self, tool: &str, arguments: &Value) -> String {
        let id = self.call(tool, arguments);
        let answer = self.answer(id);
        answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The status code and the text at a path of the guard's socket.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.at(reqwest::Method::GET, path)
    }

    /// Posts nothing to a path of the guard's socket.
    pub(crate) fn post(&self, path: &str) -> (u16, Value) {
        let (code, text) = self.at(reqwest::Method::POST, path);
        (code, serde_json::from_str(&text).unwrap())
    }

    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics").1
    }

    fn at(&self, method: reqwest::Method, path: &str) -> (u16, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let socket = self.folder.path().join("fake.sock");
        eventually("the socket", || socket.exists().then_some(()));
        block_on(async {
            let client = reqwest::Client::builder().unix_socket(socket).no_proxy().build().unwrap();
            let response = client.request(method, format!("http://localhost{path}")).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }

    pub(crate) fn health(&self) -> (u16, Value) {
        let (code, text) = self.get("/health");
        (code, serde_json::from_str(&text).unwrap())
    }

    pub(crate) fn status(&self) -> Status {
        serde_json::from_str(&self.get("/admin/status").1).unwrap()
    }

    /// Waits until the health is so.
    #[track_caller]
    pub(crate) fn until_health(&self, what: &str, is: impl Fn(u16, &Value) -> bool) -> Value {
        eventually(what, || {
            let (code, health) = self.health();
            is(code, &health).then_some(health)
        })
    }

    pub(crate) fn id(&self) -> ProcessId {
        ProcessId::of(i32::try_from(self.guard.id()).unwrap()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("fake.log")).unwrap()
    }

    /// Waits until the log, which is written by a thread of its own, holds these words.
    #[track_caller]
    pub(crate) fn logged(&self, words: &str) {
        eventually(words, || self.log().contains(words).then_some(()));
    }

    /// Closes the client's end, and waits for the guard's own.
    #[track_caller]
    pub(crate) fn leave(&mut self) -> Option<i32> {
        self.stdin = None;
        eventually("the guard ends", || self.guard.try_wait().unwrap()).code()
    }
}

impl Drop for StdioClient {
    fn drop(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}
