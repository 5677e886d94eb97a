//! Owns what each test stands on: a runbook, a fake world, a real journal in a folder of its own, and the engine's lives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use expect_test::Expect;
use incident::{
    Alarm, AlertFacts, Book, Engine, EngineError, ExitFacts, Fired, Goal, Incident, IncidentId, Settings,
    Shelf, Source, State, Store, Verification,
};
use journal::{Blobs, Journal};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::said::listen;
use crate::story::story;
use crate::world::{FakeWorld, START_MS};

/// The longest that a test waits for something that must happen, in real time.
const DEADLINE: Duration = Duration::from_secs(20);

/// What counts as recovered in these tests.
const GOAL: Goal = Goal { probes: 3, period_ms: 200, timeout_ms: 1_000 };

/// A runbook, a world and a folder: what outlives the engine.
pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) world: Arc<FakeWorld>,
    pub(crate) book: Book,
    verification: Verification,
}

/// One life of the engine.
pub(crate) struct Life {
    pub(crate) engine: Engine<FakeWorld>,
    pub(crate) journal: Journal,
    pub(crate) world: Arc<FakeWorld>,
}

/// An open question, as a person sees it.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) unit: String,
    pub(crate) reason: String,
    pub(crate) missing: Vec<String>,
}

// === impl Stage ===

impl Stage {
    /// A stage with one procedure that answers the alert `Down`.
    pub(crate) fn new(steps: &str) -> Self {
        Self::of_text(&format!(
            "## Server Down\n\n### Alert: Down\n\n**Severity**: Critical\\\n\
             **Alert Query**: `mcp_server_up == 0`\n\n### Response (0-5 minutes)\n\n{steps}\n"
        ))
    }

    /// A stage with one runbook of one procedure.
    pub(crate) fn of_text(text: &str) -> Self {
        let (book, diagnostics) = Book::parse("down.md", text.as_bytes());
        assert_eq!(book.runbook.procedures.len(), 1, "{diagnostics:?}");
        Self::of(book)
    }

    /// A stage with these procedures: title, alert, query and steps.
    pub(crate) fn of_procedures(procedures: &[(&str, &str, &str, &str)]) -> Self {
        let text: String = procedures
            .iter()
            .map(|(title, alert, query, steps)| {
                format!(
                    "## {title}\n\n### Alert: {alert}\n\n**Severity**: Critical\\\n\
                     **Alert Query**: `{query}`\n\n### Response (0-5 minutes)\n\n{steps}\n\n"
                )
            })
            .collect();
        let (book, diagnostics) = Book::parse("down.md", text.as_bytes());
        assert_eq!(book.runbook.procedures.len(), procedures.len(), "{diagnostics:?}");
        Self::of(book)
    }

    /// A stage with a runbook.
    pub(crate) fn of(book: Book) -> Self {
        listen();
        Self {
            // In memory, where that can be: these tests sync thousands of records.
            folder: tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap(),
            world: Arc::new(FakeWorld::new()),
            book,
            verification: Verification::Probes { goal: GOAL, interval: Duration::from_millis(100) },
        }
    }

    /// The same, for a person who follows the procedure by hand.
    pub(crate) fn by_hand(self) -> Self {
        Self { verification: Verification::Person, ..self }
    }

    /// Begins a life of the engine on the journal as it stands.
    pub(crate) async fn open(&self) -> Life {
        let journal = Journal::open(self.database(), "host-a").await.unwrap();
        self.open_over(journal, |journal| journal).await
    }

    /// The same, where something stands between the engine and the journal.
    pub(crate) async fn open_over<S: Store>(
        &self,
        journal: Journal,
        over: impl FnOnce(Journal) -> S,
    ) -> Life {
        self.world.state().journal = Some(journal.clone());
        let settings = Settings {
            runs: self.folder.path().join("runs"),
            reports: self.folder.path().join("reports"),
            verification: self.verification,
            unit_timeout: Duration::from_secs(60),
            output_bytes_max: 1 << 20,
            background_max: Duration::from_secs(3600),
        };
        let blobs = Blobs::open(self.folder.path().join("blobs")).unwrap();
        let shelf = Shelf::new(vec![self.book.clone()]);
        let engine = Engine::start(Arc::clone(&self.world), over(journal.clone()), blobs, shelf, settings);
        let engine = engine.await.unwrap();
        Life { engine, journal, world: Arc::clone(&self.world) }
    }

    /// Runs one life of the engine to the end of `act`, and cuts it off there, wherever its walkers are.
    pub(crate) fn live<T>(&self, act: impl AsyncFnOnce(&Life) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { act(&self.open().await).await })
    }

    /// The data directory of a life.
    pub(crate) fn data_dir(&self, life: &Life) -> journal::DataDir {
        let folder = |name| self.folder.path().join(name);
        let (runs, reports) = (folder("runs"), folder("reports"));
        let blobs = Blobs::open(folder("blobs")).unwrap();
        journal::DataDir { journal: life.journal.clone(), blobs, runs, reports }
    }

    /// Removes the folders of units, as if the engine had died before it made any.
    pub(crate) fn forget_runs(&self) {
        std::fs::remove_dir_all(self.folder.path().join("runs")).unwrap();
    }

    /// The report of an incident, if it was written.
    pub(crate) fn report(&self, id: &IncidentId) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(format!("reports/{id}.md"))).ok()
    }

    /// The folders of the units of an incident.
    pub(crate) fn runs(&self, id: &IncidentId) -> Vec<String> {
        let folders = std::fs::read_dir(self.folder.path().join("runs").join(id.as_str())).unwrap();
        folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Lets the journal refuse new entries for which `condition` (SQL over `NEW`) holds, as a full disk would.
    pub(crate) async fn refuse(&self, condition: &str) {
        self.sql(&format!(
            "CREATE TRIGGER full BEFORE INSERT ON entry WHEN {condition}
             BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        ))
        .await;
    }

    /// Lets the journal take everything again.
    pub(crate) async fn take_again(&self) {
        self.sql("DROP TRIGGER IF EXISTS full").await;
    }

    /// Changes the database past the journal.
    pub(crate) async fn tamper(&self, statement: &str) {
        self.sql(&format!("DROP TRIGGER entry_update; {statement}")).await;
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn sql(&self, statement: &str) {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.database());
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }
}

