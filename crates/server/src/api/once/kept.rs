//! Owns the file of keys, `api-keys.jsonl` in the data directory: a line when something is begun under a key, on the disk
//! before it is done, and one when it was answered. Answers with words of tokens in them are not written.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use checksum::Digest;
use serde::{Deserialize, Serialize};

use super::{ANSWER_BYTES_MAX, End, Name};

/// From so many bytes on the file is written anew: it has four times what is remembered.
pub(super) const BYTES_MAX: u64 = 64 << 20;
/// A longer line is none of ours, in bytes: an answer whose every byte is written as six.
const LINE_BYTES_MAX: u64 = 6 * ANSWER_BYTES_MAX as u64 + 4_096;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    /// It is about to be done.
    Begun { owner: String, key: String, print: Digest, at_ms: i64 },
    /// It was answered so.
    Told { owner: String, key: String, status: u16, kind: Option<String>, body: String },
    /// It was answered, and how is not kept.
    Untold { owner: String, key: String },
    /// It failed, and may be tried again.
    Again { owner: String, key: String },
}

/// The file, open at its end.
pub(super) struct File {
    path: PathBuf,
    file: fs::File,
    bytes: u64,
}

// === impl Line ===

impl Line {
    pub(super) fn begun((owner, key): &Name, print: Digest, at_ms: i64) -> Self {
        Self::Begun { owner: owner.clone(), key: key.clone(), print, at_ms }
    }

    pub(super) fn ended((owner, key): &Name, end: &End) -> Self {
        let (owner, key) = (owner.clone(), key.clone());
        let answer = match end {
            End::Again => return Self::Again { owner, key },
            End::Told(answer) if answer.body.len() <= ANSWER_BYTES_MAX => answer,
            End::Told(_) | End::Secret(_) | End::Untold => return Self::Untold { owner, key },
        };
        let kind = answer.kind.as_ref().and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        match String::from_utf8(answer.body.to_vec()) {
            Ok(body) => Self::Told { owner, key, status: answer.status.as_u16(), kind, body },
            Err(_) => Self::Untold { owner, key },
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// The lines of a file, as far as they are understood; none where there is no file.
pub(super) fn read(path: &Path) -> io::Result<Vec<Line>> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let (mut reader, mut lines, mut text) = (BufReader::new(file), Vec::new(), String::new());
    loop {
        text.clear();
        if (&mut reader).take(LINE_BYTES_MAX).read_line(&mut text)? == 0 {
            return Ok(lines);
        }
        // The last one may be half of one.
        lines.extend(serde_json::from_str(&text).ok());
    }
}

// === impl File ===

impl File {
    /// Puts a file with these lines in the place of the one that is there.
    pub(super) fn begin(path: &Path, lines: impl Iterator<Item = Line>) -> io::Result<Self> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let mut bytes = 0;
        for text in lines.map(|line| line.text()) {
            file.write_all(text.as_bytes())?;
            bytes += text.len() as u64;
        }
        file.sync_all()?;
        fs::rename(&new, path)?;
        fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    /// Writes a line, and waits until it is on the disk.
    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        let text = line.text();
        self.file.write_all(text.as_bytes())?;
        self.bytes += text.len() as u64;
        self.file.sync_data()
    }

    /// Whether it is to be written anew.
    pub(super) fn is_long(&self) -> bool {
        self.bytes > BYTES_MAX
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
