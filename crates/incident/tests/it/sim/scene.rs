//! Owns the simulated world: what outlives the engine, and what the engine sees of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host::Roots;
use incident::{Book, Escalating, Flapping, Hold, Kill, Policy, World};
use metrics::Silences;
use probe::CheckType;
use runner::Recovery;
use tokio::sync::Notify;

use super::clock::Clock;
use super::dice::Dice;
use super::disk::Disk;
use super::judge::Judge;
use super::plan::{Disturbance, SERVERS, What};
use super::runners::{Claimant, Due, Job, Runner};

/// One simulated world.
pub(crate) struct Sim {
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) book: Book,
    pub(crate) policy: Policy,
    pub(crate) flapping: Flapping,
    pub(crate) folder: PathBuf,
    pub(crate) plan: Vec<Disturbance>,
    /// Rung when the engine dies, or a rule is broken.
    pub(crate) bell: Notify,
    /// Rung when something happens to a runner.
    pub(crate) moved: Notify,
    /// Whether somebody wants to read what happens.
    pub(crate) is_told: bool,
    state: Mutex<State>,
}

/// What changes in it.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) log: Vec<(i64, String)>,
    pub(crate) disk: Disk,
    pub(crate) judge: Judge,
    pub(crate) runners: Vec<Runner>,
    pub(crate) by_folder: HashMap<PathBuf, usize>,
    pub(crate) due: BTreeMap<(i64, u64), Due>,
    pub(crate) due_made: u64,
    pub(crate) servers: [Server; SERVERS.len()],
    pub(crate) killed: bool,
    pub(crate) maintenance_since_ms: i64,
    pub(crate) maintenance_until_ms: i64,
    pub(crate) silent_until_ms: i64,
    pub(crate) mute_until_ms: i64,
    /// What all servers need does not answer.
    pub(crate) need_fails: bool,
    /// Since when the alerts about that fire, by the wall clock.
    pub(crate) needs_firing_ms: Option<i64>,
    /// How often the parameter of the servers has got another value.
    pub(crate) moved: u32,
    pub(crate) names: u32,
    pub(crate) looks: u32,
    /// Breaks that nobody could tell the engine of: which server, and when.
    pub(crate) untold: Vec<(usize, i64)>,
    /// The engine is dead: nothing comes of what it still tries.
    pub(crate) is_dead: bool,
    pub(crate) is_quiet: bool,
}

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) is_broken: bool,
    pub(crate) incarnation: u64,
    /// Since when the alert fires, by the wall clock.
    pub(crate) firing_ms: Option<i64>,
    /// Its alert is over at the next evaluation, and another one at that after it.
    pub(crate) flaps: bool,
}

// === impl Sim ===

impl Sim {
    pub(crate) fn new(
        seed: u64,
        plan: Vec<Disturbance>,
        book: Book,
        (policy, flapping): (Policy, Flapping),
        folder: PathBuf,
        is_told: bool,
    ) -> Arc<Self> {
        let (clock, bell) = (Clock::default(), Notify::new());
        let (moved, state) = (Notify::new(), Mutex::default());
        Arc::new(Self { seed, clock, book, policy, flapping, folder, plan, bell, moved, is_told, state })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn dice(&self, what: &str) -> Dice {
        Dice::of(self.seed, what)
    }

    pub(crate) fn log(&self, what: impl Display) {
        if self.is_told {
            let now_ms = self.clock.now_ms();
            self.state().log.push((now_ms, what.to_string()));
        }
    }

    /// A rule is broken.
    pub(crate) fn broken(&self, rule: String) {
        self.log(format_args!("BROKEN: {rule}"));
        self.state().judge.broken.push(rule);
        self.bell.notify_one();
    }

    /// The engine dies now.
    pub(crate) fn die(&self) {
        self.log("the engine dies");
        self.state().is_dead = true;
        self.bell.notify_one();
    }

    /// Whatever a dead engine waits for never comes.
    pub(crate) async fn only_alive(&self) {
        if self.state().is_dead {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the plan has something for the so-manieth of its kind.
    pub(crate) fn planned<T>(&self, is: impl Fn(What) -> Option<T>) -> Option<T> {
        self.plan.iter().find_map(|one| is(one.what))
    }

    pub(crate) fn server(name: &str) -> usize {
        SERVERS.iter().position(|server| *server == name).unwrap_or(0)
    }
}

/// The world as the engine sees it, in one of its lives.
pub(crate) struct SimWorld(pub(crate) Arc<Sim>);

impl World for SimWorld {
    fn now_ms(&self) -> i64 {
        self.0.clock.wall_ms()
    }

    fn random(&self) -> u16 {
        let mut state = self.0.state();
        state.names += 1;
        self.0.dice(&format!("name {}", state.names)).bits()
    }

    async fn pause(&self, duration: Duration) {
        self.0.clock.sleep(duration.as_millis() as i64).await;
    }

    async fn check(&self, server: &str, _: CheckType) -> Option<String> {
        self.0.clock.sleep(7).await;
        let mut state = self.0.state();
        state.looks += 1;
        let flakes = !state.is_quiet && self.0.dice(&format!("look {}", state.looks)).chance(2);
        let is_broken = state.servers[Sim::server(server)].is_broken;
        (is_broken || flakes).then(|| "connection refused".to_owned())
    }

    fn incarnation(&self, server: &str) -> Option<u64> {
        Some(self.0.state().servers[Sim::server(server)].incarnation)
    }

    fn process(&self, _: &str) -> Option<i32> {
        None
    }

    fn roots(&self) -> Roots {
        Roots::below(&self.0.folder.join("no-host"))
    }

    /// At once: another thread would come back when it likes.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        Ok(work())
    }

    fn parameters(&self, server: &str) -> BTreeMap<String, String> {
        let value = format!("value {}", self.0.state().moved);
        [("SERVER_NAME", server.to_owned()), ("VALUE", value)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())])
    }

