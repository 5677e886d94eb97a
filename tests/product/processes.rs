//! Owns looking at the process table: whoever has a folder in its command line or environment belongs to its test.
//!
//! Every process of the product is started with one or the other, and its children inherit the environment.

use std::fs;
use std::path::Path;

use process::{ProcessId, Signal, send};

use crate::poll::{eventually, pause};

/// A killed process is gone within a millisecond; this many looks, 5 ms apart, are for a machine that is busy.
const LOOKS_MAX: u32 = 2_000;

/// A process that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) id: ProcessId,
    pub(crate) command: String,
}

/// The running processes that belong to `folder`.
pub(crate) fn of(folder: &Path) -> Vec<Found> {
    let needle = folder.as_os_str().as_encoded_bytes();
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter_map(|pid| {
            let id = ProcessId::of(pid)?;
            let read = |name| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let command = read("cmdline");
            let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            let belongs = id.is_alive() && (holds(&command) || holds(&read("environ")));
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            belongs.then_some(Found { id, command })
        })
        .collect()
}

/// Waits until none is left.
#[track_caller]
pub(crate) fn gone(folder: &Path) {
    let mut left = Vec::new();
    let none = || {
        left = of(folder);
        left.is_empty().then_some(())
    };
    eventually(&format!("no process of {} is left", folder.display()), none);
}

/// Ends all of them, and whatever they start meanwhile.
pub(crate) fn end_all(folder: &Path) {
    // A process between fork and exec may be missed by one look.
    let mut empty = 0;
    for _ in 0..LOOKS_MAX {
        let left = of(folder);
        empty = if left.is_empty() { empty + 1 } else { 0 };
        if empty == 2 {
            return;
        }
        for found in left {
            let _ = send(found.id, Signal::KILL);
        }
        pause();
    }
}

/// Sends a signal to the process that has this pid now.
#[track_caller]
pub(crate) fn signal(pid: i32, signal: Signal) -> ProcessId {
    let id = ProcessId::of(pid).unwrap_or_else(|| panic!("there is no process {pid}"));
    assert_eq!(send(id, signal).unwrap(), process::Delivery::Delivered, "process {pid} is gone");
    id
}
