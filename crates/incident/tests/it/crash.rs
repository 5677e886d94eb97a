//! Tests an engine that dies after any record: the next life leaves the same records as one that never died.
//!
//! The journal is made to refuse every record after the n-th; the engine goes as far as it can without it, and
//! is cut off there. Statements that began have ended meanwhile, as their runners outlive the engine.

mod scenarios;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use expect_test::Expect;
use incident::{EngineError, Incident, State};

use crate::stage::{Life, Stage, fired};
use crate::story::story;
use crate::world::{FakeWorld, START_MS};

/// What the others do in a scenario: statements end as `prepare` has arranged it, a person answers as `answer` says.
#[derive(Clone, Copy)]
struct Scenario {
    steps: &'static str,
    prepare: fn(&FakeWorld),
    answer: fn(&str) -> Word,
}

/// What happens while a question is open.
enum Word {
    Yes(&'static [(&'static str, &'static str)]),
    No,
    /// Nobody answers, and the alert is over.
    AlertOver,
}

// === impl Scenario ===

impl Scenario {
    fn stage(self) -> Stage {
        let stage = Stage::new(self.steps);
        (self.prepare)(&stage.world);
        stage
    }

    /// Plays the others until the incident has come to its end, or the engine is stuck.
    async fn play(self, life: &Life, stands: &Cell<bool>) -> Option<Incident> {
        let played = tokio::select! {
            biased;
            played = self.follow(life, stands) => played,
            () = life.world.stuck(1) => return None,
        };
        match played {
            Ok(incident) => {
                life.check_invariants().await;
                Some(incident)
            }
            Err(EngineError::Journal(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn follow(self, life: &Life, stands: &Cell<bool>) -> Result<Incident, EngineError> {
        life.engine.resume().await;
        if stands.get() {
            life.engine.fire(&fired("time", START_MS)).await?;
        } else {
            over(life, stands).await?;
        }
        let id = life.engine.incidents().await?[0].id.clone();
        loop {
            let waits = |incident: &Incident| {
                is_over(incident) || self.question(incident).is_some() || is_only_mitigated(incident)
            };
            let incident = life.until(&id, waits).await;
            if is_over(&incident) {
                return Ok(incident);
            }
            match self.question(&incident) {
                Some((unit, Word::Yes(values))) => {
                    let value = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
                    let values: BTreeMap<_, _> = values.iter().map(value).collect();
                    life.approve(&id, &unit, "ada", values).await?;
                }
                Some((unit, Word::No)) => life.engine.reject(&id, &unit, "ada", "not now").await?,
                Some((_, Word::AlertOver)) | None => over(life, stands).await?,
            }
        }
    }

    /// The open question that still wants something done, and what.
    fn question(self, incident: &Incident) -> Option<(String, Word)> {
        let unit = incident.open_questions().next()?.0.unit.clone();
        let word = (self.answer)(&unit);
        let waits = !matches!(word, Word::AlertOver) || incident.alert_resolved_ms.is_none();
        waits.then_some((unit, word))
    }
}

async fn over(life: &Life, stands: &Cell<bool>) -> Result<(), EngineError> {
    stands.set(false);
    life.engine.alerts_standing(&BTreeSet::new(), |_| true).await
}

fn is_over(incident: &Incident) -> bool {
    incident.is_reported() || incident.person_needed.is_some()
}

fn is_only_mitigated(incident: &Incident) -> bool {
    incident.state == State::Mitigated && incident.alert_resolved_ms.is_none()
}

fn statements(stage: &Stage) -> Vec<String> {
    stage.world.state().runs.iter().map(|run| run.statement.clone()).collect()
}

/// The story of a life that nothing cuts off, and the statements that were executed.
fn whole(scenario: Scenario) -> (Incident, Vec<String>) {
    let stage = scenario.stage();
    let incident = stage.live(async |life| scenario.play(life, &Cell::new(true)).await).unwrap();
    (incident, statements(&stage))
}

/// Cuts the engine off after each record in turn.
#[expect(clippy::needless_pass_by_value, reason = "so that callers can write it in one expression")]
fn check(scenario: Scenario, expect: Expect) {
    let (incident, executed) = whole(scenario);
    expect.assert_eq(&story(&incident));
    for records in 0..incident.timeline.len() {
        let stage = scenario.stage();
        let stands = Cell::new(true);
        let cut = stage.live(async |life| {
            stage.refuse(&format!("NEW.seq > {records}")).await;
            scenario.play(life, &stands).await
        });
        assert!(cut.is_none(), "nothing was written after record {records}");
        stage.world.forget_stuck();
        let ended = stage.live(async |life| {
            stage.take_again().await;
            scenario.play(life, &stands).await
        });
        assert_eq!(story(&ended.unwrap()), story(&incident), "cut off after record {records}");
        assert_eq!(statements(&stage), executed, "cut off after record {records}");
    }
}
