//! Owns the play of one world: lives of the engine, the time between them, and the quiet in the end.

use std::sync::Arc;
use std::time::Duration;

use incident::{Engine, Goal, Incident, Settings, Shelf, Verification};
use journal::Blobs;

use super::disk::SimJournal;
use super::plan::{DISTURBED_MS, Disturbance, Loss, MINUTE_MS, SERVERS, What};
use super::scene::{Sim, SimWorld};
use super::{alerts, calling, people};

/// How long after the last disturbance every incident has to have come to its end, or to wait for a person.
pub(crate) const SETTLED_WITHIN_MS: i64 = 12 * 60 * MINUTE_MS;

/// How often it is looked whether all is over.
const LOOK_MS: i64 = 20_000;

/// Tasks that live however many incidents there are.
const OTHER_TASKS_MAX: usize = 40;

/// What counts as recovered.
const GOAL: Goal = Goal { probes: 3, period_ms: 2_000, timeout_ms: 10_000 };

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Dead,
    Over,
}

/// Plays a world to its end.
pub(crate) fn play(sim: &Arc<Sim>) {
    let mut next = 0;
    loop {
        sim.state().is_dead = false;
        let clock = Arc::clone(sim);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || clock.clock.step())
            .build()
            .unwrap();
        let end = runtime.block_on(life(sim, &mut next));
        drop(runtime);
        if end == End::Over || !sim.state().judge.broken.is_empty() {
            return;
        }
        between_lives(sim, &mut next);
    }
}

/// One life of the engine.
async fn life(sim: &Arc<Sim>, next: &mut usize) -> End {
    let settings = Settings {
        runs: sim.folder.join("runs"),
        reports: sim.folder.join("reports"),
        verification: Verification::Probes { goal: GOAL, interval: Duration::from_secs(1) },
        unit_timeout: Duration::from_secs(5),
        output_bytes_max: 1 << 20,
        background_max: Duration::from_secs(3600),
    };
    let blobs = Blobs::open(sim.folder.join("blobs")).unwrap();
    let shelf = Shelf::new(vec![sim.book.clone()]);
    let (world, journal) = (Arc::new(SimWorld(Arc::clone(sim))), SimJournal(Arc::clone(sim)));
    let engine = Engine::start(world, journal, blobs, shelf, settings).await.unwrap();
    sim.log("the engine lives");
    sim.judge_knowledge(&engine).await;
    engine.resume().await;
    let turn = Arc::default();
    tokio::spawn(alerts::evaluate(Arc::clone(sim), engine.clone(), Arc::clone(&turn)));
    tokio::spawn(people::answer_questions(Arc::clone(sim), engine.clone()));
    tokio::spawn(calling::call(Arc::clone(sim), engine.clone()));
    // Guards outlive the engine, and tell the next one.
    let untold = std::mem::take(&mut sim.state().untold);
    for (server, at_ms) in untold {
        let exited = (1_000 + sim.clock.now_ms() as i32, at_ms, 1);
        let told =
            alerts::exited(Arc::clone(sim), engine.clone(), Arc::clone(&turn), SERVERS[server], exited);
        tokio::spawn(told);
    }
    let mut look_ms = sim.clock.now_ms() + LOOK_MS;
    loop {
        let until_ms = look_ms.min(sim.next_ms(*next));
        tokio::select! {
            biased;
            () = sim.bell.notified() => {}
            () = sim.clock.sleep_until(until_ms) => {}
        }
        if !sim.state().judge.broken.is_empty() {
            return End::Over;
        }
        if sim.state().is_dead {
            return End::Dead;
        }
        sim.happen(next, Some((&engine, &turn)));
        // What has just happened may be its death, and the dead are asked nothing.
        if sim.state().is_dead || sim.clock.now_ms() < look_ms {
            continue;
        }
        look_ms = sim.clock.now_ms() + LOOK_MS;
        if !sim.state().is_quiet {
            continue;
        }
        people::tidy_up(Arc::clone(sim), engine.clone()).await;
        if is_settled(sim, &engine).await {
            let open = engine.look(|all| all.filter(|one| !one.is_reported()).count()).await.unwrap();
            let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
            if tasks > open + OTHER_TASKS_MAX {
                sim.broken(format!("bounds: {tasks} tasks for {open} incidents that go on"));
            }
            sim.judge_end(&engine).await;
            return End::Over;
        }
        if sim.clock.now_ms() > DISTURBED_MS + SETTLED_WITHIN_MS {
            sim.broken(format!("liveness: {}", unsettled(sim, &engine).await));
            return End::Over;
        }
    }
}

