//! Owns simulated runners: they outlive the engine, and whoever has the claim decides whether a statement began.

use std::path::{Path, PathBuf};

use incident::Record;
use runner::{Background, BackgroundEnd, End, Outcome, Recovery, StateFile};

use super::judge::Place;
use super::plan::{Stage, What};
use super::scene::{Sim, State};

/// A runner, or what is left of it in its folder.
pub(crate) struct Runner {
    pub(crate) place: Place,
    /// What its dice are called: each round of a watch has its own.
    name: String,
    pub(crate) folder: PathBuf,
    pub(crate) intent: runner::Intent,
    pub(crate) claim: Option<Claimant>,
    pub(crate) is_alive: bool,
    pub(crate) outcome: Option<Outcome>,
    /// What it has left in the background, where it has.
    pub(crate) job: Option<Job>,
    started_ms: i64,
}

/// What a statement has left in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    Runs,
    Ended(Background),
    /// Its keeper was killed, and something of it is left.
    Orphaned,
    /// The machine was without power: nothing of it is left.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimant {
    Runner,
    Engine,
}

/// What a runner is about to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Due {
    Claim(usize),
    Effect(usize),
    End(usize),
    Die(usize),
    /// Its background job ends, or the keeper of that is killed.
    Over(usize),
}

impl Sim {
    /// Prepares a folder, starts a runner and waits for it.
    pub(crate) async fn run(
        &self,
        folder: &Path,
        intent: &runner::Intent,
    ) -> Result<Recovery, runner::Error> {
        self.only_alive().await;
        let idx = {
            let mut state = self.state();
            // The folder of a round is removed after it, or moved to where the last round is kept.
            let is_round = folder.extension().is_some_and(|end| end == "now") && !folder.exists();
            if state.by_folder.contains_key(folder) && !is_round {
                return Err(runner::Error::Taken { folder: folder.to_owned() });
            }
            let name = if is_round {
                std::fs::create_dir_all(folder).unwrap();
                format!("{} {}", intent.key, state.runners.len())
            } else {
                intent.key.clone()
            };
            state.put(Runner {
                place: Place::of(&intent.key),
                name,
                folder: folder.to_owned(),
                intent: intent.clone(),
                claim: None,
                is_alive: false,
                outcome: None,
                job: None,
                started_ms: 0,
            })
        };
        let mut dice = self.dice(&self.state().runners[idx].name);
        // To make the folder durable takes its time; whoever dies now leaves one without a runner.
        self.clock.sleep(dice.within(1, 8)).await;
        self.only_alive().await;
        if dice.chance(1) {
            let source = std::io::ErrorKind::OutOfMemory.into();
            return Err(runner::Error::Start { program: "paramedic".into(), source });
        }
        self.judge_run(idx);
        let number = self.start(idx);
        if self.planned(|what| matches!(what, What::Untold { run } if run == number).then_some(())).is_some()
        {
            self.log(format_args!("cannot wait for the runner of {}", intent.key));
            let source = std::io::ErrorKind::Other.into();
            return Err(runner::Error::Wait { folder: folder.to_owned(), source });
        }
        loop {
            let moved = self.moved.notified();
            if !self.state().runners[idx].is_alive {
                break;
            }
            moved.await;
        }
        self.settle(folder).await
    }

    /// Starts the runner; returns which it is, from 1.
    fn start(&self, idx: usize) -> u32 {
        let now_ms = self.clock.now_ms();
        let mut state = self.state();
        let number = state.runners.iter().filter(|runner| runner.started_ms > 0).count() as u32 + 1;
        let runner = &mut state.runners[idx];
        runner.is_alive = true;
        runner.started_ms = now_ms;
        let mut dice = self.dice(&format!("{} runs", runner.name));
        let slow =
            self.planned(|what| matches!(what, What::SlowRunner { run } if run == number).then_some(()));
        let longest_ms = if slow.is_some() { 240_000 } else { 300 };
        let claim_ms = now_ms + dice.within(1, 20);
        let effect_ms = claim_ms + dice.within(1, longest_ms);
        let end_ms = effect_ms + dice.within(1, longest_ms);
        let killed = self.planned(|what| match what {
            What::KillRunner { run, stage } if run == number => Some(stage),
            _ => None,
        });
        match killed {
            Some(Stage::Unclaimed) => state.schedule(claim_ms - 1, Due::Die(idx)),
            Some(Stage::BeforeEffect) => state.schedule(effect_ms, Due::Die(idx)),
            Some(Stage::AfterEffect) => state.schedule(end_ms, Due::Die(idx)),
            None => {}
        }
        state.schedule(claim_ms, Due::Claim(idx));
        state.schedule(effect_ms, Due::Effect(idx));
        state.schedule(end_ms, Due::End(idx));
        drop(state);
        // Whoever waits for what happens next has something new to wait for.
        self.bell.notify_one();
        number
    }

