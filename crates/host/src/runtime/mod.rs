//! Owns which runtime a process is of: Node, Python, a Java machine and the like, asked of its executable and of what it has
//! mapped, and never guessed from a name.
//!
//! A program or library that is such a runtime exports functions that nothing else exports, so the table of its dynamic
//! symbols says which one it is, wherever it lies and whatever it is called.

mod elf;

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::roots::{FILE_BYTES_MAX, Roots, read, read_link};
use crate::text::lines;

/// What has been found out about files, by device, inode and time of their last change: processes share their programs.
pub(crate) type Seen = HashMap<(u64, u64, i64), Option<Kind>>;

/// A process maps some dozens of libraries; a Java machine a hundred.
const MAPPED_MAX: usize = 300;
/// `NODE_OPTIONS` stands somewhere in it, and nothing else of it is looked at.
const ENVIRONMENT_BYTES_MAX: u64 = 128 * 1024;
const MIB: u64 = 1 << 20;

/// A kind of runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Node.js.
    Node,
    /// CPython.
    Python,
    /// A Java virtual machine.
    Jvm,
}

/// The functions by which a runtime is known: of its own interface, which nobody else exports.
const MARKS: [(Kind, &[u8]); 3] = [
    (Kind::Node, b"_ZN4node5StartEiPPc"),
    (Kind::Python, b"PyRun_SimpleStringFlags"),
    (Kind::Jvm, b"JNI_GetCreatedJavaVMs"),
];

/// The runtime of one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// Which process.
    pub pid: i32,
    /// Which runtime.
    pub kind: Kind,
    /// The file that says so: the executable, or a library that it has mapped.
    pub file: PathBuf,
    /// The limit of its own heap, where it was given one when it was started.
    pub heap_limit_bytes: Option<u64>,
    /// The signal upon which Node writes a snapshot of its heap, where it was started so.
    pub dump_signal: Option<String>,
    /// The folder into which it would.
    pub dump_folder: Option<PathBuf>,
}

// === impl Kind ===

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Python => "python",
            Self::Jvm => "jvm",
        }
    }

    /// What a file is: `None` for one that is no runtime, or cannot be read.
    fn of_file(path: &Path) -> Option<Self> {
        let exported = elf::exported(path)?;
        MARKS.iter().find(|(_, mark)| exported.has(mark)).map(|(kind, _)| *kind)
    }
}

// === impl Runtime ===

impl Runtime {
    /// The runtime of a process; `None` for a program of no runtime that is known here, and where we may not look.
    pub fn of(roots: &Roots, pid: i32) -> Option<Self> {
        Self::read(roots, pid, &mut Seen::new())
    }

    pub(crate) fn read(roots: &Roots, pid: i32, seen: &mut Seen) -> Option<Self> {
        let folder = roots.process(pid);
        let own = folder.join("exe");
        let named = |path: &str| PathBuf::from(path.strip_suffix(" (deleted)").unwrap_or(path));
        let (kind, file) = match known(&own, seen) {
            Some(kind) => (kind, named(&read_link(&own)?)),
            None => of_mapped(&folder, seen)?,
        };
        let option = |name| (kind == Kind::Node).then(|| node_option(&folder, name)).flatten();
        let dump_folder = option("diagnostic-dir").map(PathBuf::from);
        Some(Self {
            pid,
            kind,
            file,
            heap_limit_bytes: heap_limit_bytes(&folder, kind),
            dump_signal: option("heapsnapshot-signal"),
            dump_folder: dump_folder.or_else(|| read_link(&folder.join("cwd")).map(PathBuf::from)),
        })
    }
}

/// The runtime among the libraries that a process has mapped to run.
fn of_mapped(folder: &Path, seen: &mut Seen) -> Option<(Kind, PathBuf)> {
    let maps = read(&folder.join("maps"), FILE_BYTES_MAX)?;
    mapped_files(&maps).into_iter().find_map(|path| {
        // The way there is that of the process, which may be a container's.
        let there = folder.join("root").join(path.strip_prefix("/").ok()?);
        known(&there, seen).map(|kind| (kind, path))
    })
}