/// The engine is dead; the others go on.
fn between_lives(sim: &Arc<Sim>, next: &mut usize) {
    let now_ms = sim.clock.now_ms();
    let mut dice = sim.dice(&format!("death at {now_ms}"));
    let write = sim.state().disk.writes;
    let loss = sim.plan.iter().find_map(|one| match one.what {
        What::Crash(loss) if one.at_ms == now_ms => Some(loss),
        What::CrashAtWrite { write: planned, loss, .. } if planned == write => Some(loss),
        _ => None,
    });
    sim.crash(loss.unwrap_or(Loss::Process), &mut dice);
    let back_ms = now_ms + dice.pick(&[50, 2_000, 60_000, 10 * MINUTE_MS]);
    while sim.next_ms(*next) <= back_ms {
        sim.clock.pass_until(sim.next_ms(*next));
        sim.happen(next, None);
    }
    sim.clock.pass_until(back_ms);
}

/// Whether every incident has come to its end, or waits for a person.
async fn is_settled(sim: &Sim, engine: &Engine<SimWorld>) -> bool {
    let settled = |incident: &Incident| is_at_its_end(sim, incident);
    engine.look(|mut all| Iterator::all(&mut all, settled)).await.unwrap()
        && engine.notices(sim.clock.wall_ms(), |_| false).await.unwrap().is_empty()
}

async fn unsettled(sim: &Sim, engine: &Engine<SimWorld>) -> String {
    let look = |all: &mut dyn Iterator<Item = &Incident>| {
        let left = all.filter(|incident| !is_at_its_end(sim, incident));
        left.map(|one| format!("{} is {} ({:?})", one.id, one.state, one.person_needed)).collect::<Vec<_>>()
    };
    let untold = engine.notices(sim.clock.wall_ms(), |_| false).await.unwrap();
    let mut left = engine.look(look).await.unwrap();
    left.extend(untold.iter().map(|notice| format!("{} is not told", notice.key)));
    left.join("; ")
}

fn is_at_its_end(sim: &Sim, incident: &Incident) -> bool {
    let is_at_rest = || incident.steps.iter().all(|view| view.state.has_ended());
    let needs_person = incident.person_needed.is_some() && is_at_rest();
    let waits = needs_person || incident.open_questions().next().is_some();
    incident.is_reported() || (sim.stays_broken() && incident.state.is_open() && waits)
}

impl Sim {
    /// Whether the servers stay broken in the end.
    pub(crate) fn stays_broken(&self) -> bool {
        self.dice("end").chance(25)
    }

    /// When something happens next.
    fn next_ms(&self, next: usize) -> i64 {
        let quiet_ms = if self.state().is_quiet { i64::MAX } else { DISTURBED_MS };
        let due_ms = self.state().due.keys().next().map_or(i64::MAX, |(at_ms, _)| *at_ms);
        let planned_ms = self.plan.get(next).map_or(i64::MAX, |one| one.at_ms);
        quiet_ms.min(due_ms).min(planned_ms)
    }

    /// Lets everything happen that is due.
    fn happen(self: &Arc<Self>, next: &mut usize, alive: Option<(&Engine<SimWorld>, &Turn)>) {
        let now_ms = self.clock.now_ms();
        while self.next_ms(*next) <= now_ms {
            let due = {
                let mut state = self.state();
                let first = state.due.first_entry().filter(|first| first.key().0 <= now_ms);
                first.map(|first| first.remove())
            };
            if let Some(due) = due {
                let restarted = self.carry_out(due);
                if let (Some(restarted), Some((engine, _))) = (restarted, alive) {
                    let engine = engine.clone();
                    tokio::spawn(async move { drop(engine.note_restart(restarted).await) });
                }
            } else if let Some(one) = self.plan.get(*next).filter(|one| one.at_ms <= now_ms) {
                *next += 1;
                self.disturb(*one, alive);
            } else {
                self.begin_quiet();
            }
        }
    }

