//! Tests of what a machine is found to say: fixture trees for what cannot be made here, and this machine.

use std::fs;
use std::path::Path;

use super::*;

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A machine with one server in its unit, and its worker.
fn machine(root: &Path) -> Roots {
    let roots = Roots::below(root);
    let proc = |name: &str, text: &str| put(&roots.proc.join(name), text);
    proc("uptime", "1000.00 1.00\n");
    proc("meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
    for (pid, parent, state) in [(10, 1, 'S'), (11, 10, 'S')] {
        proc(
            &format!("{pid}/stat"),
            &format!("{pid} (node) {state} {parent} 0 0 0 0 0 0 0 0 0 3 2 0 0 20 0 1 0 {pid}00 0 0\n"),
        );
        proc(&format!("{pid}/cmdline"), "node\0/srv/index.js\0");
        proc(&format!("{pid}/cgroup"), "0::/system.slice/mcp-server-notes.service\n");
        proc(&format!("{pid}/limits"), &format!("Limit\n{:<26}10 20 files\n", "Max open files"));
        fs::create_dir_all(roots.proc.join(format!("{pid}/fd"))).unwrap();
    }
    roots
}

fn subject() -> Subject {
    Subject { unit: Some("mcp-server-notes.service".to_owned()), ..Subject::named("notes") }
}

fn look(roots: &Roots, subject: &Subject) -> Vec<String> {
    let (_, found) = examine(roots, subject, 0, |_| {});
    found.iter().filter(|finding| finding.severity() > Severity::Info).map(ToString::to_string).collect()
}

#[track_caller]
fn check(roots: &Roots, expect: &[&str]) {
    assert_eq!(look(roots, &subject()), expect);
}

#[test]
fn a_healthy_machine_is_told_and_says_nothing() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    check(&roots, &[]);
    let (taken, found) = examine(&roots, &subject(), 0, |_| panic!("nobody is stuck"));
    assert_eq!(taken.target.unwrap().pid, 10);
    assert!(diagnosis::rank(&found).is_empty(), "{found:?}");
}

#[test]
fn states_of_processes() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    put(&roots.proc.join("11/stat"), "11 (node) T 10 0 0 0 0 0 0 0 0 0 3 2 0 0 20 0 1 0 1100 0 0\n");
    check(
        &roots,
        &[
            "process_state of `notes` is stopped (process 11 (node) is stopped by a signal: it goes on with SIGCONT)",
        ],
    );
    put(&roots.proc.join("11/stat"), "11 (node) t 10 0 0 0 0 0 0 0 0 0 3 2 0 0 20 0 1 0 1100 0 0\n");
    check(&roots, &["process_state of `notes` is traced (process 11 (node) is held by a debugger)"]);
}

#[test]
fn children_that_nobody_asks_for() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    for pid in [20, 21, 22] {
        put(
            &roots.proc.join(format!("{pid}/stat")),
            &format!("{pid} (git) Z 11 0 0 0 0 0 0 0 0 0 3 2 0 0 20 0 1 0 9 0 0\n"),
        );
    }
    check(
        &roots,
        &["zombie_children of `notes` is 3 (process 11 has not asked for the end of its child 20 (git))"],
    );
    // Those that are gone at the second look were on their way.
    let (_, found) = examine(&roots, &subject(), 0, |_| fs::remove_dir_all(roots.process(21)).unwrap());
    assert!(found.iter().all(|finding| finding.severity() == Severity::Info), "{found:?}");
}

#[test]
fn ends_for_want_of_memory() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    let line = |seconds: u64, constraint: &str, limit_of: &str, group: &str| {
        format!(
            "4,2,{}000000,-;oom-kill:constraint={constraint},oom_memcg={limit_of},task_memcg={group},task=node,pid=9,uid=0\n",
            seconds
        )
    };
    let own = "/system.slice/mcp-server-notes.service";
    put(&roots.dev.join("kmsg"), &line(990, "CONSTRAINT_MEMCG", own, own));
    check(
        &roots,
        &[
            "oom_kill of `notes` is 1 (process 9 (node) was ended 10 s ago: the control group /system.slice/mcp-server-notes.service had nothing left)",
        ],
    );
    put(&roots.dev.join("kmsg"), &line(990, "CONSTRAINT_NONE", "", "/other"));
    check(
        &roots,
        &[
            "oom_kill of `process node` is 1 (process 9 (node) was ended 10 s ago: the machine had nothing left)",
        ],
    );
    // At the limit of somebody else the machine has enough for all others.
    put(&roots.dev.join("kmsg"), &line(990, "CONSTRAINT_MEMCG", "/other", "/other/x"));
    check(&roots, &[]);
    // A name that only begins like ours is not ours.
    put(
        &roots.dev.join("kmsg"),
        &line(990, "CONSTRAINT_MEMCG", "/a", "/system.slice/mcp-server-notes.service2"),
    );
    check(&roots, &[]);
    // Of a process whose end is known, by its number; and yesterday's trouble is another one.
    put(&roots.dev.join("kmsg"), &line(990, "CONSTRAINT_MEMCG", "/a", "/a"));
    let ended = Subject { ended_pid: Some(9), ..subject() };
    assert_eq!(look(&roots, &ended).len(), 1);
    put(&roots.proc.join("uptime"), "90000.00 1.00\n");
    assert_eq!(look(&roots, &ended), [""; 0]);
}

