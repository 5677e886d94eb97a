//! Owns calling people in the simulated world: what is due fires, contacts are told, late or not at all, as `serve` does it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use incident::{Engine, EngineError, Escalating, Level, Notice};

use super::plan::MINUTE_MS;
use super::scene::{Sim, SimWorld};

/// How long is waited at most before it is looked whether something is due: the clock may be set.
const LOOK_MAX_MS: i64 = 60_000;

/// The least time between two looks.
const LOOK_MIN_MS: i64 = 100;

/// What is on its way in this life of the engine.
type Keys = Arc<Mutex<BTreeSet<String>>>;

/// Lets fire what is due and tells people as long as the engine lives.
pub(crate) async fn call(sim: Arc<Sim>, engine: Engine<SimWorld>) {
    let (mut changes, on_the_way) = (engine.changes(), Keys::default());
    loop {
        changes.borrow_and_update();
        let now_ms = sim.clock.wall_ms();
        let wait_ms = match look(&sim, &engine, &on_the_way).await {
            Ok(next_ms) => next_ms.map_or(LOOK_MAX_MS, |next_ms| (next_ms - now_ms).clamp(0, LOOK_MAX_MS)),
            Err(error) => {
                sim.log(format_args!("whoever calls hears: {error}"));
                5_000
            }
        };
        tokio::select! {
            biased;
            _ = changes.changed() => {}
            () = sim.clock.sleep(wait_ms) => {}
        }
        sim.clock.sleep(LOOK_MIN_MS).await;
    }
}

async fn look(
    sim: &Arc<Sim>,
    engine: &Engine<SimWorld>,
    on_the_way: &Keys,
) -> Result<Option<i64>, EngineError> {
    let next_ms = engine.tick(sim.clock.wall_ms()).await?;
    let known = on_the_way.lock().unwrap().clone();
    let waits = |notice: &Notice| known.contains(&notice.key);
    for notice in engine.notices(sim.clock.wall_ms(), waits).await? {
        on_the_way.lock().unwrap().insert(notice.key.clone());
        tokio::spawn(tell(Arc::clone(sim), engine.clone(), Arc::clone(on_the_way), notice));
    }
    Ok(next_ms)
}

async fn tell(sim: Arc<Sim>, engine: Engine<SimWorld>, on_the_way: Keys, notice: Notice) {
    let mut dice = sim.dice(&notice.key);
    let is_quiet = sim.state().is_quiet;
    sim.clock.sleep(dice.within(10, if is_quiet { 500 } else { 20_000 })).await;
    let problem = (!is_quiet && dice.chance(20)).then(|| "nobody answers the phone".to_owned());
    while engine.note_told(&notice, 1, problem.clone()).await.is_err() {
        sim.clock.sleep(5_000).await;
    }
    on_the_way.lock().unwrap().remove(&notice.key);
}

impl Sim {
    /// Who is called: in some worlds nobody can be.
    pub(crate) fn escalating(&self) -> Escalating {
        let mut dice = self.dice("escalation");
        let minutes = |count: i64| Duration::from_millis((count * MINUTE_MS) as u64);
        if dice.chance(20) {
            return Escalating::default();
        }
        let level = |name: &str, count| Level { contacts: vec![name.to_owned()], delay: minutes(count) };
        Escalating {
            levels: vec![level("ada", 5), level("bob", 10)],
            loops: dice.pick(&[0, 2]),
            response_time: minutes(5),
            ack_timeout: minutes(dice.pick(&[0, 20])),
            ack_reminder: minutes(dice.pick(&[0, 7])),
            contacts: ["ada", "bob"].map(str::to_owned).into(),
        }
    }
}
