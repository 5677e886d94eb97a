//! Owns what one unit has said: lines of the systemd journal, read from its files, or by `journalctl`.
//!
//! The files of the journal have a format that grows with each version. What [`logs::journal`] does not know of it, and files
//! that this user may not open, are left to the one reader that knows them all. It is started without a shell, for one exact
//! unit, with a deadline and a limit.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use logs::journal;

use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::error::Error;
use crate::name::UnitName;

/// What is kept of the standard error of `journalctl`, in bytes.
const REMARK_BYTES_MAX: u64 = 4096;
/// What a line takes beside its message.
const LINE_BYTES: u64 = 200;

/// How the journal is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// `journalctl`, by its path or its name.
    pub program: PathBuf,
    /// Where the files of the journal are; none for those of this machine.
    pub directory: Option<PathBuf>,
    /// Whether only `journalctl` reads them.
    pub only_program: bool,
    /// How long one reading may take.
    pub timeout: Duration,
    /// So many bytes are read at most, of JSON with all its fields. A line has about 1,000, and 300 without `journalctl`.
    pub bytes_max: u64,
}

/// What is wanted. Where there is more, the newest lines win; after a line that was read before, the next ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// So many lines at most.
    pub lines_max: u32,
    /// From this moment on, in milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Until this moment.
    pub until_ms: Option<i64>,
    /// Only what comes after a line that was read before.
    pub after: Option<Cursor>,
}

/// The place of a line in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

/// What was read, the oldest line first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The lines.
    pub lines: Vec<Line>,
    /// Whether there was more than may be read.
    pub is_cut: bool,
    /// How many lines were not understood.
    pub strange: usize,
    /// What `journalctl` remarked, such as that this user may not see everything.
    pub remark: Option<String>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it came, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who said it.
    pub from: From,
    /// What it says. What is no text in it is replaced.
    pub message: String,
    /// How bad it is, 0 (emergency) to 7 (debugging).
    pub priority: Option<u8>,
    /// Which process said it.
    pub pid: Option<i32>,
    /// The name of the program, as it gave it itself.
    pub identifier: Option<String>,
    /// The run of the unit in which it was said, as systemd writes it.
    pub invocation: Option<String>,
    /// Its place.
    pub cursor: Option<Cursor>,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A process of the unit.
    Unit,
    /// systemd, or another program, of the unit.
    Others,
}

// === impl Journal ===

impl Default for Journal {
    fn default() -> Self {
        Self {
            program: PathBuf::from("journalctl"),
            directory: None,
            only_program: false,
            timeout: Duration::from_secs(10),
            bytes_max: 16 << 20,
        }
    }
}

impl Journal {
    /// Reads what a unit has said, and what was said of it. No other unit's lines are among it.
    ///
    /// # Errors
    /// When `journalctl` cannot be run, fails, or takes too long; then it is killed.
    pub async fn read(&self, unit: &UnitName, wanted: &Wanted) -> Result<Lines, Error> {
        if let Some(lines) = self.of_files(unit, wanted).await {
            return Ok(lines);
        }
        let reading = self.run(unit, wanted);
        match tokio::time::timeout(self.timeout, reading).await {
            Ok(read) => read,
            Err(_) => {
                let call = self.program.display().to_string();
                Err(Error::Deadline { call, timeout: self.timeout })
            }
        }
    }

    /// What the files say; `None` where they have to be read by `journalctl`, also because they took too long.
    async fn of_files(&self, unit: &UnitName, wanted: &Wanted) -> Option<Lines> {
        if self.only_program {
            return None;
        }
        let (unit, wanted, bytes_max) = (unit.clone(), wanted.clone(), self.bytes_max);
        let (directory, until) = (self.directory.clone(), Instant::now() + self.timeout);
        let reading = tokio::task::spawn_blocking(move || {
            let files = match directory {
                Some(folder) => journal::files_in(&folder),
                None => journal::files(Path::new("/")),
            };
            of_files(&files, &unit, &wanted, bytes_max, until)
        });
        tokio::time::timeout(self.timeout, reading).await.ok()?.ok()?
    }

    async fn run(&self, unit: &UnitName, wanted: &Wanted) -> Result<Lines, Error> {
        let fail = |source: io::Error| Error::Run { program: self.program.clone(), source };
        let mut child = Command::new(&self.program)
            .args(self.arguments(unit, wanted))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(fail)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (text, remark) =
            tokio::try_join!(up_to(stdout, self.bytes_max), up_to(stderr, REMARK_BYTES_MAX)).map_err(fail)?;
        let is_cut = text.len() as u64 == self.bytes_max;
        let remark = String::from_utf8_lossy(&remark).trim().to_owned();
        if !is_cut {
            let status = child.wait().await.map_err(fail)?;
            if !status.success() {
                let message = if remark.is_empty() { status.to_string() } else { remark };
                return Err(Error::Journal { program: self.program.clone(), message });
            }
        }
        let mut lines = parse(unit, &text);
        lines.is_cut = is_cut;
        if wanted.after.is_some() {
            let lines_max = wanted.lines_max as usize;
            lines.is_cut |= lines.lines.len() > lines_max;
            lines.lines.truncate(lines_max);
        } else {
            lines.lines.reverse();
        }
        lines.remark = (!remark.is_empty()).then_some(remark);
        Ok(lines)
    }

