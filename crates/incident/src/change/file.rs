//! Owns reading and writing one place: a file of the disk is replaced whole and durably, one of the kernel is written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{ChangeError, PLACE_BYTES_MAX};

/// Who may read a file that was not there before: settings hold no secret that the process list does not show.
const NEW_MODE: u32 = 0o644;

pub(super) fn read(path: &Path) -> Result<Option<String>, ChangeError> {
    let failed = |source| ChangeError::Io { what: "reading", path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(PLACE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    match String::from_utf8(bytes) {
        Ok(text) if text.len() <= PLACE_BYTES_MAX => Ok(Some(text)),
        _ => Err(ChangeError::TooLarge(path.to_owned())),
    }
}

pub(super) fn write(path: &Path, content: Option<&str>) -> Result<(), ChangeError> {
    let failed = |source| ChangeError::Io { what: "writing", path: path.to_owned(), source };
    match content {
        None => fs::remove_file(path).map_err(failed),
        Some(content) if is_of_kernel(path) => fs::write(path, content).map_err(failed),
        Some(content) => replace(path, content).map_err(failed),
    }
}

/// A parameter of the kernel is no file that could be replaced; below another root it is treated the same.
fn is_of_kernel(path: &Path) -> bool {
    let mut parts = path.components().map(|part| part.as_os_str());
    parts.by_ref().any(|part| part == "proc") && parts.next().is_some_and(|part| part == "sys")
}

fn replace(path: &Path, content: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mode = fs::metadata(path).map_or(NEW_MODE, |metadata| metadata.permissions().mode() & 0o7777);
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
