//! Owns one check of a tree from its beginning to its end: the manifest that is compared with, the one that is
//! written, and what is said.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::compare::{Change, Difference, Expect};
use crate::entry::{Kind, TreePath};
use crate::manifest::{Head, ManifestError, Reader};
use crate::rewrite::Rewriter;
use crate::scan::{Options, Outcome, ScanError, scan};
use crate::sqlite::{self, Found};
use crate::walk::Root;

/// So many differences of each kind are named; more are counted.
const NAMED_MAX: u64 = 200;
/// So many databases of one tree are looked at.
const DATABASES_MAX: usize = 10_000;

/// What is done with the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Whatever is there now is what should be there: a baseline. Only where its files are whole, unless told so.
    Baseline {
        /// Whether files that are broken or cannot be read are taken as they are, too.
        accepts_damage: bool,
    },
    /// Nothing: nobody compares with it later.
    Look,
    /// What changed is taken over if nothing is damaged and changes are expected.
    IfWhole,
}

/// What a check of a tree found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The tree.
    pub root: PathBuf,
    /// Whether there was something to compare with.
    pub has_baseline: bool,
    /// Whether nothing is damaged.
    pub is_whole: bool,
    /// Whether all files are gone at once: most often a disk that is not mounted.
    pub is_empty: bool,
    /// Whether what was found is what the next check compares with.
    pub is_kept: bool,
    /// Things that were seen.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Databases that were asked whether they are whole.
    pub databases: u64,
    /// How many differ, by how.
    pub counts: BTreeMap<Change, u64>,
    /// How many are damaged.
    pub damaged: u64,
    /// Those that differ, what is damaged first; at most some hundred of each kind.
    pub differences: Vec<Difference>,
}

/// A check could not be made. That is no answer, neither good nor bad.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The tree or its manifest cannot be read, or the new manifest not be written.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A database cannot be looked at.
    #[error(transparent)]
    Sqlite(#[from] sqlite::SqliteError),
    /// A database that lives elsewhere cannot be looked at.
    #[error("the database {name} cannot be checked: {problem}")]
    Database {
        /// Its name.
        name: String,
        /// Why not.
        problem: String,
    },
    /// The thread of the databases cannot be started.
    #[error("the databases cannot be looked at")]
    Runtime(#[source] std::io::Error),
}

/// Where a check keeps its things.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The manifest of the tree.
    pub manifest: &'a Path,
    /// A folder of this process alone, for copies of databases.
    pub scratch: &'a Path,
}

// === impl Report ===

impl Report {
    fn new(root: &Path, has_baseline: bool) -> Self {
        Self {
            root: root.to_owned(),
            has_baseline,
            is_whole: true,
            is_empty: false,
            is_kept: false,
            entries: 0,
            files: 0,
            bytes: 0,
            databases: 0,
            counts: BTreeMap::new(),
            damaged: 0,
            differences: Vec::new(),
        }
    }

    /// What a look at a database that lives elsewhere found: so many tables, and those of them that are damaged.
    pub fn of_database(place: &Path, tables: u64, damaged: Vec<Difference>) -> Self {
        let mut report = Self { entries: tables, databases: 1, is_kept: true, ..Self::new(place, true) };
        damaged.into_iter().for_each(|one| report.add(one));
        report.is_kept = report.is_whole;
        report
    }

    fn add(&mut self, difference: Difference) {
        let count = self.counts.entry(difference.change).or_default();
        *count += 1;
        self.damaged += u64::from(difference.is_damage);
        self.is_whole &= !difference.is_damage;
        if *count <= NAMED_MAX {
            self.differences.push(difference);
        }
    }

    /// Whether something is not whole by itself, whatever it was before.
    fn has_broken(&self) -> bool {
        [Change::Broken, Change::Unreadable].iter().any(|change| self.counts.contains_key(change))
    }

    /// Asks the databases whether they are whole.
    fn ask(
        &mut self,
        root: &Path,
        databases: &[TreePath],
        deep: bool,
        scratch: &Path,
    ) -> Result<(), CheckError> {
        if databases.is_empty() {
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(CheckError::Runtime)?;
        for path in databases {
            let (change, detail) =
                match runtime.block_on(sqlite::check(&root.join(path.as_path()), deep, scratch))? {
                    Found::Whole => continue,
                    Found::Broken(problems) => (Change::Broken, problems.join("; ")),
                    Found::Changing => (Change::Changing, String::new()),
                };
            let is_damage = change == Change::Broken;
            self.add(Difference { path: path.clone(), change, is_damage, detail });
        }
        Ok(())
    }
}

/// Checks a tree beside its manifest, or takes it as it is. `now_ns` is when that begins, in nanoseconds since 1970.
///
/// It reads files and waits for the disk; it is not for a thread that serves others.
///
/// # Errors
/// If the tree, the manifest or a database cannot be read at all, or the new manifest not be written.
pub fn check(
    root: &Path,
    options: Options<'_>,
    keep: Keep,
    places: Places<'_>,
    now_ns: i64,
) -> Result<Report, CheckError> {
    let opened =
        Root::open(root).map_err(|source| ScanError::Root { path: root.display().to_string(), source })?;
    let is_baseline = matches!(keep, Keep::Baseline { .. });
    let known = match Reader::open(places.manifest) {
        Ok(reader) => Some(reader),
        Err(ManifestError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        // A baseline is taken anew whatever became of the old one.
        Err(_) if is_baseline => None,
        Err(error) => return Err(ScanError::from(error).into()),
    };
    let mut report = Report::new(root, known.is_some());
    let since_ns = known.as_ref().map_or(0, |known| known.head().began_ns);
    let old = known.as_ref().map(Reader::head);
    let mut manifest =
        Rewriter::new(places.manifest, Head::new(root, now_ns), old).map_err(ScanError::from)?;
    let (mut databases, mut files_known) = (Vec::new(), 0u64);
    let known = known.into_iter().flatten().inspect(|old| {
        files_known += u64::from(old.as_ref().is_ok_and(|old| old.kind == Kind::File));
    });
    scan::<ScanError>(&opened, options, known, since_ns, now_ns, |outcome| {
        let Outcome { now, difference, is_untouched, is_database } = outcome;
        match &now {
            Some(now) if is_untouched => manifest.keep(now)?,
            now => manifest.add(now.as_ref())?,
        }
        if let Some(now) = now {
            report.entries += 1;
            report.files += u64::from(now.kind == Kind::File);
            report.bytes += now.size;
            if is_database && databases.len() < DATABASES_MAX {
                databases.push(now.path);
            }
        }
        // To begin with everything is new.
        let is_news = |difference: &Difference| report.has_baseline || difference.change != Change::Added;
        if let Some(difference) = difference.filter(is_news) {
            report.add(difference);
        }
        Ok(())
    })?;
    report.databases = databases.len() as u64;
    report.ask(root, &databases, options.reads_all, places.scratch)?;
    report.is_empty = report.files == 0 && files_known > 0;
    report.is_whole &= !report.is_empty;
    report.differences.sort_by(|one, two| {
        (two.is_damage, &one.change, &one.path).cmp(&(one.is_damage, &two.change, &two.path))
    });
    report.is_kept = match keep {
        Keep::Baseline { accepts_damage } => accepts_damage || !report.has_broken(),
        Keep::Look => false,
        Keep::IfWhole => report.is_whole && options.expect == Expect::Changes,
    };
    if report.is_kept {
        manifest.finish().map_err(ScanError::from)?;
    }
    Ok(report)
}
