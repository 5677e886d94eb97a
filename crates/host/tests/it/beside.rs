//! Tests that each reader says what the command says in whose place it stands, where that command exists here.
//!
//! `docs/diagnosis.md` has the table of them; the last test holds that to the commands that are compared.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use host::{Roots, Sample, Snapshot, snapshot};

/// A quiet process that is looked at: `cat`, which waits for what never comes.
struct Quiet(Child);

// === impl Quiet ===

impl Quiet {
    fn new() -> Self {
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let quiet = Self(child);
        // Until it has begun to wait it is still what we are.
        while fs::read_to_string(format!("/proc/{}/comm", quiet.pid())).unwrap() != "cat\n"
            || host::process_state(&Roots::default(), quiet.pid()) != Some(host::State::Sleeping)
        {
            std::thread::yield_now();
        }
        quiet
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    fn look(&self) -> Snapshot {
        snapshot(&Roots::default(), Some(self.pid()), 0)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command prints; none where it is not here, which is said.
fn ask(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).env("LC_ALL", "C").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            println!("SKIPPED: `{program}` does not work here: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Err(error) => {
            println!("SKIPPED: there is no `{program}` here: {error}");
            None
        }
    }
}

/// Two numbers that are read one after the other on a machine that goes on.
#[track_caller]
fn near(ours: f64, theirs: f64, tolerance: f64) {
    let allowed = tolerance * theirs.abs().max(1.0);
    assert!((ours - theirs).abs() <= allowed, "ours is {ours}, theirs {theirs}");
}

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn ps() {
    let quiet = Quiet::new();
    let taken = quiet.look();
    let ours = taken.processes.iter().find(|process| process.id.pid == quiet.pid()).unwrap();
    let pid = quiet.pid().to_string();
    let Some(theirs) = ask("ps", &["-o", "ppid=,rss=,nlwp=", "-p", &pid]) else { return };
    let theirs = numbers(&theirs);
    assert_eq!(ours.parent.map(f64::from), Some(theirs[0]));
    // The kernel counts for each processor, and adds up now and then: either may be some hundred KiB behind.
    assert!((ours.rss_bytes.unwrap() as f64 / 1024.0 - theirs[1]).abs() <= 1024.0, "{ours:?} {theirs:?}");
    assert_eq!(ours.threads.map(|threads| threads as f64), Some(theirs[2]));
    let count = ask("ps", &["-e", "-o", "pid="]).unwrap().lines().count();
    near(taken.process_count.unwrap() as f64, count as f64, 0.5);
}

#[test]
fn free() {
    let Some(theirs) = ask("free", &["-b"]) else { return };
    let theirs = numbers(theirs.lines().find(|line| line.starts_with("Mem:")).unwrap());
    let ours = Quiet::new().look().memory.unwrap();
    assert_eq!(ours.total_bytes.map(|bytes| bytes as f64), theirs.first().copied());
    near(ours.available_bytes.unwrap() as f64, *theirs.last().unwrap(), 0.2);
}

#[test]
fn df() {
    let Some(theirs) = ask("df", &["-P", "-B1", "/"]) else { return };
    let theirs: Vec<&str> = theirs.lines().nth(1).unwrap().split_whitespace().collect();
    let mounts = Quiet::new().look().mounts.unwrap();
    let ours = mounts.iter().rev().find(|mount| mount.path == "/").unwrap().space.unwrap();
    near(ours.total_bytes as f64, theirs[1].parse().unwrap(), 0.001);
    // It rounds up.
    let percent: f64 = theirs[4].trim_end_matches('%').parse().unwrap();
    assert!((percent - ours.used_percent().unwrap().ceil()).abs() <= 1.0, "{ours:?} {percent}");
    let inodes = ask("df", &["-P", "-i", "/"]).unwrap();
    let inodes = numbers(inodes.lines().nth(1).unwrap());
    near(ours.inodes as f64, inodes[0], 0.001);
}

#[test]
fn uptime() {
    let Some(theirs) = ask("uptime", &[]) else { return };
    let theirs = theirs.rsplit("load average: ").next().unwrap().replace(',', " ");
    let load = Quiet::new().look().load.unwrap();
    near(load.minutes_15.unwrap(), *numbers(&theirs).last().unwrap(), 0.5);
}

#[test]
fn mount() {
    let Some(theirs) = ask("mount", &[]) else { return };
    let ours = Quiet::new().look().mounts.unwrap();
    near(ours.len() as f64, theirs.lines().count() as f64, 0.2);
    let root = theirs.lines().rev().find(|line| line.contains(" on / type ")).unwrap();
    assert!(ours.iter().any(|mount| mount.path == "/" && root.starts_with(&mount.source)), "{root}");
}

/// `ss` and `netstat` print the same in other columns.
fn listener(program: &str, args: &[&str]) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let ours = host::listeners(&Roots::default());
    let own = ours.iter().find(|one| one.address.to_string() == address).unwrap();
    assert_eq!(own.process.as_ref().unwrap().id.pid.unsigned_abs(), std::process::id());
    let Some(theirs) = ask(program, args) else { return };
    let line = theirs.lines().find(|line| line.contains(&format!("{address} "))).unwrap();
    assert!(line.contains(&std::process::id().to_string()), "{line}");
}

