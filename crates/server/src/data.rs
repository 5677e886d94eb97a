//! Owns the checks of a server's data: where their manifests and their history are, and one check of all its trees.

use std::fs::DirBuilder;
use std::io;
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use incident::error_chain;
use integrity::{
    CheckError, Expect, History, Keep, Options, Past, PastTree, PatternError, Patterns, Places, Progress,
    Report, Throttle,
};
use process::lock::{Lock, LockError};

use crate::config::{Config, Data, Database};
use crate::database::Postgres;

/// How long a person or a step waits for whoever is at the same data or the same backups: `serve` looks often, and briefly.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The data of one server, or a folder that somebody names.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The folder of its manifests and its history.
    pub state: PathBuf,
    /// Its trees.
    pub trees: Vec<Data>,
    /// Its databases of PostgreSQL.
    pub databases: Vec<Database>,
    /// Where a check counts how far it is, if somebody looks.
    pub progress: Option<Arc<Progress>>,
}

/// How a check goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether every file is read.
    pub reads_all: bool,
    /// What is done with the manifests.
    pub keep: Keep,
    /// Bytes read in a second at most.
    pub rate: Option<u64>,
    /// How many threads read.
    pub threads: Option<NonZero<usize>>,
    /// How long it waits for another check of the same data to end.
    pub patience: Duration,
}

/// What came of one tree.
pub type Answer = Result<Report, CheckError>;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no data to check.
    #[error(
        "the server `{server}` has no data in the configuration; name them in `[[server.data]]` or `[[server.database]]`"
    )]
    NoData {
        /// The server.
        server: String,
    },
    /// There is no such server.
    #[error("there is no server `{server}` in the configuration")]
    NoServer {
        /// The name.
        server: String,
    },
    /// The folder of the manifests cannot be used.
    #[error("the folder `{}` of the manifests cannot be used", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else checks the same data.
    #[error("a check of the same data is under way; wait for it")]
    Busy(#[source] LockError),
    /// What may change cannot be understood.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The threads cannot be started.
    #[error("the threads that read cannot be started: {0}")]
    Threads(String),
}

// === impl Subject ===

impl Subject {
    /// The data of a server of the configuration.
    ///
    /// # Errors
    /// If there is no such server, or it has no data.
    pub fn of_server(config: &Config, server: &str) -> Result<Self, DataError> {
        let found = config.server.iter().find(|one| one.name == server);
        let found = found.ok_or_else(|| DataError::NoServer { server: server.to_owned() })?;
        if !found.has_data() {
            return Err(DataError::NoData { server: server.to_owned() });
        }
        let state = config.data_dir.join("integrity").join(server);
        Ok(Self { state, trees: found.data.clone(), databases: found.database.clone(), progress: None })
    }

    /// A folder that is nobody's; nothing in it may change.
    pub fn of_folder(config: &Config, folder: &Path) -> Self {
        let state = config.data_dir.join("integrity").join(format!("@{}", name_of(folder)));
        let tree = Data { path: folder.to_owned(), immutable: true, may_change: Vec::new() };
        Self { state, trees: vec![tree], databases: Vec::new(), progress: None }
    }

    /// What all checks found.
    pub fn history(&self) -> History {
        History::at(self.state.join("checks.jsonl"))
    }

    /// The manifest of one of its trees.
    pub fn manifest(&self, tree: &Data) -> PathBuf {
        self.state.join(format!("{}.jsonl", name_of(&tree.path)))
    }

    /// How many bytes the files had at the last check that wrote its manifests, as far as that is known.
    pub fn bytes_known(&self) -> Option<u64> {
        self.trees.iter().map(|tree| Some(integrity::manifest::last_end(&self.manifest(tree))?.bytes)).sum()
    }

    /// Checks all trees, and writes down what was found. A tree that cannot be looked at is no reason to pass over the
    /// others. `now_ms` is when it begins, in milliseconds since 1970.
    ///
    /// It reads files; it is not for a thread that serves others.
    ///
    /// # Errors
    /// If nothing can be checked, or a check is under way.
    pub fn check(&self, manner: Manner, now_ms: i64) -> Result<Vec<(PathBuf, Answer)>, DataError> {
        let state = |source| DataError::State { path: self.state.clone(), source };
        let scratch = self.state.join("scratch");
        DirBuilder::new().recursive(true).mode(0o700).create(&scratch).map_err(state)?;
        let _lock =
            Lock::acquire_within(&self.state.join("lock"), manner.patience).map_err(|error| match error {
                LockError::Io { source, .. } => state(source),
                held => DataError::Busy(held),
            })?;
        let mut threads = integrity::threads();
        if let Some(n) = manner.threads {
            threads = threads.num_threads(n.get());
        }
        let threads = threads.build().map_err(|error| DataError::Threads(error.to_string()))?;
        let throttle = Throttle::new(manner.rate);
        let mut answers = Vec::new();
        for tree in &self.trees {
            let may_change = Patterns::new(tree.may_change.iter().map(String::as_str))?;
            let options = Options {
                expect: if tree.immutable { Expect::Nothing } else { Expect::Changes },
                may_change: &may_change,
                reads_all: manner.reads_all,
                with_sha256: false,
                throttle: throttle.as_ref(),
                progress: self.progress.as_deref(),
            };
            let places = Places { manifest: &self.manifest(tree), scratch: &scratch };
            let now_ns = now_ms.saturating_mul(1_000_000);
            let answer =
                threads.install(|| integrity::check(&tree.path, options, manner.keep, places, now_ns));
            answers.push((tree.path.clone(), answer));
        }
        // They have no times of change: a quick check has nothing to go by, and leaves them.
        for database in self.databases.iter().filter(|_| manner.reads_all) {
            answers.push((PathBuf::from(&database.postgres), ask(database, &scratch)));
        }
        let past = Past {
            at_ms: now_ms,
            reads_all: manner.reads_all,
            trees: answers.iter().map(past_tree).collect(),
        };
        self.history().add(&past).map_err(state)?;
        Ok(answers)
    }
}

/// Whether it is time for a check that reads everything.
pub fn is_full_due(pasts: &[Past], now_ms: i64, full_ms: i64) -> bool {
    is_over(pasts.iter().rfind(|past| past.reads_all), now_ms, full_ms)
}

/// Whether a check was so long ago. A clock that was set back makes one due: what says that it is from later is of no use.
pub(crate) fn is_over(past: Option<&Past>, now_ms: i64, span_ms: i64) -> bool {
    past.is_none_or(|past| !(0..span_ms).contains(&(now_ms - past.at_ms)))
}

/// Reads a database.
fn ask(database: &Database, scratch: &Path) -> Answer {
    let unknown = |problem: String| CheckError::Database { name: database.name().to_owned(), problem };
    let checked = Postgres::of(database, scratch).and_then(|one| one.check()).map_err(unknown)?;
    Ok(Report::of_database(Path::new(&database.postgres), checked.tables, checked.damaged))
}

fn past_tree((root, answer): &(PathBuf, Answer)) -> PastTree {
    match answer {
        Ok(report) => PastTree::of(report),
        Err(error) => PastTree {
            root: root.clone(),
            is_whole: None,
            damaged: 0,
            named: Vec::new(),
            is_rotten: false,
            problem: Some(error_chain(error)),
        },
    }
}

/// A short name for a path that no other path has.
fn name_of(path: &Path) -> String {
    integrity::digest_of(path.as_os_str().as_bytes()).to_string()[..16].to_owned()
}
