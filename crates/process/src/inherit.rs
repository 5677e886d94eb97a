//! Owns what a new process inherits: its session or group, its tie to its parent, and which descriptors.

use std::fs::{self, File};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal, setpgid, setsid};

/// A process with more open descriptors than this is refused by every default limit.
const DESCRIPTORS_MAX: RawFd = 1 << 16;

/// Where the new process stands among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A session of its own: no terminal, and no signal that is meant for its parent's group.
    Session,
    /// A group of its own in the parent's session, ended with SIGKILL when the parent's thread ends.
    TiedGroup,
}

/// Gives `command` its standing, and lets it inherit nothing but the three standard streams and `keep`.
pub(crate) fn limit(command: &mut Command, standing: Standing, keep: Option<RawFd>) {
    let parent = getpid();
    let highest = highest_descriptor();
    let prepare = move || {
        match standing {
            Standing::Session => {
                setsid()?;
            }
            Standing::TiedGroup => {
                setpgid(None, None)?;
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // A parent that ended before the line above will send nothing.
                if getppid() != Some(parent) {
                    return Err(rustix::io::Errno::SRCH.into());
                }
            }
        }
        for number in 3..=highest {
            let flags = if Some(number) == keep { FdFlags::empty() } else { FdFlags::CLOEXEC };
            #[expect(unsafe_code, reason = "there is no other way to name an inherited descriptor")]
            // SAFETY: The borrow ends with the call, which only fails with EBADF if nothing is open there.
            let result = fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, flags);
            if Some(number) == keep {
                result?;
            }
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "only between fork and exec can a process be placed and tied")]
    // SAFETY: The closure runs in the child of a fork, where only async-signal-safe calls are sound. It makes
    // system calls alone: no allocation, no lock, no access to memory that another thread may hold.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Lets `command` enter the control group whose `cgroup.procs` is `file`, before it runs and starts anything.
pub(crate) fn enter(command: &mut Command, file: File) {
    let prepare = move || {
        // Whoever writes nought means itself.
        rustix::io::write(&file, b"0")?;
        Ok(())
    };
    #[expect(unsafe_code, reason = "what a process starts before it is moved stays outside of the group")]
    // SAFETY: The closure runs in the child of a fork, where only async-signal-safe calls are sound. It makes one
    // system call with a descriptor that is open for as long as the closure is there.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Lets the kernel kill `command` for want of memory like any other, where it would not kill this process.
pub(crate) fn unshield(command: &mut Command) {
    const SCORE: &std::ffi::CStr = c"/proc/self/oom_score_adj";
    let is_shielded = fs::read_to_string("/proc/self/oom_score_adj")
        .is_ok_and(|score| score.trim().parse::<i32>().is_ok_and(|score| score < 0));
    if !is_shielded {
        return;
    }
    let prepare = || {
        // A server that is harder to kill than others is better than none.
        if let Ok(file) = rustix::fs::open(SCORE, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(&file, b"0");
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "what a process starts before it says so is shielded as well")]
    // SAFETY: The closure runs in the child of a fork, where only async-signal-safe calls are sound. It makes
    // system calls alone, and its path is a constant.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Takes ownership of a descriptor that this process was started with.
///
/// # Errors
/// When nothing is open there, or one of the three standard streams is meant.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(rustix::io::Errno::BADF.into());
    }
    #[expect(unsafe_code, reason = "a number from the command line becomes an owned descriptor")]
    // SAFETY: The borrow ends with the call, which fails with EBADF if nothing is open there.
    fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC)?;
    #[expect(unsafe_code, reason = "a number from the command line becomes an owned descriptor")]
    // SAFETY: It is open, as just seen, and whoever started this process handed it over for good: the callers
    // adopt each number once, at their start, before anything else could own it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Rust opens everything close-on-exec; what a shell or a build tool left open for us is not.
fn highest_descriptor() -> RawFd {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return 2 };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.max().unwrap_or(2).min(DESCRIPTORS_MAX)
}