#[test]
fn ss() {
    listener("ss", &["-tlnp"]);
}

#[test]
fn netstat() {
    listener("netstat", &["-tlnp"]);
}

#[test]
fn lsof() {
    let quiet = Quiet::new();
    let ours = quiet.look().target.unwrap().tree.remove(0).descriptors.unwrap();
    let Some(theirs) = ask("lsof", &["-nP", "-p", &quiet.pid().to_string(), "-F", "f"]) else { return };
    let count = theirs
        .lines()
        .filter(|line| line.strip_prefix('f').is_some_and(|fd| fd.parse::<u32>().is_ok()))
        .count();
    assert_eq!(ours.count, count);
}

#[test]
fn pmap_and_smaps() {
    let quiet = Quiet::new();
    let ours = quiet.look().target.unwrap().tree.remove(0).footprint.unwrap();
    let smaps = fs::read_to_string(format!("/proc/{}/smaps", quiet.pid())).unwrap();
    let sum: f64 =
        smaps.lines().filter_map(|line| numbers(line.strip_prefix("Rss:")?).first().copied()).sum();
    near(ours.rss_bytes.unwrap() as f64 / 1024.0, sum, 0.02);
    let Some(theirs) = ask("pmap", &["-x", &quiet.pid().to_string()]) else { return };
    let total = numbers(theirs.lines().last().unwrap());
    near(ours.rss_bytes.unwrap() as f64 / 1024.0, total[1], 0.02);
}

#[test]
fn dmesg() {
    let ours = Quiet::new().look().kernel_log;
    let Some(theirs) = ask("dmesg", &[]) else { return };
    let ends = |text: &str| text.lines().filter(|line| line.contains("oom-kill:constraint=")).count();
    let of_ours = |event: &&host::KernelEvent| matches!(event.what, host::KernelNote::OutOfMemory { .. });
    let count = ours.expect("dmesg may read it").iter().filter(of_ours).count();
    // Tests that run beside this one may let the kernel write more.
    near(count as f64, ends(&theirs).min(200) as f64, 0.2);
}

#[test]
fn top() {
    let Some(theirs) = ask("top", &["-b", "-n", "1"]) else { return };
    let tasks = theirs.lines().find(|line| line.starts_with("Tasks:")).unwrap().replace(',', " ");
    near(Quiet::new().look().process_count.unwrap() as f64, numbers(&tasks)[0], 0.5);
}

/// The counters of `iostat` and `sar` are those of the kernel; two looks at them are one rate.
#[test]
fn iostat_and_sar() {
    let before = Sample::take(&Roots::default());
    let rates = Sample::take(&Roots::default()).since(&before, std::time::Duration::from_millis(1));
    assert!(rates.links.contains_key("lo"), "{rates:?}");
    // What went over the loopback, and what a processor computed, is in the rates of that time.
    let begin = std::time::Instant::now();
    let before = Sample::take(&Roots::default());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut to = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut from, _) = listener.accept().unwrap();
    let mut sent = 0_u64;
    while begin.elapsed() < std::time::Duration::from_millis(300) {
        let mut bytes = [7; 65_536];
        to.write_all(&bytes).unwrap();
        from.read_exact(&mut bytes).unwrap();
        sent += bytes.len() as u64;
    }
    let elapsed = begin.elapsed();
    let rates = Sample::take(&Roots::default()).since(&before, elapsed);
    let seconds = elapsed.as_secs_f64();
    let received = rates.links["lo"].received_bytes * seconds;
    assert!(received >= sent as f64 && rates.cpu_busy_percent.unwrap() > 5.0, "{sent} bytes: {rates:?}");
    if let Some(theirs) = ask("iostat", &["-d"]) {
        let devices = theirs.lines().skip(3).filter_map(|line| line.split_whitespace().next());
        devices.for_each(|device| assert!(rates.disks.contains_key(device), "{device}"));
    }
    if let Some(theirs) = ask("sar", &["-n", "DEV", "1", "1"]) {
        assert!(theirs.contains(" lo "), "{theirs}");
    }
}

/// The table names every command of the original runbook that reads the machine.
#[test]
fn the_table_names_them_all() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnosis.md");
    let text = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for command in [
        "ps",
        "top",
        "free",
        "df",
        "uptime",
        "netstat",
        "ss",
        "lsof",
        "iostat",
        "sar",
        "pmap",
        "smaps",
        "dmesg",
        "mount",
        "meminfo",
        "systemctl status",
    ] {
        let named =
            |row: &&str| row.split([' ', '/', ',']).any(|word| word == command.split(' ').next().unwrap());
        assert!(rows.iter().any(named), "`{command}` has no row: {rows:?}");
    }
}
