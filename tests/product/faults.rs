//! Tests that faults which are really there are found, with the right cause first, and that a healthy machine has none.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use incident::Record;
use process::Signal;
use serde_json::Value;

use crate::poll::{DEADLINE, eventually, pause};
use crate::processes;
use crate::site::{EXE, Server, Site, clean, free_port, run};

const PLANTS: &str = include_str!("plants.py");

/// A fault that is there until it is dropped.
struct Plant(Child);

/// What `diagnose` says of one server.
pub(crate) struct Said(pub(crate) Value);

// === impl Plant ===

impl Plant {
    /// Plants a fault; none where there is no Python, which is said.
    fn new(args: &[&str]) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PLANTS]).args(args);
        Self::of(command)
    }

    fn of(mut command: Command) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        clean(&mut command, folder.path());
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                println!("SKIPPED: {command:?} cannot be started: {error}");
                return None;
            }
        };
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{command:?}");
        Some(Self(child))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        // Its end is the end of its standard input, so that what it has started goes with it.
        drop(self.0.stdin.take());
        let until = Instant::now() + DEADLINE;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < until {
            pause();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Said ===

impl Said {
    /// What a command printed about its one server.
    #[track_caller]
    fn of(text: &str) -> Self {
        let mut all: Vec<Value> =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(all.len(), 1, "{text}");
        Self(all.remove(0))
    }

    pub(crate) fn cause(&self) -> &str {
        self.0["cause"].as_str().unwrap_or("none")
    }

    pub(crate) fn finding(&self, kind: &str) -> Option<&Value> {
        self.0["findings"].as_array().unwrap().iter().find(|finding| finding["kind"] == kind)
    }

    /// The value and the message of a finding; nothing where it is not there.
    pub(crate) fn text(&self, kind: &str) -> String {
        self.finding(kind).map(|one| format!("{} {}", one["value"], one["message"])).unwrap_or_default()
    }

    /// The cause, and what one finding has for a message.
    #[track_caller]
    pub(crate) fn check(&self, cause: &str, kind: &str, words: &[&str]) {
        assert_eq!(self.cause(), cause, "{:#}", self.0);
        let finding = self.finding(kind).unwrap_or_else(|| panic!("no {kind}: {:#}", self.0));
        let text = format!("{} {}", finding["value"], finding["message"]);
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in {text}");
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

/// `diagnose` of a process, with nothing configured.
#[track_caller]
fn of_process(pid: &str) -> Said {
    Said::of(&alone(&["diagnose", "--pid", pid, "-o", "json"]))
}

#[track_caller]
fn alone(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(EXE);
    command.args(args);
    clean(&mut command, folder.path());
    run(command).done()
}

pub(crate) fn of_server(site: &Site, server: &str) -> Said {
    Said::of(&site.run(&["diagnose", server, "-o", "json"]).done())
}

/// Whether this machine and user can have mounts and control groups of their own, which takes root.
fn is_root() -> bool {
    let is = rustix::process::getuid().is_root();
    if !is {
        println!("SKIPPED: this takes root");
    }
    is
}

#[test]
fn children_that_nobody_asks_for_their_end() {
    let Some(plant) = Plant::new(&["zombies", "5"]) else { return };
    of_process(&plant.pid()).check("unreaped_children", "zombie_children", &["5", &plant.pid()]);
}

#[test]
fn descriptors_that_run_out() {
    let Some(plant) = Plant::new(&["descriptors", "64"]) else { return };
    let said = of_process(&plant.pid());
    said.check("descriptors_exhausted", "descriptors_used_percent", &[&plant.pid(), "of 64 open"]);
}

#[test]
fn a_thread_that_waits_in_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let Some(plant) = Plant::new(&["blocked", fifo.to_str().unwrap()]) else { return };
    // It may not have come so far yet.
    let said = eventually("it waits in the kernel", || {
        Some(of_process(&plant.pid())).filter(|said| said.cause() != "none")
    });
    fs::File::options().write(true).open(&fifo).unwrap();
    said.check("blocked_in_kernel", "blocked_tasks", &["1", &plant.pid()]);
}

#[test]
fn a_user_who_may_start_no_more() {
    if !is_root() {
        return;
    }
    // The kernel counts all that a user has, so this one is nobody else's.
    let user = 100_000 + std::process::id();
    let Some(plant) = Plant::new(&["tasks", &user.to_string(), "20"]) else { return };
    let words = ["20 of 20 processes and threads", &format!("its user {user}")];
    of_process(&plant.pid()).check("tasks_exhausted", "tasks_used_percent", &words);
}

#[test]
fn a_pipe_that_nobody_reads() {
    let Some(plant) = Plant::new(&["unread"]) else { return };
    let pid = plant.pid();
    let said = eventually("it waits for a reader", || {
        Some(of_process(&pid)).filter(|said| said.text("unread_writes").starts_with('1'))
    });
    // Without a server that could be asked it is a hint: who writes to somebody slow waits as well.
    said.check("none", "unread_writes", &[&format!("until process {pid} (python3) reads"), "pipe:["]);
    said.check("none", "threads", &["pipe_write"]);
}

#[test]
fn a_folder_that_was_deleted_under_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("python3");
    command.args(["-c", PLANTS, "zombies", "0"]).current_dir(folder.path());
    let Some(plant) = Plant::of(command) else { return };
    let path = folder.path().to_str().unwrap().to_owned();
    drop(folder);
    of_process(&plant.pid()).check("none", "work_folder", &["deleted", &path]);
}

#[test]
fn a_quota_of_processor_time_that_is_used_up() {
    let places =
        [("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "20000"), ("/sys/fs/cgroup", "cpu.max", "20000 100000")];
    let name = format!("paramedic-test-quota-{}", std::process::id());
    let made = places.iter().filter(|_| is_root()).find_map(|(root, limit, value)| {
        let folder = Path::new(root).join(&name);
        fs::create_dir(&folder).ok()?;
        if fs::write(folder.join(limit), value).is_ok() {
            return Some(folder);
        }
        let _ = fs::remove_dir(&folder);
        None
    });
    let Some(group) = made else {
        println!("SKIPPED: no control group of our own can have a quota of processor time");
        return;
    };
    if let Some(plant) = Plant::new(&["spin", group.to_str().unwrap()]) {
        let said = eventually("it is throttled", || {
            Some(of_process(&plant.pid())).filter(|said| said.cause() != "none")
        });
        said.check("overload", "cpu_throttled_percent", &[group.to_str().unwrap()]);
    }
    fs::remove_dir(&group).unwrap();
}

/// A FUSE mount whose daemon never answers; it goes when it is dropped.
struct DeadMount(PathBuf);

impl DeadMount {
    fn new(at: &Path) -> Option<Self> {
        let Ok(device) = fs::File::options().read(true).write(true).open("/dev/fuse") else {
            println!("SKIPPED: this kernel has no FUSE");
            return None;
        };
        rustix::io::fcntl_setfd(&device, rustix::io::FdFlags::empty()).unwrap();
        let options =
            format!("fd={},rootmode=40000,user_id=0,group_id=0", std::os::fd::AsRawFd::as_raw_fd(&device));
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-i", "-t", "fuse", "-o", &options, "dead"]).arg(at).status().unwrap();
        // As long as the device is open somebody might answer.
        std::mem::forget(device);
        assert!(mounted.success());
        Some(Self(at.to_owned()))
    }
}

impl Drop for DeadMount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_mount_that_does_not_answer() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("share");
    fs::create_dir(&at).unwrap();
    let notes = at.join("notes");
    let Some(plant) = Plant::new(&["user", "0", notes.to_str().unwrap()]) else { return };
    assert_eq!(of_process(&plant.pid()).cause(), "none");
    let Some(_dead) = DeadMount::new(&at) else { return };
    let said = of_process(&plant.pid());
    said.check("blocked_in_kernel", "mount_silent", &["fuse", "dead"]);
    assert_eq!(said.finding("mount_silent").unwrap()["subject"], at.to_str().unwrap());
}

#[test]
fn a_process_that_somebody_has_stopped() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let pid = site.status("notes").pid.unwrap();
    processes::signal(pid, Signal::STOP);
    let said =
        eventually("it is stopped", || Some(of_server(&site, "notes")).filter(|said| said.cause() != "none"));
    processes::signal(pid, Signal::CONT);
    said.check("frozen", "process_state", &["stopped", &pid.to_string(), "SIGCONT"]);
}

#[test]
fn a_port_that_somebody_else_has() {
    let site = Site::new(&[Server::notes("notes")]);
    let port = site.port("notes").to_string();
    let Some(plant) = Plant::new(&["answer", &port, "404", "-", "-"]) else { return };
    let said = of_server(&site, "notes");
    said.check("port_taken", "port_owner", &[&format!("{} python3", plant.pid()), &plant.pid()]);
}

#[test]
fn a_file_that_the_user_of_the_server_may_not_read() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let allow = |mode| fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o755);
    let Some(plant) = Plant::new(&["user", "65534", data.to_str().unwrap()]) else { return };
    assert_eq!(of_process(&plant.pid()).cause(), "none");
    allow(0o700);
    let said = of_process(&plant.pid());
    said.check("permission_missing", "file_permission", &["read", "the user 65534", data.to_str().unwrap()]);
}

