//! Owns a small world for the engine: a clock that the test moves, statements with scripted ends, and runners that can be cut off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use incident::{Escalating, Flapping, Hold, Kill, Maintenance, Mode, Policy, World};
use journal::Journal;
use metrics::Silences;
use probe::CheckType;
use runbook::Effect;
use runner::{Background, BackgroundEnd, End, Outcome, Recovery, StateFile};
use tokio::sync::watch;

/// When the clock begins: 2026-11-23 18:45:01.250 UTC.
pub(crate) const START_MS: i64 = 1_795_459_501_250;

/// The longest pause that passes by itself: looks at a server are this short. For a longer one (a question that
/// expires, a journal that is tried again) the test moves the clock.
const SHORT: Duration = Duration::from_secs(1);

/// The longest that a test waits for the engine, in real time.
const DEADLINE: Duration = Duration::from_secs(20);

/// The world of the tests. It outlives the engine, as the real one does.
pub(crate) struct FakeWorld {
    clock: watch::Sender<i64>,
    /// How often the engine came to where it goes on only with somebody's help: a journal that refuses, a
    /// runner that never comes back.
    stuck: watch::Sender<u32>,
    /// How many long pauses are going on.
    pausing: watch::Sender<u32>,
    /// How many jobs have ended.
    jobs_over: watch::Sender<u32>,
    state: Mutex<State>,
}

/// What a test sets, and what it looks at afterwards.
pub(crate) struct State {
    pub(crate) policy: Policy,
    /// What the runbook's file holds, where it was edited.
    pub(crate) runbook: Option<String>,
    pub(crate) escalating: Escalating,
    pub(crate) kill: Kill,
    pub(crate) maintenance: Maintenance,
    pub(crate) silences: Silences,
    pub(crate) flapping: Flapping,
    /// The targets of dependencies that servers share, by their names.
    pub(crate) dependencies: BTreeMap<&'static str, &'static str>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// What is wrong with the server; `None` is well.
    pub(crate) problem: Option<String>,
    /// What is wrong with what the server needs.
    pub(crate) needs: Option<String>,
    pub(crate) incarnation: u64,
    /// How statements end, by their text; without an entry with code 0.
    pub(crate) replies: BTreeMap<String, VecDeque<Reply>>,
    /// What was executed, in order.
    pub(crate) runs: Vec<Run>,
    /// What a later life of the engine finds out about a unit, by its folder.
    left: BTreeMap<PathBuf, Recovery>,
    /// The background jobs, by their folders, with how they ended.
    jobs: BTreeMap<PathBuf, Option<BackgroundEnd>>,
    /// The folders of which the first question gets no answer.
    unsettled: BTreeSet<PathBuf>,
    /// Where each execution looks for its intent.
    pub(crate) journal: Option<Journal>,
}

/// One execution of a statement.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) statement: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) state_before: Option<PathBuf>,
    /// Whether the journal had the intent when the statement began.
    pub(crate) intended: bool,
}

/// How a statement ends.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    end: End,
    stdout: &'static str,
    findings: &'static str,
    changes: &'static str,
    then: Then,
    cut: Cut,
    /// Whether it leaves a job in the background.
    leaves: bool,
}

/// What a statement does to the server.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Restarts,
}

/// Where a runner is cut off, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It is not.
    Never,
    /// The engine dies before the statement begins.
    BeforeStart,
    /// The engine and the runner die while the statement runs.
    Midway,
    /// The engine dies; the runner carries the statement to its end.
    EngineOnly,
    /// The runner dies; the engine lives on.
    RunnerOnly,
    /// The engine cannot wait for the runner, nor ask at once what became of it. It ends as it should.
    Untold,
    /// The runner takes no such unit.
    Refused,
}

/// A pause that is going on, also where nobody waits for its end any more.
struct Pausing<'a>(&'a watch::Sender<u32>);

impl<'a> Pausing<'a> {
    fn new(count: &'a watch::Sender<u32>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn exit(code: i32) -> Self {
        Self::of(End::Exited(code))
    }

