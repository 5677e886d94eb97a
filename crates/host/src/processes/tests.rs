//! Owns the tests of the list of processes: odd names, what cannot be read, what vanishes.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Process, Stat, State, arguments, pids, process_state, read_processes, tree, tree_rss_bytes};
use crate::Roots;

/// A process of 2 pages, 150 ticks and 3 threads.
fn stat(pid: i32, comm: &str, state: char, parent: i32) -> String {
    format!(
        "{pid} ({comm}) {state} {parent} 1 1 0 -1 0 0 0 0 0 100 50 0 0 20 0 3 0 777 4096 2 18446744073709551615\n"
    )
}

fn put(roots: &Roots, pid: i32, stat: &str) {
    fs::create_dir_all(roots.process(pid)).unwrap();
    fs::write(roots.process(pid).join("stat"), stat).unwrap();
}

fn read_one(roots: &Roots, pid: i32) -> Option<Process> {
    read_processes(roots, &[pid]).pop()
}

#[test]
fn names_may_hold_anything() {
    for comm in ["sh", "a) R 1 (b", "line\nline", "()", "", "Z 1 2 3"] {
        let parsed = Stat::parse(stat(5, comm, 'S', 1).as_bytes()).unwrap();
        assert_eq!(
            (parsed.comm.as_str(), parsed.state, parsed.start_ticks),
            (comm, Some(State::Sleeping), 777)
        );
    }
    assert_eq!(Stat::parse(b"5 (\xff) T 1").map(|stat| stat.comm), None, "cut off before the start");
    for odd in [b"".as_slice(), b"5 )(", b"5 (x", b"5 (x)", b")))((("] {
        assert_eq!(Stat::parse(odd), None, "{odd:?}");
    }
}

#[test]
fn every_field_stands_alone() {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::below(root.path());
    put(&roots, 7, &stat(7, "x", 'D', 1).replace(" 4096 2 ", " 4096 -2 "));
    let bare = read_one(&roots, 7).unwrap();
    assert_eq!((bare.rss_bytes, bare.cpu_ms, bare.threads), (None, Some(1500), Some(3)));
    assert_eq!((bare.cmdline, bare.exe, bare.exe_deleted, bare.cgroup), (None, None, None, None));

    fs::write(roots.process(7).join("cmdline"), "node\0--token\0abc\0").unwrap();
    fs::write(roots.process(7).join("cgroup"), "0::/system.slice/x.service\n").unwrap();
    symlink("/usr/bin/node (deleted)", roots.process(7).join("exe")).unwrap();
    let full = read_one(&roots, 7).unwrap();
    assert_eq!(full.cmdline.unwrap(), ["node", "--token", "[REDACTED]"]);
    assert_eq!((full.exe.as_deref(), full.exe_deleted), (Some("/usr/bin/node"), Some(true)));
    assert_eq!(full.cgroup.as_deref(), Some("/system.slice/x.service"));
}

#[test]
fn what_has_vanished_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::below(root.path());
    assert_eq!(pids(&roots), None);
    put(&roots, 3, &stat(3, "x", 'T', 1));
    fs::create_dir_all(roots.process(4)).unwrap();
    fs::create_dir_all(roots.proc.join("sys")).unwrap();
    assert_eq!(pids(&roots).unwrap(), [3, 4]);
    let read: Vec<_> = read_processes(&roots, &[3, 4, 5]).iter().map(|process| process.id.pid).collect();
    assert_eq!(read, [3]);
    assert_eq!(process_state(&roots, 3), Some(State::Stopped));
    assert_eq!((process_state(&roots, 4), process_state(&roots, 5)), (None, None));
}

#[test]
fn a_tree_is_a_process_and_all_below() {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::below(root.path());
    for (pid, parent) in [(1, 0), (10, 30), (20, 1), (30, 20), (40, 1)] {
        put(&roots, pid, &stat(pid, "x", 'S', parent));
    }
    let processes = read_processes(&roots, &pids(&roots).unwrap());
    let pids_of = |pid| tree(&processes, pid).iter().map(|id| id.pid).collect::<Vec<_>>();
    assert_eq!(pids_of(20), [20, 30, 10]);
    assert_eq!(pids_of(40), [40]);
    assert!(pids_of(99).is_empty());
    let page = u64::try_from(rustix::param::page_size()).unwrap();
    assert_eq!(tree_rss_bytes(&roots, 20), Some(6 * page));
    assert_eq!(tree_rss_bytes(&roots, 99), None);
    put(&roots, 20, &stat(20, "x", 'S', 10));
    let circle = read_processes(&roots, &pids(&roots).unwrap());
    assert_eq!(tree(&circle, 20).len(), 3);
}

#[test]
fn command_lines_end_where_the_arguments_do() {
    assert_eq!(arguments(b"nginx: worker\0\0\0\0"), ["nginx: worker"]);
    assert_eq!(arguments(b"a\0\0b\0"), ["a", "", "b"]);
    assert_eq!(arguments(b"a"), ["a"]);
    assert!(arguments(b"").is_empty());
    let long = arguments(&vec![b'x'; 16 << 10]);
    assert_eq!(long[1], "[TRUNCATED]");
}