#[test]
fn memory_near_its_limit() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    let group = roots.sys.join("fs/cgroup/system.slice/mcp-server-notes.service");
    put(&group.join("memory.current"), "1000\n");
    put(&group.join("memory.max"), "1000\n");
    put(&group.join("memory.stat"), "inactive_file 900\n");
    check(&roots, &[]);
    put(&group.join("memory.stat"), "inactive_file 1\n");
    check(
        &roots,
        &[
            "memory_limit_used_percent of `notes` is 99.9 (its control group /system.slice/mcp-server-notes.service may have 1000 bytes)",
        ],
    );
}

#[test]
fn descriptors_near_their_limit() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    for number in 0..9 {
        std::os::unix::fs::symlink("/x", roots.proc.join(format!("11/fd/{number}"))).unwrap();
    }
    check(&roots, &["descriptors_used_percent of `notes` is 90.0 (process 11 has 9 of 10 open)"]);
}

#[test]
fn file_systems() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    let server = Subject {
        places: vec![Place { path: "/data/notes".into(), used_for: "data", is_needed: false }],
        ..subject()
    };
    let mounts = |options: &str| {
        let line =
            format!("1 0 0:1 / / rw - autofs a:/ rw\n2 1 7:0 / /data {options} - nfs b:/ ro,errors=x\n");
        put(&roots.proc.join("self/mountinfo"), &line);
    };
    mounts("rw");
    let says = "read_only_mount of `/data` (b:/ (nfs) is mounted rw,ro,errors=x)";
    assert_eq!(look(&roots, &server), [says]);
    let (_, found) = examine(&roots, &server, 0, |_| {});
    assert_eq!(diagnosis::named(&diagnosis::rank(&found)).unwrap().cause.name(), "data_damaged");
    mounts("ro");
    assert_eq!(look(&roots, &server), [""; 0]);
    put(&roots.etc.join("fstab"), "b:/ /data/notes nfs defaults\n");
    let says = "mount_missing of `/data/notes` is b:/ (/etc/fstab wants b:/ there; create and write nothing there meanwhile)";
    assert_eq!(look(&roots, &server), [says]);
}

#[test]
fn paths_of_a_container_mean_nothing_here() {
    let root = tempfile::tempdir().unwrap();
    let roots = machine(root.path());
    put(&roots.proc.join("10/cmdline"), "node\0/srv/index.js\0/data\0");
    put(
        &roots.proc.join("self/mountinfo"),
        "1 0 0:1 / / rw - autofs a:/ rw\n2 1 7:0 / /data rw - nfs b:/ ro\n",
    );
    let worst = || examine(&roots, &subject(), 0, |_| {}).1.first().map(Finding::severity);
    assert_eq!(worst(), Some(Severity::Critical));
    for (pid, target) in [("self", "mnt:[1]"), ("10", "mnt:[2]")] {
        fs::create_dir_all(roots.proc.join(pid).join("ns")).unwrap();
        std::os::unix::fs::symlink(target, roots.proc.join(pid).join("ns/mnt")).unwrap();
    }
    assert_eq!(worst(), Some(Severity::Warning));
}

#[test]
fn a_guard_is_known_by_its_name_and_where_it_listens() {
    let server = Subject { port: Some(8001), ..Subject::named("notes") };
    for (words, expect) in [
        ("paramedic guard --name notes --listen 127.0.0.1:8001 -- x", true),
        ("paramedic guard --name=notes --stdio -- x", true),
        ("paramedic guard --name notes --listen 127.0.0.1:8002 -- x", false),
        ("paramedic guard --name notes-2 --listen 127.0.0.1:8001 -- x", false),
        ("paramedic guard --listen 127.0.0.1:8001 -- x --name notes", false),
        ("paramedic lifeline --name notes", false),
        ("", false),
    ] {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        assert_eq!(server.is_guard(&words), expect, "{words:?}");
    }
}

#[test]
fn this_machine_and_this_process() {
    let me = i32::try_from(std::process::id()).unwrap();
    let (taken, found) = examine(&Roots::default(), &Subject::process(me), 0, |_| {});
    assert_eq!(taken.target.unwrap().pid, me);
    let value = |kind: diagnosis::Kind| {
        found
            .iter()
            .find(|finding| finding.kind() == kind.name)
            .and_then(|finding| finding.value())
            .unwrap()
            .to_string()
    };
    assert_eq!(value(diagnosis::kind::PROCESS_STATE), "running");
    assert!(value(diagnosis::kind::RSS_BYTES).parse::<u64>().unwrap() > 1 << 20);
    assert!(found.iter().any(|finding| finding.kind() == "server_mount"), "{found:?}");
}

#[test]
fn a_port_that_somebody_else_has() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Process 1 is not below us, and we are not below it for this purpose.
    let server = Subject { port: Some(port), ..Subject::named("notes") };
    let (_, found) = examine(&Roots::default(), &server, 0, |_| {});
    let owner = found.iter().find(|finding| finding.kind() == "port_owner").unwrap();
    assert!(owner.value().unwrap().to_string().starts_with(&format!("{} ", std::process::id())), "{owner}");
    // Who listens elsewhere at the same port is in nobody's way.
    let elsewhere = Subject { address: Some("127.0.0.2".parse().unwrap()), ..server.clone() };
    let (_, found) = examine(&Roots::default(), &elsewhere, 0, |_| {});
    assert!(found.iter().any(|finding| finding.to_string().ends_with("is false")), "{found:?}");
    let own = Subject { pid: i32::try_from(std::process::id()).ok(), ..server };
    let (_, found) = examine(&Roots::default(), &own, 0, |_| {});
    assert!(found.iter().any(|finding| finding.to_string().ends_with("is false")), "{found:?}");
}
