//! Owns compressing a rotated log where it lies, under the name that it has: every reader here tells a file by its first bytes,
//! and who rotates goes on renaming it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::open::open;

/// A log of lines becomes a tenth with this already; more takes much longer for little.
const LEVEL: i32 = 3;
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Compresses a file of a log that nobody writes any more, and returns what that gives back, in bytes on the disk.
///
/// The new file takes the place of the old one at once, with its owner, mode and time, and only after it was read back and is
/// the same. `is_still` says, right before that, whether the old one may go; what is compressed already stays as it is.
///
/// # Errors
/// Where it cannot be read or written, is not the same when read back, or `is_still` says no; then nothing has changed.
pub fn compress(path: &Path, is_still: impl FnOnce(&fs::Metadata) -> bool) -> io::Result<u64> {
    let mut file = open(path)?;
    let before = file.metadata()?;
    if is_compressed(&mut file)? {
        return Ok(0);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".compressing");
    let new = Path::new(&name);
    let made = write(&mut file, new, &before).and_then(|()| {
        let now = fs::symlink_metadata(path)?;
        let is_same = (now.dev(), now.ino(), now.len(), now.mtime())
            == (before.dev(), before.ino(), before.len(), before.mtime());
        if !is_same || !is_still(&now) {
            return Err(io::Error::other("it has changed, or was opened, meanwhile"));
        }
        let after = fs::metadata(new)?.blocks();
        if after >= before.blocks() {
            fs::remove_file(new)?;
            return Ok(0);
        }
        fs::rename(new, path)?;
        Ok((before.blocks() - after) * 512)
    });
    if made.is_err() {
        let _ = fs::remove_file(new);
    }
    made
}

fn is_compressed(file: &mut File) -> io::Result<bool> {
    let mut head = Vec::new();
    io::Read::by_ref(file).take(ZSTD.len() as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(head.starts_with(&ZSTD) || head.starts_with(&GZIP))
}

fn write(from: &mut File, to: &Path, like: &fs::Metadata) -> io::Result<()> {
    // Left behind by one that was interrupted: nobody else has such a name.
    let _ = fs::remove_file(to);
    let mut new = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(to)?;
    zstd::stream::copy_encode(&mut *from, &mut new, LEVEL)?;
    from.seek(SeekFrom::Start(0))?;
    new.seek(SeekFrom::Start(0))?;
    if !is_same(from, zstd::stream::read::Decoder::new(&mut new)?)? {
        return Err(io::Error::other("it is not the same when it is read back"));
    }
    std::os::unix::fs::fchown(&new, Some(like.uid()), Some(like.gid()))?;
    new.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
    new.set_modified(like.modified()?)?;
    new.flush()?;
    new.sync_all()
}

fn is_same(one: impl io::Read, other: impl io::Read) -> io::Result<bool> {
    let (mut one, mut other) = (io::BufReader::new(one), io::BufReader::new(other));
    loop {
        let (left, right) = (io::BufRead::fill_buf(&mut one)?, io::BufRead::fill_buf(&mut other)?);
        let length = left.len().min(right.len());
        if length == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        if left[..length] != right[..length] {
            return Ok(false);
        }
        io::BufRead::consume(&mut one, length);
        io::BufRead::consume(&mut other, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_log_is_read_as_before_and_takes_less() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.log.1");
        let text: String =
            (0..20_000).map(|nth| format!("{{\"ts\":\"2026-11-26T00:00:00Z\",\"n\":{nth}}}\n")).collect();
        fs::write(&path, &text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(&path).unwrap();
        assert!(compress(&path, |_| false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let freed = compress(&path, |_| true).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert!(freed > before.blocks() * 512 / 2 && after.blocks() * 512 + freed == before.blocks() * 512);
        assert_eq!((after.mode(), after.uid(), after.mtime()), (before.mode(), before.uid(), before.mtime()));
        let mut read = String::new();
        crate::files::opened(File::open(&path).unwrap()).unwrap().from.read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        // A second time there is nothing to be won, and nothing is left beside it.
        assert_eq!(compress(&path, |_| true).unwrap(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_gains_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.log.1");
        fs::write(&path, "short").unwrap();
        assert_eq!(compress(&path, |_| true).unwrap(), 0);
        assert_eq!(fs::read(&path).unwrap(), b"short");
        assert!(compress(&folder.path().join("none"), |_| true).is_err());
    }
}
