//! Owns memory of the whole machine, and how long its tasks stalled for memory, processor and disk.

use serde::Serialize;

use crate::roots::{FILE_BYTES_MAX, Roots, read};
use crate::text::{lines, number, split_once, words};

/// `/proc/meminfo` in bytes, and how often the kernel killed for want of memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// All there is.
    pub total_bytes: Option<u64>,
    /// Used for nothing at all.
    pub free_bytes: Option<u64>,
    /// What a new process could have without swapping.
    pub available_bytes: Option<u64>,
    /// Cached blocks.
    pub buffers_bytes: Option<u64>,
    /// Cached files.
    pub cached_bytes: Option<u64>,
    /// Shared memory and tmpfs.
    pub shared_bytes: Option<u64>,
    /// Waits to be written to disk.
    pub dirty_bytes: Option<u64>,
    /// Swap space.
    pub swap_total_bytes: Option<u64>,
    /// Swap space that is not used.
    pub swap_free_bytes: Option<u64>,
    /// What the processes were promised.
    pub committed_bytes: Option<u64>,
    /// Processes that the out-of-memory killer ended since the machine started.
    pub oom_kills: Option<u64>,
}

/// Pressure stall information; each is `None` where the kernel does not keep it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Waiting for a processor.
    pub cpu: Option<Stalls>,
    /// Waiting for memory.
    pub memory: Option<Stalls>,
    /// Waiting for a disk.
    pub io: Option<Stalls>,
}

/// Stalls for one resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stalls {
    /// At least one task stalled.
    pub some: Option<Stall>,
    /// All tasks that had work stalled at once.
    pub full: Option<Stall>,
}

/// Which part of the time was lost, in percent, over three windows, and all of it since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stall {
    /// Over the last 10 seconds.
    pub seconds_10_percent: Option<f64>,
    /// Over the last 60 seconds.
    pub seconds_60_percent: Option<f64>,
    /// Over the last 300 seconds.
    pub seconds_300_percent: Option<f64>,
    /// Since the machine started.
    pub total_us: Option<u64>,
}

// === impl Memory ===

impl Memory {
    pub(crate) fn read(roots: &Roots) -> Option<Self> {
        let bytes = read(&roots.proc.join("meminfo"), FILE_BYTES_MAX)?;
        let mut memory = Self { oom_kills: oom_kills(roots), ..Self::default() };
        for (name, value) in lines(&bytes).filter_map(|line| split_once(line, b':')) {
            let field = match name {
                b"MemTotal" => &mut memory.total_bytes,
                b"MemFree" => &mut memory.free_bytes,
                b"MemAvailable" => &mut memory.available_bytes,
                b"Buffers" => &mut memory.buffers_bytes,
                b"Cached" => &mut memory.cached_bytes,
                b"Shmem" => &mut memory.shared_bytes,
                b"Dirty" => &mut memory.dirty_bytes,
                b"SwapTotal" => &mut memory.swap_total_bytes,
                b"SwapFree" => &mut memory.swap_free_bytes,
                b"Committed_AS" => &mut memory.committed_bytes,
                _ => continue,
            };
            *field = kilobytes(value);
        }
        Some(memory)
    }
}

// === impl Pressure ===

impl Pressure {
    pub(crate) fn read(roots: &Roots) -> Self {
        let of = |name: &str| Stalls::parse(&read(&roots.proc.join("pressure").join(name), FILE_BYTES_MAX)?);
        Self { cpu: of("cpu"), memory: of("memory"), io: of("io") }
    }
}

// === impl Stalls ===

impl Stalls {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let line = |name: &[u8]| lines(bytes).find_map(|line| line.strip_prefix(name)).map(Stall::parse);
        let stalls = Self { some: line(b"some "), full: line(b"full ") };
        (stalls != Self::default()).then_some(stalls)
    }
}

// === impl Stall ===

impl Stall {
    fn parse(line: &[u8]) -> Self {
        let mut stall = Self::default();
        for (name, value) in words(line).filter_map(|word| split_once(word, b'=')) {
            let percent = || std::str::from_utf8(value).ok()?.parse().ok();
            match name {
                b"avg10" => stall.seconds_10_percent = percent(),
                b"avg60" => stall.seconds_60_percent = percent(),
                b"avg300" => stall.seconds_300_percent = percent(),
                b"total" => stall.total_us = number(value),
                _ => {}
            }
        }
        stall
    }
}

/// A number of kibibytes, as the kernel's `12 kB`, in bytes.
pub(crate) fn kilobytes(value: &[u8]) -> Option<u64> {
    number(words(value).next()?)?.checked_mul(1024)
}

fn oom_kills(roots: &Roots) -> Option<u64> {
    let bytes = read(&roots.proc.join("vmstat"), FILE_BYTES_MAX)?;
    lines(&bytes).find_map(|line| line.strip_prefix(b"oom_kill ")).and_then(number)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Memory, Pressure, Stall, Stalls};
    use crate::Roots;

    #[test]
    fn memory_is_in_bytes_and_takes_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        assert_eq!(Memory::read(&roots), None);
        fs::create_dir_all(&roots.proc).unwrap();
        fs::write(roots.proc.join("meminfo"), "MemTotal:       2 kB\nMemFree: many kB\nNew: 1 kB\ngarbage\n")
            .unwrap();
        fs::write(roots.proc.join("vmstat"), "nr_dirty 1\noom_kill 3\n").unwrap();
        let expect = Memory { total_bytes: Some(2048), oom_kills: Some(3), ..Memory::default() };
        assert_eq!(Memory::read(&roots), Some(expect));
    }

    #[test]
    fn pressure_of_a_kernel_without_it_is_absent() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Pressure::read(&Roots::below(root.path())), Pressure::default());
        assert_eq!(Stalls::parse(b""), None);
        let stalls = Stalls::parse(b"some avg10=1.50 avg60=x total=42 new=1\nfull avg300=0.25\n").unwrap();
        let some = Stall { seconds_10_percent: Some(1.5), total_us: Some(42), ..Stall::default() };
        assert_eq!(stalls.some, Some(some));
        assert_eq!(stalls.full, Some(Stall { seconds_300_percent: Some(0.25), ..Stall::default() }));
    }
}
