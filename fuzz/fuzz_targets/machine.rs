//! Owns throwing any bytes at the readers of a machine: whatever `/proc`, `/sys`, `/etc` and an executable hold, a look at all of
//! it ends, and what it finds can be written down and ranked.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use host::{Roots, Subject, examine};
use libfuzzer_sys::fuzz_target;

/// Files of a small machine with one process; what is not thrown at stays as it is here.
const FILES: [(&str, &str); 25] = [
    ("proc/uptime", "1000.00 1.00\n"),
    ("proc/loadavg", "0.1 0.2 0.3 1/200 99\n"),
    ("proc/stat", "cpu 1 2 3 4\nbtime 1700000000\n"),
    ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n"),
    ("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"),
    ("proc/diskstats", "254 0 vda 1 2 3 4 5 6 7 8 9 10 11\n"),
    ("proc/net/dev", "a\nb\nlo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
    ("proc/net/route", "Iface\tDestination\neth0\t00000000\n"),
    ("proc/self/mountinfo", "1 0 0:1 / / rw - proc proc rw\n"),
    ("proc/10/stat", "10 (node) S 1 0 0 0 0 0 0 0 0 0 3 2 0 0 20 0 1 0 1000 0 0\n"),
    ("proc/10/status", "Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nvoluntary_ctxt_switches:\t1\n"),
    ("proc/10/cmdline", "node\0/srv/index.js\0"),
    ("proc/10/environ", "A=1\0NODE_OPTIONS=--max-old-space-size=1\0"),
    ("proc/10/cgroup", "0::/system.slice/x.service\n"),
    ("proc/10/limits", "Limit\nMax open files            10                   20                   files\n"),
    ("proc/10/smaps_rollup", "Rss: 1 kB\n"),
    ("proc/10/maps", "7f01-7f02 r-xp 0 08:01 5 /exe\n"),
    ("proc/10/exe", "\u{7f}ELF"),
    ("proc/10/task/10/stat", "10 (node) R 1 0 0 0 0 0 0 0 0 0 3 2 0 0 20 0 1 0 1000 0 0\n"),
    ("proc/10/task/10/syscall", "1 0x2 0x7f 0x1 0x0 0x0 0x0 0x7f 0x7f\n"),
    ("proc/10/task/10/schedstat", "1 2 3\n"),
    ("proc/10/net/tcp", "sl\n0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 7 1\n"),
    ("proc/10/net/unix", "Num\n0: 2 0 10000 1 1 8 /x\n"),
    ("etc/fstab", "/dev/a / ext4\n"),
    ("dev/kmsg", "6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,task=node,pid=10,uid=0\n"),
];

/// The machine, and which of its files are not as they are in the list: only those are written again.
static MACHINE: LazyLock<Mutex<(tempfile::TempDir, Vec<usize>)>> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(place).expect("a folder of our own");
    for (name, _) in FILES {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder can be made");
    }
    Mutex::new((folder, (0..FILES.len()).collect()))
});

fuzz_target!(|input: Vec<(u8, Vec<u8>)>| {
    let mut machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, changed) = &mut *machine;
    let root = folder.path();
    for number in changed.drain(..) {
        let (name, text) = FILES[number];
        fs::write(root.join(name), text).expect("the file can be written");
    }
    for (which, bytes) in &input {
        let number = usize::from(*which) % FILES.len();
        fs::write(root.join(FILES[number].0), bytes).expect("the file can be written");
        changed.push(number);
    }
    let subject = Subject { pid: Some(10), ..Subject::named("notes") };
    let (snapshot, findings) = examine(&Roots::below(root), &subject, 1_700_000_000_000, |_| {});
    serde_json::to_vec(&snapshot).expect("a snapshot can be written down");
    diagnosis::rank(&findings);
});
