//! Owns asking file systems how full they are in a child that can be given up: a mount that never answers keeps nobody else.
//!
//! A thread would not do: one that waits in the kernel for a dead mount keeps its whole process from ending. The child is a
//! fork without a new program. It closes what it has inherited, asks one path after the other, and writes each answer to a
//! pipe: six numbers of eight bytes, in the order of [`FileSystem`], the first of which says whether there is an answer. Whoever
//! does not come to an answer in time is killed, and a new child goes on behind it.

use std::ffi::{CStr, CString};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::Serialize;

/// With more dead mounts than this the others are not asked either: a look has to end.
const SILENT_MAX: usize = 4;
const ANSWER_BYTES: usize = 6 * 8;
/// How long a child that was killed may take to be gone; later it is looked for again.
const GONE_WITHIN: Duration = Duration::from_millis(50);

/// Children that were killed and are not gone, as they wait in the kernel for good, each with what it asked.
static LEFT: Mutex<Vec<(Pid, CString)>> = Mutex::new(Vec::new());

/// How large a file system is, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FileSystem {
    /// Its size in bytes.
    pub total_bytes: u64,
    /// Free bytes, the part kept for root included.
    pub free_bytes: u64,
    /// Free bytes for everybody.
    pub available_bytes: u64,
    /// How many files it can hold; 0 where it has no such limit.
    pub inodes: u64,
    /// How many more files it can hold.
    pub inodes_free: u64,
}

/// What came of asking one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answered.
    Is(FileSystem),
    /// It said no: there is no such path, or it is not ours to ask.
    Refused,
    /// It did not answer in time.
    Silent,
    /// It was not asked, because too many before it were silent, or because there was no child to ask it.
    NotAsked,
}

// === impl FileSystem ===

impl FileSystem {
    /// How full it is, in percent, as `df` counts: of what everybody may use. `None` where it has no size.
    pub fn used_percent(&self) -> Option<f64> {
        let used = self.total_bytes.saturating_sub(self.free_bytes);
        percent(used, used.saturating_add(self.available_bytes))
    }

    /// How many of its inodes are used, in percent; `None` where it has no such limit.
    pub fn inodes_used_percent(&self) -> Option<f64> {
        percent(self.inodes.saturating_sub(self.inodes_free), self.inodes)
    }
}

fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 * 1000.0 / whole as f64).round() / 10.0)
}

/// Asks each path in turn, and waits for each at most `each`; the answers are in the order of the paths.
///
/// Takes one fork where all answer, about a millisecond, and at most four times `each` where some do not.
pub fn ask_file_systems(paths: &[CString], each: Duration) -> Vec<Answer> {
    let stuck = reap_left();
    let mut answers = vec![Answer::NotAsked; paths.len()];
    let mut left: Vec<usize> = Vec::with_capacity(paths.len());
    for (nth, path) in paths.iter().enumerate() {
        if stuck.contains(path) {
            answers[nth] = Answer::Silent;
        } else {
            left.push(nth);
        }
    }
    let mut silent = 0;
    while let Some(first) = left.first().copied().filter(|_| silent < SILENT_MAX) {
        let asked: Vec<&CStr> = left.iter().map(|nth| paths[*nth].as_c_str()).collect();
        let Ok((child, pipe)) = start(&asked) else { break };
        let got = read_answers(pipe, &asked, each);
        let n_got = got.len();
        for (nth, answer) in left.drain(..n_got).zip(got) {
            answers[nth] = answer;
        }
        let next = left.first().copied();
        match next {
            None => finish(child, None),
            Some(nth) => {
                // The one behind the last answer is the one that says nothing.
                finish(child, Some(&paths[nth]));
                answers[nth] = Answer::Silent;
                left.remove(0);
                silent += 1;
            }
        }
        debug_assert!(left.first() != Some(&first), "each turn asks at least one");
    }
    answers
}

/// Starts a child that asks; the end of the pipe to read its answers from.
fn start(paths: &[&CStr]) -> io::Result<(Pid, std::fs::File)> {
    let (reading, writing): (OwnedFd, OwnedFd) = pipe_with(PipeFlags::CLOEXEC)?;
    #[expect(unsafe_code, reason = "a thread that waits in the kernel would keep this whole process")]
    // SAFETY: The child of a process with threads may only do what is async-signal-safe. `ask_and_exit` makes system calls
    // alone, on memory that stands before the fork: no allocation, no lock, no return into this program.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => ask_and_exit(paths, writing.as_raw_fd()),
        1.. => {
            let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
            Ok((pid, reading.into()))
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// The whole life of the child.
fn ask_and_exit(paths: &[&CStr], pipe: RawFd) -> ! {
    #[expect(
        unsafe_code,
        reason = "what was inherited, such as locks and sockets, must not outlive its owner here"
    )]
    // SAFETY: Plain system calls on numbers; nothing in this child uses any other descriptor, or returns to code that would.
    unsafe {
        if libc::dup2(pipe, 0) != 0 || libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0) != 0 {
            libc::_exit(1);
        }
    }
    for path in paths {
        let mut answer = [0_u8; ANSWER_BYTES];
        if let Ok(of) = rustix::fs::statvfs(*path) {
            let bytes = |blocks: u64| blocks.saturating_mul(of.f_frsize);
            let numbers =
                [1, bytes(of.f_blocks), bytes(of.f_bfree), bytes(of.f_bavail), of.f_files, of.f_ffree];
            for (to, number) in answer.chunks_exact_mut(8).zip(numbers) {
                to.copy_from_slice(&number.to_ne_bytes());
            }
        }
        if rustix::io::write(rustix::stdio::stdin(), &answer) != Ok(ANSWER_BYTES) {
            break;
        }
    }
    #[expect(
        unsafe_code,
        reason = "the child ends here, without the ways out of the program that it was forked from"
    )]
    // SAFETY: Ends the process at once, and runs nothing of this program.
    unsafe {
        libc::_exit(0)
    }
}