// === impl Life ===

impl Life {
    /// The alert fires, because a process has ended.
    pub(crate) async fn fire(&self) -> IncidentId {
        self.engine.fire(&fired("time", START_MS)).await.unwrap().unwrap()
    }

    /// The alert no longer fires.
    pub(crate) async fn alert_over(&self) {
        self.engine.alerts_standing(&BTreeSet::new(), |_| true).await.unwrap();
    }

    /// Waits until something holds of an incident, and returns it.
    pub(crate) async fn until(&self, id: &IncidentId, done: impl Fn(&Incident) -> bool) -> Incident {
        let waited = tokio::time::timeout(DEADLINE, self.engine.wait_until(id, done)).await;
        let incident = self.incident(id).await;
        assert!(waited.is_ok(), "it did not come to pass:\n{}", story(&incident));
        incident
    }

    pub(crate) async fn incident(&self, id: &IncidentId) -> Incident {
        self.engine.incident(id).await.unwrap()
    }

    /// Waits for a question.
    pub(crate) async fn asked(&self, id: &IncidentId) -> Question {
        let incident = self.until(id, |incident| incident.open_questions().next().is_some()).await;
        let (unit, _, asked) = incident.open_questions().next().unwrap();
        Question { unit: unit.unit.clone(), reason: asked.reason.clone(), missing: asked.missing.clone() }
    }

    /// Reads the question about a unit and says yes to it at once, if there is one.
    pub(crate) async fn approve(
        &self,
        id: &IncidentId,
        unit: &str,
        by: &str,
        values: BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        let incident = self.incident(id).await;
        let read = incident.open_questions().find(|(asked, ..)| asked.unit == unit);
        let read = read.map(|(.., asked)| asked.mark().to_owned()).unwrap_or_default();
        self.engine.approve(id, unit, by, &read, values).await
    }

    /// Waits for a question about a unit, and says yes.
    pub(crate) async fn yes(&self, id: &IncidentId, unit: &str) {
        assert_eq!(self.asked(id).await.unit, unit);
        self.approve(id, unit, "ada", BTreeMap::new()).await.unwrap();
    }

    /// Waits for a question about a unit, and says no.
    pub(crate) async fn no(&self, id: &IncidentId, unit: &str) {
        assert_eq!(self.asked(id).await.unit, unit);
        self.engine.reject(id, unit, "ada", "not now").await.unwrap();
    }

    /// Waits for a question about a unit, and says yes with the values that it lacks.
    pub(crate) async fn supply(
        &self,
        id: &IncidentId,
        unit: &str,
        values: &[(&str, &str)],
    ) -> Result<(), EngineError> {
        assert_eq!(self.asked(id).await.unit, unit);
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.approve(id, unit, "ada", values).await
    }

    /// Waits until recovery is verified, ends the alert, and waits for the report.
    pub(crate) async fn resolved(&self, id: &IncidentId) -> Incident {
        self.until(id, |incident| incident.state == State::Mitigated).await;
        self.alert_over().await;
        self.until(id, Incident::is_reported).await
    }

    /// Waits until the machine is done and somebody has to look.
    pub(crate) async fn person_needed(&self, id: &IncidentId) -> Incident {
        self.until(id, |incident| incident.person_needed.is_some()).await
    }

    /// Asserts that the chain is whole and that each execution had its intent before it.
    pub(crate) async fn check_invariants(&self) {
        let verification = self.journal.verify().await.unwrap();
        assert_eq!(verification.broken, None);
        for run in &self.world.state().runs {
            assert!(run.intended, "no intent stood before {run:?}");
        }
    }
}

/// The alert `Down`, fired because the process of a server ended at `at_ms`.
pub(crate) fn fired(server: &str, at_ms: i64) -> Fired {
    Fired { server: server.to_owned(), alert: "Down".to_owned(), alarm: alarm(server, at_ms) }
}

/// The end of the process of a server.
pub(crate) fn alarm(server: &str, at_ms: i64) -> Alarm {
    let alert = AlertFacts {
        name: "Down".to_owned(),
        severity: "critical".to_owned(),
        labels: BTreeMap::from([("server_name".to_owned(), server.to_owned())]),
        fingerprint: format!("{server}-down"),
        started_ms: START_MS,
    };
    let reason = "killed by SIGKILL".to_owned();
    let exit =
        ExitFacts { pid: Some(7), reason, at_ms, uptime_ms: None, stderr: Vec::new(), out_of_memory: None };
    let summary = format!("{server} was killed by SIGKILL");
    Alarm { source: Source::Exit, summary, alert: Some(alert), exit: Some(exit) }
}

/// Compares the records of an incident with what they should be.
#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "so that callers can write it in one expression")]
pub(crate) fn check_story(incident: &Incident, expect: Expect) {
    expect.assert_eq(&story(incident));
}
