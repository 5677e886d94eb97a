//! Owns getting back what was deleted and still runs or is open: the kernel keeps it until the process ends.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::PoisonError;

use super::Scene;
use super::out::Out;
use super::processes::folder;
use super::reading::{Keep, of_file};
use crate::bundle::Gathered;
use crate::manifest::plain_name;

/// Of one file; a deleted log of gigabytes tells at its end what it tells.
const FILE_BYTES_MAX: u64 = 32 << 20;
const FILES_MAX: usize = 256;

pub(super) fn collect(scene: &Scene, out: &Out) {
    let found = scene.found.lock().unwrap_or_else(PoisonError::into_inner);
    let executables: Vec<_> =
        found.executables.iter().filter(|(_, path)| path.ends_with(" (deleted)")).cloned().collect();
    let open = found.deleted.clone();
    drop(found);
    let mut seen = HashSet::new();
    let paths = executables
        .into_iter()
        .map(|(pid, path)| {
            (folder(scene, pid).join("exe"), format!("t1/deleted/{pid}-exe"), path, Keep::Beginning)
        })
        .chain(open.into_iter().map(|(pid, fd, path)| {
            (
                folder(scene, pid).join("fd").join(fd.to_string()),
                format!("t1/deleted/{pid}-fd{fd}"),
                path,
                Keep::End,
            )
        }));
    let mut n = 0;
    for (path, place, was, keep) in paths {
        if out.is_given_up() {
            return;
        }
        if n == FILES_MAX {
            out.give(Gathered::missing("t1/deleted/rest", format!("more than {FILES_MAX} deleted files")));
            return;
        }
        out.doing(format!("`{was}`"));
        if let Some(gathered) = one(&path, &place, &was, keep, &mut seen) {
            n += 1;
            out.give(gathered);
        }
    }
}

/// `None` for what is no file, and what was taken already.
fn one(path: &Path, place: &str, was: &str, keep: Keep, seen: &mut HashSet<(u64, u64)>) -> Option<Gathered> {
    let name = plain_name(place, was.trim_end_matches(" (deleted)").as_bytes());
    let source = Some(was.to_owned());
    match open(path) {
        Err(error) => Some(Gathered { source, ..Gathered::missing(name, error.to_string()) }),
        Ok(file) => {
            let of = file.metadata().ok()?;
            if !of.is_file() || !seen.insert((of.dev(), of.ino())) {
                return None;
            }
            Some(match of_file(file, keep, FILE_BYTES_MAX) {
                Err(error) => Gathered { source, ..Gathered::missing(name, error.to_string()) },
                Ok(copied) => Gathered {
                    source,
                    times: copied.times,
                    problem: copied.problem,
                    keeps_length: true,
                    ..Gathered::whole(name, copied.bytes)
                },
            })
        }
    }
}

/// These links lead to the file itself, whatever its name was: they are the one kind that is followed.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    File::options().read(true).custom_flags(flags).open(path)
}
