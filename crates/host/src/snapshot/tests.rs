//! Owns the tests of the snapshot: an empty tree, the frozen form of a full one, and this machine.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use expect_test::expect_file;

use super::snapshot;
use crate::{Roots, SocketState, State, process_state, tree_rss_bytes};

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn link(path: &Path, target: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

/// A machine with two processes, of which the second is the child of the first.
fn fixture(root: &Path) -> Roots {
    let roots = Roots::below(root);
    let proc = |name: &str, text: &str| put(&roots.proc.join(name), text);
    proc("uptime", "100.50 1.00\n");
    proc("loadavg", "0.10 0.20 0.30 1/99 42\n");
    proc("meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
    proc("vmstat", "oom_kill 0\n");
    proc("pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
    proc("self/mountinfo", "1 0 0:1 / /nowhere rw - nfs host:/x rw\n");
    proc("sys/kernel/hostname", "alpha\n");
    proc("sys/kernel/ostype", "Linux\n");
    proc("sys/kernel/osrelease", "6.1.0\n");
    proc("sys/kernel/random/boot_id", "b-o-o-t\n");
    for (pid, parent, comm) in [(10, 1, "node"), (11, 10, "worker")] {
        let stat = format!("{pid} ({comm}) S {parent} 0 0 0 0 0 0 0 0 0 3 2 0 0 20 0 1 0 {pid}00 0 0\n");
        proc(&format!("{pid}/stat"), &stat);
        proc(&format!("{pid}/cmdline"), &format!("/usr/bin/{comm}\0--api-key\0k\0"));
        proc(&format!("{pid}/cgroup"), "0::/x.service\n");
    }
    proc("10/environ", "PATH=/bin\0TOKEN=hunter2\0");
    proc("10/wchan", "do_epoll_wait");
    proc("10/limits", &format!("Limit\n{:<26}10 20 files\n", "Max open files"));
    proc("10/smaps_rollup", "0-f ---p 0 0:0 0 [rollup]\nRss: 4 kB\nPss: 2 kB\n");
    let listens = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 71 1\n";
    proc("10/net/tcp", &listens.replace("0100007F", &format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]))));
    link(&roots.proc.join("10/exe"), "/usr/bin/node (deleted)");
    link(&roots.proc.join("10/cwd"), "/srv");
    link(&roots.proc.join("10/fd/3"), "socket:[71]");
    link(&roots.proc.join("11/fd/3"), "socket:[71]");
    put(&roots.sys.join("fs/cgroup/x.service/memory.current"), "4096\n");
    put(&roots.sys.join("fs/cgroup/x.service/memory.max"), "8192\n");
    put(&roots.etc.join("os-release"), "PRETTY_NAME='Test 1'\n");
    roots
}

#[test]
fn the_written_form_is_frozen() {
    let root = tempfile::tempdir().unwrap();
    let taken = snapshot(&fixture(root.path()), Some(10), 1_700_000_000_000);
    let json = serde_json::to_string_pretty(&taken).unwrap() + "\n";
    assert!(!json.contains("hunter2"));
    expect_file!["snapshot-v1.json"].assert_eq(&json);
}

#[test]
fn an_empty_tree_is_a_snapshot_too() {
    let root = tempfile::tempdir().unwrap();
    let taken = snapshot(&Roots::below(root.path()), Some(1), 5);
    assert_eq!((taken.clock.at_ms, taken.process_count, taken.processes.len()), (5, None, 0));
    assert!(taken.target.is_none() && taken.mounts.is_none() && taken.memory.is_none());
}

#[test]
fn this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let roots = Roots::default();
    let me = i32::try_from(std::process::id()).unwrap();
    let taken = snapshot(&roots, Some(me), 0);
    assert!(
        taken.machine.boot_id.is_some() && taken.memory.is_some_and(|memory| memory.total_bytes > Some(0))
    );
    let own = taken.processes.iter().find(|process| process.id.pid == me).unwrap();
    assert_eq!(own.id, process::ProcessId::current());
    assert_eq!(own.exe.as_deref(), std::env::current_exe().unwrap().to_str());
    let target = taken.target.unwrap();
    let sockets = target.sockets.unwrap();
    let listed = sockets.listed.iter().find(|socket| socket.local.as_ref() == Some(&address)).unwrap();
    assert_eq!((listed.state, listed.pid), (SocketState::Listen, Some(me)));
    assert!(target.tree[0].environment_keys.as_ref().unwrap().iter().any(|key| key == "PATH"));
    assert!(tree_rss_bytes(&roots, me) > Some(1 << 20));
    assert!(matches!(process_state(&roots, me), Some(State::Running | State::Sleeping)));
}
