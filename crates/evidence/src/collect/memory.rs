//! Owns the memory of the server's processes as evidence: what is in it and in no file. It is taken while they run, so it is not
//! of one moment; nothing is stopped.
//!
//! `t2/memory/PID/NNNN` are pieces, one after the other as they were found, and `t2/memory/index.jsonl` says which address each
//! byte had. Pages that were never touched, or that a file on the disk has (programs, libraries), are left out and said so.
//! `t2/memory/PID/auxv` and `threads.jsonl` are what a debugger wants to know besides; an export makes a core of them all.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::Scene;
use super::out::Out;
use super::processes::folder;
use super::reading::{kernel, names};
use crate::bundle::Gathered;

/// A piece, which is held at once.
const PIECE_BYTES: usize = 8 << 20;
const PAGE_BYTES: u64 = 4096;
const MAPS_BYTES_MAX: u64 = 16 << 20;
/// Entries of `pagemap` that are read at once: of 256 MiB.
const PAGES_AT_ONCE: u64 = 1 << 16;
const AUXV_BYTES_MAX: u64 = 64 << 10;
const THREADS_MAX: usize = 10_000;
/// A server has some.
const PROCESSES_MAX: usize = 64;

/// A row of `maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Region {
    from: u64,
    to: u64,
    permissions: String,
    name: String,
}

/// What one byte of a piece was: from `at` of the item on, these many bytes were at `address`.
#[derive(Serialize)]
struct Run<'a> {
    pid: i32,
    item: &'a str,
    at: usize,
    address: String,
    bytes: usize,
    permissions: &'a str,
    name: &'a str,
}

/// The piece that is being filled.
struct Pieces<'o> {
    out: &'o Out,
    pid: i32,
    number: usize,
    bytes: Vec<u8>,
    left: u64,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    const ITEM: &str = "t2/memory";
    let Some(pid) = scene.subject.pid else {
        out.give(Gathered::missing(ITEM, "it is not known which process the server is"));
        return;
    };
    let below = process::descendants(&scene.roots.proc, pid).into_iter().map(|id| id.pid);
    let mut left = scene.deep.memory_bytes_max;
    for pid in std::iter::once(pid).chain(below).take(PROCESSES_MAX) {
        if out.is_given_up() {
            return;
        }
        if left == 0 {
            let problem = format!("more than {} bytes of memory", scene.deep.memory_bytes_max);
            out.give(Gathered::missing(format!("{ITEM}/{pid}"), problem));
            continue;
        }
        let mut pieces = Pieces { out, pid, number: 0, bytes: Vec::new(), left };
        let taken = one(scene, out, pid, &mut pieces);
        pieces.flush();
        left = pieces.left;
        if let Err(error) = taken {
            out.give(Gathered::missing(format!("{ITEM}/{pid}/rest"), error.to_string()));
        } else if left == 0 {
            let problem = format!("more than {} bytes of memory", scene.deep.memory_bytes_max);
            out.give(Gathered::missing(format!("{ITEM}/{pid}/rest"), problem));
        }
    }
}

fn one(scene: &Scene, out: &Out, pid: i32, pieces: &mut Pieces<'_>) -> std::io::Result<()> {
    let folder = folder(scene, pid);
    threads(&folder, out, pid);
    let maps = kernel(&folder.join("maps"), MAPS_BYTES_MAX)?;
    let memory = File::open(folder.join("mem"))?;
    // Without it nothing is left out; a kernel may keep it to root.
    let mut pagemap = File::open(folder.join("pagemap")).ok();
    for region in regions(&String::from_utf8_lossy(&maps)) {
        if out.is_given_up() || pieces.left == 0 {
            return Ok(());
        }
        out.doing(format!("the memory of process {pid} at {:x}", region.from));
        if let Some(why) = left_out(&region) {
            let line = json!({
                "pid": pid, "address": format!("{:x}", region.from), "bytes": region.to - region.from,
                "permissions": region.permissions, "name": region.name, "left_out": why,
            });
            out.line("t2/memory/index.jsonl", &line);
            continue;
        }
        let mut from = region.from;
        while from < region.to && pieces.left > 0 && !out.is_given_up() {
            let to = region.to.min(from + PAGES_AT_ONCE * PAGE_BYTES);
            for (start, end) in present(pagemap.as_mut(), from, to) {
                pieces.read(&memory, &region, start, end);
            }
            from = to;
        }
    }
    Ok(())
}

/// Where each thread stands that waits in the kernel, as that says (`/proc/PID/task/TID/syscall`); of one that runs, only that it
/// is there.
fn threads(folder: &Path, out: &Out, pid: i32) {
    if let Ok(auxv) = kernel(&folder.join("auxv"), AUXV_BYTES_MAX) {
        out.give(Gathered { keeps_length: true, ..Gathered::whole(format!("t2/memory/{pid}/auxv"), auxv) });
    }
    let item = format!("t2/memory/{pid}/threads.jsonl");
    for name in names(&folder.join("task"), THREADS_MAX).unwrap_or_default() {
        let Some(tid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let said = |file: &str| {
            let bytes =
                kernel(&folder.join("task").join(&name).join(file), AUXV_BYTES_MAX).unwrap_or_default();
            String::from_utf8_lossy(&bytes).trim().to_owned()
        };
        let stands = said("syscall");
        let mut last = stands.rsplit(' ');
        // `running`, or the call, its arguments, and these two.
        let (pc, sp) = (last.next(), last.next());
        let hexadecimal = |word: Option<&str>| word.filter(|word| word.starts_with("0x")).map(str::to_owned);
        out.line(
            &item,
            &json!({ "tid": tid, "name": said("comm"), "sp": hexadecimal(sp), "pc": hexadecimal(pc) }),
        );
    }
}

/// Why a region is not copied.
fn left_out(region: &Region) -> Option<&'static str> {
    let may_write = region.permissions.as_bytes().get(1) == Some(&b'w');
    if !region.permissions.starts_with('r') {
        Some("it may not be read")
    } else if region.name.starts_with("[v") {
        Some("it is the kernel's")
    } else if region.name.starts_with("/dev/")
        && !region.name.starts_with("/dev/shm/")
        && !region.name.starts_with("/dev/zero")
    {
        Some("it is a device's")
    } else if region.name.starts_with('/') && !may_write && !region.name.ends_with(" (deleted)") {
        Some("its file has it")
    } else {
        None
    }
}

