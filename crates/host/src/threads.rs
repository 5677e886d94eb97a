//! Owns where the threads of a server are in the kernel: in which function they wait, in which system call and on what, and who
//! waits until somebody reads what it has written.
//!
//! `wchan` and `syscall` are for the same user and root, `stack` for root alone; what may not be read is absent. Nothing
//! stops for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ::process::ProcessId;
use serde::Serialize;

use crate::processes::{Stat, State};
use crate::roots::{FILE_BYTES_MAX, Roots, read, read_line, read_link};
use crate::tasks::{kernel_stack, switches};
use crate::text::{hex, lines, number, words};

/// Workers of one pool are alike.
const PROCESSES_MAX: usize = 8;
/// Of one process; the rest of a pool waits as these do.
const THREADS_MAX: usize = 64;
/// System calls that write, and have the descriptor for their first argument.
const WRITES: [i64; 5] =
    [libc::SYS_write, libc::SYS_writev, libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_sendmmsg];
/// The same for those that read or wait for somebody.
const READS: [i64; 7] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_flock,
];
/// What a writer waits for goes on in a pipe or a socket.
const CHANNELS: [&str; 2] = ["pipe:[", "socket:["];

/// One thread, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Thread {
    /// The process.
    pub pid: i32,
    /// The thread.
    pub tid: i32,
    /// The name of the thread.
    pub comm: String,
    /// What the kernel says it does.
    pub state: Option<State>,
    /// The function of the kernel in which it waits.
    pub wait_channel: Option<String>,
    /// The system call that it is in; none for one that runs.
    pub syscall: Option<Syscall>,
    /// The functions of the kernel that the first thread of a process is in, the innermost first.
    pub kernel_stack: Vec<String>,
    /// How often it has left a processor: another number means that it went on meanwhile.
    pub switches: Option<u64>,
}

/// A system call that is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Syscall {
    /// Its number, which depends on the architecture.
    pub number: i64,
    /// The descriptor that it is about, where it is known to be about one.
    pub descriptor: Option<i32>,
    /// What that is: a path, or `pipe:[INODE]` and the like.
    pub on: Option<String>,
}

/// A thread that waits until somebody reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Who waits.
    pub thread: Thread,
    /// Who should read, where that is known: a process that has the other end of the pipe.
    pub reader: Option<i32>,
}

// === impl Thread ===

impl Thread {
    fn read(process: &Path, folder: &Path, pid: i32) -> Option<Self> {
        let tid = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = Stat::read(folder)?;
        Some(Self {
            pid,
            tid,
            comm: stat.comm,
            state: stat.state,
            wait_channel: read_line(&folder.join("wchan")).filter(|name| name != "0"),
            syscall: Syscall::read(process, folder),
            kernel_stack: if tid == pid { kernel_stack(folder) } else { Vec::new() },
            switches: switches(folder),
        })
    }

    /// Whether it waits until somebody takes what it writes.
    fn is_unread(&self) -> bool {
        let waits = matches!(self.state, Some(State::Sleeping | State::Uninterruptible));
        // A named pipe has a path; the function of the kernel says what it is.
        let in_pipe = self.wait_channel.as_deref().is_some_and(|place| place.contains("pipe_write"));
        let writes = |call: &Syscall| {
            let on = call.on.as_deref().unwrap_or_default();
            WRITES.contains(&call.number) && (in_pipe || CHANNELS.iter().any(|start| on.starts_with(start)))
        };
        waits && self.syscall.as_ref().is_some_and(writes)
    }

    fn has_gone_on(&self, roots: &Roots) -> bool {
        let process = roots.process(self.pid);
        let folder = process.join("task").join(self.tid.to_string());
        let now = Self::read(&process, &folder, self.pid);
        now.is_none_or(|now| now.switches != self.switches || !now.is_unread())
    }
}

// === impl Syscall ===

impl Syscall {
    /// `NUMBER ARGUMENT… SP PC` with the arguments in hexadecimal, `running`, or `-1 SP PC` outside of any.
    fn read(process: &Path, folder: &Path) -> Option<Self> {
        let bytes = read(&folder.join("syscall"), FILE_BYTES_MAX)?;
        let mut all = words(&bytes);
        let called = i64::try_from(number(all.next()?)?).ok()?;
        // Only the lower half of the register counts.
        let first = all.next().and_then(|word| hex(word.strip_prefix(b"0x")?));
        let first = first.and_then(|word| i32::try_from(word & 0xffff_ffff).ok());
        let descriptor = first.filter(|_| WRITES.contains(&called) || READS.contains(&called));
        let on =
            descriptor.and_then(|descriptor| read_link(&process.join("fd").join(descriptor.to_string())));
        Some(Self { number: called, descriptor, on })
    }
}

/// The threads of a tree, processes in their order.
pub(crate) fn read_threads(roots: &Roots, tree: &[ProcessId]) -> Vec<Thread> {
    let mut threads = Vec::new();
    for id in tree.iter().take(PROCESSES_MAX) {
        let process = roots.process(id.pid);
        let Ok(entries) = fs::read_dir(process.join("task")) else { continue };
        let folders = entries.flatten().take(THREADS_MAX).map(|entry| entry.path());
        threads.extend(folders.filter_map(|folder| Thread::read(&process, &folder, id.pid)));
    }
    threads
}

/// Those that wait until somebody reads; at first sight everybody does for a moment.
pub(crate) fn unread(threads: &[Thread]) -> Vec<Unread> {
    let waiting = threads.iter().filter(|thread| thread.is_unread());
    waiting.map(|thread| Unread { thread: thread.clone(), reader: None }).collect()
}

