//! Owns the tuning of one server: what is another in how it is started than its configuration says.
//!
//! It is a JSON file that the server's guard reads before every start of the child: `heap` goes into the variable that
//! the runtime reads, `environment` into the environment, `arguments` behind the command, `open_files` into the limit
//! of descriptors, and `memory_limit_bytes` into a control group. A field that is not understood makes the whole file
//! unusable: whoever wrote it meant something.

mod memory_group;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use memory_group::{MemoryGroup, MemoryGroupError};

/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// A mebibyte.
const MEBIBYTE: u64 = 1 << 20;

/// What is another than in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tuning {
    /// The largest heap of its runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap: Option<Heap>,
    /// The memory of the server and all that it starts, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_bytes: Option<u64>,
    /// How many descriptors it may have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u64>,
    /// Variables of its environment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// More arguments, behind those of its command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

/// The largest heap of a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heap {
    /// Whose.
    pub runtime: Runtime,
    /// How large, in bytes; whole mebibytes count.
    pub bytes: u64,
}

/// A runtime whose heap can be limited by a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Node.js.
    Node,
    /// A Java virtual machine.
    Jvm,
}

/// Why a tuning cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TuningError {
    /// It cannot be read.
    #[error("the tuning cannot be read")]
    Read(#[from] io::Error),
    /// It is not understood.
    #[error("the tuning is not understood")]
    Content(#[from] serde_json::Error),
}

// === impl Tuning ===

impl Tuning {
    /// Reads the tuning of a server; where there is no file there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is not understood as a whole.
    pub fn read(path: &Path) -> Result<Self, TuningError> {
        let mut text = String::new();
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other?.take(BYTES_MAX).read_to_string(&mut text)?,
        };
        Ok(Self::parse(&text)?)
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// Where it is not understood as a whole.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text of the file; none where nothing is tuned.
    pub fn to_text(&self) -> Option<String> {
        let text = serde_json::to_string_pretty(self).ok().filter(|_| *self != Self::default())?;
        Some(text + "\n")
    }

    /// The variables that the server gets for it, where `given` tells what it would have without.
    pub fn variables(&self, given: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
        let mut variables = self.environment.clone();
        if let Some(heap) = self.heap {
            let name = heap.runtime.variable();
            let options = variables.remove(name).or_else(|| given(name)).unwrap_or_default();
            variables.insert(name.to_owned(), heap.within(&options));
        }
        variables.into_iter().collect()
    }
}

// === impl Heap ===

impl Heap {
    /// The options of the runtime with this heap in place of any other.
    fn within(self, options: &str) -> String {
        let others = options.split_whitespace().filter(|option| !self.runtime.is_heap_option(option));
        let own = self.runtime.heap_option(self.bytes / MEBIBYTE);
        others.map(str::to_owned).chain([own]).collect::<Vec<_>>().join(" ")
    }
}

// === impl Runtime ===

impl Runtime {
    /// The runtime of a program, by the name of its file.
    pub fn of_program(name: &str) -> Option<Self> {
        match name {
            "node" | "nodejs" | "npx" | "npm" => Some(Self::Node),
            "java" => Some(Self::Jvm),
            _ => None,
        }
    }

    /// The variable from which it takes options.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Node => "NODE_OPTIONS",
            Self::Jvm => "JAVA_TOOL_OPTIONS",
        }
    }

    /// The size of the heap that these options set, in bytes; the last one counts. None where they set none in mebibytes.
    pub fn heap_bytes(self, options: &str) -> Option<u64> {
        let number = |option: &str| -> Option<u64> {
            let option = option.replace('_', "-");
            let number = match self {
                Self::Node => option.strip_prefix("--max-old-space-size=")?,
                Self::Jvm => option.strip_prefix("-Xmx")?.strip_suffix('m')?,
            };
            number.parse().ok()
        };
        options.split_whitespace().rev().find_map(number)?.checked_mul(MEBIBYTE)
    }

    fn heap_option(self, mebibytes: u64) -> String {
        match self {
            Self::Node => format!("--max-old-space-size={mebibytes}"),
            Self::Jvm => format!("-Xmx{mebibytes}m"),
        }
    }

    fn is_heap_option(self, option: &str) -> bool {
        match self {
            // Node takes either form.
            Self::Node => option.replace('_', "-").starts_with("--max-old-space-size"),
            Self::Jvm => option.starts_with("-Xmx"),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_form_of_the_file() {
        let tuning = Tuning {
            heap: Some(Heap { runtime: Runtime::Node, bytes: 384 << 20 }),
            memory_limit_bytes: Some(512 << 20),
            open_files: Some(4096),
            environment: BTreeMap::from([("LOG_LEVEL".to_owned(), "debug".to_owned())]),
            arguments: vec!["--quiet".to_owned()],
        };
        let text = tuning.to_text().unwrap();
        expect![[r#"
            {
              "heap": {
                "runtime": "node",
                "bytes": 402653184
              },
              "memory_limit_bytes": 536870912,
              "open_files": 4096,
              "environment": {
                "LOG_LEVEL": "debug"
              },
              "arguments": [
                "--quiet"
              ]
            }
        "#]]
        .assert_eq(&text);
        assert_eq!(Tuning::parse(&text).unwrap(), tuning);
        assert_eq!(Tuning::default().to_text(), None);
        assert_eq!(Tuning::parse("{}").unwrap(), Tuning::default());
        for garbage in ["", "3", "{\"heap\":3}", "{\"heaps\":{}}", "\u{0}"] {
            assert!(Tuning::parse(garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_heap_takes_the_place_of_another_and_leaves_the_rest() {
        let heap = |runtime| Tuning { heap: Some(Heap { runtime, bytes: 384 << 20 }), ..Tuning::default() };
        for (runtime, given, expect) in [
            (Runtime::Node, None, "NODE_OPTIONS=--max-old-space-size=384"),
            (
                Runtime::Node,
                Some("--max_old_space_size=64 --enable-source-maps"),
                "NODE_OPTIONS=--enable-source-maps --max-old-space-size=384",
            ),
            (Runtime::Jvm, Some("-Xms64m -Xmx2g"), "JAVA_TOOL_OPTIONS=-Xms64m -Xmx384m"),
        ] {
            let variables = heap(runtime).variables(|_| given.map(str::to_owned));
            let [(name, value)] = variables.as_slice() else { panic!("{variables:?}") };
            assert_eq!(format!("{name}={value}"), expect);
            assert_eq!(runtime.heap_bytes(value), Some(384 << 20));
        }
        assert_eq!(Runtime::Node.heap_bytes("--enable-source-maps"), None);
    }

    #[test]
    fn no_file_is_no_tuning_and_a_broken_one_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("time.json");
        assert_eq!(Tuning::read(&path).unwrap(), Tuning::default());
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(Tuning::read(&path), Err(TuningError::Content(_))));
    }
}