    /// What became of a unit; waits for a runner that is at it.
    pub(crate) async fn settle(&self, folder: &Path) -> Result<Recovery, runner::Error> {
        loop {
            self.only_alive().await;
            let moved = self.moved.notified();
            if let Some(recovery) = self.state().recover(folder) {
                return Ok(recovery);
            }
            moved.await;
        }
    }

    /// Does what a runner is about to do. Returns the restart of a server that its owner has to write down.
    pub(crate) fn carry_out(&self, due: Due) -> Option<Record> {
        if let Due::Over(idx) = due {
            self.job_over(idx);
            return None;
        }
        let (Due::Claim(idx) | Due::Effect(idx) | Due::End(idx) | Due::Die(idx) | Due::Over(idx)) = due;
        let has_claim = {
            let mut state = self.state();
            let runner = &mut state.runners[idx];
            if !runner.is_alive {
                return None;
            }
            match due {
                Due::Claim(_) if runner.claim.is_none() => runner.claim = Some(Claimant::Runner),
                // The engine was quicker.
                Due::Claim(_) => runner.is_alive = false,
                Due::Die(_) => runner.is_alive = false,
                Due::Effect(_) | Due::End(_) | Due::Over(_) => {}
            }
            runner.is_alive && runner.claim == Some(Claimant::Runner)
        };
        let mut restarted = None;
        match due {
            Due::Die(_) => {
                let key = self.state().runners[idx].intent.key.clone();
                self.log(format_args!("the runner of {key} is killed"));
            }
            Due::Effect(_) if has_claim => restarted = self.effect(idx),
            Due::End(_) if has_claim => self.end(idx),
            _ => {}
        }
        self.moved.notify_waiters();
        restarted
    }

    fn effect(&self, idx: usize) -> Option<Record> {
        self.judge_effect(idx);
        let key = self.state().runners[idx].intent.key.clone();
        self.log(format_args!("{key} takes effect"));
        let mut state = self.state();
        let (key, statement, place) = {
            let runner = &state.runners[idx];
            (runner.intent.key.clone(), runner.intent.statement.clone(), runner.place.clone())
        };
        let server_name = state.runners[idx].intent.environment["SERVER_NAME"].clone();
        let server = Self::server(&server_name);
        let mut dice = self.dice(&format!("{key} effect"));
        if !statement.contains("server restart") {
            if !place.unit.starts_with('1') && dice.chance(15) {
                state.servers[server].is_broken = false;
            }
            return None;
        }
        state.servers[server].incarnation += 1;
        if dice.chance(75) {
            state.servers[server].is_broken = false;
        }
        let (by, pid) = ("a unit".to_owned(), Some(100 + idx as i32));
        Some(Record::Restarted { server: server_name, by, key, pid, start_ms: None, problem: None })
    }

    fn end(&self, idx: usize) {
        let finished_ms = self.clock.wall_ms();
        let mut state = self.state();
        let (is_over, now_ms) = (state.is_quiet, self.clock.now_ms());
        let runner = &mut state.runners[idx];
        let mut dice = self.dice(&format!("{} end", runner.name));
        let end = match dice.within(0, 100) {
            0..85 => End::Exited(0),
            _ if is_over => End::Exited(0),
            85..96 => End::Exited(1),
            96..98 => End::Signaled(9),
            _ => End::TimedOut,
        };
        let exited = matches!(end, End::Exited(_));
        let files = std::fs::create_dir_all(&runner.folder)
            .and_then(|()| std::fs::write(runner.folder.join(runner::STDOUT), "done\n"))
            .and_then(|()| match exited {
                true => std::fs::write(&runner.intent.state_after, format!("after {}", runner.intent.key)),
                false => Ok(()),
            });
        files.unwrap();
        runner.outcome = Some(Outcome {
            started_ms: finished_ms - (now_ms - runner.started_ms),
            finished_ms,
            end,
            stdout_bytes: 5,
            stderr_bytes: 0,
            truncated: false,
            state: if exited { StateFile::Saved } else { StateFile::Missing },
            background_ms: runner.intent.background_ms.filter(|_| exited),
        });
        runner.is_alive = false;
        if exited && let Some(limit_ms) = runner.intent.background_ms {
            runner.job = Some(Job::Runs);
            let over_ms = dice.within(1, 1_200_000).min(limit_ms as i64);
            let key = runner.intent.key.clone();
            state.schedule(now_ms + over_ms, Due::Over(idx));
            drop(state);
            self.log(format_args!("{key} runs on in the background"));
            self.bell.notify_one();
        }
    }