/// Restarting does not help, and is not tried for ever.
#[test]
fn an_installation_that_is_broken() {
    let server = Server::new("broken", &["python3", "-c", "import no_such_module_at_all"]);
    let mut site = Site::new(&[server.with("start_timeout = \"20s\"")]);
    site.serve();
    let story = site.incident("broken", "given to a person", |story| story.person_needed().is_some());
    let named = story.timeline().iter().rev().find_map(|happened| match &happened.record {
        Record::CauseNamed { cause, .. } => cause.clone(),
        _ => None,
    });
    assert_eq!(named.as_deref(), Some("broken_installation"), "{story}");
    assert!(story.restarts() <= 2, "{story}");
    let said = of_server(&site, "broken");
    said.check("broken_installation", "log_error", &["missing_module", "no_such_module_at_all"]);
}

/// Starts a server that needs `url`, and looks at it.
fn with_dependency(url: &str, certificates: bool) -> Said {
    let dependency = format!("[[server.dependency]]\nname = \"api\"\nhttp = \"{url}\"\n");
    let mut site = Site::new(&[Server::notes("notes").with(&dependency)]);
    if certificates {
        site.set("SSL_CERT_FILE", &tls("diagnosis-ca.pem"));
    }
    site.serve();
    site.until("notes", "running", |status| status.pid.is_some() && status.phase == "ready");
    of_server(&site, "notes")
}

