//! Owns small documents in the data directory: read whole, and put in the place of the old one whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The largest document, in bytes: a thousand windows or silences with the longest texts.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Reads a document.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes, the most that is read")));
    }
    Ok(text)
}

/// Puts a text in the place of a document, durably; at no moment is there half of it.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!(
            "it would have more than {BYTES_MAX} bytes, the most that is read"
        )));
    }
    let new = path.with_extension("json.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
