//! Owns the alerts of the simulated world: the rules are evaluated every while, an exit is told of at some time, maybe twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use incident::{Alarm, AlertFacts, Engine, ExitFacts, Fired, Source};
use metrics::{Breadth, Comparison, Matcher, Silence, Silences};

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
        let (firing, needing) = (sim.firing(), sim.needing());
        let down = firing.iter().map(|(server, started_ms)| down(server, *started_ms));
        let needs = needing.iter().map(|(server, started_ms)| needs(server, *started_ms));
        let alerts: Vec<Fired> = down.chain(needs).collect();
        let standing: BTreeSet<String> = alerts.iter().filter_map(fingerprint).collect();
        if let Err(error) = engine.alerts_standing(&standing, |_| true).await {
            sim.log(format_args!("the rules hear: {error}"));
        }
        if let Err(error) = engine.fire_all(&alerts).await {
            sim.log(format_args!("the rules hear: {error}"));
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
    let exit = ExitFacts {
        uptime_ms: None,
        pid: Some(pid),
        reason: "killed by SIGKILL".to_owned(),
        at_ms,
        stderr: Vec::new(),
        out_of_memory: None,
    };
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
            let mut fired = down(server, *started_ms);
            fired.alarm = Alarm { alert: fired.alarm.alert, ..alarm.clone() };
            if let Err(error) = engine.fire(&fired).await {
                sim.log(format_args!("the rules hear: {error}"));
            }
        }
    }
}

fn fingerprint(fired: &Fired) -> Option<String> {
    Some(fired.alarm.alert.as_ref()?.fingerprint.clone())
}

fn down(server: &str, started_ms: i64) -> Fired {
    fired("Down", server, &[("server_name", server)], started_ms)
}

/// A server does not get what it needs, which others need as well.
fn needs(server: &str, started_ms: i64) -> Fired {
    fired("Needs", server, &[("server_name", server), ("dependency_name", "db")], started_ms)
}

fn fired(alert: &str, server: &str, labels: &[(&str, &str)], started_ms: i64) -> Fired {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let facts = AlertFacts {
        name: alert.to_owned(),
        severity: "critical".to_owned(),
        labels: labels.collect(),
        fingerprint: format!("{server}-{alert}"),
        started_ms,
    };
    let summary = format!("{alert} of {server}");
    let alarm = Alarm { source: Source::Rule, summary, alert: Some(facts), exit: None };
    Fired { server: server.to_owned(), alert: alert.to_owned(), alarm }
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

    /// The servers that do not get what they need, and since when.
    fn needing(&self) -> Vec<(&'static str, i64)> {
        let now_ms = self.clock.wall_ms();
        let mut state = self.state();
        if !state.need_fails {
            state.needs_firing_ms = None;
            return Vec::new();
        }
        let started_ms = *state.needs_firing_ms.get_or_insert(now_ms);
        SERVERS.map(|server| (server, started_ms)).to_vec()
    }

    /// What people want to hear nothing of.
    pub(crate) fn silences(&self) -> Silences {
        let left_ms = self.state().mute_until_ms - self.clock.now_ms();
        let mut silences = Silences::default();
        if left_ms > 0 {
            let now_ms = self.clock.wall_ms();
            let silence = Silence {
                number: 0,
                matchers: vec![Matcher::new(metrics::ALERT_NAME, Comparison::Equal, "Down").unwrap()],
                starts_ms: now_ms - 1,
                ends_ms: now_ms + left_ms,
                created_by: "cy".to_owned(),
                comment: "known".to_owned(),
            };
            silences.add(silence, Breadth::Narrow, now_ms).unwrap();
        }
        silences
    }
}
