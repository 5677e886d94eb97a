//! Owns what files take on the disk: measuring and removing them. One that is gone meanwhile is no error.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a file takes at least and in steps of, on most file systems.
pub(crate) const BLOCK_BYTES: u64 = 4096;

/// What the name of an unfinished file begins with.
pub(crate) const NEW_PREFIX: &str = ".new-";

/// An unfinished file: it goes unless it has got another name.
pub(crate) struct Unfinished(pub(crate) PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Fails when the file was kept: then the name is gone.
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns the bytes that a file or folder takes on the disk.
pub(crate) fn room(metadata: &Metadata) -> u64 {
    metadata.len().next_multiple_of(BLOCK_BYTES)
}

/// Returns when a file was written last, in milliseconds since the Unix epoch.
pub(crate) fn modified_ms(metadata: &Metadata) -> i64 {
    metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000
}

/// Returns what is directly in a folder, with UTF-8 names; nothing if there is no such folder.
pub(crate) fn children(folder: &Path) -> io::Result<Vec<(String, Metadata)>> {
    let Some(entries) = unless_gone(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut children = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = unless_gone(entry.metadata())?;
        children.extend(entry.file_name().into_string().ok().zip(metadata));
    }
    Ok(children)
}

/// Returns the bytes that a file, or a folder with all that is in it, takes. Links are not followed.
pub(crate) fn tree_room(path: &Path) -> io::Result<u64> {
    let Some(metadata) = unless_gone(fs::symlink_metadata(path))? else { return Ok(0) };
    let mut bytes = room(&metadata);
    if metadata.is_dir() {
        for (name, _) in children(path)? {
            bytes += tree_room(&path.join(name))?;
        }
    }
    Ok(bytes)
}

/// Removes a file, or a folder with all that is in it, and returns the bytes that it took.
pub(crate) fn remove_tree(path: &Path) -> io::Result<u64> {
    let bytes = tree_room(path)?;
    unless_gone(match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    })?;
    Ok(bytes)
}

/// Removes a file unless it was written at `new_ms` or later, and returns the bytes that it took.
pub(crate) fn remove_older(path: &Path, new_ms: i64) -> io::Result<Option<u64>> {
    match unless_gone(fs::symlink_metadata(path))? {
        Some(metadata) if modified_ms(&metadata) < new_ms => {
            Ok(unless_gone(fs::remove_file(path))?.map(|()| room(&metadata)))
        }
        _ => Ok(None),
    }
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}
