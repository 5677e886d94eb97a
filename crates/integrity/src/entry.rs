//! Owns what a manifest says about one thing in a tree: its path, its kind, its times and its digests.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::hex::Hex;

/// A path in a tree: relative, without `.` or `..`, any bytes but NUL.
///
/// Its order is that of a walk: a folder, all that is in it, then what comes after the folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TreePath(PathBuf);

/// What one thing in a tree is, as far as a comparison needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is, below the root of the tree.
    pub path: TreePath,
    /// What it is.
    pub kind: Kind,
    /// Its permissions, with set-user-id and the like: the lower twelve bits of `st_mode`.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Bytes of a file; 0 for anything else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// When its content was changed last, as anybody may set it: nanoseconds since 1970.
    #[serde(rename = "mtime_ns")]
    pub modified_ns: i64,
    /// When the kernel saw its last change: nanoseconds since 1970. Nobody sets that one back.
    #[serde(rename = "ctime_ns")]
    pub changed_ns: i64,
    /// Its number on its file system.
    pub inode: u64,
    /// Where a link points to, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// BLAKE3 of the content of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<Hex<32>>,
    /// SHA-256 of the same, where somebody else wants to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hex<32>>,
    /// BLAKE3 of its extended attributes, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Hex<32>>,
}

/// What a thing in a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A symbolic link; it is never followed.
    Link,
    /// A folder on which another file system stands; what is in that is another tree.
    Mount,
    /// A device, a pipe or a socket; it is never opened.
    Special,
}

// === impl Entry ===

impl Entry {
    /// Whether the kernel saw nobody write to it since it was that: inode, size and both times are the same.
    pub(crate) fn is_untouched_since(&self, old: &Self) -> bool {
        let key = |entry: &Self| (entry.inode, entry.size, entry.modified_ns, entry.changed_ns);
        key(self) == key(old)
    }
}

// === impl TreePath ===

impl TreePath {
    /// Takes a path as one in a tree, if it is one.
    pub fn new(path: impl Into<PathBuf>) -> Option<Self> {
        let path = path.into();
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let same = path.components().collect::<PathBuf>().as_os_str() == path.as_os_str();
        let bytes = path.as_os_str().as_bytes();
        (plain && same && !bytes.is_empty() && !bytes.contains(&0)).then_some(Self(path))
    }

    /// The path, relative to the root.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn child(folder: &Path, name: &OsStr) -> Self {
        Self(folder.join(name))
    }

    /// Whether this is in that folder, at any depth.
    pub fn is_below(&self, folder: &Self) -> bool {
        self.0 != folder.0 && self.0.starts_with(&folder.0)
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A slash comes before every other byte: what is in a folder follows it at once.
        let (mine, others) = (self.0.as_os_str().as_bytes(), other.0.as_os_str().as_bytes());
        match mine.iter().zip(others).find(|(one, two)| one != two) {
            Some((b'/', _)) => Ordering::Less,
            Some((_, b'/')) => Ordering::Greater,
            Some((one, two)) => one.cmp(two),
            None => mine.len().cmp(&others.len()),
        }
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Written as text where it is text, otherwise as `{"hex": …}` with the digits of its bytes.
impl Serialize for TreePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_map([("hex", checksum::hex::write(self.0.as_os_str().as_bytes()))]),
        }
    }
}

impl<'de> Deserialize<'de> for TreePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TreePath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path in a tree, as text or as `{\"hex\": …}`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<TreePath, E> {
                TreePath::new(text).ok_or_else(|| E::custom(format!("`{text}` is not a path in a tree")))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TreePath, A::Error> {
                let bytes = match (map.next_entry::<String, String>()?, map.next_key::<String>()?) {
                    (Some((key, digits)), None) if key == "hex" => checksum::hex::read(&digits),
                    _ => None,
                };
                let path = bytes.and_then(|bytes| TreePath::new(OsStr::from_bytes(&bytes)));
                path.ok_or_else(|| A::Error::custom("`hex` is not the digits of a path in a tree"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(size: &u64) -> bool {
    *size == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn only_paths_that_stay_in_the_tree_are_paths() {
        for bad in ["", "/etc", "a/../b", "..", "./a", "a/", "a//b", "a\0b"] {
            assert_eq!(TreePath::new(bad), None, "{bad:?}");
        }
        for good in ["a", "a/b", " ", "a\nb", "-rf", "…"] {
            assert!(TreePath::new(good).is_some(), "{good:?}");
        }
    }

    #[test]
    fn the_order_is_that_of_a_walk() {
        let mut paths = ["a.txt", "a", "b", "a/b", "a/b/c", "a-", "a/b.c"].map(path);
        paths.sort();
        assert_eq!(paths, ["a", "a/b", "a/b/c", "a/b.c", "a-", "a.txt", "b"].map(path));
    }

    #[test]
    fn a_name_that_is_no_text_survives() {
        let odd = TreePath::new(OsStr::from_bytes(b"a/\xff\n")).unwrap();
        let line = serde_json::to_string(&odd).unwrap();
        assert_eq!(line, r#"{"hex":"612fff0a"}"#);
        assert_eq!(serde_json::from_str::<TreePath>(&line).unwrap(), odd);
        for bad in ["{}", r#""../x""#, r#"{"hex":"61","b":"c"}"#, r#"{"hex":"6"}"#, r#"{"hex":"2f61"}"#, "1"]
        {
            serde_json::from_str::<TreePath>(bad).expect_err(bad);
        }
    }
}
