//! Owns the people of the simulated world: those who answer questions, and those who say something whenever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use incident::{Engine, IncidentId, Record, Source, Word};

use super::plan::Say;
use super::scene::{Sim, SimWorld};

/// How often people look for questions that they left open, beside those that they hear of.
const LOOK_MS: i64 = 60_000;

/// An open question as a person sees it.
struct Question {
    incident: IncidentId,
    unit: String,
    missing: Vec<String>,
    expires_ms: i64,
    /// What tells it from every other question, and a second yes from the first.
    name: String,
    /// What it is called by whoever answers it.
    read: String,
    is_second: bool,
}

/// Answers what is asked, sooner or later or not at all.
pub(crate) async fn answer_questions(sim: Arc<Sim>, engine: Engine<SimWorld>) {
    let mut known = BTreeSet::new();
    let mut feed = engine.feed();
    loop {
        let questions = engine.look(|all| all.flat_map(open_questions).collect::<Vec<_>>()).await;
        for question in questions.unwrap_or_default() {
            if known.insert((sim.state().is_quiet, question.name.clone())) {
                tokio::spawn(answer(Arc::clone(&sim), engine.clone(), question));
            }
        }
        let asked = async {
            while let Ok(happening) = feed.recv().await {
                if matches!(happening.record, Record::ApprovalAsked { .. } | Record::Approved { .. }) {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = asked => {}
            () = sim.clock.sleep(LOOK_MS) => {}
        }
    }
}

fn open_questions(incident: &incident::Incident) -> Vec<Question> {
    let question = |(unit, _, asked): (&incident::UnitRef, &incident::UnitView, &incident::Asked)| {
        let is_second = asked.first.is_some();
        Question {
            incident: incident.id.clone(),
            unit: unit.unit.clone(),
            missing: asked.missing.clone(),
            expires_ms: asked.expires_ms,
            name: format!("{} {is_second}", asked.binding),
            read: asked.mark().to_owned(),
            is_second,
        }
    };
    incident.open_questions().map(question).collect()
}

async fn answer(sim: Arc<Sim>, engine: Engine<SimWorld>, question: Question) {
    let is_quiet = sim.state().is_quiet;
    let mut dice = sim.dice(&question.name);
    let left_ms = question.expires_ms - sim.clock.wall_ms();
    let (says_yes, after_ms) = match dice.within(0, 100) {
        // Nobody is there. In the end somebody is, unless the trouble stays: then questions may wait for ever.
        _ if is_quiet && sim.stays_broken() => return,
        roll if is_quiet => (roll < 80, dice.within(500, 5_000)),
        0..10 => return,
        10..25 => (true, left_ms + dice.within(-40, 40)),
        25..37 => (false, dice.within(1_000, 120_000)),
        _ => (true, dice.within(1_000, 120_000)),
    };
    sim.clock.sleep(after_ms.max(0)).await;
    let by = if question.is_second { "bob" } else { "ada" };
    let said = if says_yes {
        let values: BTreeMap<_, _> =
            question.missing.iter().map(|name| (name.clone(), "seven".to_owned())).collect();
        engine.approve(&question.incident, &question.unit, by, &question.read, values).await
    } else {
        engine.reject(&question.incident, &question.unit, by, "not now").await
    };
    if let Err(error) = said {
        sim.log(format_args!("{by} hears: {error}"));
    }
}

/// Says something to one of the open incidents.
pub(crate) async fn say(sim: Arc<Sim>, engine: Engine<SimWorld>, say: Say) {
    let open = engine
        .look(|all| all.filter(|one| one.state.is_open()).map(|one| one.id.clone()).collect::<Vec<_>>());
    let open = open.await.unwrap_or_default();
    let Some(id) = open.last() else { return };
    let reason = || "a person knows better".to_owned();
    let said = match say {
        Say::Acknowledge => engine.acknowledge(id, "cy").await,
        Say::Note => engine.say(id, "cy", Word::Note { text: reason() }).await,
        Say::Hold => engine.say(id, "cy", Word::Hold { reason: reason() }).await,
        Say::Resume => engine.say(id, "cy", Word::Resume).await,
        Say::Abort => engine.say(id, "cy", Word::Abort { reason: reason() }).await,
        Say::Resolve => engine.resolve(id, "cy").await,
        Say::Close => engine.say(id, "cy", Word::Close { reason: reason() }).await,
    };
    if let Err(error) = said {
        sim.log(format_args!("cy hears: {error}"));
    }
}

/// Opens an incident.
pub(crate) async fn open(sim: Arc<Sim>, engine: Engine<SimWorld>, server: &str) {
    if let Err(error) = engine.open_for(server, "Down", "cy", "it feels slow").await {
        sim.log(format_args!("cy hears: {error}"));
    }
}

/// Restarts a server by hand; its owner writes it down.
pub(crate) async fn restart(sim: Arc<Sim>, engine: Engine<SimWorld>, server: &str) {
    let key = format!("hand-{}", sim.clock.now_ms());
    let (server, by) = (server.to_owned(), "cy".to_owned());
    let restarted = Record::Restarted { server, by, key, pid: Some(7), start_ms: None, problem: None };
    if let Err(error) = engine.note_restart(restarted).await {
        sim.log(format_args!("the owner hears: {error}"));
    }
}

/// When the world is quiet, whoever has taken something over gives it back, and what waits for a person is closed.
pub(crate) async fn tidy_up(sim: Arc<Sim>, engine: Engine<SimWorld>) {
    let left = engine.look(|all| {
        let open = all.filter(|one| one.state.is_open() && one.alarm.source != Source::Person);
        open.map(|one| {
            (one.id.clone(), one.control, one.person_needed.is_some() && one.alarm.alert.is_none())
        })
        .collect::<Vec<_>>()
    });
    for (id, control, needs_closing) in left.await.unwrap_or_default() {
        let said = match control {
            incident::Control::Held => engine.say(&id, "cy", Word::Resume).await,
            _ if needs_closing && !sim.stays_broken() => engine.resolve(&id, "cy").await,
            _ => Ok(()),
        };
        if let Err(error) = said {
            sim.log(format_args!("cy hears: {error}"));
        }
    }
}
