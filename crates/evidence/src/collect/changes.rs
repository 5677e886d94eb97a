//! Owns what was changed on the disk within the window of the incident, by the time of the last change of anything, which nobody
//! sets back without setting the clock: in the order of time, with sums; and copies of programs that are new where anybody may write.

use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use serde::Serialize;

use super::Scene;
use super::out::Out;
use super::reading::{As, Keep, copy, open_quietly};
use super::tree::walk;
use crate::Digest;
use crate::bundle::Gathered;
use crate::manifest::plain_path;
use crate::times::Times;

/// Where nobody says from when on.
const WINDOW_HOURS: i64 = 24;
/// Where an intruder leaves something: settings, programs of the machine's own, homes, and what anybody may write to.
const PLACES: [&str; 16] = [
    "/etc",
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/run",
    "/root",
    "/home",
    "/usr/local",
    "/opt",
    "/srv",
    "/var/www",
    "/var/spool",
    "/usr/sbin",
    "/usr/bin",
    "/usr/lib/systemd",
    "/boot",
];
/// What anybody may write to, or whoever came in as somebody.
const ANYBODYS: [&str; 6] = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/home"];
/// Names below one place.
const NAMES_MAX: usize = 200_000;
/// Of those that changed, the newest.
const CHANGES_MAX: usize = 20_000;
/// A file that is larger has no sum, and is not copied.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Of all sums together.
const SUMS_BYTES_MAX: u64 = 512 << 20;
const COPIES_MAX: usize = 100;
/// Of all copies together.
const COPIES_BYTES_MAX: u64 = 64 << 20;

#[derive(Serialize)]
struct Change {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    #[serde(flatten)]
    times: Times,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    const ITEM: &str = "t1/changes.jsonl";
    let since_ms = scene.since_ms.unwrap_or(scene.now_ms - WINDOW_HOURS * 3_600_000);
    let mut changed = changed_since(scene, out, since_ms.saturating_mul(1_000_000));
    changed.sort_unstable_by(|(one, path), (other, another)| {
        (one.ctime_ns, path).cmp(&(other.ctime_ns, another))
    });
    changed.dedup_by(|(_, one), (_, other)| one == other);
    if let Some(older) = changed.len().checked_sub(CHANGES_MAX).filter(|older| *older > 0) {
        changed.drain(..older);
        out.give(Gathered::missing(
            "t1/changes/rest",
            format!("{older} that changed before these {CHANGES_MAX}"),
        ));
    }
    let mut sums_left = SUMS_BYTES_MAX;
    for (times, path) in &changed {
        if out.is_given_up() {
            return;
        }
        out.doing(format!("`{}`", path.display()));
        let is_small = is_file(times) && times.bytes <= FILE_BYTES_MAX.min(sums_left);
        let sha256 = is_small.then(|| open_quietly(path).and_then(Digest::of_reader).ok()).flatten();
        if sha256.is_some() {
            sums_left -= times.bytes;
        }
        out.line(ITEM, &Change { path: inside(scene, path), sha256, times: times.clone() });
    }
    copy_programs(scene, out, &changed);
}

/// What changed at this moment or later, in nanoseconds since the Unix epoch.
fn changed_since(scene: &Scene, out: &Out, since_ns: i64) -> Vec<(Times, PathBuf)> {
    let mut changed = Vec::new();
    let own = scene.subject.watched.iter().cloned();
    for place in PLACES.iter().map(|place| scene.path(place)).chain(own) {
        out.doing(format!("`{}`", place.display()));
        let mut each = |path: &Path| {
            let times = Times::of_name(CWD, path.as_os_str());
            if let Some(mut times) = times.filter(|times| times.ctime_ns.is_some_and(|at| at >= since_ns)) {
                // A folder was read last by this very walk.
                times.atime_ns = times.atime_ns.filter(|_| !is_folder(&times));
                changed.push((times, path.to_owned()));
            }
            !out.is_given_up()
        };
        if !walk(&place, NAMES_MAX, &mut each) && !out.is_given_up() {
            let name = crate::manifest::plain_name(
                "t1/changes",
                format!("{}/rest", inside(scene, &place)).as_bytes(),
            );
            out.give(Gathered::missing(name, format!("more than {NAMES_MAX} names, or very deep")));
        }
    }
    changed
}

/// Somebody who cleans up deletes them first.
fn copy_programs(scene: &Scene, out: &Out, changed: &[(Times, PathBuf)]) {
    let (mut copies, mut bytes) = (0, 0);
    // The newest first: it is those that the limit is not for.
    for (times, path) in changed.iter().rev() {
        if out.is_given_up() || copies == COPIES_MAX {
            return;
        }
        let inside = inside(scene, path);
        let is_there = ANYBODYS.iter().any(|place| Path::new(&inside).starts_with(place));
        let is_fitting = is_file(times) && times.bytes <= FILE_BYTES_MAX.min(COPIES_BYTES_MAX - bytes);
        if !(is_there && is_fitting) {
            continue;
        }
        let Some(kind) = program(path, times) else { continue };
        out.doing(format!("`{inside}`"));
        out.give(copy(&scene.root, path, Keep::Beginning, kind, FILE_BYTES_MAX));
        copies += 1;
        bytes += times.bytes;
    }
}

fn is_file(times: &Times) -> bool {
    mode(times) & 0o170_000 == 0o100_000
}

fn is_folder(times: &Times) -> bool {
    mode(times) & 0o170_000 == 0o040_000
}

/// What is taken of a program; none of what nobody may execute and nothing is made to.
fn program(path: &Path, times: &Times) -> Option<As> {
    let mut first = [0; 4];
    let read = open_quietly(path).and_then(|file| Ok(rustix::io::read(file, &mut first)?));
    let first = &first[..read.ok()?];
    if first == b"\x7fELF" {
        Some(As::Bytes)
    } else {
        (mode(times) & 0o111 != 0 || first.starts_with(b"#!")).then_some(As::Text)
    }
}

fn mode(times: &Times) -> u32 {
    u32::from_str_radix(&times.mode, 8).unwrap_or(0)
}

fn inside(scene: &Scene, path: &Path) -> String {
    let inside = path.strip_prefix(&scene.root).unwrap_or(path);
    format!("/{}", plain_path(std::os::unix::ffi::OsStrExt::as_bytes(inside.as_os_str())))
}
