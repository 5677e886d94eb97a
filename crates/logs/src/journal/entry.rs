//! Owns one entry of a journal: its place, its fields, and how `journalctl -o json` writes it.

use std::cell::OnceCell;
use std::fmt::{self, Write as _};
use std::rc::Rc;

use super::file::Head;

/// One entry with all that it has.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) head: Head,
    pub(super) fields: Vec<Rc<Field>>,
}

/// `NAME=value`, which many entries may share, and how JSON writes the value.
#[derive(Debug)]
pub(super) struct Field {
    data: Vec<u8>,
    name_bytes: usize,
    json: OnceCell<String>,
}

// === impl Field ===

impl Field {
    /// `None` for what has no name.
    pub(super) fn of(data: Vec<u8>) -> Option<Self> {
        let name_bytes = memchr::memchr(b'=', &data)?;
        Some(Self { data, name_bytes, json: OnceCell::new() })
    }

    fn name(&self) -> &[u8] {
        &self.data[..self.name_bytes]
    }

    fn value(&self) -> &[u8] {
        &self.data[self.name_bytes + 1..]
    }

    fn json(&self) -> &str {
        self.json.get_or_init(|| {
            let mut json = String::with_capacity(self.value().len() + 2);
            push_value(&mut json, self.value());
            json
        })
    }
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
        let named = self.fields.iter().filter(move |field| field.name() == name.as_bytes());
        named.map(|field| field.value())
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
        for (number, field) in self.fields.iter().enumerate() {
            let is_other = |other: &&Rc<Field>| other.name() == field.name();
            if field.name() == b"_BOOT_ID" || self.fields[..number].iter().any(|other| is_other(&other)) {
                continue;
            }
            line.push(',');
            push_text(line, &String::from_utf8_lossy(field.name()));
            line.push(':');
            let mut others = self.fields[number + 1..].iter().filter(is_other).peekable();
            if others.peek().is_none() {
                line.push_str(field.json());
                continue;
            }
            line.push('[');
            line.push_str(field.json());
            for other in others {
                line.push(',');
                line.push_str(other.json());
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
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
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
