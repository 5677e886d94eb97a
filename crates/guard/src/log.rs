//! Owns the server's log file: JSON lines, written by one thread, rotated by size.
//!
//! One line is `{"ts": RFC 3339 UTC with milliseconds, "level": "info"|"warning"|"error", "server": NAME, "event":
//! "request"|"response"|"error"|"performance"|"security"|"audit"|"system", "message": …, more fields}`. A file that has
//! reached 64 MiB becomes FILE.1, FILE.1 becomes FILE.2, and so on; FILE.5 is the last.

mod line;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::clock;
pub(crate) use line::{Field, Written, push_number};
use line::{push_field, push_moment, push_text};

const FILE_BYTES_MAX: u64 = 64 << 20;
const FILES_KEPT: u32 = 5;
/// What a disk that hangs for a moment may hold up; beyond it, lines are counted and lost, never waited for.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// How long lines are gathered before they are written: whoever writes one does not have to wake a thread for it, and
/// many are written at once. What was said is on its way to the disk no later than this.
const GATHER: Duration = Duration::from_millis(2);
/// A disk that hangs does not keep the guard from ending.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// What 2 ms of many lines need is kept for the next ones.
const KEPT_BYTES: usize = 64 << 10;
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

/// The log of one server. Writing never waits for the disk.
#[derive(Debug)]
pub(crate) struct Log {
    /// The name of the server as JSON.
    server: String,
    shared: Arc<Shared>,
}

/// What those who write lines and the thread that writes the file have in common.
#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There are lines, or the log ends.
    said: Condvar,
    written: Condvar,
}

/// Lines that wait to be written.
#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    /// How often the thread has taken them, and how often what it took was written.
    taken: u64,
    written: u64,
    /// Lines for which there was no room.
    lost: u64,
    ended: bool,
    /// The second in which the last line was written, and how that is written.
    second: (i64, Vec<u8>),
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
        let shared = Arc::<Shared>::default();
        let writing = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&mut file, &writing))?;
        Ok(Self { server: Value::from(server).to_string(), shared })
    }

    /// Writes one line.
    pub(crate) fn write<'f, V: Written>(
        &self,
        level: Level,
        about: About,
        message: &str,
        fields: impl IntoIterator<Item = (&'f str, V)>,
    ) {
        let now_ms = clock::now_ms();
        let mut waiting = self.shared.lock();
        if waiting.text.len() >= WAITING_BYTES_MAX {
            waiting.lost += 1;
            return;
        }
        let was_empty = waiting.text.is_empty();
        let lost = std::mem::take(&mut waiting.lost);
        let Waiting { text: line, second, .. } = &mut *waiting;
        line.extend_from_slice(b"{\"ts\":\"");
        push_moment(line, second, now_ms);
        for part in
            ["\",\"level\":\"", level.name(), "\",\"server\":", &self.server, ",\"event\":\"", about.name()]
        {
            line.extend_from_slice(part.as_bytes());
        }
        line.extend_from_slice(b"\",\"message\":");
        push_text(line, message);
        for (name, value) in fields {
            push_field(line, name, &value);
        }
        if lost > 0 {
            push_field(line, "lines_lost_before", &Field::Count(lost));
        }
        line.extend_from_slice(b"}\n");
        drop(waiting);
        if was_empty {
            self.shared.said.notify_one();
        }
    }

    /// Waits until everything is written that was said, for a second at most: for the end of the guard.
    pub(crate) fn flush(&self) {
        let waiting = self.shared.lock();
        // What is waiting now is in what is taken next.
        let taken = waiting.taken + u64::from(!waiting.text.is_empty());
        let is_behind = |waiting: &mut Waiting| waiting.written < taken;
        let _ = self.shared.written.wait_timeout_while(waiting, FLUSH_MAX, is_behind);
    }
}

impl Drop for Log {
    /// What was said is still written, as long as the process lives.
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.said.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A line that a panic has left half written is one that no reader understands, and the only one.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning of a text, at most so many characters.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn write_all(file: &mut Rotating, shared: &Shared) {
    let (mut failing, mut together) = (false, Vec::new());
    loop {
        let waiting =
            shared.said.wait_while(shared.lock(), |waiting| waiting.text.is_empty() && !waiting.ended);
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        if waiting.text.is_empty() {
            return;
        }
        drop(waiting);
        thread::sleep(GATHER);
        {
            let mut waiting = shared.lock();
            std::mem::swap(&mut waiting.text, &mut together);
            waiting.taken += 1;
        }
        let result = file.append(&together);
        together.clear();
        together.shrink_to(KEPT_BYTES);
        {
            let mut waiting = shared.lock();
            waiting.written = waiting.taken;
        }
        shared.written.notify_all();
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
    use serde_json::Value;
    use std::fs;

    use super::{About, Field, Level, Log, Rotating, clip};

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
    fn what_was_said_is_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mem.log");
        let log = Log::open(&path, "mem \"x\"").unwrap();
        for number in 0..1000_u64 {
            log.write(Level::Info, About::System, "said", [("number", Field::Count(number))]);
        }
        log.flush();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1000);
        assert_eq!(
            (&lines[999]["number"], &lines[0]["server"]),
            (&Value::from(999), &Value::from("mem \"x\""))
        );
        // Nothing waits, so nobody does.
        log.flush();
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