/// The runs of pages that are there, in memory or swapped out; all of it where that is not known.
fn present(pagemap: Option<&mut File>, from: u64, to: u64) -> Vec<(u64, u64)> {
    /// `present` and `swapped` of an entry.
    const THERE: u64 = 3 << 62;
    let all = vec![(from, to)];
    let Some(pagemap) = pagemap else { return all };
    let n_pages = (to - from) / PAGE_BYTES;
    let mut entries = vec![0; usize::try_from(n_pages * 8).unwrap_or(0)];
    let read =
        pagemap.seek(SeekFrom::Start(from / PAGE_BYTES * 8)).and_then(|_| pagemap.read_exact(&mut entries));
    if read.is_err() {
        return all;
    }
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (entry, page) in entries.as_chunks::<8>().0.iter().zip((from..to).step_by(4096)) {
        if u64::from_ne_bytes(*entry) & THERE == 0 {
            continue;
        }
        match runs.last_mut() {
            Some((_, end)) if *end == page => *end += PAGE_BYTES,
            _ => runs.push((page, page + PAGE_BYTES)),
        }
    }
    runs
}

// === impl Pieces ===

impl Pieces<'_> {
    /// Copies a run of pages. One that cannot be read is said, and ends the run.
    fn read(&mut self, memory: &File, region: &Region, mut from: u64, end: u64) {
        while from < end && self.left > 0 {
            let room = (PIECE_BYTES - self.bytes.len()) as u64;
            let wanted = usize::try_from((end - from).min(room).min(self.left)).unwrap_or(0);
            let at = self.bytes.len();
            self.bytes.resize(at + wanted, 0);
            let read = memory.read_at(&mut self.bytes[at..], from);
            let n_bytes = *read.as_ref().unwrap_or(&0);
            self.bytes.truncate(at + n_bytes);
            if n_bytes == 0 {
                let why = read.map_or_else(|error| error.to_string(), |_| "it is not there".to_owned());
                let line = json!({
                    "pid": self.pid, "address": format!("{from:x}"), "bytes": end - from,
                    "permissions": region.permissions, "name": region.name, "left_out": why,
                });
                self.out.line("t2/memory/index.jsonl", &line);
                return;
            }
            let item = self.item();
            let run = Run {
                pid: self.pid,
                item: &item,
                at,
                address: format!("{from:x}"),
                bytes: n_bytes,
                permissions: &region.permissions,
                name: &region.name,
            };
            self.out.line("t2/memory/index.jsonl", &run);
            from += n_bytes as u64;
            self.left -= n_bytes as u64;
            if self.bytes.len() == PIECE_BYTES {
                self.flush();
            }
        }
    }

    fn item(&self) -> String {
        format!("t2/memory/{}/{:04}", self.pid, self.number)
    }

    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.out.give(Gathered { keeps_length: true, ..Gathered::whole(self.item(), bytes) });
        self.number += 1;
    }
}

/// The rows of `maps`. What is no row is left out.
fn regions(maps: &str) -> Vec<Region> {
    let row = |line: &str| {
        let mut words = line.splitn(6, ' ');
        let (from, to) = words.next()?.split_once('-')?;
        let permissions = words.next()?.to_owned();
        let name = words.nth(3).unwrap_or_default().trim_start().to_owned();
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let (from, to) = (number(from)?, number(to)?);
        (from < to).then_some(Region { from, to, permissions, name })
    };
    maps.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::{Region, left_out, regions};

    #[test]
    fn regions_and_which_of_them_are_left_out() {
        let maps = "00400000-00401000 r-xp 00000000 08:01 42                 /usr/bin/x\n\
            7f00-8f00 rw-p 00000000 00:00 0\n\
            8f00-9f00 r-xp 00000000 08:01 43 /tmp/implant (deleted)\n\
            9f00-af00 rw-s 00000000 00:05 44 /dev/dri/card0\n\
            af00-bf00 ---p 00000000 00:00 0 \n\
            bf00-cf00 r-xp 00000000 00:00 0                          [vdso]\n\
            cf00-df00 rw-p 00000000 00:00 0                          [heap]\nx\n2-1 r 0 0 0\n";
        let found = regions(maps);
        assert_eq!(
            found[0],
            Region {
                from: 0x40_0000,
                to: 0x40_1000,
                permissions: "r-xp".to_owned(),
                name: "/usr/bin/x".to_owned()
            }
        );
        let why: Vec<_> = found.iter().map(left_out).collect();
        assert_eq!(
            why,
            [
                Some("its file has it"),
                None,
                None,
                Some("it is a device's"),
                Some("it may not be read"),
                Some("it is the kernel's"),
                None
            ]
        );
    }
}
