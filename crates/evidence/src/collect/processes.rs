//! Owns the process table as evidence: who runs, since when, as whom, from which file, with which files and memory.
//!
//! Of the environment only names are kept. What a process shows in the place of its environment after it has written over it
//! is no name, and is left out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::PoisonError;

use serde::Serialize;
use serde_json::json;

use super::Scene;
use super::out::Out;
use super::reading::kernel;
use crate::manifest::plain_path;

/// A fork bomb is told by the number of processes, not by reading all of them.
const PROCESSES_MAX: usize = 10_000;
const DESCRIPTORS_MAX: usize = 4096;
const SMALL_BYTES_MAX: u64 = 64 << 10;
const MAPS_BYTES_MAX: u64 = 1 << 20;
const DELETED: &str = " (deleted)";

/// What later steps need of the processes.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Who has a socket open, by its number.
    pub(crate) owners: BTreeMap<u64, Vec<i32>>,
    /// A process in each network namespace, by the name of the namespace.
    pub(crate) networks: BTreeMap<String, i32>,
    /// A process in each mount namespace.
    pub(crate) mounts: BTreeMap<String, i32>,
    /// What each process runs.
    pub(crate) executables: Vec<(i32, String)>,
    /// Open files that have no name any more: process, descriptor, what the kernel says of it.
    pub(crate) deleted: Vec<(i32, i32, String)>,
}

#[derive(Serialize)]
struct Process<'a> {
    pid: i32,
    ppid: Option<i32>,
    start_ticks: Option<u64>,
    comm: Option<String>,
    cmdline: Option<Vec<String>>,
    exe: Option<&'a str>,
    exe_deleted: Option<bool>,
    cwd: Option<String>,
    root: Option<String>,
    environment_names: Option<Vec<String>>,
    cgroup: Option<String>,
    loginuid: Option<String>,
    sessionid: Option<String>,
    wchan: Option<String>,
    oom_score: Option<String>,
    namespaces: &'a BTreeMap<String, String>,
    limits: Option<String>,
    io: Option<String>,
    stat: Option<String>,
    /// With the user and group numbers, real, effective, saved and of file systems.
    status: Option<String>,
}

#[derive(Serialize)]
struct Open<'a> {
    pid: i32,
    fd: i32,
    target: &'a str,
    pos: Option<u64>,
    flags: Option<String>,
}

/// A program, map or link of eBPF that a process holds, in the kernel's words.
#[derive(Serialize)]
struct Bpf<'a> {
    pid: i32,
    fd: i32,
    target: &'a str,
    info: String,
}

#[derive(Serialize)]
struct Maps {
    pid: i32,
    maps: String,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    let mut pids: Vec<i32> = match fs::read_dir(&scene.roots.proc) {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
        Err(error) => {
            out.give(crate::bundle::Gathered::missing("t0/processes.jsonl", error.to_string()));
            return;
        }
    };
    pids.sort_unstable();
    if pids.len() > PROCESSES_MAX {
        let problem = format!("{} processes, of which {PROCESSES_MAX} were read", pids.len());
        out.give(crate::bundle::Gathered::missing("t0/processes/rest", problem));
        pids.truncate(PROCESSES_MAX);
    }
    // The kernel may hold whoever reads the memory of a process: what does not need it comes first, for all of them.
    for pid in &pids {
        if out.is_given_up() {
            return;
        }
        out.doing(format!("process {pid}"));
        one(scene, out, *pid);
    }
    for pid in &pids {
        if out.is_given_up() {
            return;
        }
        out.doing(format!("the memory map of process {pid}"));
        let Ok(maps) = kernel(&folder(scene, *pid).join("maps"), MAPS_BYTES_MAX) else { continue };
        if !maps.is_empty() {
            out.line("t0/maps.jsonl", &Maps { pid: *pid, maps: String::from_utf8_lossy(&maps).into_owned() });
        }
    }
}

fn one(scene: &Scene, out: &Out, pid: i32) {
    let folder = folder(scene, pid);
    let text = |name: &str| {
        let bytes = kernel(&folder.join(name), SMALL_BYTES_MAX).ok()?;
        Some(String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned())
    };
    let Some(stat) = text("stat") else {
        out.line("t0/processes-gone.jsonl", &json!({ "pid": pid, "when": "before it was read" }));
        return;
    };
    let (comm, ppid, start_ticks) = parse_stat(&stat);
    let exe = link(&folder.join("exe"));
    let mut namespaces = BTreeMap::new();
    for name in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        if let Some(target) = link(&folder.join("ns").join(name)) {
            namespaces.insert(name.to_owned(), target);
        }
    }
    let known = Process {
        pid,
        ppid,
        start_ticks,
        comm,
        cmdline: kernel(&folder.join("cmdline"), SMALL_BYTES_MAX)
            .ok()
            .map(|bytes| host::arguments_of(&bytes)),
        exe: exe.as_deref().map(|path| path.strip_suffix(DELETED).unwrap_or(path)),
        exe_deleted: exe.as_deref().map(|path| path.ends_with(DELETED)),
        cwd: link(&folder.join("cwd")),
        root: link(&folder.join("root")),
        environment_names: kernel(&folder.join("environ"), 1 << 20)
            .ok()
            .map(|bytes| environment_names(&bytes)),
        cgroup: text("cgroup"),
        loginuid: text("loginuid"),
        sessionid: text("sessionid"),
        wchan: text("wchan").filter(|name| name != "0"),
        oom_score: text("oom_score"),
        namespaces: &namespaces,
        limits: text("limits"),
        io: text("io"),
        status: text("status"),
        stat: Some(stat),
    };
    out.line("t0/processes.jsonl", &known);
    let open = open_files(out, &folder, pid);
    gone(out, &folder, pid, start_ticks, exe.as_deref());
    remember(scene, pid, exe, open.into_iter().flatten(), namespaces);
}

