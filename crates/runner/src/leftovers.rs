//! Owns ending what a killed runner left running. Its processes are known by a variable in their environment.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use process::{ProcessId, Signal, descendants, send};

use crate::Error;
use crate::folder::Folder;

/// The variable that every process of a unit inherits; its value is the unit's folder.
pub(crate) const UNIT_VARIABLE: &str = "PARAMEDIC_UNIT";

/// How often, and after which pause, they are looked for: a killed process is gone within a millisecond, one that
/// forks meanwhile leaves another. About two seconds altogether.
const ROUNDS_MAX: u32 = 400;
const ROUND_PAUSE: Duration = Duration::from_millis(5);

/// The largest environment in bytes that the kernel gives a process by default.
const ENVIRONMENT_BYTES_MAX: u64 = 2 << 20;

/// Kills every process of the unit in `folder` and everything below it, until none is left.
///
/// Out of reach is who cleared its environment and then lost its parents; the runner itself, as their subreaper,
/// would have found it.
pub(crate) fn end(folder: &Folder) -> Result<(), Error> {
    let mark = mark(folder);
    let mut left = of_unit(&mark);
    for _ in 0..ROUNDS_MAX {
        if left.is_empty() {
            return Ok(());
        }
        for process in &left {
            for descendant in descendants(Path::new("/proc"), process.pid) {
                kill(descendant);
            }
            kill(*process);
        }
        thread::sleep(ROUND_PAUSE);
        left = of_unit(&mark);
    }
    match left.first() {
        None => Ok(()),
        Some(process) => Err(Error::Leftover { folder: folder.path().to_owned(), pid: process.pid }),
    }
}

fn kill(process: ProcessId) {
    if let Err(error) = send(process, Signal::KILL) {
        tracing::warn!(pid = process.pid, %error, "a process of an interrupted unit could not be killed");
    }
}

/// The entry of the environment by which the unit's processes are known.
fn mark(folder: &Folder) -> Vec<u8> {
    let mut mark = OsString::from(UNIT_VARIABLE);
    mark.push("=");
    mark.push(folder.path());
    mark.into_vec()
}

fn of_unit(mark: &[u8]) -> Vec<ProcessId> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let own = ProcessId::current().pid;
    pids.filter(|pid| *pid != own).filter_map(|pid| has_mark(pid, mark)).collect()
}

fn has_mark(pid: i32, mark: &[u8]) -> Option<ProcessId> {
    // Asked first, so that it is the process whose environment is read, or one that is gone.
    let process = ProcessId::of(pid)?;
    let mut environment = Vec::new();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment).ok()?;
    let has = environment.split(|byte| *byte == 0).any(|entry| entry == mark);
    (has && process.is_alive()).then_some(process)
}