fn known(path: &Path, seen: &mut Seen) -> Option<Kind> {
    let of = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    *seen.entry((of.dev(), of.ino(), of.mtime())).or_insert_with(|| Kind::of_file(path))
}

/// The files that are mapped to be executed, each once. The fields of a line are: range, rights, offset, device, inode, path.
fn mapped_files(maps: &[u8]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for line in lines(maps) {
        let rights = crate::text::words(line).nth(1).unwrap_or_default();
        let path = line.iter().position(|byte| *byte == b'/').map(|at| &line[at..]);
        let Some(path) = path.filter(|_| rights.get(2) == Some(&b'x')) else { continue };
        let path = PathBuf::from(String::from_utf8_lossy(path).into_owned());
        if found.last() != Some(&path) && found.len() < MAPPED_MAX {
            found.push(path);
        }
    }
    found
}

/// The heap that a runtime was given with its start: on its command line, or in the one variable that it reads for that.
fn heap_limit_bytes(folder: &Path, kind: Kind) -> Option<u64> {
    let words = read(&folder.join("cmdline"), FILE_BYTES_MAX)?;
    let of_words = |bytes: &[u8]| {
        let words = bytes.split(|byte| *byte == 0 || byte.is_ascii_whitespace());
        // Of several the last one counts, as it does for the runtime.
        words.filter_map(|word| limit_of_word(kind, std::str::from_utf8(word).ok()?)).next_back()
    };
    of_words(&words).or_else(|| {
        let variable: &[u8] = match kind {
            Kind::Node => b"NODE_OPTIONS=",
            Kind::Jvm => b"JAVA_TOOL_OPTIONS=",
            Kind::Python => return None,
        };
        let environment = read(&folder.join("environ"), ENVIRONMENT_BYTES_MAX)?;
        let value = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(variable))?;
        of_words(value)
    })
}

/// `--NAME=VALUE` among the words with which a Node was started, or in the one variable that it reads for that.
fn node_option(folder: &Path, name: &str) -> Option<String> {
    let value = |bytes: &[u8]| {
        let words = bytes.split(|byte| *byte == 0 || byte.is_ascii_whitespace());
        let mut named = words.filter_map(|word| {
            let (option, value) = std::str::from_utf8(word).ok()?.strip_prefix("--")?.split_once('=')?;
            (option == name).then(|| value.to_owned())
        });
        named.next_back()
    };
    let environment = || read(&folder.join("environ"), ENVIRONMENT_BYTES_MAX);
    let of_variable = || {
        let all = environment()?;
        value(all.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"NODE_OPTIONS=".as_slice()))?)
    };
    value(&read(&folder.join("cmdline"), FILE_BYTES_MAX)?).or_else(of_variable)
}

fn limit_of_word(kind: Kind, word: &str) -> Option<u64> {
    match kind {
        Kind::Node => {
            let word = word.strip_prefix("--")?.replace('_', "-");
            word.strip_prefix("max-old-space-size=")?.parse::<u64>().ok()?.checked_mul(MIB)
        }
        Kind::Jvm => {
            let size = word.strip_prefix("-Xmx").or_else(|| word.strip_prefix("-XX:MaxHeapSize="))?;
            let (number, factor) = match size.as_bytes().last()?.to_ascii_lowercase() {
                b'k' => (&size[..size.len() - 1], 1 << 10),
                b'm' => (&size[..size.len() - 1], MIB),
                b'g' => (&size[..size.len() - 1], 1 << 30),
                _ => (size, 1),
            };
            number.parse::<u64>().ok()?.checked_mul(factor)
        }
        Kind::Python => None,
    }
}

#[cfg(test)]
mod tests;
