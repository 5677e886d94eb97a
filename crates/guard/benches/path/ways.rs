//! Owns the ways to the server: their processes, and what those take.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::load;

pub(crate) const COPY: &str = "raw copy of TCP";
/// The guard's own settings, in the folder of a way.
const SETTINGS: &str = "guard.toml";
pub(crate) const PROXY: &str = "proxy that does nothing";

/// One way to the server.
pub(crate) struct Way {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) is_guard: bool,
    /// None where somebody else has started it.
    process: Option<Child>,
}

impl Way {
    /// Whatever listens at this port.
    pub(crate) fn at(port: u16) -> Self {
        Self { name: port.to_string(), port, is_guard: false, process: None }
    }

    fn id(&self) -> u32 {
        self.process.as_ref().map_or_else(std::process::id, Child::id)
    }

    fn start(name: &str, port: u16, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Some(command.spawn().unwrap());
        Self { name: name.to_owned(), port, is_guard: false, process }
    }

    /// What all threads of its process have used.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let nanos = tasks.filter_map(|task| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    pub(crate) fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        let Some(process) = &mut self.process else { return };
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Starts all of them, and waits until they answer.
pub(crate) async fn start(folder: &Path) -> Vec<Way> {
    let server = own("direct", &["upstream"]);
    load::first_answer(&server).await;
    let to = server.port.to_string();
    let mut ways = vec![server];
    ways.push(own_to(COPY, "copy", &to));
    ways.push(own_to(PROXY, "proxy", &to));
    let (http, pipe) = (folder.join("http"), folder.join("pipe"));
    for folder in [&http, &pipe] {
        std::fs::create_dir(folder).unwrap();
    }
    let url = format!("http://127.0.0.1:{to}/mcp");
    ways.push(guarded("guard, HTTP upstream", &http, &["--upstream", &url]));
    ways.push(piped(&pipe));
    // What the guard sends is taken by the server, which takes everything. By default 100 traces a second begin.
    for (name, per_second) in [("traces", 100), ("every call a trace", u32::MAX)] {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        let settings = format!("[traces]\nendpoint = \"http://127.0.0.1:{to}\"\nper_second = {per_second}\n");
        std::fs::write(folder.join(SETTINGS), settings).unwrap();
        let mut way = piped(&folder);
        way.name = format!("guard, stdio upstream, {name}");
        ways.push(way);
    }
    let bridges = std::env::var("PARAMEDIC_BENCH_BRIDGES").unwrap_or_default();
    for (name, line) in bridges.lines().filter_map(|line| line.split_once('\t')) {
        let (port, exe) = (free_port(), std::env::current_exe().unwrap());
        let server = format!("{} upstream-stdio", exe.display());
        let line = line.replace("{port}", &port.to_string()).replace("{server}", &server);
        let mut command = Command::new("bash");
        command.args(["-c", &format!("exec {line}")]);
        ways.push(Way::start(name, port, command));
    }
    for way in &ways {
        load::first_answer(way).await;
    }
    ways
}

/// A guard in front of the server over a pipe.
pub(crate) fn piped(folder: &Path) -> Way {
    let exe = std::env::current_exe().unwrap();
    guarded("guard, stdio upstream", folder, &["--", exe.to_str().unwrap(), "upstream-stdio"])
}

fn guarded(name: &str, folder: &Path, server: &[&str]) -> Way {
    let port = free_port();
    let mut way = match std::env::var("PARAMEDIC_BENCH_EXE") {
        Ok(exe) => {
            let mut command = Command::new(exe);
            command.args(["guard", "--name", "bench", "--listen", &format!("127.0.0.1:{port}")]);
            for (option, file) in
                [("--control", "bench.sock"), ("--log", "bench.log"), ("--controls", "controls/bench.json")]
            {
                command.arg(option).arg(folder.join(file));
            }
            if folder.join(SETTINGS).exists() {
                command.arg("--settings").arg(folder.join(SETTINGS));
            }
            command.args(server);
            Way::start(name, port, command)
        }
        Err(_) => {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("guard").arg(folder).arg(port.to_string()).args(server);
            Way::start(name, port, command)
        }
    };
    way.is_guard = true;
    way
}

/// Runs a guard until it is killed.
pub(crate) async fn guard(folder: &str, port: &str, server: &[&str]) {
    let folder = PathBuf::from(folder);
    let (upstream, command) = match server {
        ["--upstream", url] => (Some((*url).to_owned()), Vec::new()),
        ["--", command @ ..] => (None, command.iter().map(ToString::to_string).collect()),
        other => panic!("{other:?}"),
    };
    let settings = folder.join(SETTINGS);
    let own = if settings.exists() { guard::Own::read(&settings).unwrap() } else { guard::Own::default() };
    let settings = guard::Settings {
        name: "bench".to_owned(),
        listen: format!("127.0.0.1:{port}").parse().unwrap(),
        socket: None,
        control: folder.join("bench.sock"),
        log: folder.join("bench.log"),
        upstream,
        command,
        environment: Vec::new(),
        directory: None,
        start_timeout: guard::START_TIMEOUT,
        install_timeout: guard::INSTALL_TIMEOUT,
        request_timeout: guard::REQUEST_TIMEOUT,
        tie: None,
        once: false,
        take_over: false,
        tuning: None,
        own,
        controls: Some(folder.join("controls/bench.json")),
        paramedic_exe: std::env::current_exe().unwrap(),
    };
    guard::run(settings).await.unwrap();
}

fn own(name: &str, words: &[&str]) -> Way {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(words[0]).arg(port.to_string()).args(&words[1..]);
    Way::start(name, port, command)
}

fn own_to(name: &str, role: &str, to: &str) -> Way {
    own(name, &[role, to])
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
