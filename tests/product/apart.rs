//! Owns a place for tests of the network: this very test once more in a network namespace of its own, with a second
//! one beside it in which an attacker, somebody who responds and others have addresses.
//!
//! The firewall of the machine is never touched. Where namespaces cannot be made, the test says so and passes.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::poll::eventually;

/// In the environment of a test that is apart already.
const APART: &str = "PARAMEDIC_TEST_APART";

/// Longer than any answer here takes, and short enough to wait for none.
const ANSWER_MAX: Duration = Duration::from_millis(1500);

pub(crate) const SERVER: [&str; 2] = ["10.77.0.1", "fd77::1"];
pub(crate) const ATTACKER: [&str; 2] = ["10.77.0.2", "fd77::2"];
pub(crate) const RESPONDER: [&str; 2] = ["10.77.0.3", "fd77::3"];
pub(crate) const OTHER: [&str; 2] = ["10.77.0.4", "fd77::4"];

/// The namespace beside.
pub(crate) struct Beside {
    holder: Child,
}

/// Runs the test of this name apart; the namespace beside where this is that run already.
pub(crate) fn apart(test: &str) -> Option<Beside> {
    if std::env::var_os(APART).is_some() {
        return Some(Beside::make());
    }
    let may =
        Command::new("unshare").args(["-n", "ip", "link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        println!("SKIPPED: network namespaces take root, `unshare` and `ip`");
        return None;
    }
    let output = Command::new("unshare")
        .arg("-n")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(APART, "1")
        .output()
        .unwrap();
    // What it counts is one test, which is counted here.
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    said.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| println!("{line}"));
    assert!(output.status.success(), "{test}, in a namespace of its own:\n{said}");
    None
}

// === impl Beside ===

impl Beside {
    fn make() -> Self {
        let holder = Command::new("unshare").args(["-n", "sleep", "1000"]).spawn().unwrap();
        let beside = Self { holder };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        eventually("it has its namespace", || {
            std::fs::read_link(beside.namespace()).ok().filter(|there| *there != own)
        });
        let pid = beside.holder.id().to_string();
        ip(&["link", "set", "lo", "up"]);
        ip(&["link", "add", "pm0", "type", "veth", "peer", "name", "pm1", "netns", &pid]);
        let there = |words: &[&str]| {
            let mut command = Command::new("nsenter");
            let status = command.args(["-t", &pid, "-n", "ip"]).args(words).status().unwrap();
            assert!(status.success(), "{words:?}");
        };
        give(&ip, "pm0", &[SERVER]);
        give(&there, "pm1", &[ATTACKER, RESPONDER, OTHER]);
        there(&["link", "set", "lo", "up"]);
        beside
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    /// Does something in the namespace beside.
    fn there<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(self.namespace()).unwrap();
        let moved = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            what()
        };
        thread::scope(|scope| scope.spawn(moved).join().unwrap())
    }

    /// Connects from one of its addresses.
    pub(crate) fn connect(&self, from: &str, to: &str, port: u16) -> io::Result<TcpStream> {
        let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
        self.there(|| {
            let family = if from.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = socket(family, SocketType::STREAM, None)?;
            bind(&socket, &SocketAddr::new(from, 0))?;
            // It counts for connecting as well.
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(ANSWER_MAX))?;
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWER_MAX))?;
            connect(&socket, &SocketAddr::new(to, port))?;
            Ok(TcpStream::from(socket))
        })
    }

    /// Listens at one of its addresses.
    pub(crate) fn listen(&self, at: &str, port: u16) -> TcpListener {
        self.there(|| TcpListener::bind((at, port)).unwrap())
    }

    /// The status of one request over a new connection.
    pub(crate) fn status(&self, from: &str, to: &str, port: u16, request: Request) -> io::Result<u16> {
        ask(&mut self.connect(from, to, port)?, request)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Request {
    Health,
    Initialize,
}

/// Asks over a connection that stands; the status of the answer.
pub(crate) fn ask(stream: &mut TcpStream, request: Request) -> io::Result<u16> {
    ask_with(stream, request, "")
}

/// The same with more headers.
pub(crate) fn ask_with(stream: &mut TcpStream, request: Request, headers: &str) -> io::Result<u16> {
    const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let text = match request {
        Request::Health => format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"),
        Request::Initialize => format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{HELLO}",
            HELLO.len()
        ),
    };
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n_bytes = stream.read(&mut buffer)?;
        if n_bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend(&buffer[..n_bytes]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_none_or(|length: usize| body.len() >= length) {
            return Ok(head[9..12].parse().unwrap());
        }
    }
}

fn ip(words: &[&str]) {
    let status = Command::new("ip").args(words).status().unwrap();
    assert!(status.success(), "{words:?}");
}

fn give(run: &dyn Fn(&[&str]), device: &str, who: &[[&str; 2]]) {
    for [v4, v6] in who {
        run(&["addr", "add", &format!("{v4}/24"), "dev", device]);
        run(&["-6", "addr", "add", &format!("{v6}/64"), "dev", device, "nodad"]);
    }
    run(&["link", "set", device, "up"]);
}

/// The packet filter of this namespace as `nft` shows it; nothing where that program is not there.
pub(crate) fn ruleset() -> Option<String> {
    let output = Command::new("nft").args(["list", "ruleset"]).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}
