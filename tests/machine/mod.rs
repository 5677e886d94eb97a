//! Owns a machine for tests in which systemd is process 1: booted in a container within a second, over an overlay of
//! this machine's root, without a network, and gone without a trace with the test.
//!
//! It is a file for `#[path]`, and no crate: the tests of `systemd` on the first floor need it, and those of the whole
//! product on the last one. What includes it has to allow `unwrap`, as every test does.

mod poll;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use poll::within;

/// Only reached where something is wrong: it takes a second.
const BOOT_MAX: Duration = Duration::from_secs(60);

/// How the names of machines, and of their control groups, begin. The pid of the test follows.
const PREFIX: &str = "paramedic-machine-";

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// So many run at once in one test binary: each takes some of the kernel's watches, of which a user has 128.
const MACHINES_MAX: usize = 4;

/// How many run.
static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// A machine that runs.
pub(crate) struct Machine {
    name: String,
    /// Has everything of the machine in a namespace of its own: with it goes all of it.
    keeper: Child,
    /// Its process 1, as this machine sees it.
    leader: i32,
    _place: Place,
}

/// One of the places for machines.
struct Place;

// === impl Place ===

impl Place {
    /// Waits for one.
    fn take() -> Self {
        let (count, left) = &RUNNING;
        let count = count.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count =
            left.wait_while(count, |count| *count >= MACHINES_MAX).unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *RUNNING.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        RUNNING.1.notify_one();
    }
}

// === impl Machine ===

impl Machine {
    /// Boots one. Where that cannot be it says why, and there is none.
    ///
    /// It ends with the thread that calls this, whatever happens to the test.
    pub(crate) fn boot() -> Option<Self> {
        match Self::try_boot() {
            Ok(machine) => Some(machine),
            Err(reason) => {
                println!("SKIPPED: no systemd can be booted here: {reason}");
                None
            }
        }
    }

    fn try_boot() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let nspawn = nspawn()?;
        let place = Place::take();
        sweep();
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut console = tempfile::tempfile().map_err(|error| error.to_string())?;
        let output = || console.try_clone().map(Stdio::from).map_err(|error| error.to_string());
        // If this thread ends, however it does, the kernel kills the keeper, which kills process 1 of its namespace, and
        // with that the kernel kills everything in it.
        let keeper = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"])
            .args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c"])
            .args([include_str!("boot.sh"), "boot.sh", &name])
            .arg(nspawn)
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .spawn()
            .map_err(|error| format!("cannot run setpriv: {error}"))?;
        let mut machine = Self { name, keeper, leader: 0, _place: place };
        let booted = within(BOOT_MAX, || {
            if !matches!(machine.keeper.try_wait(), Ok(None)) {
                return Some(Err(said(&mut console)));
            }
            machine.leader = leader_of(machine.keeper.id())?;
            let state = machine.try_run(&["systemctl", "is-system-running"]).ok()?;
            matches!(String::from_utf8_lossy(&state.stdout).trim(), "running" | "degraded").then_some(Ok(()))
        });
        match booted {
            Some(result) => result?,
            None => {
                panic!("a systemd that was started did not boot within {BOOT_MAX:?}:\n{}", said(&mut console))
            }
        }
        machine.settle();
        Ok(machine)
    }

    /// With control groups of version 1 systemd finds them read-only, and would enforce no limit of memory.
    fn settle(&self) {
        let script = "for group in memory pids cpu; do \
             [ ! -d /sys/fs/cgroup/$group ] || mount -o remount,bind,rw /sys/fs/cgroup/$group; done; \
             systemctl daemon-reexec && systemctl start dbus.service";
        self.run(&["sh", "-c", script]);
    }

    /// A file of the machine, as this one sees it.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader)).join(inside.trim_start_matches('/'))
    }

    /// Writes a file of the machine; its folders are made. A script (`#!`) can be run.
    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes units, and has systemd read them.
    pub(crate) fn install(&self, units: &[(&str, &str)]) {
        for (name, text) in units {
            self.write(&format!("/etc/systemd/system/{name}"), text);
        }
        self.run(&["systemctl", "daemon-reload"]);
    }

    /// What stands before a command so that it runs in the machine, as its root.
    pub(crate) fn entry(&self) -> Vec<String> {
        let leader = self.leader.to_string();
        let words =
            ["nsenter", "--target", &leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"];
        words.map(str::to_owned).to_vec()
    }

    /// A command in the machine, as its root.
    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let entry = self.entry();
        let mut command = Command::new(&entry[0]);
        command.args(&entry[1..]).args(argv);
        command.stdin(Stdio::null()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// Runs a command in the machine, whatever comes of it.
    pub(crate) fn try_run(&self, argv: &[&str]) -> std::io::Result<Output> {
        self.command(argv).output()
    }

    /// Runs a command in the machine that has to succeed; gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, argv: &[&str]) -> String {
        let output = self.try_run(argv).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{argv:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The plug is pulled: a unit that does not stop must not hold up a test.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = within(Duration::from_secs(5), || remove_groups(&self.name));
    }
}

/// Process 1 of the container: below the keeper is what boots it, and below that what has become systemd.
fn leader_of(keeper: u32) -> Option<i32> {
    let nspawn = children(keeper)?.into_iter().next()?;
    let is_systemd =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "systemd\n");
    children(nspawn)?.into_iter().find(is_systemd)?.try_into().ok()
}