/// Says which files it has open; none where that is not ours to see.
fn open_files(out: &Out, folder: &Path, pid: i32) -> Option<Vec<(i32, String)>> {
    let open = descriptors(folder);
    for (fd, target) in open.iter().flatten() {
        let info = kernel(&folder.join("fdinfo").join(fd.to_string()), SMALL_BYTES_MAX).unwrap_or_default();
        let (pos, flags) = parse_info(&info);
        out.line("t0/descriptors.jsonl", &Open { pid, fd: *fd, target, pos, flags });
        if target.starts_with("anon_inode:bpf") {
            let info = String::from_utf8_lossy(&info).into_owned();
            out.line("t0/bpf.jsonl", &Bpf { pid, fd: *fd, target, info });
        }
    }
    if open.is_none() {
        out.line(
            "t0/descriptors.jsonl",
            &Open { pid, fd: -1, target: "not ours to see", pos: None, flags: None },
        );
    }
    open
}

/// Says of somebody who ended, or became another program, that what was read may be of two.
fn gone(out: &Out, folder: &Path, pid: i32, start_ticks: Option<u64>, exe: Option<&str>) {
    let stat = kernel(&folder.join("stat"), SMALL_BYTES_MAX).unwrap_or_default();
    let (_, _, start) = parse_stat(&String::from_utf8_lossy(&stat));
    let now = link(&folder.join("exe"));
    let when = if stat.is_empty() {
        "while it was read"
    } else if start != start_ticks {
        "while it was read, and its number was given to another"
    } else if now.as_deref() != exe {
        "it became another program while it was read"
    } else {
        return;
    };
    out.line("t0/processes-gone.jsonl", &json!({ "pid": pid, "when": when, "exe": now }));
}

/// Keeps what later steps need.
fn remember(
    scene: &Scene,
    pid: i32,
    exe: Option<String>,
    open: impl Iterator<Item = (i32, String)>,
    namespaces: BTreeMap<String, String>,
) {
    let mut found = scene.found.lock().unwrap_or_else(PoisonError::into_inner);
    for (fd, target) in open {
        if let Some(inode) =
            target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse().ok())
        {
            found.owners.entry(inode).or_default().push(pid);
        } else if target.ends_with(DELETED) && target.starts_with('/') {
            found.deleted.push((pid, fd, target));
        }
    }
    for (kind, name) in namespaces {
        match kind.as_str() {
            "net" => drop(found.networks.entry(name).or_insert(pid)),
            "mnt" => drop(found.mounts.entry(name).or_insert(pid)),
            _ => {}
        }
    }
    found.executables.extend(exe.map(|exe| (pid, exe)));
}

pub(crate) fn folder(scene: &Scene, pid: i32) -> std::path::PathBuf {
    scene.roots.proc.join(pid.to_string())
}

fn descriptors(folder: &Path) -> Option<Vec<(i32, String)>> {
    let folder = folder.join("fd");
    let entries = fs::read_dir(&folder).ok()?;
    let mut numbers: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.truncate(DESCRIPTORS_MAX);
    Some(numbers.into_iter().filter_map(|fd| Some((fd, link(&folder.join(fd.to_string()))?))).collect())
}

fn link(path: &Path) -> Option<String> {
    Some(plain_path(fs::read_link(path).ok()?.as_os_str().as_bytes()))
}

/// The name, the parent and the start. The name stands in parentheses and may hold any of them.
fn parse_stat(stat: &str) -> (Option<String>, Option<i32>, Option<u64>) {
    let Some((open, close)) = stat.find('(').zip(stat.rfind(')')) else { return (None, None, None) };
    let fields: Vec<&str> = stat[close + 1..].split_ascii_whitespace().collect();
    let name = stat.get(open + 1..close).map(str::to_owned);
    (
        name,
        fields.get(1).and_then(|ppid| ppid.parse().ok()),
        fields.get(19).and_then(|start| start.parse().ok()),
    )
}

fn parse_info(info: &[u8]) -> (Option<u64>, Option<String>) {
    let text = String::from_utf8_lossy(info);
    let field = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    (field("pos:").and_then(|pos| pos.parse().ok()), field("flags:"))
}

fn environment_names(bytes: &[u8]) -> Vec<String> {
    let name = |variable: &[u8]| -> Option<String> {
        let end = variable.iter().position(|byte| *byte == b'=')?;
        let name = std::str::from_utf8(&variable[..end]).ok()?;
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        is_name.then(|| name.to_owned())
    };
    let mut names: Vec<String> = bytes.split(|byte| *byte == 0).filter_map(name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::{environment_names, parse_info, parse_stat};

    #[test]
    fn names_of_variables_and_nothing_else() {
        assert_eq!(environment_names(b"B=x=y\0A=1\0hunter2\0nginx: worker=1\0=x\0"), ["A", "B"]);
        assert!(environment_names(b"").is_empty());
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = format!("7 (a) (b ) S 3 {}99 0", "0 ".repeat(17));
        assert_eq!(parse_stat(&stat), (Some("a) (b ".to_owned()), Some(3), Some(99)));
        assert_eq!(parse_stat(")("), (None, None, None));
        assert_eq!(parse_info(b"pos:\t12\nflags:\t0100002\n"), (Some(12), Some("0100002".to_owned())));
    }
}
