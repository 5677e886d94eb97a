//! Owns what the kernel's log says of the last while: ends for want of memory, disks that fail, tasks that hang.
//!
//! A record of `/dev/kmsg` is `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`; lines that begin with a blank belong to it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt as _;

use serde::Serialize;

use crate::machine::uptime_ms;
use crate::roots::Roots;
use crate::text::{lines, number, split_once};

/// The ring of a kernel has 256 KiB to a few MiB.
const LOG_BYTES_MAX: usize = 8 << 20;
/// A machine that has more of these has them all the time.
const EVENTS_MAX: usize = 200;
/// The longest record that the kernel gives at once.
const RECORD_BYTES_MAX: usize = 8192;

/// Something that the kernel has written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelEvent {
    /// How long ago, in seconds.
    pub seconds_ago: u64,
    /// What.
    pub what: KernelNote,
}

/// What the kernel has written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelNote {
    /// It ended a process for want of memory.
    OutOfMemory {
        /// Which process.
        pid: i32,
        /// Its name.
        name: String,
        /// The control group whose limit was reached; none where the machine had nothing left.
        limit_of: Option<String>,
        /// The control group in which it was.
        cgroup: Option<String>,
    },
    /// It made a file system read-only, because it is damaged or its device fails.
    ReadOnly {
        /// The device, such as `sda1`.
        device: String,
    },
    /// A device failed to read or write.
    DeviceError {
        /// The device, such as `sda`.
        device: String,
    },
    /// A task has waited in the kernel for minutes.
    Hung {
        /// Which task.
        pid: i32,
        /// Its name.
        name: String,
    },
}

/// Reads the log as far as the kernel still has it, oldest first; `None` where we may not.
pub(crate) fn read_kernel_log(roots: &Roots) -> Option<Vec<KernelEvent>> {
    let bytes = kernel_ring(roots).ok()?;
    let uptime_us = uptime_ms(roots)?.saturating_mul(1000);
    let mut events: Vec<KernelEvent> = Vec::new();
    for line in lines(&bytes).filter(|line| !line.starts_with(b" ")) {
        let Some((head, text)) = split_once(line, b';') else { continue };
        let Some(at_us) = head.split(|byte| *byte == b',').nth(2).and_then(number) else { continue };
        let Some(what) = note(&String::from_utf8_lossy(text)) else { continue };
        // The kernel tells of one end twice; the first line knows more.
        let known = |event: &KernelEvent| match (&event.what, &what) {
            (KernelNote::OutOfMemory { pid, .. }, KernelNote::OutOfMemory { pid: again, .. }) => pid == again,
            _ => false,
        };
        if !events.iter().rev().take(3).any(known) {
            events.push(KernelEvent { seconds_ago: uptime_us.saturating_sub(at_us) / 1_000_000, what });
        }
    }
    events.drain(..events.len().saturating_sub(EVENTS_MAX));
    Some(events)
}

/// The ring of the kernel's messages as it is, at most 8 MiB of it. The device gives one record for each read, and says
/// that there is none where others would wait.
///
/// # Errors
/// If nothing of it can be read; most systems show it to root alone.
pub fn kernel_ring(roots: &Roots) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = File::options().read(true).custom_flags(nonblocking).open(roots.dev.join("kmsg"))?;
    let mut bytes = Vec::new();
    let mut record = vec![0; RECORD_BYTES_MAX];
    while bytes.len() < LOG_BYTES_MAX {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&record[..length]),
            // Overwritten meanwhile: the next read is behind it.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if bytes.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(bytes)
}

fn note(text: &str) -> Option<KernelNote> {
    out_of_memory(text).or_else(|| killed(text)).or_else(|| read_only(text)).or_else(|| hung(text)).or_else(
        || {
            let device = text.split("I/O error, dev ").nth(1)?.split([',', ' ']).next()?;
            Some(KernelNote::DeviceError { device: name(device)? })
        },
    )
}

/// `oom-kill:constraint=…,oom_memcg=…,task_memcg=…,task=NAME,pid=…,uid=…`; a name may hold anything but a comma.
fn out_of_memory(text: &str) -> Option<KernelNote> {
    let fields = text.strip_prefix("oom-kill:")?;
    let field = |name: &str| fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let limit_of = field("constraint").filter(|constraint| *constraint == "CONSTRAINT_MEMCG");
    Some(KernelNote::OutOfMemory {
        pid: field("pid")?.parse().ok()?,
        name: field("task").unwrap_or_default().to_owned(),
        limit_of: limit_of.and_then(|_| field("oom_memcg")).map(str::to_owned),
        cgroup: field("task_memcg").map(str::to_owned),
    })
}