    fn arguments(&self, unit: &UnitName, wanted: &Wanted) -> Vec<String> {
        // `--all`: long lines would be left out without it.
        let mut arguments = ["--output=json", "--all", "--no-pager"].map(str::to_owned).to_vec();
        arguments.push(format!("--unit={unit}"));
        match &wanted.after {
            Some(cursor) => arguments.push(format!("--after-cursor={}", cursor.0)),
            // Newest first, so that a limit cuts off the oldest.
            None => arguments.extend([format!("--lines={}", wanted.lines_max), "--reverse".to_owned()]),
        }
        arguments.extend(self.directory.iter().map(|folder| format!("--directory={}", folder.display())));
        arguments.extend(wanted.since_ms.map(|ms| format!("--since={}", moment(ms))));
        arguments.extend(wanted.until_ms.map(|ms| format!("--until={}", moment(ms))));
        arguments
    }
}

/// Blocks; ends soon after `until`.
fn of_files(
    files: &[PathBuf],
    unit: &UnitName,
    wanted: &Wanted,
    bytes_max: u64,
    until: Instant,
) -> Option<Lines> {
    if files.is_empty() {
        return None;
    }
    let us = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(1000);
    let after = match &wanted.after {
        Some(Cursor(text)) => Some(journal::Cursor::parse(text)?),
        None => None,
    };
    let asked = journal::Wanted {
        unit: Some(unit.as_str()),
        since_us: wanted.since_ms.map(us),
        until_us: wanted.until_ms.map(us),
        after: after.as_ref(),
        entries_max: wanted.lines_max as usize,
        // So that a limit cuts off the oldest.
        newest_first: after.is_none(),
    };
    let (mut lines, mut bytes) = (Lines::default(), 0);
    let in_time = || Instant::now() < until;
    let read = journal::read(files, &asked, in_time, |entry| {
        if let Some(Belongs::To(line)) = Line::of(unit, entry) {
            bytes += line.message.len() as u64 + LINE_BYTES;
            lines.lines.push(*line);
        }
        if bytes < bytes_max && in_time() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let read = read.ok()?;
    if !in_time() {
        return None;
    }
    // Older ones than so many lines are not asked for; later ones are.
    lines.is_cut = bytes >= bytes_max || after.is_some() && read.is_cut;
    if after.is_none() {
        lines.lines.reverse();
    }
    Some(lines)
}

/// A moment as systemd reads it.
fn moment(ms: i64) -> String {
    format!("@{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

async fn up_to(pipe: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(bytes_max).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Lines of JSON, in their order. The last one may be cut off.
fn parse(unit: &UnitName, text: &[u8]) -> Lines {
    let mut lines = Lines::default();
    for text in text.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()) {
        match serde_json::from_slice::<Map<String, Value>>(text)
            .ok()
            .and_then(|fields| Line::of(unit, &fields))
        {
            Some(Belongs::To(line)) => lines.lines.push(*line),
            Some(Belongs::Elsewhere) => {}
            None => lines.strange += 1,
        }
    }
    lines
}

/// Whose a line is.
enum Belongs {
    To(Box<Line>),
    Elsewhere,
}

// === impl Line ===

impl Line {
    fn of(unit: &UnitName, fields: &impl Fields) -> Option<Belongs> {
        let is_of = |field: &str| fields.all(field).iter().any(|named| named == unit.as_str());
        let from = match (
            is_of("_SYSTEMD_UNIT"),
            ["UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT"].into_iter().any(is_of),
        ) {
            (true, _) => From::Unit,
            (false, true) => From::Others,
            (false, false) => return Some(Belongs::Elsewhere),
        };
        let text = |field: &str| fields.all(field).into_iter().next();
        let at_us = fields.at_us()?;
        Some(Belongs::To(Box::new(Self {
            at_ms: at_us / 1000,
            from,
            message: text("MESSAGE").unwrap_or_default(),
            priority: text("PRIORITY").and_then(|number| number.parse().ok()),
            pid: text("_PID").and_then(|number| number.parse().ok()),
            identifier: text("SYSLOG_IDENTIFIER"),
            invocation: text("_SYSTEMD_INVOCATION_ID")
                .filter(|_| from == From::Unit)
                .or_else(|| text("INVOCATION_ID")),
            cursor: fields.cursor(),
        })))
    }
}

/// What a line is made of, whoever has read it.
trait Fields {
    /// The values of a field; what is no text in them is replaced.
    fn all(&self, field: &str) -> Vec<String>;

    /// When it came, in microseconds since the Unix epoch.
    fn at_us(&self) -> Option<i64>;

    fn cursor(&self) -> Option<Cursor>;
}

impl Fields for journal::Entry {
    fn all(&self, field: &str) -> Vec<String> {
        self.values(field).map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    fn at_us(&self) -> Option<i64> {
        i64::try_from(self.realtime_us()).ok()
    }

    fn cursor(&self) -> Option<Cursor> {
        Some(Cursor(journal::Entry::cursor(self).to_string()))
    }
}

impl Fields for Map<String, Value> {
    fn all(&self, field: &str) -> Vec<String> {
        match self.get(field) {
            // One field may be there several times.
            Some(Value::Array(items)) if !items.iter().all(Value::is_u64) => {
                items.iter().filter_map(text_of).collect()
            }
            Some(value) => text_of(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    fn at_us(&self) -> Option<i64> {
        self.all("__REALTIME_TIMESTAMP").first()?.parse().ok()
    }

    fn cursor(&self) -> Option<Cursor> {
        self.all("__CURSOR").into_iter().next().map(Cursor)
    }
}

/// One value: a text, or the bytes of what is none.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let bytes = items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok()));
            bytes.collect::<Option<Vec<u8>>>().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
