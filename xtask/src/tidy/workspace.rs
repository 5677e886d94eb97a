//! Owns reading the workspace: its text files, and the manifests of its crates.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use toml::Table;

/// Files that a rule looks at, by the end of their names.
const KINDS: [&str; 3] = ["md", "rs", "toml"];
/// Folders of what is built, and of bytes that tests want exactly so.
const SKIPPED: [&str; 4] = ["target", "fixtures", "fuzz", "node_modules"];

/// What the rules look at.
#[derive(Default)]
pub(super) struct Workspace {
    pub(super) files: Vec<File>,
    pub(super) crates: Vec<Crate>,
    /// `Cargo.lock`.
    pub(super) lock: Table,
}

/// A text file.
pub(super) struct File {
    /// From the root of the workspace, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// A crate of ours.
pub(super) struct Crate {
    pub(super) name: String,
    /// The path of its manifest.
    pub(super) path: String,
    /// The text of its manifest.
    pub(super) text: String,
    pub(super) manifest: Table,
}

// === impl Workspace ===

impl Workspace {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut paths = Vec::new();
        walk(root, &mut paths)?;
        paths.sort();
        let mut workspace = Self { lock: read_table(&root.join("Cargo.lock"))?, ..Self::default() };
        for path in paths {
            let text =
                fs::read_to_string(&path).with_context(|| format!("failed to read `{}`", path.display()))?;
            let relative = path.strip_prefix(root)?.to_string_lossy().into_owned();
            if relative.ends_with("/Cargo.toml") {
                workspace.crates.push(Crate::parse(&relative, &text)?);
            }
            workspace.files.push(File { path: relative, text });
        }
        Ok(workspace)
    }

    /// The Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    #[cfg(test)]
    pub(super) fn of_file(path: &str, text: &str) -> Self {
        Self { files: vec![File { path: path.to_owned(), text: text.to_owned() }], ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn of_crates(manifests: &[&str]) -> Self {
        let parse = |text: &&str| Crate::parse("crates/x/Cargo.toml", text).unwrap();
        Self { crates: manifests.iter().map(parse).collect(), ..Self::default() }
    }
}

// === impl File ===

impl File {
    /// Whether one of the folders of its path has this name.
    pub(super) fn is_below(&self, folder: &str) -> bool {
        self.path.rsplit_once('/').is_some_and(|(folders, _)| folders.split('/').any(|name| name == folder))
    }

    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

// === impl Crate ===

impl Crate {
    pub(super) fn parse(path: &str, text: &str) -> anyhow::Result<Self> {
        let manifest: Table = text.parse().with_context(|| format!("failed to parse `{path}`"))?;
        let name =
            manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
        let name = name.with_context(|| format!("`{path}` has no package name"))?.to_owned();
        Ok(Self { name, path: path.to_owned(), text: text.to_owned(), manifest })
    }

    /// What it is built from, for the product, its build script and its tests.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = &str> {
        let tables = ["dependencies", "build-dependencies", "dev-dependencies"];
        let tables = tables.into_iter().filter_map(|kind| self.manifest.get(kind)?.as_table());
        tables.flat_map(|table| table.keys().map(String::as_str))
    }

    /// The line of the manifest, counted from 1, that begins so.
    pub(super) fn line_of(&self, start: &str) -> usize {
        self.text.lines().position(|line| line.starts_with(start)).map_or(1, |line| line + 1)
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
            walk(&entry.path(), found)?;
        } else if kind.is_file()
            && KINDS.iter().any(|end| name.rsplit_once('.').is_some_and(|(_, e)| e == *end))
        {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn read_table(path: &Path) -> anyhow::Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read `{}`", path.display()))?;
    text.parse().with_context(|| format!("failed to parse `{}`", path.display()))
}