    fn policy(&self, _: &str) -> Policy {
        self.0.policy.clone()
    }

    fn kill(&self) -> Kill {
        let now_ms = self.0.clock.now_ms();
        let mut state = self.0.state();
        let kill = if state.killed { Kill::On } else { Kill::Off };
        let busy_ms = state.disk.busy_ms(now_ms);
        state.judge.kill_was_read(now_ms, kill, busy_ms);
        kill
    }

    fn maintenance(&self, _: &str, _: &incident::IncidentId) -> Option<Hold> {
        let left_ms = self.0.state().maintenance_until_ms - self.0.clock.now_ms();
        let until_ms = Some(self.0.clock.wall_ms() + left_ms);
        (left_ms > 0).then(|| Hold { reason: "people are at work".to_owned(), until_ms })
    }

    fn escalating(&self) -> Escalating {
        self.0.escalating()
    }

    fn silences(&self) -> Silences {
        self.0.silences()
    }

    fn dependency(&self, _: &str, name: &str) -> Option<String> {
        Some(format!("{name} (tcp 10.0.0.9:5432)"))
    }

    fn flapping(&self) -> Flapping {
        self.0.flapping
    }

    async fn run(&self, folder: &Path, intent: &runner::Intent) -> Result<Recovery, runner::Error> {
        self.0.run(folder, intent).await
    }

    async fn recover(&self, folder: &Path) -> Result<Recovery, runner::Error> {
        self.0.only_alive().await;
        self.0.clock.sleep(1).await;
        if !folder.parent().is_some_and(Path::exists) {
            let (path, source) = (folder.to_owned(), std::io::ErrorKind::NotFound.into());
            return Err(runner::Error::File { action: "create", path, source });
        }
        self.0.settle(folder).await
    }

    async fn background_over(&self, folder: &Path) -> Result<(), runner::Error> {
        self.0.background_over(folder).await;
        Ok(())
    }

    async fn end_background(&self, folder: &Path) -> Result<runner::Background, runner::Error> {
        self.0.end_background(folder).await
    }
}

// === impl State ===

impl State {
    pub(crate) fn schedule(&mut self, at_ms: i64, due: Due) {
        self.due_made += 1;
        self.due.insert((at_ms, self.due_made), due);
    }

    /// What a crash of the whole machine takes along.
    pub(crate) fn lose_power(&mut self, dice: &mut Dice) {
        for runner in &mut self.runners {
            // A state file is not synced: the next unit has to do without it.
            if runner.claim == Some(Claimant::Runner) && dice.chance(30) {
                let _ = std::fs::remove_file(&runner.intent.state_after);
            }
            runner.is_alive = false;
            // Nobody has written down how it ended.
            if matches!(runner.job, Some(Job::Runs | Job::Orphaned)) {
                runner.job = Some(Job::Gone);
            }
        }
    }
}
