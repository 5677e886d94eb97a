//! Owns which files have a format that proves them whole, and the proof for those that are text.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Names that databases of SQLite mostly end with: one whose first page is lost is known by nothing else.
const SQLITE_ENDS: [&str; 3] = ["db", "sqlite", "sqlite3"];
/// The first bytes of every SQLite database.
const SQLITE_HEAD: &[u8; 16] = b"SQLite format 3\0";
/// The longest line of a file of JSON lines.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// A format whose files can be proven whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON document.
    Json,
    /// One JSON document a line.
    JsonLines,
    /// A database of SQLite, known by its first bytes.
    Sqlite,
}

/// What the proof found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wholeness {
    Whole,
    Broken(String),
}

// === impl Format ===

impl Format {
    /// The format of a file with that name and those first bytes.
    pub(crate) fn of(path: &Path, head: &[u8]) -> Option<Self> {
        if head.starts_with(SQLITE_HEAD) {
            return Some(Self::Sqlite);
        }
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            // A database that has lost its first page is known by its name alone. An empty one is a database too.
            "sqlite" | "sqlite3" | "db3" if !head.is_empty() => Some(Self::Sqlite),
            _ => None,
        }
    }

    /// Proves a file of text by reading it as what it is; nothing is kept. A database is not text: it is whole here.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn prove(self, file: &mut File) -> io::Result<Wholeness> {
        let broken = |error: &serde_json::Error| Wholeness::Broken(error.to_string());
        let mut reader = BufReader::with_capacity(64 << 10, file);
        match self {
            Self::Sqlite => Ok(Wholeness::Whole),
            Self::Json => match parse(serde_json::Deserializer::from_reader(&mut reader)) {
                Ok(()) => Ok(Wholeness::Whole),
                Err(error) if error.is_io() => Err(error.into()),
                Err(error) => Ok(broken(&error)),
            },
            Self::JsonLines => {
                let (mut line, mut number) = (Vec::new(), 0u64);
                loop {
                    line.clear();
                    number += 1;
                    let n = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
                    if n == 0 {
                        return Ok(Wholeness::Whole);
                    }
                    if n as u64 == LINE_BYTES_MAX {
                        return Ok(Wholeness::Broken(format!(
                            "line {number} is longer than {LINE_BYTES_MAX} bytes"
                        )));
                    }
                    if line.iter().all(u8::is_ascii_whitespace) {
                        continue;
                    }
                    if let Err(error) = parse(serde_json::Deserializer::from_slice(&line)) {
                        return Ok(Wholeness::Broken(format!("line {number}: {error}")));
                    }
                }
            }
        }
    }
}

/// Reads one document and nothing after it.
fn parse<'de, R: serde_json::de::Read<'de>>(mut from: serde_json::Deserializer<R>) -> serde_json::Result<()> {
    Text::deserialize(&mut from)?;
    from.end()
}

/// Any JSON of which every text is read as text. (What is merely ignored may hold bytes that are none.)
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        while fields.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

/// Whether a file is, or was, a database of SQLite, by its first bytes or else by its name.
pub fn is_database(path: &Path) -> bool {
    let mut head = [0; SQLITE_HEAD.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    let is_named_so = || path.extension().is_some_and(|end| SQLITE_ENDS.iter().any(|one| end == *one));
    (read.is_ok() && head == *SQLITE_HEAD) || is_named_so()
}
