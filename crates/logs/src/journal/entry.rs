//! Owns one entry of a journal: its place, its fields, and how `journalctl -o json` writes it.

use std::fmt::{self, Write as _};

use super::file::Head;

/// One entry with all that it has, each field a `NAME=value`.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) head: Head,
    pub(super) fields: Vec<Vec<u8>>,
}

/// The place of an entry, as `journalctl --after-cursor` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) head: Head,
}

// === impl Entry ===

impl Entry {
    /// When journald got it, in microseconds since the Unix epoch.
    pub fn realtime_us(&self) -> u64 {
        self.head.realtime_us
    }

    /// Its place.
    pub fn cursor(&self) -> Cursor {
        Cursor { head: self.head }
    }

    /// The value of a field; of several the first.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// All values of a field.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields().filter(move |(known, _)| *known == name.as_bytes()).map(|(_, value)| value)
    }

    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().filter_map(|field| {
            let at = memchr::memchr(b'=', field)?;
            Some((&field[..at], &field[at + 1..]))
        })
    }

    /// Appends it as a line of JSON: texts as they are, other bytes as numbers, several values of one name as a list.
    pub fn write_json(&self, line: &mut String) {
        let Head { realtime_us, monotonic_us, boot_id, .. } = self.head;
        let _ = write!(
            line,
            "{{\"__CURSOR\":\"{}\",\"__REALTIME_TIMESTAMP\":\"{realtime_us}\",\"__MONOTONIC_TIMESTAMP\":\"{monotonic_us}\",\
             \"_BOOT_ID\":\"{}\"",
            self.cursor(),
            Hex(&boot_id)
        );
        let fields: Vec<(&[u8], &[u8])> = self.fields().filter(|(name, _)| *name != b"_BOOT_ID").collect();
        for (number, (name, value)) in fields.iter().enumerate() {
            if fields[..number].iter().any(|(known, _)| known == name) {
                continue;
            }
            line.push(',');
            push_text(line, &String::from_utf8_lossy(name));
            line.push(':');
            let mut others = fields[number + 1..].iter().filter(|(other, _)| other == name).peekable();
            if others.peek().is_none() {
                push_value(line, value);
                continue;
            }
            line.push('[');
            push_value(line, value);
            for (_, other) in others {
                line.push(',');
                push_value(line, other);
            }
            line.push(']');
        }
        line.push_str("}\n");
    }
}

/// What is printable is a text; everything else is a list of bytes.
fn push_value(line: &mut String, value: &[u8]) {
    let is_control = |c: char| c.is_control() && c != '\t' && c != '\n';
    match std::str::from_utf8(value).ok().filter(|text| !text.contains(is_control)) {
        Some(text) => push_text(line, text),
        None => {
            line.push('[');
            for (number, byte) in value.iter().enumerate() {
                let _ = write!(line, "{}{byte}", if number > 0 { "," } else { "" });
            }
            line.push(']');
        }
    }
}

fn push_text(line: &mut String, text: &str) {
    line.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        line.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'\n' => line.push_str("\\n"),
            b'\t' => line.push_str("\\t"),
            byte @ (b'"' | b'\\') => line.extend(['\\', char::from(byte)]),
            byte => {
                let _ = write!(line, "\\u{byte:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    line.push_str(rest);
    line.push('"');
}

// === impl Cursor ===

impl Cursor {
    /// Reads what [`fmt::Display`] and `journalctl` write; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let part = |name: &str| text.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| u64::from_str_radix(part(name)?, 16).ok();
        let id = |name: &str| Some(u128::from_str_radix(part(name)?, 16).ok()?.to_be_bytes());
        let head = Head {
            offset: 0,
            seqnum_id: id("s")?,
            seqnum: number("i")?,
            boot_id: id("b")?,
            monotonic_us: number("m")?,
            realtime_us: number("t")?,
            xor_hash: number("x")?,
        };
        Some(Self { head })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { seqnum_id, seqnum, boot_id, monotonic_us, realtime_us, xor_hash, .. } = self.head;
        write!(
            f,
            "s={};i={seqnum:x};b={};m={monotonic_us:x};t={realtime_us:x};x={xor_hash:x}",
            Hex(&seqnum_id),
            Hex(&boot_id)
        )
    }
}

struct Hex<'b>(&'b [u8; 16]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(*self.0))
    }
}
