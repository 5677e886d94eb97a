//! Owns the manifest: JSON lines, the first about the bundle, then one for each item and for each gap, in order.
//!
//! What differs from one collection to the next of the same state (when a step ran, how long it took) is not in here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::bundle::MANIFEST;
use crate::times::Times;

/// Of the form below; a reader of old bundles looks here first.
pub const FORMAT: u32 = 1;

/// A manifest is read up to here: 300,000 items.
pub const BYTES_MAX: u64 = 128 << 20;

/// A line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// The first: what the bundle is about.
    Bundle(Head),
    /// Something that is in it.
    Item(Item),
    /// Something that is not, and why: a gap is a fact.
    Missing(Missing),
}

/// What a bundle is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    pub format: u32,
    /// The server that it is about; none for the machine alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The incident that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Who collected it, as whom the system knows them.
    pub by: String,
    /// The name of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When the collection began, in milliseconds since the Unix epoch by this machine's clock.
    pub at_ms: i64,
    /// From when on the journal and what changed on the disk was wanted, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// How deep was looked: `t0`, `t1`, `t2`.
    pub tiers: Vec<String>,
    /// Where it was written, and why there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// An item of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its name in the archive.
    pub name: String,
    /// The step of the collection that made it.
    pub step: String,
    /// Its size.
    pub bytes: u64,
    /// Its sum.
    pub sha256: Digest,
    /// Where its frame begins in the archive.
    pub at: u64,
    /// How long its frame is.
    pub frame_bytes: u64,
    /// The file that it is a copy of. What is no UTF-8 in it is written as `%` and two digits, and `%` as `%25`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What that file said of itself before it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// The extended attributes of that file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// The sum of what was read, where the item is not that byte for byte: secrets are hidden in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_sha256: Option<Digest>,
    /// In what it is incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Something that was looked for and is not in the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// What.
    pub name: String,
    /// The step of the collection that looked for it.
    pub step: String,
    /// Why it is not there.
    pub problem: String,
}

/// The longest first line of a manifest, in bytes.
const HEAD_BYTES_MAX: u64 = 64 << 10;

// === impl Head ===

impl Head {
    /// What a bundle says of itself, by the first line of its manifest. Nothing of it is checked; none where it says nothing.
    pub fn of_folder(folder: &Path) -> Option<Self> {
        let file = File::options()
            .read(true)
            .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default())
            .open(folder.join(MANIFEST))
            .ok()?;
        let mut line = String::new();
        BufReader::new(file.take(HEAD_BYTES_MAX)).read_line(&mut line).ok()?;
        match serde_json::from_str(&line).ok()? {
            Line::Bundle(head) => Some(head),
            Line::Item(_) | Line::Missing(_) => None,
        }
    }
}

// === impl Line ===

impl Line {
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("a line has text keys only") + "\n"
    }

    /// Reads a manifest. What is no line of one is returned as its number, from 1, and why.
    pub fn read_all(text: &str) -> (Vec<Self>, Vec<(usize, String)>) {
        let (mut lines, mut odd) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(line) => lines.push(line),
                Err(error) => odd.push((number + 1, error.to_string())),
            }
        }
        (lines, odd)
    }
}

/// A name for the archive of anything that has one: plain characters, no way out of the folder, at most 100 bytes.
pub fn plain_name(folder: &str, path: &[u8]) -> String {
    /// What a header of tar holds without an extension.
    const NAME_BYTES_MAX: usize = 100;
    /// `~` and 16 digits.
    const TAIL_BYTES: usize = 17;
    let mut name = format!("{folder}/");
    for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        if !name.ends_with('/') {
            name.push('/');
        }
        let is_dots = part.iter().all(|byte| *byte == b'.');
        for byte in part {
            match byte {
                b'.' if is_dots => name.push_str("%2e"),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'@' | b'+' | b':' | b'=' => {
                    name.push(char::from(*byte));
                }
                _ => name.push_str(&format!("%{byte:02x}")),
            }
        }
    }
    if name.len() > NAME_BYTES_MAX {
        let sum = Digest::of(path).short();
        name.truncate(NAME_BYTES_MAX - TAIL_BYTES);
        name = format!("{}~{sum}", name.trim_end_matches('/'));
    }
    name
}

/// A path as text that can be taken back: what is no UTF-8 is `%` and two digits.
pub fn plain_path(path: &[u8]) -> String {
    let mut text = String::new();
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '%' => text.push_str("%25"),
                c if c.is_control() => {
                    c.to_string().bytes().for_each(|byte| text.push_str(&format!("%{byte:02x}")))
                }
                c => text.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Line, plain_name, plain_path};

    #[test]
    fn names_are_plain_and_stay_inside() {
        for (path, expect) in [
            (b"/etc/passwd".as_slice(), "files/etc/passwd"),
            (b"/a/../../b", "files/a/%2e%2e/%2e%2e/b"),
            (b"/a b\n\xff", "files/a%20b%0a%ff"),
            (b"", "files/"),
        ] {
            assert_eq!(plain_name("files", path), expect);
        }
        let long = plain_name("files", &[b'x'; 5000]);
        assert!(long.len() == 100 && long != plain_name("files", &[b'x'; 5001]), "{long}");
        assert_eq!(plain_path(b"/a\xff%\n\xc3\xa9"), "/a%ff%25%0aé");
    }

    #[test]
    fn what_is_no_line_is_named() {
        let (lines, odd) =
            Line::read_all("{\"line\":\"missing\",\"name\":\"a\",\"step\":\"b\",\"problem\":\"c\"}\nx\n");
        assert_eq!((lines.len(), odd[0].0), (1, 2));
    }
}
