//! Tests collections over trees that a test has planted, and over this machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::key::SigningKey;
use crate::manifest::{FORMAT, Head};
use crate::verify::{Verdict, verify};
use crate::{Digest, archive};

const PLENTY: Budget = Budget { time: Duration::from_secs(60), bytes: 1 << 30 };

fn key() -> Arc<SigningKey> {
    Arc::new(SigningKey::of_seed(&[7; 32]))
}

fn head(tier: Tier) -> Head {
    Head {
        format: FORMAT,
        server: None,
        incident: None,
        by: "test".to_owned(),
        host: None,
        at_ms: 0,
        since_ms: None,
        tiers: vec![tier.name().to_owned()],
        place: None,
    }
}

/// Collects into a new folder, and checks what came of it.
fn run(
    scene: Scene,
    steps: Vec<Step>,
    budget: Budget,
    folder: &Path,
    stop: &dyn Fn() -> Option<String>,
) -> Verdict {
    let writer = Writer::begin(folder, head(Tier::T1), key()).unwrap();
    let (writer, end) = collect(&Arc::new(scene), steps, writer, budget, stop, &mut |_| {}).unwrap();
    writer.finish(end, "test", 0).unwrap();
    let verdict = verify(folder, key().public());
    assert!(verdict.is_sound(), "{:?}", verdict.problems);
    verdict
}

fn only(names: &[&str]) -> Vec<Step> {
    let mut steps = steps(Tier::T2);
    steps.retain(|step| names.contains(&step.name));
    steps
}

fn item(folder: &Path, verdict: &Verdict, name: &str) -> String {
    let item = verdict.items.iter().find(|item| item.name == name);
    let item = item.unwrap_or_else(|| {
        panic!("no `{name}` among {:?}", verdict.items.iter().map(|item| &item.name).collect::<Vec<_>>())
    });
    let file = std::io::BufReader::new(fs::File::open(folder.join("items.tar.zst")).unwrap());
    String::from_utf8_lossy(&archive::item(file, item.at).unwrap()).into_owned()
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A machine with one process, a unit, a package, a user.
fn machine() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| put(root.path(), path, text);
    put("proc/7/stat", &format!("7 (x) S 1 {}99 0", "0 ".repeat(17)));
    put("proc/7/cmdline", "/usr/bin/x\0--token\0hunter2\0");
    put("proc/7/environ", "API_KEY=hunter2hunter2\0HOME=/\0");
    put("proc/7/maps", "00400000-00401000 r-xp 0 0:0 0 /usr/bin/x\n");
    put("proc/7/mountinfo", "1 0 0:1 / / rw - ext4 /dev/vda rw\n");
    fs::create_dir_all(root.path().join("proc/7/fd")).unwrap();
    fs::create_dir_all(root.path().join("proc/7/ns")).unwrap();
    symlink("socket:[4711]", root.path().join("proc/7/fd/3")).unwrap();
    symlink("/usr/bin/x", root.path().join("proc/7/exe")).unwrap();
    symlink("net:[1]", root.path().join("proc/7/ns/net")).unwrap();
    symlink("mnt:[2]", root.path().join("proc/7/ns/mnt")).unwrap();
    put("proc/7/net/tcp", "head\n0: 0100007F:1F90 0200A8C0:C350 01 0:0 0:0 0 1000 0 4711 1\n");
    put("proc/uptime", "12.50 1.00\n");
    put("etc/passwd", "ann:x:1000:1000::/home/ann:/bin/sh\n");
    put("etc/shadow", "ann:$6$secret:1::::::\n");
    put(
        "etc/systemd/system/x.service",
        "[Service]\nEnvironment=API_KEY=hunter2hunter2\nExecStart=/usr/bin/x\n",
    );
    put("home/ann/.ssh/authorized_keys", "ssh-ed25519 AAAA intruder\n");
    put(
        "var/lib/dpkg/info/x.md5sums",
        "900150983cd24fb0d6963f7d28e17f72  usr/bin/x\nd41d8cd98f00b204e9800998ecf8427e  usr/bin/gone\n",
    );
    put("usr/bin/x", "not abc");
    put("var/log/auth.log", "key was hunter2hunter2 of ann\n");
    root
}

fn scene(root: &Path) -> Scene {
    Scene::new(root.to_owned(), 1_700_000_000_000, Subject { pid: Some(7), ..Subject::default() })
}