/// The answers that came in time, and no gap among them.
fn read_answers(mut pipe: std::fs::File, paths: &[&CStr], each: Duration) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(paths.len());
    for _ in paths {
        let mut bytes = [0; ANSWER_BYTES];
        // An answer is shorter than a page, so it comes in one piece.
        if !is_readable(&pipe, each) || pipe.read_exact(&mut bytes).is_err() {
            break;
        }
        let mut numbers = [0_u64; 6];
        for (number, part) in numbers.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *number = u64::from_ne_bytes(*part);
        }
        let [has_answered, total_bytes, free_bytes, available_bytes, inodes, inodes_free] = numbers;
        answers.push(match has_answered {
            0 => Answer::Refused,
            _ => Answer::Is(FileSystem { total_bytes, free_bytes, available_bytes, inodes, inodes_free }),
        });
    }
    answers
}

fn is_readable(pipe: &std::fs::File, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        let mut one = [PollFd::new(pipe, PollFlags::IN)];
        match poll(&mut one, left.as_ref()) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) if Instant::now() < until => {}
            Err(_) => return false,
        }
    }
}

/// Sees the end of a child: at once where it has answered all, and otherwise after it was killed.
fn finish(child: Pid, silent: Option<&CString>) {
    let Some(path) = silent else {
        // It exits behind its last answer.
        let _ = waitpid(Some(child), WaitOptions::empty());
        return;
    };
    let _ = kill_process(child, Signal::KILL);
    if let Ok(pidfd) = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()) {
        let within = Timespec::try_from(GONE_WITHIN).ok();
        let _ = poll(&mut [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)], within.as_ref());
    }
    if matches!(waitpid(Some(child), WaitOptions::NOHANG), Ok(None)) {
        let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        left.push((child, path.clone()));
    }
}

/// Sees who is gone by now, and returns the paths that keep somebody still.
fn reap_left() -> Vec<CString> {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|(child, _)| matches!(waitpid(Some(*child), WaitOptions::NOHANG), Ok(None)));
    left.iter().map(|(_, path)| path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd as _;
    use std::process::Command;

    use super::*;

    fn c(path: &str) -> CString {
        CString::new(path).unwrap()
    }

    #[test]
    fn answers_stand_in_the_order_of_the_paths() {
        let answers = ask_file_systems(&[c("/"), c("/no/such/path"), c("/proc")], Duration::from_secs(10));
        let of = rustix::fs::statvfs("/").unwrap();
        assert!(
            matches!(answers[0], Answer::Is(found) if found.total_bytes == of.f_blocks * of.f_frsize
                && found.inodes == of.f_files && found.available_bytes <= found.free_bytes),
            "{answers:?}"
        );
        assert_eq!(answers[1], Answer::Refused);
        assert!(matches!(answers[2], Answer::Is(_)));
        assert_eq!(ask_file_systems(&[], Duration::ZERO), []);
    }

    #[test]
    fn space_is_counted_as_df_does() {
        let space =
            FileSystem { total_bytes: 1000, free_bytes: 100, available_bytes: 50, inodes: 0, inodes_free: 0 };
        assert_eq!((space.used_percent(), space.inodes_used_percent()), (Some(94.7), None));
    }

    /// A FUSE mount whose daemon never answers: the kernel waits for it as it does for a dead server of files.
    #[test]
    fn a_mount_that_never_answers_keeps_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let Some(_mount) = DeadMount::new(folder.path()) else { return };
        let dead = c(folder.path().to_str().unwrap());
        let started = Instant::now();
        let answers = ask_file_systems(&[c("/"), dead.clone(), c("/proc"), dead], Duration::from_millis(200));
        assert!(matches!(answers[..], [Answer::Is(_), Answer::Silent, Answer::Is(_), Answer::Silent]));
        assert!(started.elapsed() >= Duration::from_millis(400));
    }

    struct DeadMount(std::path::PathBuf);

    impl DeadMount {
        fn new(at: &std::path::Path) -> Option<Self> {
            let skipped = |why: &str| {
                println!("SKIPPED: {why}");
                None
            };
            if !rustix::process::getuid().is_root() {
                return skipped("a mount takes root");
            }
            let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else {
                return skipped("this kernel has no FUSE");
            };
            rustix::io::fcntl_setfd(&device, rustix::io::FdFlags::empty()).unwrap();
            let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
            let mounted = Command::new("mount")
                .args(["-i", "-t", "fuse", "-o", &options, "dead"])
                .arg(at)
                .status()
                .unwrap();
            // As long as the device is open somebody might answer; a closed one is told at once.
            std::mem::forget(device);
            if mounted.success() { Some(Self(at.to_owned())) } else { skipped("no FUSE mount here") }
        }
    }

    impl Drop for DeadMount {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
}
