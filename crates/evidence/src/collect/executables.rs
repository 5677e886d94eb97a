//! Owns the sums of what runs: SHA-256 of every file that some process executes, read through the process, so that a file that
//! was replaced is the one that runs and not the one that is there.
//!
//! A sum is remembered by device, inode, size, and the times of the last change of content and of anything: as long as none of
//! them is another one, the file is not read again. Who is root can forge that, so it says of each sum whether it was read now.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::Scene;
use super::out::Out;
use super::processes::folder;
use super::reading::kernel;
use crate::Digest;
use crate::bundle::Gathered;
use crate::times::Times;

const MEMORY_BYTES_MAX: u64 = 4 << 20;
/// A machine runs some hundred programs.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Serialize)]
struct Executable {
    path: String,
    pids: Vec<i32>,
    sha256: Digest,
    read_now: bool,
    times: Option<Times>,
}

/// By what a file is known again, and its sum.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory(BTreeMap<String, Digest>);

pub(super) fn collect(scene: &Scene, out: &Out) {
    let executables = scene.found.lock().unwrap_or_else(PoisonError::into_inner).executables.clone();
    let mut memory = scene.memory.as_deref().map(Memory::read).unwrap_or_default();
    let mut by_file: BTreeMap<(u64, u64), (i32, String, Vec<i32>)> = BTreeMap::new();
    for (pid, path) in executables {
        let Ok(of) = fs::metadata(folder(scene, pid).join("exe")) else { continue };
        by_file.entry((of.dev(), of.ino())).or_insert_with(|| (pid, path, Vec::new())).2.push(pid);
    }
    let mut now = Memory::default();
    for (pid, path, pids) in by_file.into_values() {
        if out.is_given_up() {
            return;
        }
        out.doing(format!("`{path}`"));
        match sum(&folder(scene, pid).join("exe"), &mut memory, &mut now) {
            Ok((sha256, read_now, times)) => {
                out.line("t1/executables.jsonl", &Executable { path, pids, sha256, read_now, times });
            }
            Err(error) => {
                let name = crate::manifest::plain_name("t1/executables", path.as_bytes());
                out.give(Gathered::missing(name, error.to_string()));
            }
        }
    }
    if let Some(path) = &scene.memory {
        now.write(path);
    }
}

fn sum(path: &Path, memory: &mut Memory, now: &mut Memory) -> std::io::Result<(Digest, bool, Option<Times>)> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let of = file.metadata()?;
    if !of.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let times = Times::of(&file);
    let known = format!(
        "{}:{}:{}:{}.{:09}:{}.{:09}",
        of.dev(),
        of.ino(),
        of.len(),
        of.mtime(),
        of.mtime_nsec(),
        of.ctime(),
        of.ctime_nsec()
    );
    let (digest, read_now) = match memory.0.get(&known) {
        Some(digest) => (*digest, false),
        None => (Digest::of_reader(file)?, true),
    };
    if now.0.len() < REMEMBERED_MAX {
        now.0.insert(known, digest);
    }
    Ok((digest, read_now, times))
}

// === impl Memory ===

impl Memory {
    /// What cannot be read is forgotten.
    fn read(path: &Path) -> Self {
        let bytes = kernel(path, MEMORY_BYTES_MAX).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// What cannot be written is read again the next time.
    fn write(&self, path: &Path) {
        let new = path.with_extension(format!("new.{}", std::process::id()));
        let Ok(text) = serde_json::to_vec(self) else { return };
        if fs::write(&new, text).and_then(|()| fs::rename(&new, path)).is_err() {
            let _ = fs::remove_file(&new);
        }
    }
}