/// Those that have not gone on since, and who should read.
pub(crate) fn still_unread(roots: &Roots, all: &mut Vec<Unread>, present: &[i32]) {
    all.retain(|one| !one.thread.has_gone_on(roots));
    for one in all {
        let on = one.thread.syscall.as_ref().and_then(|call| call.on.as_deref());
        one.reader =
            on.filter(|on| !on.starts_with("socket:[")).and_then(|pipe| reader(roots, pipe, present));
    }
}

/// A process that has a pipe open to read from it.
fn reader(roots: &Roots, pipe: &str, present: &[i32]) -> Option<i32> {
    let reads = |pid: &i32| {
        let process = roots.process(*pid);
        let Ok(entries) = fs::read_dir(process.join("fd")) else { return false };
        let is_end = |entry: &fs::DirEntry| read_link(&entry.path()).is_some_and(|link| link == pipe);
        let mut ends = entries.flatten().filter(is_end);
        ends.any(|entry| is_read_only(&process.join("fdinfo").join(entry.file_name())))
    };
    present.iter().find(|pid| reads(pid)).copied()
}

/// `flags:` is octal; its last two bits say how it was opened.
fn is_read_only(fdinfo: &Path) -> bool {
    let bytes = read(fdinfo, FILE_BYTES_MAX).unwrap_or_default();
    let flags = lines(&bytes).find_map(|line| line.strip_prefix(b"flags:"));
    flags.and_then(|value| value.trim_ascii().last().copied()).is_some_and(|last| last % 4 == b'0' % 4)
}

/// How many threads wait where, the most first, for people.
pub(crate) fn summary(threads: &[Thread]) -> String {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for thread in threads {
        let place = match (&thread.wait_channel, thread.state) {
            (Some(place), _) => place,
            (None, Some(State::Running)) => "running",
            (None, _) => "a place that may not be read",
        };
        *places.entry(place).or_default() += 1;
    }
    let mut places: Vec<(&str, usize)> = places.into_iter().collect();
    places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<String> =
        places.iter().take(6).map(|(place, count)| format!("{count} in {place}")).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: i64 = libc::SYS_write;

    fn thread(roots: &Roots, tid: i32, syscall: &str, switches: u64) {
        let folder = roots.process(9).join("task").join(tid.to_string());
        fs::create_dir_all(&folder).unwrap();
        let stat = format!("{tid} (w) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 5 0 0\n");
        fs::write(folder.join("stat"), stat).unwrap();
        let status = format!("voluntary_ctxt_switches:\t{switches}\nnonvoluntary_ctxt_switches:\t1\n");
        fs::write(folder.join("status"), status).unwrap();
        fs::write(folder.join("wchan"), if tid == 9 { "pipe_write" } else { "ep_poll" }).unwrap();
        fs::write(folder.join("syscall"), syscall).unwrap();
    }

    fn open(roots: &Roots, pid: i32, descriptor: i32, link: &str, flags: &str) {
        let folder = roots.process(pid);
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::create_dir_all(folder.join("fdinfo")).unwrap();
        std::os::unix::fs::symlink(link, folder.join("fd").join(descriptor.to_string())).unwrap();
        let info = format!("pos:\t0\nflags:\t{flags}\n");
        fs::write(folder.join("fdinfo").join(descriptor.to_string()), info).unwrap();
    }

    #[test]
    fn who_waits_until_somebody_reads() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        open(&roots, 9, 2, "pipe:[77]", "0100001");
        open(&roots, 8, 5, "pipe:[77]", "0100001");
        open(&roots, 7, 3, "pipe:[77]", "0100000");
        open(&roots, 9, 4, "/var/log/x", "0100001");
        open(&roots, 9, 6, "/run/fifo", "0100001");
        open(&roots, 7, 8, "/run/fifo", "0100000");
        thread(&roots, 9, &format!("{WRITE} 0x2 0x7f 0x1 0x0 0x0 0x0 0x7f 0x7f"), 3);
        thread(&roots, 10, &format!("{WRITE} 0x4 0x7f 0x1 0x0 0x0 0x0 0x7f 0x7f"), 3);
        thread(&roots, 11, "running", 3);
        thread(&roots, 12, "-1 0x7f 0x7f", 3);
        thread(&roots, 13, "odd", 3);
        thread(&roots, 14, &format!("{WRITE} 0x6 0x7f 0x1 0x0 0x0 0x0 0x7f 0x7f"), 3);
        fs::write(roots.process(9).join("task/14/wchan"), "anon_pipe_write").unwrap();
        let mut threads = read_threads(&roots, &[ProcessId { pid: 9, start_ticks: 5 }]);
        threads.sort_by_key(|thread| thread.tid);
        assert_eq!(threads.len(), 6);
        assert_eq!(threads[1].syscall.as_ref().unwrap().on.as_deref(), Some("/var/log/x"));
        assert!(threads[2..5].iter().all(|thread| thread.syscall.is_none()));
        assert_eq!(summary(&threads), "4 in ep_poll, 1 in anon_pipe_write, 1 in pipe_write");

        let mut found = unread(&threads);
        still_unread(&roots, &mut found, &[1, 7, 8, 9]);
        let readers: Vec<_> = found.iter().map(|one| (one.thread.tid, one.reader)).collect();
        assert_eq!(readers, [(9, Some(7)), (14, Some(7))]);
        // One that has gone on meanwhile is only busy.
        thread(&roots, 9, &format!("{WRITE} 0x2 0x7f 0x1 0x0 0x0 0x0 0x7f 0x7f"), 4);
        still_unread(&roots, &mut found, &[1, 7, 8, 9]);
        assert_eq!(found.iter().map(|one| one.thread.tid).collect::<Vec<_>>(), [14]);
    }
}
