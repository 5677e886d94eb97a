//! Owns opening a file that is to be read as a log: without waiting for anybody, and refusing what is none.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file. A FIFO would wait for its writer for ever, and a device never ends.
///
/// # Errors
/// As `open` says them (a loop of symbolic links among them), and where it is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    let what = if kind.is_file() {
        return Ok(file);
    } else if kind.is_dir() {
        "it is a folder; name the files in it"
    } else if kind.is_fifo() {
        "it is a FIFO, which has no end; `-` reads from a pipe"
    } else if kind.is_char_device() || kind.is_block_device() {
        "it is a device"
    } else {
        "it is no regular file"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}
