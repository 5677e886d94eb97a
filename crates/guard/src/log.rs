//! Owns the server's log file: JSON lines, written by one thread, rotated by size.
//!
//! One line is `{"ts": RFC 3339 UTC with milliseconds, "level": "info"|"warning"|"error", "server": NAME, "event":
//! "request"|"response"|"error"|"performance"|"security"|"audit"|"system", "message": …, more fields}`. A file that has
//! reached 64 MiB becomes FILE.1, FILE.1 becomes FILE.2, and so on; FILE.5 is the last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::clock;

const FILE_BYTES_MAX: u64 = 64 << 20;
const FILES_KEPT: u32 = 5;
/// What a disk that hangs for a moment may hold up; beyond it, lines are counted and lost, never waited for.
const LINES_WAITING_MAX: usize = 8192;
/// Most lines are shorter.
const LINE_BYTES: usize = 512;
/// How long lines are gathered before they are written: whoever writes one does not have to wake a thread for it, and
/// many are written at once. What was said is on its way to the disk no later than this.
const GATHER: Duration = Duration::from_millis(2);
/// A disk that hangs does not keep the guard from ending.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// Written at once, and no more.
const GATHERED_BYTES_MAX: usize = 256 << 10;
/// The runbook's readers group by this; nobody but them needs to know of each other.
const MODE: u32 = 0o640;

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Request,
    Response,
    Error,
    Performance,
    Security,
    Audit,
    System,
}

/// What the thread that writes is told.
#[derive(Debug)]
enum Said {
    Line(Vec<u8>),
    /// Everything before it is to be written, and then this told.
    Flush(SyncSender<()>),
}

/// The log of one server. Writing never waits.
#[derive(Debug)]
pub(crate) struct Log {
    server: String,
    lines: SyncSender<Said>,
    lost: AtomicU64,
}

// === impl Level, About ===

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// What the line of a program probably is, which only it knows: by the words that nearly all of them use.
    pub(crate) fn guess(line: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if has(&["ERROR", "Error", "error:", "FATAL", "fatal", "CRITICAL", "Traceback", "panicked"]) {
            Self::Error
        } else if has(&["WARN", "Warning", "warning"]) {
            Self::Warning
        } else {
            Self::Info
        }
    }
}

impl About {
    fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Error => "error",
            Self::Performance => "performance",
            Self::Security => "security",
            Self::Audit => "audit",
            Self::System => "system",
        }
    }
}

// === impl Log ===

impl Log {
    /// Opens the log for appending; its folder is created if need be.
    pub(crate) fn open(path: &Path, server: &str) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = Rotating::open(path, FILE_BYTES_MAX)?;
        let (lines, waiting) = sync_channel(LINES_WAITING_MAX);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&mut file, &waiting))?;
        Ok(Self { server: server.to_owned(), lines, lost: AtomicU64::new(0) })
    }

    /// Writes one line.
    pub(crate) fn write<'f>(
        &self,
        level: Level,
        about: About,
        message: &str,
        fields: impl IntoIterator<Item = (&'f str, Value)>,
    ) {
        let mut line = Vec::with_capacity(LINE_BYTES);
        let text = |line: &mut Vec<u8>, text: &str| {
            serde_json::to_writer(line, text).expect("a string can be written to a vector");
        };
        line.extend_from_slice(b"{\"ts\":");
        text(&mut line, &clock::rfc3339(clock::now_ms()));
        for (name, value) in [
            ("level", level.name()),
            ("server", self.server.as_str()),
            ("event", about.name()),
            ("message", message),
        ] {
            line.push(b',');
            text(&mut line, name);
            line.push(b':');
            text(&mut line, value);
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let lost_before = (lost > 0).then(|| ("lines_lost_before", lost.into()));
        for (name, value) in fields.into_iter().chain(lost_before) {
            line.push(b',');
            text(&mut line, name);
            line.push(b':');
            serde_json::to_writer(&mut line, &value).expect("all keys are strings");
        }
        line.extend_from_slice(b"}\n");
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.lines.try_send(Said::Line(line))
        {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

impl Log {
    /// Waits until everything is written that was said, for a second at most: for the end of the guard.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.lines.try_send(Said::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FLUSH_MAX);
        }
    }
}

/// The beginning of a text, at most so many characters.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn write_all(file: &mut Rotating, lines: &Receiver<Said>) {
    let mut failing = false;
    while let Ok(said) = lines.recv() {
        let (mut together, mut flushed) = (Vec::new(), Vec::new());
        let mut take = |together: &mut Vec<u8>, said| match said {
            Said::Line(line) => together.extend_from_slice(&line),
            Said::Flush(done) => flushed.push(done),
        };
        if let Said::Line(_) = said {
            thread::sleep(GATHER);
        }
        take(&mut together, said);
        while together.len() < GATHERED_BYTES_MAX
            && let Ok(said) = lines.try_recv()
        {
            take(&mut together, said);
        }
        let result = if together.is_empty() { Ok(()) } else { file.append(&together) };
        for done in flushed {
            let _ = done.try_send(());
        }
        // Said once: a full disk must not fill another one with complaints.
        if let (Err(error), false) = (&result, failing) {
            tracing::error!(path = %file.path.display(), %error, "the log cannot be written");
        }
        failing = result.is_err();
    }
}

/// A file that makes way for a new one when it is full.
struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

// === impl Rotating ===

impl Rotating {
    fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(MODE).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, bytes_max })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..FILES_KEPT).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))?;
        *self = Self::open(&self.path, self.bytes_max)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Level, Rotating, clip};

    #[test]
    fn a_full_file_makes_way_and_five_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mem.log");
        let mut file = Rotating::open(&path, 8).unwrap();
        for number in 0..9 {
            file.append(format!("line {number}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("mem.log"), "line 8\n");
        assert_eq!(read("mem.log.1"), "line 7\n");
        assert_eq!(read("mem.log.5"), "line 3\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);
        // What was there before counts as well.
        let mut again = Rotating::open(&path, 8).unwrap();
        again.append(b"more\n").unwrap();
        assert_eq!(read("mem.log.1"), "line 8\n");
    }

    #[test]
    fn texts_are_clipped_between_characters() {
        assert_eq!((clip("äöü", 3), clip("äöü", 2)), ("äöü".to_owned(), "äö…".to_owned()));
    }

    #[test]
    fn levels_are_guessed() {
        for (line, level) in [
            ("server started", Level::Info),
            ("[WARN] slow", Level::Warning),
            ("Traceback (most recent call last):", Level::Error),
            ("thread 'main' panicked at src/x.rs", Level::Error),
        ] {
            assert_eq!(Level::guess(line), level, "{line}");
        }
    }
}
