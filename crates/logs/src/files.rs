//! Owns which files a log consists of, and reading each of them as text: as it stands, or compressed.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;

use crate::open::open;
use crate::{FILES_MAX, Identity, numbered};

/// How compressed files are named, behind the name that they had.
const PACKED: [&str; 2] = [".gz", ".zst"];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A window of 128 MiB: what `zstd` takes without being told otherwise.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// A file that is open, or whatever else is read as a log.
pub(crate) struct Opened {
    pub(crate) from: Box<dyn Read + Send>,
    /// When it was written last, in milliseconds since the Unix epoch; none where that is not known.
    pub(crate) written_ms: Option<i64>,
}

/// A file of a log, open or not to be opened.
pub(crate) type Part = (PathBuf, io::Result<File>);

/// The files of a log, the oldest first: FILE.2.gz, FILE.1, FILE and the like. FILE itself is always among them.
///
/// What another program has rotated by date (`FILE-20261126.gz`) is found too; it is older than all that has a number.
/// All are opened at once, the newest first: a rotation meanwhile shows one of them twice, which is seen, and hides none.
pub(crate) fn of_log(path: &Path) -> Vec<Part> {
    let mut seen = Vec::new();
    let mut parts = Vec::new();
    for number in 0..=FILES_MAX {
        let plain = numbered(path, number);
        let packed = PACKED.iter().map(|ending| with_ending(&plain, ending)).filter(|_| number > 0);
        for file in std::iter::once(plain.clone()).chain(packed) {
            take(file, &mut seen, &mut parts);
        }
    }
    for file in dated(path).into_iter().rev() {
        take(file, &mut seen, &mut parts);
    }
    parts.reverse();
    if parts.is_empty() {
        parts.push((path.to_owned(), Err(io::ErrorKind::NotFound.into())));
    }
    parts
}

/// Opens a file, where it is there and not one that was seen under another name.
fn take(file: PathBuf, seen: &mut Vec<Identity>, parts: &mut Vec<Part>) {
    let opened = open(&file);
    match opened.as_ref().map(File::metadata) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Ok(Ok(metadata)) if seen.contains(&Identity::of(&metadata)) => return,
        Ok(Ok(metadata)) => seen.push(Identity::of(&metadata)),
        Ok(Err(_)) | Err(_) => {}
    }
    parts.push((file, opened));
}

/// Files of the same folder that are named FILE-DATE, in the order of their dates.
fn dated(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let prefix = format!("{}-", name.to_string_lossy());
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            let Some(date) = file.file_name().and_then(|name| name.to_str()?.strip_prefix(&prefix)) else {
                return false;
            };
            let date = PACKED.iter().find_map(|ending| date.strip_suffix(ending)).unwrap_or(date);
            date.len() >= 8
                && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
                && file.is_file()
        })
        .collect();
    files.sort();
    files.drain(..files.len().saturating_sub(FILES_MAX as usize));
    files
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Begins to read a file, whatever it is compressed with: that is told by its first bytes and not by its name.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn opened(file: File) -> io::Result<Opened> {
    let written = file.metadata()?.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let written_ms = written.and_then(|time| i64::try_from(time.as_millis()).ok());
    Ok(Opened { from: unpacked(file)?, written_ms })
}

fn unpacked(mut file: File) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    file.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
    let (is_gzip, is_zstd) = (head.starts_with(&GZIP), head.starts_with(&ZSTD));
    let from = Cursor::new(head).chain(file);
    if is_gzip {
        return Ok(Box::new(MultiGzDecoder::new(BufReader::new(from))));
    }
    if is_zstd {
        let mut decoder = zstd::stream::read::Decoder::new(from)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(from))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::{of_log, open, opened};

    #[test]
    fn files_of_a_log_are_found_and_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"text").unwrap();
        let gzip = gzip.finish().unwrap();
        fs::write(path("x.log"), "text").unwrap();
        fs::write(path("x.log.1"), "text").unwrap();
        // Named wrongly.
        fs::write(path("x.log.2.gz"), zstd::encode_all(&b"text"[..], 1).unwrap()).unwrap();
        fs::write(path("x.log.10.zst"), [gzip.clone(), gzip.clone()].concat()).unwrap();
        fs::write(path("x.log-20261126.gz"), &gzip).unwrap();
        fs::write(path("x.log-20261125"), "text").unwrap();
        fs::hard_link(path("x.log.1"), path("x.log.3")).unwrap();
        for name in ["x.log.bak", "x.log-2026", "x.log-notes.txt", "y.log.1"] {
            fs::write(path(name), "no").unwrap();
        }
        std::os::unix::fs::symlink(path("x.log.4"), path("x.log.4")).unwrap();
        let files = of_log(&path("x.log"));
        let names: Vec<_> =
            files.iter().map(|(file, _)| file.file_name().unwrap().to_str().unwrap()).collect();
        let expect = [
            "x.log-20261125",
            "x.log-20261126.gz",
            "x.log.10.zst",
            "x.log.4",
            "x.log.2.gz",
            "x.log.1",
            "x.log",
        ];
        assert_eq!(names, expect);
        for (path, file) in &files {
            let name = path.file_name().unwrap().to_str().unwrap();
            let Ok(file) = file else {
                // A loop of links is told, where it is read.
                assert_eq!(name, "x.log.4");
                continue;
            };
            let text = std::io::read_to_string(opened(file.try_clone().unwrap()).unwrap().from).unwrap();
            assert_eq!(text, if name == "x.log.10.zst" { "texttext" } else { "text" }, "{name}");
        }
        // A file that stops in the middle is an error of reading, and not its end.
        fs::write(path("torn.gz"), &gzip[..gzip.len() - 6]).unwrap();
        let torn = opened(fs::File::open(path("torn.gz")).unwrap()).unwrap();
        assert!(std::io::read_to_string(torn.from).is_err());
        let gone = of_log(&path("gone.log"));
        assert!(gone.len() == 1 && gone[0].1.is_err());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), rustix::fs::Mode::RWXU).unwrap();
        std::os::unix::fs::symlink(path("b"), path("a")).unwrap();
        std::os::unix::fs::symlink(path("a"), path("b")).unwrap();
        for (name, words) in
            [("fifo", "FIFO"), ("a", "symbolic links"), (".", "folder"), ("/dev/zero", "device")]
        {
            let error = open(&path(name)).unwrap_err();
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
    }
}