    /// A background job ends by itself, at its limit, or loses its keeper.
    fn job_over(&self, idx: usize) {
        let ended_ms = self.clock.wall_ms();
        let (key, job) = {
            let mut state = self.state();
            let runner = &mut state.runners[idx];
            if runner.job != Some(Job::Runs) {
                return;
            }
            let end = self.dice(&format!("{} over", runner.name)).pick(&[
                Some(BackgroundEnd::ByItself),
                Some(BackgroundEnd::Limit),
                None,
            ]);
            let ended = |end| Job::Ended(Background { ended_ms, end, truncated: false });
            runner.job = Some(end.map_or(Job::Orphaned, ended));
            (runner.intent.key.clone(), runner.job.clone())
        };
        self.log(format_args!("the background job of {key}: {job:?}"));
        self.moved.notify_waiters();
    }

    /// Waits until nobody keeps the background job of a unit.
    pub(crate) async fn background_over(&self, folder: &Path) {
        loop {
            self.only_alive().await;
            let moved = self.moved.notified();
            let runs = {
                let state = self.state();
                let runner = state.by_folder.get(folder).map(|idx| &state.runners[*idx]);
                runner.is_some_and(|runner| runner.job == Some(Job::Runs))
            };
            if !runs {
                return;
            }
            moved.await;
        }
    }

    /// Ends the background job of a unit, which takes its time.
    pub(crate) async fn end_background(&self, folder: &Path) -> Result<Background, runner::Error> {
        self.only_alive().await;
        let idx = self.state().by_folder[folder];
        let mut dice = self.dice(&format!("{} is told", self.state().runners[idx].name));
        self.clock.sleep(dice.within(1, 3_000)).await;
        self.only_alive().await;
        let ended_ms = self.clock.wall_ms();
        let mut state = self.state();
        let job = &mut state.runners[idx].job;
        let end = match job {
            Some(Job::Ended(background)) => return Ok(background.clone()),
            Some(Job::Runs) => BackgroundEnd::Told,
            Some(Job::Orphaned | Job::Gone) | None => BackgroundEnd::Lost,
        };
        let background = Background { ended_ms, end, truncated: false };
        *job = Some(Job::Ended(background.clone()));
        drop(state);
        self.moved.notify_waiters();
        Ok(background)
    }
}

// === impl State ===

impl State {
    fn put(&mut self, runner: Runner) -> usize {
        self.by_folder.insert(runner.folder.clone(), self.runners.len());
        self.runners.push(runner);
        self.runners.len() - 1
    }

    /// Whether the statement of an attempt may have begun.
    pub(crate) fn has_begun(&self, folder: &Path) -> bool {
        let runner = self.by_folder.get(folder).map(|idx| &self.runners[*idx]);
        runner.is_some_and(|runner| runner.claim == Some(Claimant::Runner))
    }

    /// The answer of `runner::recover`; nothing where a runner is at it.
    fn recover(&mut self, folder: &Path) -> Option<Recovery> {
        let Some(idx) = self.by_folder.get(folder).copied() else {
            let intent = runner::Intent {
                key: String::new(),
                attempt: 0,
                statement: String::new(),
                shell: runner::Shell::Bash,
                environment: std::collections::BTreeMap::default(),
                directory: "/".into(),
                timeout_ms: 0,
                output_bytes_max: 0,
                background_ms: None,
                writable: None,
                state_before: None,
                state_after: folder.join("state"),
            };
            let (folder, claim) = (folder.to_owned(), Some(Claimant::Engine));
            let place = Place::default();
            let name = String::new();
            let (is_alive, outcome, job, started_ms) = (false, None, None, 0);
            self.put(Runner { place, name, folder, intent, claim, is_alive, outcome, job, started_ms });
            return Some(Recovery::NeverStarted);
        };
        let runner = &mut self.runners[idx];
        if let Some(outcome) = &runner.outcome {
            return Some(Recovery::Finished(outcome.clone()));
        }
        if runner.is_alive && runner.claim == Some(Claimant::Runner) {
            return None;
        }
        Some(match runner.claim.get_or_insert(Claimant::Engine) {
            Claimant::Engine => Recovery::NeverStarted,
            Claimant::Runner => Recovery::Interrupted,
        })
    }
}
