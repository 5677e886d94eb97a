//! Owns which processes and connections of a server belong to it, and what the others are signs of.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use host::{Details, Process, Snapshot, SocketState};
use serde::{Deserialize, Serialize};

use crate::sign::{Attack, Sign};

/// A shell, of which a server has none unless its baseline says so.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "busybox"];
/// What brings things in or takes them away.
const TOOLS: [&str; 13] = [
    "nc",
    "ncat",
    "nc.openbsd",
    "nc.traditional",
    "socat",
    "telnet",
    "curl",
    "wget",
    "ssh",
    "scp",
    "sftp",
    "tftp",
    "rsync",
];
/// Where everybody may put a program.
const VOLATILE: [&str; 4] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/"];
/// A program that is in no file at all.
const MEMORY: &str = "/memfd:";

/// What belongs to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belonging {
    /// The files that its processes run.
    pub executables: BTreeSet<String>,
    /// Where its processes take connections, `ADDRESS:PORT`.
    pub listeners: BTreeSet<String>,
    /// To whom they connect.
    pub peers: BTreeSet<IpAddr>,
}

/// A server at one moment: its processes, and what they are connected to.
#[derive(Debug)]
pub struct Scene<'a> {
    members: Vec<(&'a Process, Option<&'a Details>)>,
    listeners: Vec<(SocketAddr, Option<i32>)>,
    /// Connections that its processes have made: the other end, and who holds them.
    outward: Vec<(SocketAddr, HashSet<i32>)>,
    now_ms: i64,
}

// === impl Scene ===

impl<'a> Scene<'a> {
    /// The server that a snapshot is of; `None` where its process is gone. `lifeline` and the like, which start the server and
    /// are not part of it, are not looked at.
    pub fn of(snapshot: &'a Snapshot) -> Option<Self> {
        let target = snapshot.target.as_ref()?;
        let details: HashMap<i32, &Details> = target.tree.iter().map(|one| (one.id.pid, one)).collect();
        let members = snapshot.processes.iter().filter(|process| details.contains_key(&process.id.pid));
        let members: Vec<_> =
            members.map(|process| (process, details.get(&process.id.pid).copied())).collect();
        let mut holders: HashMap<u64, HashSet<i32>> = HashMap::new();
        for details in &target.tree {
            for inode in details.descriptors.iter().flat_map(|all| all.socket_inodes()) {
                holders.entry(inode).or_default().insert(details.id.pid);
            }
        }
        let (mut listeners, mut connected) = (Vec::new(), Vec::new());
        let listed = target.sockets.iter().flat_map(|sockets| &sockets.listed);
        for socket in listed.filter(|socket| holders.contains_key(&socket.inode)) {
            let address = |text: &Option<String>| text.as_ref()?.parse::<SocketAddr>().ok();
            let Some(local) = address(&socket.local) else { continue };
            if socket.state == SocketState::Listen {
                listeners.push((local, socket.pid));
            } else if let Some(remote) = address(&socket.remote) {
                connected.push((local, remote, holders[&socket.inode].clone()));
            }
        }
        let is_inward =
            |local: &SocketAddr| listeners.iter().any(|(listener, _)| listener.port() == local.port());
        let outward = connected.into_iter().filter(|(local, ..)| !is_inward(local));
        let outward = outward.map(|(_, remote, holders)| (remote, holders)).collect();
        Some(Self { members, listeners, outward, now_ms: snapshot.clock.at_ms })
    }

    /// What there is of it now.
    pub fn belonging(&self) -> Belonging {
        let executables = self.members.iter().filter_map(|(process, _)| process.exe.clone());
        Belonging {
            executables: executables.collect(),
            listeners: self.listeners.iter().map(|(address, _)| address.to_string()).collect(),
            peers: self.outward.iter().map(|(remote, _)| remote.ip().to_canonical()).collect(),
        }
    }

    /// The inodes of all sockets of its processes.
    pub fn sockets(&self) -> HashSet<u64> {
        let descriptors =
            self.members.iter().filter_map(|(_, details)| details.as_ref()?.descriptors.as_ref());
        descriptors.flat_map(|all| all.socket_inodes()).collect()
    }

    /// The ports on which it takes connections.
    pub fn ports(&self) -> HashSet<u16> {
        self.listeners.iter().map(|(address, _)| address.port()).collect()
    }

    fn outward_of(&self, pid: i32) -> Option<SocketAddr> {
        self.outward.iter().find(|(_, holders)| holders.contains(&pid)).map(|(remote, _)| *remote)
    }
}

// === impl Belonging ===

impl Belonging {
    /// What of a server does not belong to it.
    pub fn judge(&self, scene: &Scene<'_>) -> Vec<Sign> {
        let mut signs = Vec::new();
        for (process, _) in &scene.members {
            signs.extend(self.process(scene, process));
        }
        for (address, pid) in &scene.listeners {
            if !self.listeners.contains(&address.to_string()) {
                let what = format!("it takes connections at {address}, which it did not");
                let sign =
                    Sign::new(scene.now_ms, "processes", "unknown_listener", Attack::ForeignConnection, what);
                let by_tool = pid.is_some_and(|pid| scene.is_tool(pid));
                signs.push(Sign { pid: *pid, ..sign.certain_if(by_tool).with_raw(scene.named(*pid)) });
            }
        }
        for (remote, holders) in &scene.outward {
            let ip = remote.ip().to_canonical();
            if !self.peers.contains(&ip) && !ip.is_loopback() {
                let what = format!("it is connected to {ip}, to which it never was");
                let pid = holders.iter().min().copied();
                let sign =
                    Sign::new(scene.now_ms, "processes", "unknown_peer", Attack::ForeignConnection, what);
                signs.push(Sign { pid, peer: Some(ip), ..sign.with_raw(scene.named(pid)) });
            }
        }
        signs
    }

