//! Owns the alerts of the simulated world: the rules are evaluated every while, an exit is told of at some time, maybe twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use incident::{Alarm, AlertFacts, Engine, ExitFacts, Fired, Source};

use super::plan::SERVERS;
use super::scene::{Sim, SimWorld};

/// How often rules are evaluated.
const EVALUATION_MS: i64 = 15_000;

/// Evaluates the rules as long as the engine lives. `turn` is shared with whoever tells of exits, as in `serve`.
pub(crate) async fn evaluate(sim: Arc<Sim>, engine: Engine<SimWorld>, turn: Arc<tokio::sync::Mutex<()>>) {
    loop {
        let silent_ms = sim.state().silent_until_ms - sim.clock.now_ms();
        sim.clock.sleep(EVALUATION_MS.max(silent_ms)).await;
        let _turn = turn.lock().await;
        let firing = sim.firing();
        let standing: BTreeSet<String> = firing.iter().map(|(server, _)| fingerprint(server)).collect();
        if let Err(error) = engine.alerts_standing(&standing, |_| true).await {
            sim.log(format_args!("the rules hear: {error}"));
        }
        for (server, started_ms) in firing {
            let alarm = Alarm {
                source: Source::Rule,
                summary: format!("{server} does not answer"),
                alert: Some(facts(server, started_ms)),
                exit: None,
            };
            fire(&sim, &engine, server, alarm).await;
        }
    }
}

/// Tells of the end of a process.
pub(crate) async fn exited(
    sim: Arc<Sim>,
    engine: Engine<SimWorld>,
    turn: Arc<tokio::sync::Mutex<()>>,
    server: &'static str,
    (pid, at_ms, times): (i32, i64, u32),
) {
    let exit =
        ExitFacts { pid: Some(pid), reason: "killed by SIGKILL".to_owned(), at_ms, stderr: Vec::new() };
    let summary = format!("{server} was killed by SIGKILL");
    let alarm = Alarm { source: Source::Exit, summary, alert: None, exit: Some(exit) };
    for _ in 0..times {
        let _turn = turn.lock().await;
        if let Err(error) = engine.exited(server, &alarm).await {
            sim.log(format_args!("the fleet hears: {error}"));
        }
        // The evaluation that follows at once knows the end of the process.
        let firing = sim.firing();
        if let Some((_, started_ms)) = firing.iter().find(|(name, _)| *name == server) {
            let alarm = Alarm { alert: Some(facts(server, *started_ms)), ..alarm.clone() };
            fire(&sim, &engine, server, alarm).await;
        }
    }
}

async fn fire(sim: &Sim, engine: &Engine<SimWorld>, server: &str, alarm: Alarm) {
    let fired = Fired { server: server.to_owned(), alert: "Down".to_owned(), alarm };
    if let Err(error) = engine.fire(&fired).await {
        sim.log(format_args!("the rules hear: {error}"));
    }
}

fn fingerprint(server: &str) -> String {
    format!("{server}-down")
}

fn facts(server: &str, started_ms: i64) -> AlertFacts {
    AlertFacts {
        name: "Down".to_owned(),
        severity: "critical".to_owned(),
        labels: BTreeMap::from([("server_name".to_owned(), server.to_owned())]),
        fingerprint: fingerprint(server),
        started_ms,
    }
}

impl Sim {
    /// The alerts that fire now, with their starts.
    fn firing(&self) -> Vec<(&'static str, i64)> {
        let now_ms = self.clock.wall_ms();
        let mut state = self.state();
        let mut firing = Vec::new();
        for (server, name) in state.servers.iter_mut().zip(SERVERS) {
            if !server.is_broken || std::mem::take(&mut server.flaps) {
                server.firing_ms = None;
                continue;
            }
            firing.push((name, *server.firing_ms.get_or_insert(now_ms)));
        }
        firing
    }
}