fn children(pid: u32) -> Option<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Some(text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// What was printed so far.
fn said(console: &mut File) -> String {
    let mut text = Vec::new();
    let _ = console.rewind();
    let _ = console.read_to_end(&mut text);
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// The program that boots containers: of the packages that `./test` has unpacked, or of this machine.
fn nspawn() -> Result<PathBuf, String> {
    // The real user is meant: only root may mount and make namespaces.
    let me = fs::metadata("/proc/self").map_err(|error| error.to_string())?;
    if std::os::unix::fs::MetadataExt::uid(&me) != 0 {
        return Err("that takes root".to_owned());
    }
    for needed in ["/lib/systemd/systemd", "/usr/bin/dbus-daemon"] {
        if !Path::new(needed).exists() {
            return Err(format!("there is no {needed}"));
        }
    }
    let unpacked = std::env::var_os("PARAMEDIC_TEST_DEBIAN").filter(|folder| !folder.is_empty());
    let unpacked = unpacked.map(|folder| PathBuf::from(folder).join("usr/bin/systemd-nspawn"));
    let places = unpacked.into_iter().chain([PathBuf::from("/usr/bin/systemd-nspawn")]);
    places.into_iter().find(|path| path.exists()).ok_or_else(|| {
        "there is no systemd-nspawn; `./test` unpacks it, and PARAMEDIC_TEST_DEBIAN names the folder"
            .to_owned()
    })
}

/// Removes the groups of machines whose test was killed: everything else of those has gone by itself.
fn sweep() {
    for hierarchy in hierarchies() {
        for name in names_in(&hierarchy) {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            let test = rest.split('-').next().unwrap_or_default();
            if !Path::new("/proc").join(test).exists() {
                let _ = remove_tree(&hierarchy.join(&name));
            }
        }
    }
}

/// Removes the groups of a machine; none where a process is still in one.
fn remove_groups(name: &str) -> Option<()> {
    let mut folders = hierarchies().into_iter().map(|hierarchy| hierarchy.join(name));
    folders.all(|folder| !folder.exists() || remove_tree(&folder).is_ok()).then_some(())
}

fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(CGROUPS);
    let below = names_in(&root).into_iter().map(|name| root.join(name));
    let all = below.chain([root.clone()]);
    all.filter(|folder| folder.join("cgroup.procs").exists()).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The files in a group cannot be removed and need not be.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    for name in names_in(folder) {
        remove_tree(&folder.join(name))?;
    }
    fs::remove_dir(folder)
}
