//! Owns reading for evidence: never further than a limit, never through a link, never waiting for a pipe, and without leaving a
//! trace in the time of the last reading where that can be had.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::attributes::{self, Attributes};
use super::hide::hide_text;
use crate::bundle::Gathered;
use crate::manifest::{plain_name, plain_path};
use crate::times::Times;

/// A file of the kernel, up to a limit. What it says is of the moment.
pub(crate) fn kernel(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    open(path, OFlags::empty())?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Which end of a long file is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The beginning.
    Beginning,
    /// The end, of what is written at its end.
    End,
}

/// What is taken of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// Text, secrets hidden.
    Text,
    /// Every byte.
    Bytes,
}

/// A copy of a file of the machine below `root`, with what the file said of itself before it was read.
pub(crate) fn copy(root: &Path, path: &Path, keep: Keep, kind: As, bytes_max: u64) -> Gathered {
    let inside = path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes();
    let source = [b"/", inside].concat();
    let blank = Gathered {
        name: plain_name("files", &source),
        source: Some(plain_path(&source)),
        ..Gathered::default()
    };
    match fs::symlink_metadata(path) {
        Err(error) => return Gathered { problem: Some(error.to_string()), ..blank },
        Ok(of) if of.is_symlink() => {
            let target = fs::read_link(path).map(|target| plain_path(target.as_os_str().as_bytes()));
            let text =
                target.map_or_else(|error| error.to_string(), |target| format!("a link to {target}\n"));
            return Gathered { bytes: Some(text.into_bytes()), times: times_of_name(path), ..blank };
        }
        Ok(_) => {}
    }
    match open_quietly(path).and_then(|file| of_file(file, keep, bytes_max)) {
        Err(error) => Gathered { problem: Some(error.to_string()), times: times_of_name(path), ..blank },
        Ok(Copied { bytes, times, attributes, problem }) => {
            let (bytes, original_sha256) = match kind {
                As::Text => hide_text(bytes),
                As::Bytes => (bytes, None),
            };
            Gathered { bytes: Some(bytes), times, attributes, problem, original_sha256, ..blank }
        }
    }
}

/// What was read of a file.
pub(crate) struct Copied {
    pub(crate) bytes: Vec<u8>,
    pub(crate) times: Option<Times>,
    pub(crate) attributes: Attributes,
    pub(crate) problem: Option<String>,
}

/// Reads an open file, at most so many bytes of it.
pub(crate) fn of_file(mut file: File, keep: Keep, bytes_max: u64) -> io::Result<Copied> {
    let (times, attributes) = (Times::of(&file), attributes::of(&file));
    let of = file.metadata()?;
    if !of.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut problem = None;
    if of.len() > bytes_max {
        let which = if keep == Keep::End { "last" } else { "first" };
        problem = Some(format!("only the {which} {bytes_max} of {} bytes", of.len()));
        if keep == Keep::End {
            file.seek(SeekFrom::End(-i64::try_from(bytes_max).unwrap_or(i64::MAX)))?;
        }
    }
    let mut bytes = Vec::with_capacity(usize::try_from(of.len().min(bytes_max)).unwrap_or(0));
    (&mut file).take(bytes_max).read_to_end(&mut bytes)?;
    let after = file.metadata()?;
    let was_changed = after.len() != of.len() || after.modified().ok() != of.modified().ok();
    if was_changed {
        let changed = "it was written to while it was read";
        problem = Some(problem.map_or(changed.to_owned(), |problem| format!("{problem}; {changed}")));
    }
    Ok(Copied { bytes, times, attributes, problem })
}

/// Opens a file so that the time of its last reading stays, where we may.
pub(crate) fn open_quietly(path: &Path) -> io::Result<File> {
    match open(path, OFlags::NOFOLLOW | OFlags::NOATIME) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open(path, OFlags::NOFOLLOW),
        opened => opened,
    }
}

/// What a name says of itself, a link of itself and not of where it leads.
pub(crate) fn times_of_name(path: &Path) -> Option<Times> {
    let folder = File::open(path.parent()?).ok()?;
    Times::of_name(folder, path.file_name()?)
}

/// The names in a folder, sorted, at most so many. Links to folders are not followed.
pub(crate) fn names(folder: &Path, max: usize) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names: Vec<_> =
        fs::read_dir(folder)?.flatten().map(|entry| entry.file_name()).take(max).collect();
    names.sort_unstable();
    Ok(names)
}

/// A name as text that can be taken back.
pub(crate) fn text_of(name: &OsStr) -> String {
    plain_path(name.as_bytes())
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from((flags | OFlags::NONBLOCK).bits()).unwrap_or_default();
    File::options().read(true).custom_flags(flags).open(path)
}
