//! A procedure's worth of units, one after the other in one temporary folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runner::{End, Intent, Outcome, Recovery, Shell, StateFile};

pub(crate) struct Session {
    pub(crate) temporary: tempfile::TempDir,
    units: usize,
    state: Option<PathBuf>,
}

/// A unit that has ended.
pub(crate) struct Done {
    pub(crate) folder: PathBuf,
    pub(crate) outcome: Outcome,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

// === impl Session ===

impl Session {
    pub(crate) fn new() -> Self {
        Self { temporary: tempfile::tempdir().unwrap(), units: 0, state: None }
    }

    pub(crate) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Returns the folder of the next unit and its intent, to be changed before it is run.
    pub(crate) fn next(&mut self, statement: &str) -> (PathBuf, Intent) {
        self.units += 1;
        let path = std::env::var("PATH").unwrap();
        let intent = Intent {
            key: format!("incident-1/unit-{}", self.units),
            attempt: 1,
            statement: statement.to_owned(),
            shell: Shell::Bash,
            environment: BTreeMap::from([
                ("PATH".to_owned(), path),
                ("PORT".to_owned(), "8080".to_owned()),
                ("TMPDIR".to_owned(), self.path().to_str().unwrap().to_owned()),
            ]),
            directory: PathBuf::from("/"),
            timeout_ms: 20_000,
            output_bytes_max: 1 << 20,
            background_ms: None,
            writable: None,
            state_before: self.state.clone(),
            state_after: self.path().join(format!("state-{}", self.units)),
        };
        (self.path().join(format!("unit-{}", self.units)), intent)
    }

    pub(crate) fn run(&mut self, statement: &str) -> Done {
        self.run_as(statement, |_| {})
    }

    pub(crate) fn run_as(&mut self, statement: &str, change: impl FnOnce(&mut Intent)) -> Done {
        let (folder, mut intent) = self.next(statement);
        change(&mut intent);
        let done = Done::of(&folder, block_on(runner::run_unit(&program(), &folder, &intent)).unwrap());
        if done.outcome.state == StateFile::Saved {
            self.state = Some(intent.state_after);
        }
        done
    }
}

// === impl Done ===

impl Done {
    pub(crate) fn of(folder: &Path, recovery: Recovery) -> Self {
        let log = fs::read_to_string(folder.join("runner.log")).unwrap();
        let Recovery::Finished(outcome) = recovery else { panic!("{recovery:?}: {log}") };
        let read = |name| fs::read(folder.join(name)).unwrap_or_default();
        Self {
            folder: folder.to_owned(),
            outcome,
            stdout: read("stdout"),
            stderr: String::from_utf8_lossy(&read("stderr")).into_owned(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Asserts that the statement succeeded and that the next one can go on.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.outcome.end, End::Exited(0), "{}", self.stderr);
        assert_eq!(self.outcome.state, StateFile::Saved, "{}", self.stderr);
        self
    }
}

/// Returns this program, which knows the role of the runner.
pub(crate) fn program() -> PathBuf {
    std::env::current_exe().unwrap()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Polls until the condition holds.
#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it does not happen");
        std::thread::yield_now();
    }
}
