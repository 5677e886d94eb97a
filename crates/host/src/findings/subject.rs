//! Owns who is looked at: what is known of a server, and how its process is found by that.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ::process::ProcessId;

use crate::cgroup;
use crate::listeners::{Listener, listeners};
use crate::processes::{Process, Stat, pids};
use crate::roots::{Roots, read};

/// Arguments of a guard are short.
const COMMAND_BYTES_MAX: u64 = 4096;

/// A server, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its process, where that is known.
    pub pid: Option<i32>,
    /// The unit of systemd that it lives in, such as `mcp-server-notes.service`.
    pub unit: Option<String>,
    /// Whether a guard stands in front of it.
    pub is_guarded: bool,
    /// Where it listens itself, on this machine.
    pub listens: Option<SocketAddr>,
    /// The port that it, or its guard, has to have.
    pub port: Option<u16>,
    /// At which address, where that is known.
    pub address: Option<IpAddr>,
    /// The process that ended last, where that is known.
    pub ended_pid: Option<i32>,
    /// What it uses on the disks of this machine.
    pub places: Vec<Place>,
}

/// A path that a server uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path.
    pub path: PathBuf,
    /// For what: `data`, `log` and the like.
    pub used_for: &'static str,
    /// Whether it cannot do without.
    pub is_needed: bool,
}

// === impl Subject ===

impl Subject {
    /// A server of which nothing but its name is known.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A process of which nothing else is known.
    pub fn process(pid: i32) -> Self {
        Self { name: format!("process {pid}"), pid: Some(pid), ..Self::default() }
    }

    /// Its process at this moment, where it is found.
    pub fn process_now(&self, roots: &Roots) -> Option<ProcessId> {
        let pid = self.find(roots, &listeners(roots))?;
        Stat::read(&roots.process(pid)).map(|stat| ProcessId { pid, start_ticks: stat.start_ticks })
    }

    /// Finds its process: the one that is known, the first of its unit, the child of its guard, or who listens for it.
    pub(super) fn find(&self, roots: &Roots, listening: &[Listener]) -> Option<i32> {
        let by_listening = || {
            let address = self.listens?;
            let takes = |at: SocketAddr| {
                at.port() == address.port() && (at.ip() == address.ip() || at.ip().is_unspecified())
            };
            Some(listening.iter().find(|one| takes(one.address))?.process.as_ref()?.id.pid)
        };
        self.pid
            .or_else(|| self.first_of_unit(roots))
            .or_else(|| self.is_guarded.then(|| self.child_of_guard(roots)).flatten())
            .or_else(by_listening)
    }

    /// The process of the unit whose parent is not in it; a guard there stands for its child.
    fn first_of_unit(&self, roots: &Roots) -> Option<i32> {
        let unit = self.unit.as_deref()?;
        let inside: Vec<i32> = pids(roots)?.into_iter().filter(|pid| is_in_unit(roots, *pid, unit)).collect();
        let first = |pid: &&i32| {
            let parent = Stat::read(&roots.process(**pid)).and_then(|stat| stat.parent);
            parent.is_none_or(|parent| !inside.contains(&parent))
        };
        let first = *inside.iter().find(first)?;
        if self.is_guard(&words_of(roots, first)) { self.child_of_guard(roots) } else { Some(first) }
    }

    /// `guard` ─ `lifeline` ─ the server.
    fn child_of_guard(&self, roots: &Roots) -> Option<i32> {
        let pids = pids(roots)?;
        let guard = *pids.iter().find(|pid| self.is_guard(&words_of(roots, **pid)))?;
        let mut children: HashMap<i32, i32> = HashMap::new();
        for pid in pids {
            if let Some(parent) = Stat::read(&roots.process(pid)).and_then(|stat| stat.parent) {
                children.entry(parent).or_insert(pid);
            }
        }
        children.get(children.get(&guard)?).copied()
    }

    /// Whether these are the words of its guard.
    pub(super) fn is_guard(&self, words: &[String]) -> bool {
        let own = words.iter().take_while(|word| *word != "--");
        let own: Vec<&str> = own.map(String::as_str).collect();
        let is_named = own.windows(2).any(|pair| pair == ["--name", self.name.as_str()])
            || own.iter().any(|word| word.strip_prefix("--name=") == Some(self.name.as_str()));
        // Another one of this name, of another configuration, listens elsewhere.
        let at = own.windows(2).find(|pair| pair[0] == "--listen").and_then(|pair| pair[1].rsplit_once(':'));
        let is_there = at.zip(self.port).is_none_or(|((_, port), own)| port.parse() == Ok(own));
        own.get(1) == Some(&"guard") && is_named && is_there
    }

    /// Whether a control group is that of its unit, or below it.
    pub(super) fn owns_group(&self, group: &str) -> bool {
        self.unit.as_deref().is_some_and(|unit| group.split('/').any(|part| part == unit))
    }

    /// Its process and the guard in front of it, among these.
    pub(super) fn is_own(&self, process: &Process, tree: &[i32], ancestors: &[i32]) -> bool {
        let pid = process.id.pid;
        tree.contains(&pid)
            || ancestors.contains(&pid)
            || process.cmdline.as_deref().is_some_and(|words| self.is_guard(words))
            || process.cgroup.as_deref().is_some_and(|group| self.owns_group(group))
    }
}

fn is_in_unit(roots: &Roots, pid: i32, unit: &str) -> bool {
    cgroup::path(roots, pid).is_some_and(|path| path.split('/').any(|part| part == unit))
}

fn words_of(roots: &Roots, pid: i32) -> Vec<String> {
    let bytes = read(&roots.process(pid).join("cmdline"), COMMAND_BYTES_MAX).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A process and those above it, from a list.
pub(super) fn ancestors(processes: &[Process], pid: i32) -> Vec<i32> {
    let parents: HashMap<i32, i32> =
        processes.iter().filter_map(|process| Some((process.id.pid, process.parent?))).collect();
    let mut found = Vec::new();
    let mut at = pid;
    // The list is not of one moment, so it may hold a circle; and the first process is everybody's.
    while let Some(parent) = parents.get(&at).copied().filter(|parent| *parent > 1) {
        if found.contains(&parent) {
            break;
        }
        found.push(parent);
        at = parent;
    }
    found
}

/// Whether a path is part of a program or of the kernel, and not data.
pub(super) fn is_program(path: &Path) -> bool {
    const FOLDERS: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix", "/dev", "/proc", "/sys"];
    const ENDINGS: [&str; 6] = ["js", "mjs", "cjs", "py", "jar", "rb"];
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let inside = |name: &str| path.components().any(|part| part.as_os_str() == name);
    FOLDERS.iter().any(|folder| path.starts_with(folder))
        || ENDINGS.contains(&ending)
        || inside("node_modules")
        || inside("site-packages")
        || inside("bin")
}

/// The paths among the arguments of the processes of a server that are no programs: it is meant to use them.
pub(super) fn argument_paths<'p>(processes: impl Iterator<Item = &'p Process>) -> Vec<PathBuf> {
    let words = processes.flat_map(|process| process.cmdline.iter().flatten().skip(1));
    let path = |word: &String| {
        let word = word.rsplit_once('=').map_or(word.as_str(), |(_, value)| value);
        let path = Path::new(word);
        (path.is_absolute() && !is_program(path) && !word.contains('\n')).then(|| path.to_owned())
    };
    let mut found: Vec<PathBuf> = words.filter_map(path).collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(64);
    found
}