    fn begin_quiet(&self) {
        self.log("it is quiet now");
        let stays_broken = self.stays_broken();
        let mut state = self.state();
        state.is_quiet = true;
        state.killed = false;
        (state.maintenance_until_ms, state.silent_until_ms, state.mute_until_ms) = (0, 0, 0);
        state.need_fails = false;
        (state.disk.full_until_ms, state.disk.slow_until_ms) = (0, 0);
        state.servers.iter_mut().for_each(|server| server.is_broken = stays_broken);
    }

    fn disturb(self: &Arc<Self>, one: Disturbance, alive: Option<(&Engine<SimWorld>, &Turn)>) {
        let now_ms = self.clock.now_ms();
        if one.at_ms > 0 {
            self.log(format_args!("{:?}", one.what));
        }
        match one.what {
            What::Crash(_) if alive.is_some() => self.die(),
            What::Full { for_ms } => self.state().disk.full_until_ms = now_ms + for_ms,
            What::Slow { for_ms } => self.state().disk.slow_until_ms = now_ms + for_ms,
            What::Foreign => {
                let (kind, body) = ("note".to_owned(), serde_json::json!({"by": "another process"}));
                let at_ms = self.clock.wall_ms();
                self.keep(&journal::Draft { at_ms, incident: None, kind, version: 1, body });
            }
            What::Stall { for_ms } if alive.is_some() => self.clock.pass_until(now_ms + for_ms),
            What::Jump { by_ms } => self.clock.jump(by_ms),
            What::Heal { server } => self.state().servers[server].is_broken = false,
            What::Flap { server } => self.state().servers[server].flaps = true,
            What::Silence { for_ms } => self.state().silent_until_ms = now_ms + for_ms,
            What::Mute { for_ms } => self.state().mute_until_ms = now_ms + for_ms,
            What::Need { fails } => self.state().need_fails = fails,
            What::Kill { on } => self.state().killed = on,
            What::Maintenance { for_ms } => {
                let mut state = self.state();
                (state.maintenance_since_ms, state.maintenance_until_ms) = (now_ms, now_ms + for_ms);
            }
            What::Moved => self.state().moved += 1,
            What::Break { server, .. } => {
                let mut state = self.state();
                state.servers[server].is_broken = true;
                state.servers[server].incarnation += 1;
                if alive.is_none() {
                    state.untold.push((server, self.clock.wall_ms()));
                }
            }
            What::RestartByHand { server } => self.state().servers[server].incarnation += 1,
            _ => {}
        }
        if let Some((engine, turn)) = alive {
            self.tell(one.what, engine.clone(), turn);
        }
    }

    /// What comes to the engine's ears.
    fn tell(self: &Arc<Self>, what: What, engine: Engine<SimWorld>, turn: &Turn) {
        let (sim, turn) = (Arc::clone(self), Arc::clone(turn));
        match what {
            What::Break { server, late_ms, times } => {
                let (pid, at_ms) = (1_000 + self.clock.now_ms() as i32, self.clock.wall_ms());
                tokio::spawn(async move {
                    sim.clock.sleep(late_ms).await;
                    alerts::exited(sim, engine, turn, SERVERS[server], (pid, at_ms, times)).await;
                });
            }
            What::RestartByHand { server } => {
                tokio::spawn(people::restart(sim, engine, SERVERS[server]));
            }
            What::StopByHand { server } => {
                tokio::spawn(async move { drop(engine.note_stop(SERVERS[server], "cy", "by hand").await) });
            }
            What::Open { server } => {
                tokio::spawn(people::open(sim, engine, SERVERS[server]));
            }
            What::Say(say) => {
                tokio::spawn(people::say(sim, engine, say));
            }
            _ => {}
        }
    }
}

/// Whose turn it is to act on alerts.
type Turn = Arc<tokio::sync::Mutex<()>>;
