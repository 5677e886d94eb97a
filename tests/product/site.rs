//! Owns a place for one test: a folder, free ports, a configuration, `serve` over it, and the end of all that came of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use process::Signal;
use serde::de::DeserializeOwned;
use server::api::wire::{Detail, ServerStatus, Summary};
use server::client::Client;
use tempfile::TempDir;

use crate::poll::{DEADLINE, eventually, pause};
use crate::processes;
use crate::story::Story;

/// The program under test.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_paramedic");

/// Ports below those that the kernel gives to clients, so that no connection of anybody takes one away.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// A server of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    name: String,
    command: Vec<String>,
    more: String,
}

/// What a site is made of.
#[derive(Debug, Default)]
pub(crate) struct Setup<'a> {
    /// Top-level keys of the configuration.
    pub(crate) keys: &'a str,
    /// Tables of the configuration.
    pub(crate) tables: &'a str,
    /// How long recovery may take to be verified, in seconds; 0 for the usual.
    pub(crate) verify_seconds: u32,
    pub(crate) servers: &'a [Server],
}

/// A place for one test.
pub(crate) struct Site {
    folder: TempDir,
    ports: BTreeMap<String, u16>,
    serve: Option<Child>,
    /// Variables that every command gets.
    environment: Vec<(&'static str, String)>,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

// === impl Server ===

impl Server {
    pub(crate) fn new(name: &str, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self { name: name.to_owned(), command, more: String::new() }
    }

    /// The demonstration's server that keeps notes.
    pub(crate) fn notes(name: &str) -> Self {
        Self::new(name, &[EXE, "demo-server", "notes"])
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds keys of the configuration.
    pub(crate) fn with(mut self, keys: &str) -> Self {
        self.more.push_str(keys);
        self.more.push('\n');
        self
    }
}

// === impl Site ===

impl Site {
    pub(crate) fn new(servers: &[Server]) -> Self {
        Self::of(&Setup { servers, ..Setup::default() })
    }

    /// Writes the configuration. Nothing is started yet.
    pub(crate) fn of(setup: &Setup<'_>) -> Self {
        let folder = tempfile::Builder::new().prefix("paramedic-test-").tempdir().unwrap();
        let ports = setup.servers.iter().map(|server| (server.name.clone(), free_port())).collect();
        let site = Self { folder, ports, serve: None, environment: Vec::new() };
        site.write_config(&site.config_text(setup));
        site
    }

    /// Adds a variable to the environment of every command from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    fn config_text(&self, setup: &Setup<'_>) -> String {
        let verify_seconds = if setup.verify_seconds == 0 { 30 } else { setup.verify_seconds };
        // Each test that lets a server go down twice says itself whether that is one incident.
        let triage =
            if setup.tables.contains("[triage]") { "" } else { "[triage]\nreopen_within = \"0s\"\n" };
        // Exits are noticed at once whatever `for` says; it is long so that a busy machine is not taken for a server that is down.
        let mut text = format!(
            "data_dir = \"data\"\nlisten = \"127.0.0.1:{}\"\n{}\n\
             [probe]\ninterval = \"250ms\"\ntimeout = \"5s\"\n\
             [metrics]\nscrape_interval = \"1s\"\nevaluation_interval = \"250ms\"\n\
             [verify]\nprobes = 3\ninterval = \"250ms\"\nperiod = \"500ms\"\ntimeout = \"{verify_seconds}s\"\n\
             [alerts.MCPServerDown]\nfor = \"10s\"\nkeep_firing_for = \"500ms\"\n{triage}{}\n",
            free_port(),
            setup.keys,
            setup.tables,
        );
        for server in setup.servers {
            // The debug form of simple text is a TOML string.
            text.push_str(&format!(
                "[[server]]\nname = {:?}\nport = {}\nstdio = {:?}\n{}\n",
                server.name, self.ports[&server.name], server.command, server.more
            ));
        }
        text
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("paramedic.toml")
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn port(&self, server: &str) -> u16 {
        self.ports[server]
    }

    pub(crate) fn endpoint(&self, server: &str) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port(server))
    }

    /// The processes that came of this site.
    pub(crate) fn processes(&self) -> Vec<processes::Found> {
        processes::of(self.folder.path())
    }

    // --- serve ---

    /// Starts `serve` and waits until it answers.
    pub(crate) fn serve(&mut self) {
        assert!(self.serve.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.path("serve.log")).unwrap();
        let mut command = self.command(&["serve"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        eventually("serve answers", || {
            assert_eq!(child.try_wait().unwrap(), None, "{}", self.serve_log());
            self.get::<Vec<ServerStatus>>("/api/v1/servers")
        });
        self.serve = Some(child);
    }

    /// Starts `serve`, and waits until these servers answer.
    pub(crate) fn serve_until_ready(&mut self, servers: &[&str]) {
        self.serve();
        servers.iter().for_each(|server| drop(self.ready(server)));
    }

    /// Ends `serve` with this signal, and waits until it is gone.
    pub(crate) fn end_serve(&mut self, signal: Signal) {
        let mut child = self.serve.take().unwrap();
        processes::signal(i32::try_from(child.id()).unwrap(), signal);
        eventually("serve ends", || child.try_wait().unwrap());
    }

    /// Sends a signal to `serve`.
    pub(crate) fn signal_serve(&self, signal: Signal) {
        let serve = self.serve.as_ref().unwrap();
        processes::signal(i32::try_from(serve.id()).unwrap(), signal);
    }

    /// The process of `serve`.
    pub(crate) fn serve_pid(&self) -> u32 {
        self.serve.as_ref().unwrap().id()
    }

    /// Where `serve` listens on the network.
    pub(crate) fn listen(&self) -> String {
        let config = fs::read_to_string(self.config()).unwrap();
        let line = config.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap();
        line.trim_matches('"').to_owned()
    }

    /// The page `/metrics` of `serve`.
    pub(crate) fn metrics(&self) -> String {
        let client = Client::new(&self.path("data/run/paramedic.sock")).unwrap();
        block_on(client.get_text("/metrics")).unwrap()
    }

    /// What `serve` has said of itself.
    pub(crate) fn serve_log(&self) -> String {
        fs::read_to_string(self.path("serve.log")).unwrap_or_default()
    }

    /// The log of a server, a line for each message.
    pub(crate) fn server_log(&self, server: &str) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.path(&format!("data/log/{server}.log"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How long each process of a server took from its start until it answered, by its guard's own log.
    pub(crate) fn starts_ms(&self, server: &str) -> Vec<u64> {
        let log = self.server_log(server);
        let messages = log.iter().filter_map(|line| line["message"].as_str());
        messages
            .filter_map(|text| text.strip_prefix("ready after ")?.strip_suffix(" ms")?.parse().ok())
            .collect()
    }

    // --- asking ---

    /// Asks the local socket of `serve`; nothing where it does not answer.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let client = Client::new(&self.path("data/run/paramedic.sock")).unwrap();
        block_on(client.get(path)).ok()
    }

    /// Waits until a server answers.
    #[track_caller]
    pub(crate) fn ready(&self, server: &str) -> ServerStatus {
        self.until(server, "ready", |status| status.phase == "ready")
    }

    /// Waits until a server is so.
    #[track_caller]
    pub(crate) fn until(&self, server: &str, what: &str, is: impl Fn(&ServerStatus) -> bool) -> ServerStatus {
        let path = format!("/api/v1/servers/{server}");
        eventually(&format!("{server} is {what}"), || self.get(&path).filter(|status| is(status)))
    }

    /// How a server is, by the command line.
    #[track_caller]
    pub(crate) fn status(&self, server: &str) -> ServerStatus {
        let ran = self.run(&["server", "status", server, "-o", "json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// All incidents, by the command line.
    #[track_caller]
    pub(crate) fn incidents(&self) -> Vec<Summary> {
        serde_json::from_str(&self.run(&["incident", "list", "--all", "-o", "json"]).done()).unwrap()
    }

    /// Waits until the newest incident of a server is so.
    #[track_caller]
    pub(crate) fn incident(&self, server: &str, what: &str, is: impl Fn(&Story) -> bool) -> Story {
        eventually(&format!("the incident of {server} is {what}"), || {
            let incidents: Vec<Summary> = self.get("/api/v1/incidents")?;
            // Names made within one second are in no order.
            let newest =
                incidents.into_iter().filter(|one| one.server == server).max_by_key(|one| one.opened_ms)?;
            let detail: Detail = self.get(&format!("/api/v1/incidents/{}", newest.id))?;
            Some(Story::new(detail)).filter(|story| is(story))
        })
    }

    /// Waits until the newest incident of a server is over, and reads it as a person would.
    #[track_caller]
    pub(crate) fn resolved(&self, server: &str) -> Story {
        let id = self.incident(server, "resolved", Story::is_reported).id().to_owned();
        Story::new(serde_json::from_str(&self.run(&["incident", "show", &id, "-o", "json"]).done()).unwrap())
    }

    /// Reads the question that is open at a unit, and says yes to it. Where none is, the answer says so.
    pub(crate) fn approve(&self, id: &str, unit: &str) -> Ran {
        run(self.approval(id, unit))
    }

    /// The command for that.
    pub(crate) fn approval(&self, id: &str, unit: &str) -> Command {
        let incident =
            self.get::<Detail>(&format!("/api/v1/incidents/{id}")).and_then(|detail| detail.fold());
        let open = |incident: incident::Incident| {
            let mut open = incident.open_questions().filter(|(named, ..)| named.unit == unit);
            open.next().map(|(.., asked)| asked.mark().to_owned())
        };
        let read = incident.and_then(open).unwrap_or_default();
        self.command(&["incident", "approve", id, unit, "--question", &read])
    }

    /// Kills the process of a server with SIGKILL; returns its pid.
    #[track_caller]
    pub(crate) fn kill(&self, server: &str) -> i32 {
        let pid = self.status(server).pid.unwrap_or_else(|| panic!("{server} has no process"));
        processes::signal(pid, Signal::KILL);
        pid
    }

    /// Says what happened here, for whoever wonders why a test failed.
    fn tell(&self) {
        eprintln!("--- serve.log of the test that failed\n{}", self.serve_log());
        for incident in self.get::<Vec<Summary>>("/api/v1/incidents").unwrap_or_default() {
            eprintln!("--- its incident {}", incident.id);
            if let Some(detail) = self.get::<Detail>(&format!("/api/v1/incidents/{}", incident.id)) {
                eprintln!("{}", Story::new(detail));
            }
        }
    }

    // --- commands ---

    /// A command in the environment of this site, which has nothing of the caller's but the search path.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(EXE);
        command.args(args).arg("--config").arg(self.config()).current_dir(self.folder.path());
        clean(&mut command, self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end, with nobody at the keyboard.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(self.command(args))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        if let Some(mut serve) = self.serve.take() {
            let _ = serve.kill();
            let _ = serve.wait();
        }
        processes::end_all(self.folder.path());
    }
}

// === impl Ran ===

impl Ran {
    /// The output of a command that must have done what it was told.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// A command that must have failed so, with all of these words in its message.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing: {self:?}");
        }
    }
}

/// Gives a command an environment of which all is in `folder`.
pub(crate) fn clean(command: &mut Command, folder: &Path) {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", folder).env("TMPDIR", folder).env("USER", "tester").stdin(Stdio::null());
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(mut command: Command) -> Ran {
    let output = tempfile::tempdir().unwrap();
    let (stdout, stderr) = (output.path().join("stdout"), output.path().join("stderr"));
    command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + DEADLINE;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => pause(),
        }
    };
    let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let ran =
        Ran { code: status.and_then(|status| status.code()), stdout: text(stdout), stderr: text(stderr) };
    assert!(status.is_some(), "{command:?} did not end: {ran:?}");
    ran
}

/// Runs a future on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(future);
    // A name that is being looked up, or a connection that is being closed, keeps nobody waiting.
    runtime.shutdown_timeout(Duration::ZERO);
    result
}

/// A port that nobody has, and that no other test of this process gets.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let range = PORTS.end - PORTS.start;
    // Test processes that run at the same time begin at different places.
    let first = (std::process::id().wrapping_mul(101) % u32::from(range)) as u16;
    for _ in 0..range {
        let offset = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % range;
        let port = PORTS.start + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// The original runbook; where it is not at hand, the test says so and passes.
pub(crate) fn original() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("PARAMEDIC_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join("seed/incident_response_runbooks.md");
    if !path.exists() {
        println!("SKIPPED: the original runbook is not at hand; PARAMEDIC_SHARED names its folder");
        return None;
    }
    Some(path)
}