#[test]
fn what_was_planted_is_found_and_no_secret_with_it() {
    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    let folder = place.path().join("b");
    let found = run(scene(root.path()), steps(Tier::T1), PLENTY, &folder, &|| None);
    let text = |name: &str| item(&folder, &found, name);
    let process = text("t0/processes.jsonl");
    assert!(process.contains(r#""cmdline":["/usr/bin/x","--token","[REDACTED]"]"#), "{process}");
    assert!(process.contains(r#""environment_names":["API_KEY","HOME"]"#), "{process}");
    let sockets = text("t0/sockets.jsonl");
    assert!(
        sockets.contains(
            r#""remote":"192.168.0.2:50000","state":"established","uid":1000,"inode":4711,"pids":[7]"#
        ),
        "{sockets}"
    );
    assert_eq!(text("t0/server/peers.jsonl"), sockets);
    assert!(text("t0/maps.jsonl").contains("r-xp") && text("t0/mounts/2").contains("ext4"));
    assert!(text("files/home/ann/.ssh/authorized_keys").contains("intruder"));
    let unit = found.items.iter().find(|item| item.name == "files/etc/systemd/system/x.service").unwrap();
    assert_eq!(unit.source.as_deref(), Some("/etc/systemd/system/x.service"));
    let times = unit.times.as_ref().unwrap();
    assert!(times.mtime_ns.is_some() && times.ctime_ns.is_some() && times.mode == "100644", "{times:?}");
    assert!(unit.original_sha256.is_some() && !text(&unit.name).contains("hunter2"));
    let packages = text("t1/packages.jsonl");
    assert!(
        packages.contains(r#""path":"/usr/bin/x","what":"altered""#)
            && packages.contains(r#""path":"/usr/bin/gone","what":"missing""#),
        "{packages}"
    );
    assert!(packages.contains(r#"{"packages":1,"files":2,"differ":2,"left":0}"#), "{packages}");
    for item in &found.items {
        let text = text(&item.name);
        assert!(!text.contains("hunter2") && !text.contains("$6$secret"), "{}: {text}", item.name);
    }
    // What is not there is said.
    assert!(found.missing.iter().any(|missing| missing.name == "t0/kernel-log"), "{:?}", found.missing);
}

#[test]
fn the_same_machine_gives_the_same_bundle() {
    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    let made = ["a", "b"].map(|name| {
        let folder = place.path().join(name);
        let sha256 = run(scene(root.path()), steps(Tier::T1), PLENTY, &folder, &|| None).sha256.unwrap();
        (sha256, Digest::of(&fs::read(folder.join("items.tar.zst")).unwrap()))
    });
    assert_eq!(made[0], made[1]);
    put(root.path(), "etc/systemd/system/x.service", "[Service]\nExecStart=/tmp/evil\n");
    let other =
        run(scene(root.path()), steps(Tier::T1), PLENTY, &place.path().join("c"), &|| None).sha256.unwrap();
    assert_ne!(made[0].0, other);
}

#[test]
fn what_is_no_plain_file_hangs_nobody() {
    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    let etc = root.path().join("etc/systemd");
    mknodat(CWD, root.path().join("var/log/syslog"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    symlink("..", etc.join("loop")).unwrap();
    symlink("/etc/shadow", etc.join("shadow")).unwrap();
    let hostile = std::ffi::OsStr::new("a\n\u{1b}[31m%ff 'x");
    fs::write(etc.join(hostile), "x").unwrap();
    fs::write(etc.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe")), "y")
        .unwrap();
    fs::write(etc.join("binary.service"), [0_u8, 255, 7].repeat(1000)).unwrap();
    let folder = place.path().join("b");
    let found = run(scene(root.path()), steps(Tier::T1), PLENTY, &folder, &|| None);
    let fifo = found.missing.iter().find(|missing| missing.name == "files/var/log/syslog").unwrap();
    assert_eq!(fifo.problem, "it is no regular file");
    assert_eq!(item(&folder, &found, "files/etc/systemd/loop"), "a link to ..\n");
    assert_eq!(item(&folder, &found, "files/etc/systemd/shadow"), "a link to /etc/shadow\n");
    assert_eq!(item(&folder, &found, "files/etc/systemd/%ff%fe"), "y");
    assert_eq!(item(&folder, &found, "files/etc/systemd/a%0a%1b%5b31m%25ff%20%27x"), "x");
    assert!(
        found
            .items
            .iter()
            .all(|item| item.source.as_ref().is_none_or(|source| !source.contains(['\n', '\u{1b}'])))
    );
}

#[test]
fn a_step_that_hangs_is_left_behind_with_what_it_had() {
    let place = tempfile::tempdir().unwrap();
    let (hold, held) = mpsc::channel::<()>();
    let hang = Step::new("hang", Tier::T0, Duration::from_millis(100), move |_, out| {
        out.line("t0/list.jsonl", &"first");
        out.doing("the second");
        let _ = held.recv();
    });
    let fail = Step::new("fail", Tier::T0, Duration::from_secs(10), |_, out| {
        out.line("t0/other.jsonl", &1);
        panic!("a step that fails in a test");
    });
    let fine = Step::new("fine", Tier::T0, Duration::from_secs(10), |_, out| out.line("t0/fine.jsonl", &2));
    let folder = place.path().join("b");
    let found = run(Scene::default(), vec![hang, fail, fine], PLENTY, &folder, &|| None);
    drop(hold);
    assert_eq!(item(&folder, &found, "t0/list.jsonl"), "\"first\"\n");
    assert_eq!(item(&folder, &found, "t0/fine.jsonl"), "2\n");
    let said: Vec<_> =
        found.missing.iter().map(|missing| format!("{}: {}", missing.name, missing.problem)).collect();
    assert_eq!(
        said,
        ["hang/rest: it took too long; the last that was begun is the second", "fail/rest: the step failed"]
    );
}

#[test]
fn a_collection_that_is_stopped_or_too_large_says_so() {
    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    let stopped = run(scene(root.path()), steps(Tier::T1), PLENTY, &place.path().join("a"), &|| {
        Some("Ctrl-C".to_owned())
    });
    assert_eq!((stopped.state, stopped.reason.as_deref()), (Some(crate::State::Interrupted), Some("Ctrl-C")));
    let small = Budget { bytes: 1, ..PLENTY };
    let found = run(scene(root.path()), steps(Tier::T1), small, &place.path().join("b"), &|| None);
    assert!(
        found.missing.iter().any(|missing| missing.problem == "the size budget was used up"),
        "{:?}",
        found.missing
    );
}

/// This machine, with a process whose file was deleted and that has a connection.
#[test]
fn this_machine_with_an_intruder() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("implant");
    fs::copy("/bin/cat", &program).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let held = std::process::Stdio::from(std::os::fd::OwnedFd::from(connection.try_clone().unwrap()));
    let mut intruder = std::process::Command::new(&program)
        .stdin(std::process::Stdio::piped())
        .stdout(held)
        .env("GREETING_TOKEN", "hunter2-hunter2")
        .spawn()
        .unwrap();
    let sum = Digest::of(&fs::read(&program).unwrap());
    fs::remove_file(&program).unwrap();
    let pid = i32::try_from(intruder.id()).unwrap();
    let subject = Subject { pid: Some(pid), ..Subject::default() };
    let folder = place.path().join("b");
    let wanted =
        ["clock", "processes", "network", "machine", "mounts", "users", "kernel-log", "deleted-files"];
    let mut steps = steps(Tier::T1);
    steps.retain(|step| wanted.contains(&step.name));
    let found = run(Scene::new("/".into(), 1, subject), steps, PLENTY, &folder, &|| None);
    intruder.kill().unwrap();
    intruder.wait().unwrap();
    let line = |name: &str, with: &str| {
        let text = item(&folder, &found, name);
        text.lines()
            .find(|line| line.contains(with))
            .unwrap_or_else(|| panic!("no {with} in {name}"))
            .to_owned()
    };
    let process = line("t0/processes.jsonl", &format!("\"pid\":{pid},"));
    assert!(process.contains("\"exe_deleted\":true") && process.contains("GREETING_TOKEN"), "{process}");
    let local = connection.local_addr().unwrap();
    let socket = line("t0/sockets.jsonl", &format!("\"local\":\"{local}\""));
    assert!(socket.contains("established") && socket.contains(&pid.to_string()), "{socket}");
    let implant =
        found.items.iter().find(|item| item.name.starts_with(&format!("t1/deleted/{pid}-exe/"))).unwrap();
    assert_eq!(implant.sha256, sum);
    assert!(implant.source.as_deref().unwrap().ends_with("implant (deleted)"), "{implant:?}");
    for item_of in &found.items {
        assert!(!item(&folder, &found, &item_of.name).contains("hunter2-hunter2"), "{}", item_of.name);
    }
}

mod changes;
mod deep;