/// What kernels before 4.19 say: `Killed process PID (NAME) …`.
fn killed(text: &str) -> Option<KernelNote> {
    let (before, after) = text.split_once("Killed process ")?;
    let (pid, rest) = after.split_once(" (")?;
    let (task, _) = rest.split_once(") ").or_else(|| rest.split_once("),"))?;
    let of_group = before.starts_with("Memory cgroup");
    Some(KernelNote::OutOfMemory {
        pid: pid.parse().ok()?,
        name: task.to_owned(),
        limit_of: of_group.then(String::new),
        cgroup: None,
    })
}

/// `EXT4-fs (sda1): Remounting filesystem read-only`, or `XFS (sda1): … Shutting down filesystem`.
fn read_only(text: &str) -> Option<KernelNote> {
    let lower = text.to_lowercase();
    let says = ["remounting filesystem read-only", "shutting down filesystem", "forced readonly"];
    if !says.iter().any(|says| lower.contains(says)) {
        return None;
    }
    let inside = text.split_once('(')?.1.split_once(')')?.0;
    let device = inside.split_whitespace().last()?;
    Some(KernelNote::ReadOnly { device: name(device)? })
}

/// `INFO: task NAME:PID blocked for more than N seconds.`
fn hung(text: &str) -> Option<KernelNote> {
    let (task, _) = text.split_once("INFO: task ")?.1.split_once(" blocked for more than ")?;
    let (name, pid) = task.rsplit_once(':')?;
    Some(KernelNote::Hung { pid: pid.parse().ok()?, name: name.to_owned() })
}

fn name(text: &str) -> Option<String> {
    let text = text.trim_end_matches([':', ',']);
    (!text.is_empty() && text.len() <= 64).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{KernelEvent, KernelNote, note, read_kernel_log};
    use crate::Roots;

    #[test]
    fn records_have_an_age_and_are_told_once() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        assert_eq!(read_kernel_log(&roots), None);
        fs::create_dir_all(&roots.dev).unwrap();
        fs::create_dir_all(&roots.proc).unwrap();
        fs::write(roots.proc.join("uptime"), "1000.00 1.00\n").unwrap();
        let log = "6,1,5,-;Linux version 6.1\n SUBSYSTEM=x\n\
            4,2,990000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=no de,pid=12,uid=0\n\
            3,3,990000100,-;Memory cgroup out of memory: Killed process 12 (no de) total-vm:1kB\n\
            garbage\n4,4,x,-;oom-kill:pid=1\n";
        fs::write(roots.dev.join("kmsg"), log).unwrap();
        let what = KernelNote::OutOfMemory {
            pid: 12,
            name: "no de".to_owned(),
            limit_of: Some("/a".to_owned()),
            cgroup: Some("/a/b".to_owned()),
        };
        assert_eq!(read_kernel_log(&roots), Some(vec![KernelEvent { seconds_ago: 10, what }]));
    }

    #[test]
    fn lines_of_kernels() {
        let check = |text: &str, expect: &str| {
            let found = note(text).map(|what| serde_json::to_string(&what).unwrap()).unwrap_or_default();
            assert_eq!(found, expect, "{text}");
        };
        check(
            "Out of memory: Killed process 7 (a) b) total-vm:5kB, anon-rss:1kB",
            r#"{"out_of_memory":{"pid":7,"name":"a","limit_of":null,"cgroup":null}}"#,
        );
        check("EXT4-fs (loop0): Remounting filesystem read-only", r#"{"read_only":{"device":"loop0"}}"#);
        check(
            "XFS (sda1): Corruption detected. Shutting down filesystem",
            r#"{"read_only":{"device":"sda1"}}"#,
        );
        check("blk_update_request: I/O error, dev sdb, sector 8", r#"{"device_error":{"device":"sdb"}}"#);
        check("INFO: task a:b:77 blocked for more than 122 seconds.", r#"{"hung":{"pid":77,"name":"a:b"}}"#);
        for odd in ["", "Killed process", "Killed process x (", "INFO: task", "oom-kill:", "I/O error, dev "]
        {
            check(odd, "");
        }
    }
}