fn tls(name: &str) -> String {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/product/tls").join(name);
    file.canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_certificate_that_is_over_and_one_for_another_name() {
    for (file, word) in [("expired.pem", "expired"), ("other-name.pem", "wrong_name")] {
        let port = free_port().to_string();
        let Some(_plant) = Plant::new(&["answer", &port, "200", "-", "-", &tls(file)]) else { return };
        let said = with_dependency(&format!("https://127.0.0.1:{port}/"), true);
        said.check("certificate_invalid", "certificate", &[word]);
    }
}

#[test]
fn who_asks_too_often_is_told_how_long_to_wait() {
    let port = free_port().to_string();
    let Some(_plant) = Plant::new(&["answer", &port, "429", "Retry-After", "17"]) else { return };
    let said = with_dependency(&format!("http://127.0.0.1:{port}/"), false);
    said.check("rate_limited", "retry_after_seconds", &["17"]);
}

/// `HEAD.BODY.SEAL`; the body of the first is `{"exp":1700000000}`, of November 2023.
#[test]
fn a_token_that_is_over_by_its_own_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let check = |body: &str, cause: &str| {
        fs::write(&file, format!("e30.{body}.c2VhbA")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let keys = format!(
            "environment = {{ API_TOKEN = {{ file = {file:?} }} }}\n\
             [[server.dependency]]\nname = \"key\"\nenv = \"API_TOKEN\"\n"
        );
        let mut site = Site::new(&[Server::notes("notes").with(&keys)]);
        site.serve_until_ready(&["notes"]);
        let said = of_server(&site, "notes");
        assert_eq!(said.cause(), cause, "{:#}", said.0);
        assert!(!said.0.to_string().contains(body), "{:#}", said.0);
        said
    };
    let said = check("eyJleHAiOjE3MDAwMDAwMDB9", "token_expired");
    said.check("token_expired", "token_seconds_left", &["over, by its own word"]);
    // `{"exp":99999999999}`
    check("eyJleHAiOjk5OTk5OTk5OTk5fQ", "none");
}

#[test]
fn clocks_that_are_apart() {
    let port = free_port().to_string();
    let Some(_plant) = Plant::new(&["answer", &port, "200", "-", "900"]) else { return };
    let said = with_dependency(&format!("http://127.0.0.1:{port}/"), false);
    said.check("clock_wrong", "clock_offset_seconds", &["its clock against"]);
    // A header says whole seconds, and the machine may be busy between two looks at the clock.
    let seconds = said.finding("clock_offset_seconds").unwrap()["value"].as_f64().unwrap();
    assert!((840.0..=901.0).contains(&seconds), "{seconds}");
    assert!(said.finding("first_byte_seconds").unwrap()["message"].as_str().unwrap().contains("connect"));
}

#[test]
fn a_dependency_that_is_not_there() {
    let said = with_dependency(&format!("http://127.0.0.1:{}/", free_port()), false);
    said.check("dependency_down", "dependency", &["refused"]);
}

/// Runs `script` in a mount namespace of its own, where `$MOUNT` is a folder to mount on and `diagnose` looks at its
/// process 0 as `$PID`; it prints what that says last.
fn in_own_mounts(script: &str) -> Option<Said> {
    if !is_root() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let mut command = Command::new("unshare");
    let look =
        format!("cd \"$MOUNT\" && sleep 60 & PID=$!\ncd / && {EXE} diagnose --pid $PID -o json; kill $PID");
    command.args(["--mount", "--propagation", "private", "bash", "-ec", &format!("{script}\n{look}")]);
    clean(&mut command, folder.path());
    command.env("MOUNT", &mount);
    let ran = run(command);
    if ran.stdout.is_empty() {
        println!("SKIPPED: no mounts of our own: {}", ran.stderr);
        return None;
    }
    Some(Said::of(&ran.stdout))
}

#[test]
fn a_disk_that_is_full() {
    let script =
        "mount -t tmpfs -o size=4M none \"$MOUNT\"; head -c 5M /dev/zero > \"$MOUNT/x\" 2> /dev/null || true";
    let Some(said) = in_own_mounts(script) else { return };
    said.check("disk_full", "disk_used_percent", &["100"]);
}

#[test]
fn inodes_that_are_all_used() {
    let script = "mount -t tmpfs -o nr_inodes=20 none \"$MOUNT\"; for i in $(seq 30); do : > \"$MOUNT/$i\"; done 2> /dev/null || true";
    let Some(said) = in_own_mounts(script) else { return };
    said.check("disk_full", "inodes_used_percent", &["100"]);
}

/// The kernel itself makes it read-only, because of an error that it was told of.
#[test]
fn a_file_system_that_became_read_only() {
    let script = "truncate -s 8M \"$HOME/image\"; mkfs.ext4 -q \"$HOME/image\"
        mount -o loop,errors=remount-ro \"$HOME/image\" \"$MOUNT\"
        DEVICE=$(findmnt -n -o SOURCE \"$MOUNT\")
        echo 1 > /sys/fs/ext4/${DEVICE#/dev/}/trigger_fs_error";
    let Some(said) = in_own_mounts(script) else { return };
    said.check("data_damaged", "read_only_mount", &["/dev/loop"]);
}

/// Writes through a loop device that takes a page in a second, and prints what `diagnose` says of who does.
const SLOW_DISK: &str = "truncate -s 32M \"$HOME/image\"; mkfs.ext4 -q \"$HOME/image\"; mount -o loop \"$HOME/image\" \"$MOUNT\"
    DEVICE=$(findmnt -n -o SOURCE \"$MOUNT\"); NUMBERS=$(cat /sys/class/block/${DEVICE#/dev/}/dev)
    GROUP=/sys/fs/cgroup/blkio/paramedic-test-$$; mkdir \"$GROUP\"
    trap 'echo \"$NUMBERS 0\" > \"$GROUP/blkio.throttle.write_bps_device\"; kill -9 $PID; wait $PID; umount \"$MOUNT\"; rmdir \"$GROUP\"' EXIT
    echo \"$NUMBERS 4096\" > \"$GROUP/blkio.throttle.write_bps_device\"
    (echo $BASHPID > \"$GROUP/cgroup.procs\"; exec dd if=/dev/zero of=\"$MOUNT/x\" bs=64k count=200 oflag=direct 2> /dev/null) & PID=$!
    until grep -q '^State:.D' /proc/$PID/status; do :; done
    \"$EXE\" diagnose --pid $PID -o json";

#[test]
fn a_disk_that_is_slow() {
    if !is_root() || !Path::new("/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device").exists() {
        println!("SKIPPED: this takes root, and control groups of version 1 that slow down a device");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-ec", SLOW_DISK]);
    clean(&mut command, folder.path());
    command.env("MOUNT", &mount).env("EXE", EXE);
    let ran = run(command);
    if ran.stdout.is_empty() {
        println!("SKIPPED: no loop device of our own: {}", ran.stderr);
        return;
    }
    Said::of(&ran.stdout).check("blocked_in_kernel", "blocked_tasks", &["1", "(dd)"]);
}

/// A control group of version 1 or 2 with this much memory; none where there can be none.
fn group(bytes: u64) -> Option<PathBuf> {
    let name = format!("paramedic-test-{}", std::process::id());
    let places = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
    for (root, limit) in places {
        let folder = Path::new(root).join(&name);
        if fs::create_dir(&folder).is_err() {
            continue;
        }
        if fs::write(folder.join(limit), bytes.to_string()).is_ok() {
            return Some(folder);
        }
        let _ = fs::remove_dir(&folder);
    }
    println!("SKIPPED: no control group of our own can have a limit of memory");
    None
}

#[test]
fn an_end_for_want_of_memory_in_a_control_group() {
    if !is_root() {
        return;
    }
    let Some(folder) = group(64 << 20) else { return };
    if let Some(plant) = Plant::new(&["eat", folder.to_str().unwrap()]) {
        let said = of_process(&plant.pid());
        if said.finding("oom_kill").is_none() && fs::File::open("/dev/kmsg").is_err() {
            println!("SKIPPED: the kernel's log may not be read");
        } else {
            said.check(
                "out_of_memory",
                "oom_kill",
                &["was ended", folder.file_name().unwrap().to_str().unwrap()],
            );
        }
    }
    fs::remove_dir(&folder).unwrap();
}

#[test]
fn a_limit_of_address_space_that_is_nearly_reached() {
    for (share, cause) in [("0.98", "memory_pressure"), ("0.5", "none")] {
        let Some(plant) = Plant::new(&["limited", share]) else { return };
        of_process(&plant.pid()).check(cause, "address_space_used_percent", &["process", "mapped"]);
    }
}

/// Its number is in the name of its control group, as whatever makes containers has it.
#[test]
fn a_container() {
    if !is_root() {
        return;
    }
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let roots = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let pid = std::process::id();
    let folders = roots.map(|root| {
        let outer = Path::new(root).join(format!("paramedic-test-container-{pid}"));
        (outer.clone(), outer.join(format!("docker-{ID}.scope")))
    });
    let Some((outer, inner)) = folders.iter().find(|(outer, inner)| {
        let is_group = outer.parent().unwrap().join("cgroup.procs").exists();
        is_group && fs::create_dir_all(inner).is_ok()
    }) else {
        println!("SKIPPED: there can be no control group of our own");
        return;
    };
    if let Some(plant) = Plant::new(&["group", inner.to_str().unwrap()]) {
        of_process(&plant.pid()).check("none", "container", &[ID, "docker"]);
    }
    fs::remove_dir(inner).unwrap();
    fs::remove_dir(outer).unwrap();
}

/// A PostgreSQL of this test; none where there is none on the machine, which is said.
pub(crate) struct Postgres {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) bin: PathBuf,
    pub(crate) port: u16,
}

// === impl Postgres ===

impl Postgres {
    /// With this many connections, more options, and lines that come first in `pg_hba.conf`.
    pub(crate) fn start(connections: u32, more: &str, rules: &str) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let bin = versions.map(|entry| entry.path().join("bin")).find(|bin| bin.join("initdb").exists());
        let Some(bin) = bin else {
            println!("SKIPPED: there is no PostgreSQL on this machine");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let own = Command::new("chown").args(["postgres"]).arg(folder.path()).status().unwrap();
        assert!(own.success());
        let postgres = Self { folder, bin, port: free_port() };
        postgres.run("initdb", &["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let own = postgres.folder.path().join("data/pg_hba.conf");
        fs::write(&own, format!("{rules}{}", fs::read_to_string(&own).unwrap())).unwrap();
        let options = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB -c max_wal_senders=0 \
             -c max_connections={connections} -c superuser_reserved_connections=0 {more}",
            postgres.port,
            postgres.folder.path().display()
        );
        postgres.run("pg_ctl", &["-w", "-s", "-l", "/dev/null", "-o", &options, "start"]);
        Some(postgres)
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(self.bin.join(program)).arg("-D");
        command.arg(self.folder.path().join("data")).args(args).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?}: {status}");
    }

    /// A session that does this.
    fn session(&self, sql: &str) -> Child {
        let port = self.port.to_string();
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-c", sql]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// What a question is answered with.
    fn answer(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let mut command = Command::new("psql");
        command.args(["-X", "-A", "-t", "-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-c", sql]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn stop(&self) {
        self.run("pg_ctl", &["-w", "-s", "-m", "immediate", "stop"]);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.stop();
        }
    }
}

#[test]
fn a_database_that_is_full_or_locked_or_stopped() {
    let Some(postgres) = Postgres::start(3, "", "") else { return };
    let dependency =
        format!("[[server.dependency]]\nname = \"db\"\npostgres = \"127.0.0.1:{}\"\n", postgres.port);
    let mut site = Site::new(&[Server::notes("notes").with(&dependency)]);
    site.serve_until_ready(&["notes"]);
    let becomes = |cause: &str| {
        eventually(cause, || Some(of_server(&site, "notes")).filter(|said| said.cause() == cause))
    };
    let end = |sessions: Vec<Child>| {
        for mut session in sessions {
            session.kill().unwrap();
            session.wait().unwrap();
        }
    };
    becomes("none");
    let slow = postgres.session("SELECT pg_sleep(600), 'data of ann'");
    let said = eventually("a query is slow", || {
        Some(of_server(&site, "notes")).filter(|said| {
            said.finding("query_seconds")
                .is_some_and(|found| found["value"].as_f64().is_some_and(|seconds| seconds >= 1.0))
        })
    });
    let query = said.finding("query_seconds").unwrap()["message"].to_string();
    assert!(query.contains("SELECT pg_sleep(?), ?") && !query.contains("ann"), "{query}");
    assert!(
        said.finding("cache_hit_percent").is_some() && said.finding("connections_used_percent").is_some()
    );
    end(vec![slow]);
    // `serve` asks as well, and gets none either.
    let sessions: Vec<Child> = (0..12).map(|_| postgres.session("SELECT pg_sleep(600)")).collect();
    becomes("database_full").check("database_full", "dependency", &["no_connections", "53300"]);
    end(sessions);
    postgres.stop();
    becomes("database_down").check("database_down", "dependency", &["refused"]);
    let options = format!(
        "-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off",
        postgres.port,
        postgres.folder.path().display()
    );
    postgres.run("pg_ctl", &["-w", "-s", "-l", "/dev/null", "-o", &options, "start"]);
    assert!(postgres.session("CREATE TABLE notes (id int)").wait().unwrap().success());
    let holder = postgres.session("BEGIN; LOCK TABLE notes; SELECT pg_sleep(600)");
    let held =
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'notes'::regclass";
    eventually("the lock is held", || (postgres.answer(held) == "1").then_some(()));
    let waiting = (0..2).map(|_| postgres.session("SELECT * FROM notes"));
    let sessions: Vec<Child> = std::iter::once(holder).chain(waiting).collect();
    becomes("database_locked").check(
        "database_locked",
        "dependency",
        &["locked", "wait for the one of backend"],
    );
    end(sessions);
}

/// Somebody may come in who proves to know a password, and who would have to tell it: the first is let in, and asked for no more
/// than a password that is proven; the second is not told it. Nobody sees it.
#[test]
fn a_database_that_wants_a_password() {
    const PASSWORD: &str = "hunter2, and more";
    let rules = "host all ann 127.0.0.1/32 scram-sha-256\nhost all bob 127.0.0.1/32 password\n";
    let Some(postgres) = Postgres::start(20, "-c shared_preload_libraries=pg_stat_statements", rules) else {
        return;
    };
    let setup = format!(
        "CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor; CREATE ROLE bob LOGIN PASSWORD '{PASSWORD}'; \
         CREATE EXTENSION pg_stat_statements; CREATE TABLE notes (id int)"
    );
    assert!(postgres.session(&setup).wait().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let keep = |password: &str| {
        fs::write(&file, password).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    keep(PASSWORD);
    let of = |user: &str| {
        format!(
            "[[server.dependency]]\nname = \"{user}\"\npostgres = \"{user}@127.0.0.1:{}/postgres\"\n\
             password = {{ file = {file:?} }}\n",
            postgres.port
        )
    };
    let mut site = Site::new(&[Server::notes("notes").with(&of("ann")).with(&of("bob"))]);
    site.serve_until_ready(&["notes"]);
    let said = || {
        let said = of_server(&site, "notes");
        assert!(!said.to_string().contains("hunter2"), "{said}");
        said
    };
    let about = |said: &Said, kind: &str, subject: &str| {
        let all = said.0["findings"].as_array().unwrap().iter();
        let mut these = all.filter(|one| one["kind"] == kind && one["subject"] == subject);
        let text = |one: &Value| format!("{} {}", one["value"], one["message"].as_str().unwrap_or_default());
        these.next().map(text).unwrap_or_default()
    };
    let first = said();
    assert_eq!(about(&first, "dependency", "ann"), "\"ok\" it takes connections");
    assert!(about(&first, "dependency", "bob").contains("wants to be told the password"), "{first}");
    assert!(about(&first, "statement_seconds", "ann").contains("ms each"), "{first}");
    assert!(about(&first, "connections_used_percent", "bob").is_empty(), "{first}");

    // The holder is named, with what it has been doing, and no data.
    let holder = postgres.session("BEGIN; LOCK TABLE notes; SELECT pg_sleep(600), 'data of ann'");
    let held = "SELECT pid FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'notes'::regclass";
    let backend =
        eventually("the lock is held", || Some(postgres.answer(held)).filter(|pid| !pid.is_empty()));
    let waiting = postgres.session("SELECT * FROM notes WHERE id = 42");
    let locked =
        eventually("somebody waits", || Some(said()).filter(|said| said.cause() == "database_locked"));
    assert!(
        about(&locked, "dependency", "ann").contains(&format!("the one of backend {backend}")),
        "{locked}"
    );
    assert!(about(&locked, "query_seconds", "ann").contains("SELECT pg_sleep(?), ?"), "{locked}");
    assert!(!locked.to_string().contains("data of ann"), "{locked}");
    for mut session in [holder, waiting] {
        session.kill().unwrap();
        session.wait().unwrap();
    }

    keep("another one");
    let wrong = said();
    assert!(
        about(&wrong, "dependency", "ann").contains("and not ours: password authentication failed"),
        "{wrong}"
    );
    fs::remove_file(&file).unwrap();
    let unknown = said();
    assert!(about(&unknown, "dependency", "ann").contains("its password is not known"), "{unknown}");
    assert!(!site.serve_log().contains("hunter2"));
    assert!(!site.run(&["config", "show"]).stdout.contains("hunter2"));
}

/// The words of libpq mean what they mean there: who is trusted, and for which name, and that nothing is told in the open.
#[test]
fn a_database_that_is_asked_over_tls() {
    const PASSWORD: &str = "hunter2, and more";
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let give = |name: &str, from: &[&str]| {
        let text: String = from.iter().map(|one| fs::read_to_string(tls(one)).unwrap()).collect();
        fs::write(file(name), text).unwrap();
        fs::set_permissions(file(name), fs::Permissions::from_mode(0o600)).unwrap();
        let _ = Command::new("chown").arg("postgres").arg(file(name)).stderr(Stdio::null()).status();
    };
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    give("cert.pem", &["server.pem", "server.key"]);
    give("roots.pem", &["ca.pem", "diagnosis-ca.pem"]);
    fs::write(file("password"), PASSWORD).unwrap();
    fs::set_permissions(file("password"), fs::Permissions::from_mode(0o600)).unwrap();
    let rules = "hostssl all ann 127.0.0.1/32 scram-sha-256\nhostssl all postgres 127.0.0.1/32 trust\n\
        hostnossl all all 127.0.0.1/32 reject\n";
    let (cert, roots) = (file("cert.pem"), file("roots.pem"));
    let (cert, roots) = (cert.to_str().unwrap(), roots.to_str().unwrap());
    let options = format!("-c ssl=on -c ssl_cert_file={cert} -c ssl_key_file={cert}");
    let Some(postgres) = Postgres::start(20, &options, rules) else { return };
    let setup = format!("CREATE ROLE ann LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor");
    assert!(postgres.session(&setup).wait().unwrap().success());
    let of = |name: &str, is_critical: bool, parameters: &str| {
        format!(
            "[[server.dependency]]\nname = \"{name}\"\ncritical = {is_critical}\n\
             postgres = \"postgres://ann@127.0.0.1:{}/postgres{parameters}\"\npassword = {{ file = {:?} }}\n",
            postgres.port,
            file("password")
        )
    };
    let notes = Server::notes("notes")
        .with(&of("full", true, &format!("?sslmode=verify-full&sslrootcert={roots}")))
        .with(&of("signed", false, &format!("?sslmode=verify-ca&sslrootcert={roots}")))
        .with(&of("machine", false, "?sslmode=verify-full"))
        .with(&of("private", false, "?sslmode=require"))
        .with(&of("usual", false, ""))
        .with(&of("open", false, "?sslmode=disable"));
    let mut site = Site::new(&[notes]);
    site.serve_until_ready(&["notes"]);
    let about = |said: &Said, kind: &str, subject: &str| {
        let all = said.0["findings"].as_array().unwrap().iter();
        let mut these = all.filter(|one| one["kind"] == kind && one["subject"] == subject);
        let text = |one: &Value| format!("{} {}", one["value"], one["message"].as_str().unwrap_or_default());
        these.next().map(text).unwrap_or_default()
    };
    let said = of_server(&site, "notes");
    for name in ["full", "signed", "private", "usual"] {
        assert_eq!(about(&said, "dependency", name), "\"ok\" it takes connections", "{said}");
        assert!(!about(&said, "connections_used_percent", name).is_empty(), "{name}: {said}");
    }
    assert!(about(&said, "certificate", "full").contains("\"ok\""), "{said}");
    assert!(about(&said, "certificate", "private").is_empty(), "nobody looked: {said}");
    assert!(about(&said, "certificate", "machine").contains("unknown_issuer"), "{said}");
    assert!(about(&said, "dependency", "open").contains("not ours"), "{said}");
    assert_eq!(said.cause(), "none", "{said}");

    for (given, fault, signed) in
        [("expired.pem", "expired", "\"certificate\""), ("other-name.pem", "wrong_name", "\"ok\"")]
    {
        give("cert.pem", &[given]);
        postgres.run("pg_ctl", &["-s", "reload"]);
        let said = eventually(fault, || {
            Some(of_server(&site, "notes")).filter(|said| about(said, "certificate", "full").contains(fault))
        });
        said.check("certificate_invalid", "certificate", &[fault]);
        assert!(about(&said, "dependency", "signed").contains(signed), "{said}");
        assert_eq!(about(&said, "dependency", "private"), "\"ok\" it takes connections", "{said}");
        assert!(!said.to_string().contains("hunter2"), "{said}");
    }
}

/// In a network of its own, whose name service is silent when it is asked for addresses of IPv6.
const HALF_NAMES: &str = "ip link set lo up; ip route add default dev lo
    echo 'nameserver 127.0.0.1' > \"$HOME/resolv.conf\"; mount --bind \"$HOME/resolv.conf\" /etc/resolv.conf
    exec 8> >(exec python3 -c \"$PLANTS\" names 127.0.0.1 > \"$HOME/names\")
    exec 7> >(exec python3 -c \"$PLANTS\" answer 8099 200 - - > \"$HOME/answer\")
    until grep -q ready \"$HOME/names\" && grep -q ready \"$HOME/answer\"; do :; done 2> /dev/null
    \"$EXE\" diagnose notes --config \"$HOME/paramedic.toml\" -o json";

#[test]
fn a_name_service_that_is_silent_for_one_family() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = "data_dir = \"data\"\n[[server]]\nname = \"notes\"\nport = 8098\nstdio = [\"notes\"]\n\
        [[server.dependency]]\nname = \"api\"\nhttp = \"http://api.example.org:8099/\"\n";
    fs::write(folder.path().join("paramedic.toml"), config).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private", "bash", "-ec", HALF_NAMES]);
    clean(&mut command, folder.path());
    command.env("EXE", EXE).env("PLANTS", PLANTS);
    let ran = run(command);
    if ran.stdout.is_empty() {
        println!("SKIPPED: no network of our own: {}", ran.stderr);
        return;
    }
    Said::of(&ran.stdout).check("name_service", "name_family", &["ipv6"]);
}

#[test]
fn a_healthy_server_has_no_cause() {
    let port = free_port().to_string();
    let Some(_plant) = Plant::new(&["answer", &port, "200", "-", "-"]) else { return };
    let dependency = format!("[[server.dependency]]\nname = \"api\"\nhttp = \"http://127.0.0.1:{port}/\"\n");
    let mut site = Site::new(&[Server::notes("notes").with(&dependency), Server::notes("other")]);
    site.serve_until_ready(&["notes", "other"]);
    let times = if std::env::var_os("PARAMEDIC_TEST_ALL").is_some() { 100 } else { 10 };
    for nth in 0..times {
        // Half of the time there is something to do.
        let load: Vec<Child> = (0..if nth % 2 == 0 { 0 } else { 4 })
            .map(|_| Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
            .collect();
        let said = of_server(&site, "notes");
        for mut child in load {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(said.cause(), "none", "run {nth}: {:#}", said.0);
        let all = said.0["findings"].as_array().unwrap();
        // That the server can not do without it is not bad news of a dependency that is there.
        let is_bad = |one: &Value| one["severity"] == "critical" && one["value"] != "ok";
        assert!(!all.iter().any(is_bad), "run {nth}: {:#}", said.0);
    }
    let all: Vec<Value> = serde_json::from_str(&site.run(&["diagnose", "-o", "json"]).done()).unwrap();
    let names: Vec<&str> = all.iter().map(|one| one["server"].as_str().unwrap()).collect();
    assert_eq!(names, ["notes", "other"]);
}

#[test]
fn what_a_step_finds_is_written_where_it_is_wanted() {
    let Some(plant) = Plant::new(&["zombies", "4"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(EXE);
    command.args(["diagnose", "--pid", &plant.pid()]);
    clean(&mut command, folder.path());
    let file = folder.path().join("findings");
    command.env("PARAMEDIC_FINDINGS", &file);
    let shown = run(command).done();
    assert!(shown.contains("the cause is unreaped_children") && shown.contains("looked for"), "{shown}");
    let (findings, problems) = diagnosis::read(&fs::read_to_string(file).unwrap());
    assert!(problems.is_empty() && findings.iter().any(|finding| finding.kind() == "zombie_children"));
}

#[test]
fn who_is_not_there_cannot_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let check = |args: &[&str], code, words: &str| {
        let mut command = Command::new(EXE);
        command.args(args);
        clean(&mut command, folder.path());
        run(command).failed(code, &[words]);
    };
    check(&["diagnose", "nobody"], 2, "no server `nobody`");
    check(&["diagnose", "--pid", "4194305"], 2, "no process 4194305");
    check(&["diagnose", "--pid", "1", "--unit", "x"], 2, "cannot be used with");
}

/// Five MiB a minute, in a grandchild: the whole is seen to grow, and the right one is named.
#[test]
fn a_leak_of_a_grandchild() {
    if std::env::var_os("PARAMEDIC_TEST_ALL").is_none() {
        println!("SKIPPED: this takes most of a minute; `./test --all` has the time");
        return;
    }
    // 64 KiB every 0.75 s.
    let Some(plant) = Plant::new(&["memory", "65536", "0.75", "2"]) else { return };
    let args =
        ["diagnose", "--pid", &plant.pid(), "--watch", "--interval", "1s", "--for", "45s", "-o", "json"];
    let shown = alone(&args);
    // The samples are a line each, and the diagnosis comes last.
    let from = shown.find("\n[\n").unwrap();
    Said::of(&shown[from..]).check("memory_leak", "rss_growth_bytes_per_hour", &["MiB a minute", "python3"]);
}
