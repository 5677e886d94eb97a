//! Owns a tree of data for one test, its manifest beside it, and checks of both.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use integrity::manifest::{Head, Reader, Writer};
use integrity::{Entry, Expect, Hex, Keep, Options, Patterns, Places, Report, check};
use tempfile::TempDir;

/// When checks are said to begin: later than any file of a test.
pub(crate) const NOW_NS: i64 = 4_000_000_000_000_000_000;

/// A tree.
pub(crate) struct Tree {
    folder: TempDir,
    pub(crate) expect: Expect,
}

impl Tree {
    /// A tree with a bit of everything.
    pub(crate) fn new(expect: Expect) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = Self { folder, expect };
        for folder in ["data", "scratch", "data/notes", "data/notes/deep"] {
            fs::create_dir(tree.folder.path().join(folder)).unwrap();
        }
        tree.write("notes/one.txt", "one\n");
        tree.write("notes/deep/two.json", r#"{"a": [1, 2.5, null, "x"]}"#);
        tree.write("notes/three.jsonl", "{\"a\":1}\n\n[2]\n");
        tree.write("notes-2", "not below notes");
        tree.write("server.log", "started\n");
        symlink("notes/one.txt", tree.path("link")).unwrap();
        fs::set_permissions(tree.path("notes/three.jsonl"), Permissions::from_mode(0o644)).unwrap();
        tree
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path)
    }

    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        fs::write(self.path(path), content).unwrap();
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.folder.path().join("manifest.jsonl")
    }

    pub(crate) fn baseline(&self) -> Report {
        self.run(true, Keep::Baseline { accepts_damage: false })
    }

    pub(crate) fn check(&self, reads_all: bool) -> Report {
        self.run(reads_all, Keep::IfWhole)
    }

    pub(crate) fn run(&self, reads_all: bool, keep: Keep) -> Report {
        let may_change = Patterns::new([]).unwrap();
        let options = Options {
            expect: self.expect,
            may_change: &may_change,
            reads_all,
            with_sha256: false,
            throttle: None,
            progress: None,
        };
        let scratch = self.folder.path().join("scratch");
        let places = Places { manifest: &self.manifest(), scratch: &scratch };
        let report = check(&self.root(), options, keep, places, NOW_NS).unwrap();
        assert_eq!(fs::read_dir(scratch).unwrap().count(), 0, "copies of databases do not stay");
        report
    }

    /// Makes the manifest say that this file had another content, and nothing else of it another value: what a disk
    /// that loses bits looks like.
    pub(crate) fn rot(&self, path: &str) {
        let reader = Reader::open(&self.manifest()).unwrap();
        let head: Head = reader.head().clone();
        let entries: Vec<Entry> = reader.map(Result::unwrap).collect();
        let mut writer = Writer::create(&self.manifest(), &head).unwrap();
        for mut entry in entries {
            if entry.path.as_path() == Path::new(path) {
                entry.blake3 = Some(Hex([7; 32]));
            }
            writer.add(&entry).unwrap();
        }
        writer.finish().unwrap();
    }
}

/// What differs, a line each; `!` is damage.
pub(crate) fn lines(report: &Report) -> String {
    let line = |one: &integrity::Difference| {
        let mark = if one.is_damage { "! " } else { "" };
        // Whoever runs the tests owns their files.
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let detail = one.detail.replace(&format!(" {user}:{group}"), "");
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        format!("{mark}{} {}{detail}\n", one.change.word(), one.path.as_path().display())
    };
    report.differences.iter().map(line).collect()
}