    fn process(&self, scene: &Scene<'_>, process: &Process) -> Option<Sign> {
        let exe = process.exe.as_deref()?;
        let (pid, is_known) = (process.id.pid, self.executables.contains(exe));
        let name = exe.rsplit('/').next().unwrap_or(exe);
        let sign = |rule, what| {
            let sign = Sign::new(scene.now_ms, "processes", rule, Attack::ForeignProcess, what);
            Sign { pid: Some(pid), ..sign.with_raw(scene.named(Some(pid))) }
        };
        let is_volatile = VOLATILE.iter().any(|folder| exe.starts_with(folder));
        let is_gone = process.exe_deleted == Some(true);
        if exe.starts_with(MEMORY) || is_gone && is_volatile {
            return Some(
                sign("executable_gone", format!("`{exe}` runs, and is in no file any more")).certain_if(true),
            );
        }
        if is_known {
            return None;
        }
        if SHELLS.contains(&name) || TOOLS.contains(&name) {
            let kind = if SHELLS.contains(&name) { "shell" } else { "network_tool" };
            return Some(match scene.outward_of(pid) {
                Some(remote) => {
                    let sign =
                        sign(kind, format!("`{exe}` runs below it, connected to {remote}")).certain_if(true);
                    Sign { peer: Some(remote.ip().to_canonical()), ..sign }
                }
                None => sign(kind, format!("`{exe}` runs below it")),
            });
        }
        if is_volatile {
            return Some(
                sign(
                    "volatile_executable",
                    format!("`{exe}` runs below it, where anybody may put a program"),
                )
                .certain_if(true),
            );
        }
        Some(sign("unknown_executable", format!("`{exe}` runs below it, which never did")))
    }
}

impl Scene<'_> {
    fn is_tool(&self, pid: i32) -> bool {
        let exe = self
            .members
            .iter()
            .find(|(process, _)| process.id.pid == pid)
            .and_then(|(process, _)| process.exe.as_deref());
        let name = exe.and_then(|exe| exe.rsplit('/').next());
        name.is_some_and(|name| SHELLS.contains(&name) || TOOLS.contains(&name))
    }

    /// A process with its command line, secrets hidden.
    fn named(&self, pid: Option<i32>) -> String {
        let Some(pid) = pid else { return String::new() };
        let process = self.members.iter().find(|(process, _)| process.id.pid == pid);
        let Some((process, _)) = process else { return format!("process {pid}") };
        let parent = process.parent.map_or(String::new(), |parent| format!(" of {parent}"));
        let command = process.cmdline.as_deref().unwrap_or_default().join(" ");
        format!("process {pid}{parent}: {command}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::process::{Child, Command, Stdio};

    use host::{Roots, snapshot};

    use super::*;
    use crate::sign::Certainty;

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn judged(child: &Ended, known: &Belonging) -> Vec<Sign> {
        let snapshot = snapshot(&Roots::default(), Some(i32::try_from(child.0.id()).unwrap()), 1);
        known.judge(&Scene::of(&snapshot).unwrap())
    }

    /// A shell that waits for its input, which is this.
    fn shell(input: impl Into<Stdio>, command: &str) -> Ended {
        let mut shell = Command::new("bash");
        shell.args(["-c", command]).stdin(input).stdout(Stdio::piped());
        let mut shell = Ended(shell.spawn().unwrap());
        // It says that it runs.
        let mut byte = [0];
        std::io::Read::read_exact(shell.0.stdout.as_mut().unwrap(), &mut byte).unwrap();
        shell
    }

    #[test]
    fn a_shell_with_a_live_connection_is_certain() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let out = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let shell = shell(OwnedFd::from(out), "echo; read -r x");
        let [sign] = judged(&shell, &Belonging::default()).try_into().unwrap();
        assert_eq!((sign.rule.as_str(), sign.certainty), ("shell", Certainty::Certain), "{sign:?}");
        assert!(sign.peer.is_some() && sign.raw.contains("read -r x"), "{sign:?}");
    }

    #[test]
    fn what_is_known_is_no_sign_and_what_is_not_is_one() {
        let waiting = shell(Stdio::piped(), "echo; read -r x");
        let [sign] = judged(&waiting, &Belonging::default()).try_into().unwrap();
        assert_eq!((sign.rule.as_str(), sign.certainty), ("shell", Certainty::Likely), "{sign:?}");
        let snapshot = snapshot(&Roots::default(), Some(i32::try_from(waiting.0.id()).unwrap()), 1);
        let known = Scene::of(&snapshot).unwrap().belonging();
        assert_eq!(judged(&waiting, &known), []);
    }

    #[test]
    fn a_program_whose_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        let cat = ["/usr/bin/cat", "/bin/cat"]
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
            .unwrap();
        std::fs::copy(cat, &program).unwrap();
        let mut child =
            Ended(Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        child.0.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let [sign] = judged(&child, &Belonging::default()).try_into().unwrap();
        let expected = if program.starts_with("/tmp") { "volatile_executable" } else { "unknown_executable" };
        assert_eq!(sign.rule, expected);
        std::fs::remove_file(&program).unwrap();
        let signs = judged(&child, &Belonging::default());
        let rule = if program.starts_with("/tmp") { "executable_gone" } else { "unknown_executable" };
        assert_eq!(signs[0].rule, rule, "{signs:?}");
    }
}