    pub(crate) fn of(end: End) -> Self {
        Self {
            end,
            stdout: "",
            findings: "",
            changes: "",
            then: Then::Nothing,
            cut: Cut::Never,
            leaves: false,
        }
    }

    pub(crate) fn printing(self, stdout: &'static str) -> Self {
        Self { stdout, ..self }
    }

    pub(crate) fn finding(self, findings: &'static str) -> Self {
        Self { findings, ..self }
    }

    pub(crate) fn changing(self, changes: &'static str) -> Self {
        Self { changes, ..self }
    }

    /// The server is another process afterwards, and well.
    pub(crate) fn restarting(self) -> Self {
        Self { then: Then::Restarts, ..self }
    }

    /// It leaves a job in the background, which prints `tick` when it ends.
    pub(crate) fn leaving_a_job(self) -> Self {
        Self { leaves: true, ..self }
    }

    pub(crate) fn cut(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }
}

// === impl FakeWorld ===

impl FakeWorld {
    /// A world in which the engine may do what is reversible and disrupt, and in which the server is down.
    pub(crate) fn new() -> Self {
        let policy = Policy {
            mode: Mode::Auto,
            allow: [Effect::Observe, Effect::Change, Effect::Disrupt].into(),
            restarts_per_hour: 3,
            approval_expiry: Duration::from_secs(1800),
            runs_max: 2,
            ..Policy::default()
        };
        let state = State {
            policy,
            runbook: None,
            escalating: Escalating::default(),
            kill: Kill::Off,
            maintenance: Maintenance::default(),
            silences: Silences::default(),
            flapping: Flapping::NEVER,
            dependencies: BTreeMap::new(),
            parameters: BTreeMap::from([("SERVER_NAME".to_owned(), "time".to_owned())]),
            problem: Some("connection refused".to_owned()),
            needs: None,
            incarnation: 1,
            replies: BTreeMap::new(),
            runs: Vec::new(),
            left: BTreeMap::new(),
            jobs: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            journal: None,
        };
        Self {
            clock: watch::Sender::new(START_MS),
            stuck: watch::Sender::new(0),
            pausing: watch::Sender::new(0),
            jobs_over: watch::Sender::new(0),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how a statement ends, for the next time that nothing is said for yet.
    pub(crate) fn reply(&self, statement: &str, reply: Reply) {
        self.state().replies.entry(statement.to_owned()).or_default().push_back(reply);
    }

    /// How often a statement was executed.
    pub(crate) fn executed(&self, statement: &str) -> usize {
        self.state().runs.iter().filter(|run| run.statement == statement).count()
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.clock.send_modify(|now_ms| *now_ms += duration.as_millis() as i64);
    }

    /// Waits until the clock has gone on by itself, as it does while the engine looks at a server.
    pub(crate) async fn passed(&self, duration: Duration) {
        let until_ms = self.now_ms() + duration.as_millis() as i64;
        let _ = self.clock.subscribe().wait_for(|now_ms| *now_ms >= until_ms).await;
    }

    /// Waits until the engine has been stuck this often.
    pub(crate) async fn stuck(&self, times: u32) {
        let _ = self.stuck.subscribe().wait_for(|count| *count >= times).await;
    }

    /// Waits until a statement was executed this often.
    pub(crate) async fn ran(&self, statement: &str, times: usize) {
        let ran = async {
            while self.executed(statement) < times {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, ran).await;
        assert!(waited.is_ok(), "`{statement}` was executed {} times", self.executed(statement));
    }

    /// Waits until the engine itself waits for the clock, beside whoever listens to it otherwise.
    pub(crate) async fn settle(&self) {
        let mut pausing = self.pausing.subscribe();
        let waited = tokio::time::timeout(DEADLINE, pausing.wait_for(|count| *count > 0)).await;
        assert!(waited.is_ok(), "the engine does not wait for the clock");
    }

    /// How many background jobs run.
    pub(crate) fn jobs(&self) -> usize {
        self.state().jobs.values().filter(|end| end.is_none()).count()
    }

    /// All background jobs end so.
    pub(crate) fn end_jobs(&self, end: BackgroundEnd) {
        let folders: Vec<_> = self.state().jobs.keys().cloned().collect();
        folders.iter().for_each(|folder| self.end_job(folder, end));
    }

    fn end_job(&self, folder: &Path, how: BackgroundEnd) {
        let mut state = self.state();
        let end = state.jobs.get_mut(folder).expect("there is a job");
        if end.is_none() {
            *end = Some(how);
            let printed = std::fs::read_to_string(folder.join(runner::STDOUT)).unwrap();
            std::fs::write(folder.join(runner::STDOUT), printed + "tick\n").unwrap();
        }
        drop(state);
        self.jobs_over.send_modify(|count| *count += 1);
    }

    /// Throws the kill switch.
    pub(crate) fn kill_switch(&self) {
        self.state().kill = Kill::On;
    }

    pub(crate) fn forget_stuck(&self) {
        self.stuck.send_replace(0);
    }

    async fn hang(&self) -> ! {
        self.stuck.send_modify(|count| *count += 1);
        pending().await
    }

    fn begin(&self, intent: &runner::Intent, intended: bool) -> Reply {
        let mut state = self.state();
        let script = state.replies.get_mut(&intent.statement);
        let reply = script.and_then(VecDeque::pop_front).unwrap_or_else(|| Reply::exit(0));
        if matches!(reply.cut, Cut::BeforeStart | Cut::Refused) {
            return reply;
        }
        state.runs.push(Run {
            statement: intent.statement.clone(),
            environment: intent.environment.clone(),
            state_before: intent.state_before.clone(),
            intended,
        });
        if let Then::Restarts = reply.then {
            state.incarnation += 1;
            state.problem = None;
        }
        reply
    }

    /// Writes what a runner leaves.
    fn finish(&self, folder: &Path, intent: &runner::Intent, reply: &Reply) -> Recovery {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join(runner::STDOUT), reply.stdout).unwrap();
        if !reply.findings.is_empty() {
            std::fs::write(folder.join("findings"), reply.findings).unwrap();
        }
        if !reply.changes.is_empty() {
            std::fs::write(folder.join("changes"), reply.changes).unwrap();
        }
        std::fs::write(folder.join(runner::STDERR), "").unwrap();
        let exited = matches!(reply.end, End::Exited(_));
        let background_ms = intent.background_ms.filter(|_| reply.leaves);
        if background_ms.is_some() {
            self.state().jobs.insert(folder.to_owned(), None);
        }
        if exited {
            std::fs::write(&intent.state_after, format!("after {}", intent.statement)).unwrap();
        }
        Recovery::Finished(Outcome {
            started_ms: self.now_ms(),
            finished_ms: self.now_ms(),
            end: reply.end.clone(),
            stdout_bytes: reply.stdout.len() as u64,
            stderr_bytes: 0,
            truncated: false,
            state: if exited { StateFile::Saved } else { StateFile::Missing },
            background_ms,
        })
    }

    /// Whether the journal has the intent of this very attempt.
    async fn intended(&self, intent: &runner::Intent) -> bool {
        let journal = self.state().journal.clone();
        let Some(journal) = journal else { return false };
        let entries = journal.entries_after(0, 10_000).await.unwrap();
        entries.iter().any(|entry| {
            entry.kind == "intent"
                && entry.body["key"] == intent.key
                && entry.body["statement"] == intent.statement
        })
    }
}

impl World for FakeWorld {
    fn now_ms(&self) -> i64 {
        *self.clock.borrow()
    }

    /// The same for all incidents: names must differ all the same.
    fn random(&self) -> u16 {
        0x7f3a
    }

    async fn pause(&self, duration: Duration) {
        if duration <= SHORT {
            self.advance(duration);
            return tokio::task::yield_now().await;
        }
        let until_ms = self.now_ms() + duration.as_millis() as i64;
        if duration == RETRY_AFTER {
            self.stuck.send_modify(|count| *count += 1);
        }
        let _pausing = Pausing::new(&self.pausing);
        let _ = self.clock.subscribe().wait_for(|now_ms| *now_ms >= until_ms).await;
    }

    async fn check(&self, _: &str, check: CheckType) -> Option<String> {
        let state = self.state();
        let needs = state.needs.clone().filter(|_| check != CheckType::Liveness);
        state.problem.clone().or(needs)
    }

    fn incarnation(&self, _: &str) -> Option<u64> {
        Some(self.state().incarnation)
    }

    fn process(&self, _: &str) -> Option<i32> {
        None
    }

    fn parameters(&self, _: &str) -> BTreeMap<String, String> {
        self.state().parameters.clone()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())])
    }

    fn policy(&self, _: &str) -> Policy {
        self.state().policy.clone()
    }

    fn runbook(&self, _: &str) -> Option<Vec<u8>> {
        self.state().runbook.clone().map(String::into_bytes)
    }

    fn kill(&self) -> Kill {
        self.state().kill
    }

    fn maintenance(&self, server: &str, _: &incident::IncidentId) -> Option<Hold> {
        self.state().maintenance.hold(server, self.now_ms())
    }

    fn escalating(&self) -> Escalating {
        self.state().escalating.clone()
    }

    fn silences(&self) -> Silences {
        self.state().silences.clone()
    }

    fn dependency(&self, _: &str, name: &str) -> Option<String> {
        let target = *self.state().dependencies.get(name)?;
        Some(format!("{name} ({target})"))
    }

    fn flapping(&self) -> Flapping {
        self.state().flapping
    }

    async fn run(&self, folder: &Path, intent: &runner::Intent) -> Result<Recovery, runner::Error> {
        let intended = self.intended(intent).await;
        let reply = self.begin(intent, intended);
        let left = match reply.cut {
            Cut::BeforeStart | Cut::Refused => Recovery::NeverStarted,
            Cut::Midway | Cut::RunnerOnly => Recovery::Interrupted,
            Cut::EngineOnly | Cut::Never | Cut::Untold => self.finish(folder, intent, &reply),
        };
        self.state().left.insert(folder.to_owned(), left.clone());
        match reply.cut {
            Cut::BeforeStart | Cut::Midway | Cut::EngineOnly => self.hang().await,
            Cut::Never | Cut::RunnerOnly => Ok(left),
            Cut::Untold => {
                self.state().unsettled.insert(folder.to_owned());
                let source = std::io::ErrorKind::Other.into();
                Err(runner::Error::Wait { folder: folder.to_owned(), source })
            }
            Cut::Refused => {
                Err(runner::Error::Refused { field: "`statement`".to_owned(), problem: "is too long" })
            }
        }
    }

    async fn recover(&self, folder: &Path) -> Result<Recovery, runner::Error> {
        if self.state().unsettled.remove(folder) {
            return Err(runner::Error::Unsettled { folder: folder.to_owned() });
        }
        if !folder.parent().is_some_and(Path::exists) {
            let (path, source) = (folder.to_owned(), std::io::ErrorKind::NotFound.into());
            return Err(runner::Error::File { action: "create", path, source });
        }
        Ok(self.state().left.get(folder).cloned().unwrap_or(Recovery::NeverStarted))
    }

    async fn background_over(&self, folder: &Path) -> Result<(), runner::Error> {
        let is_over = |_: &u32| self.state().jobs.get(folder).is_none_or(Option::is_some);
        let _ = self.jobs_over.subscribe().wait_for(is_over).await;
        Ok(())
    }

    async fn end_background(&self, folder: &Path) -> Result<Background, runner::Error> {
        self.end_job(folder, BackgroundEnd::Told);
        let end = self.state().jobs[folder].unwrap_or(BackgroundEnd::Told);
        Ok(Background { ended_ms: self.now_ms(), end, truncated: false })
    }
}

/// How long the engine waits before it tries a journal again that refused.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);
