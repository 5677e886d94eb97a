//! Tests what was in the middle when a person ended or took over an incident, and its walker died: it is found out about, and ends.

use incident::{Incident, IncidentId, Kill, Mode, StepState, UnitEnd, UnitRef, Word};

use crate::interrupted::{CLEAR, RESTART, die, stage};
use crate::stage::{Life, Stage, fired};
use crate::world::{Cut, Reply, START_MS};

fn reason() -> String {
    "done elsewhere".to_owned()
}

fn close() -> Word {
    Word::Close { reason: reason() }
}

fn abort() -> Word {
    Word::Abort { reason: reason() }
}

/// How the restart ended, where it has.
fn end(incident: &Incident) -> Option<UnitEnd> {
    let unit = UnitRef { run: 1, unit: "1.1".to_owned() };
    Some(incident.unit(&unit)?.outcome.as_ref()?.end.clone())
}

async fn settled(life: &Life, id: &IncidentId) -> Incident {
    life.until(id, |one| one.is_reported() || one.person_needed.is_some()).await
}

#[test]
fn a_question_is_answered_by_the_end_of_the_incident() {
    for word in [close, abort] {
        let stage = Stage::new(&format!("1. **Restart**\n\n   ```bash\n   {RESTART}\n   ```\n"));
        stage.world.state().policy.mode = Mode::Suggest;
        let id = stage.live(async |life| {
            let id = life.fire().await;
            life.asked(&id).await;
            // The engine dies before it can write down that the step is over.
            stage.refuse("NEW.kind = 'step_ended'").await;
            life.engine.say(&id, "ada", word()).await.unwrap();
            life.world.stuck(1).await;
            id
        });
        stage.live(async |life| {
            stage.take_again().await;
            life.engine.resume().await;
            let incident = settled(life, &id).await;
            assert_eq!(incident.steps[0].state, StepState::Failed, "{:?}", word());
        });
        assert_eq!(stage.world.executed(RESTART), 0);
    }
}

#[test]
fn what_was_begun_is_found_out_about_and_not_done_again() {
    let never = || UnitEnd::NotStarted { reason: "Paramedic died before it began".to_owned() };
    for word in [close, abort] {
        for (attributes, cut, executed, expect) in [
            ("id=restart", Cut::EngineOnly, 1, UnitEnd::Exited { code: 0 }),
            ("id=restart", Cut::Midway, 1, UnitEnd::Interrupted {}),
            ("idempotent=true", Cut::Midway, 1, UnitEnd::Interrupted {}),
            ("idempotent=true", Cut::BeforeStart, 0, never()),
        ] {
            let stage = stage(attributes, Reply::exit(0).cut(cut));
            let id = die(&stage);
            stage.live(async |life| {
                life.engine.say(&id, "ada", word()).await.unwrap();
                life.engine.resume().await;
                let incident = settled(life, &id).await;
                assert_eq!(end(&incident), Some(expect), "{cut:?} {:?}", word());
                assert!(incident.steps.iter().all(|view| view.state.has_ended()));
            });
            assert_eq!(
                (stage.world.executed(RESTART), stage.world.executed(CLEAR)),
                (executed, 0),
                "{cut:?}"
            );
        }
    }
}

#[test]
fn while_a_person_leads_what_was_begun_is_found_out_about() {
    let stage = stage("id=restart", Reply::exit(0).restarting().cut(Cut::EngineOnly));
    let id = die(&stage);
    stage.live(async |life| {
        life.engine.say(&id, "ada", Word::Hold { reason: reason() }).await.unwrap();
        life.engine.resume().await;
        let incident = life.until(&id, |incident| end(incident).is_some()).await;
        assert_eq!(end(&incident), Some(UnitEnd::Exited { code: 0 }));
        assert_eq!(life.world.executed(CLEAR), 0);
    });
}

/// The person's word that it is over judges the run; the trouble comes back, and the run is not over.
#[test]
fn a_run_that_a_person_judged_early_goes_on() {
    let stage = Stage::new(&format!("1. **Restart**\n\n   ```bash\n   {RESTART}\n   ```\n"));
    stage.world.state().policy.mode = Mode::Suggest;
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.asked(&id).await;
        life.world.state().problem = None;
        life.engine.resolve(&id, "ada").await.unwrap();
        life.engine.fire(&fired("time", START_MS + 1)).await.unwrap();
        id
    });
    stage.world.state().problem = Some("connection refused".to_owned());
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    stage.live(async |life| {
        life.engine.resume().await;
        life.yes(&id, "1.1").await;
        let incident = life.resolved(&id).await;
        assert_eq!((incident.run, incident.steps[0].state), (1, StepState::Succeeded));
    });
    assert_eq!(stage.world.executed(RESTART), 1);
}

/// The kill switch keeps what was cut short from being done again, and that it was cut short is written down.
#[test]
fn what_was_cut_short_and_is_not_done_again_is_told() {
    let stage = stage("idempotent=true", Reply::exit(0).cut(Cut::Midway));
    let id = die(&stage);
    stage.world.state().kill = Kill::On;
    stage.live(async |life| {
        life.engine.resume().await;
        let incident = life.person_needed(&id).await;
        assert_eq!(end(&incident), Some(UnitEnd::Interrupted {}));
    });
    assert_eq!(stage.world.executed(RESTART), 1);
}

/// What may be tried again is not tried again once a person has ended the incident.
#[test]
fn a_retry_is_a_new_beginning() {
    for word in [close, abort] {
        let stage = stage("retry=1", Reply::exit(1));
        let id = stage.live(async |life| {
            stage.refuse(r#"NEW.kind = 'intent' AND NEW.body LIKE '%"attempt":2%'"#).await;
            let id = life.fire().await;
            life.world.stuck(1).await;
            life.engine.say(&id, "ada", word()).await.unwrap();
            id
        });
        stage.live(async |life| {
            stage.take_again().await;
            life.engine.resume().await;
            let incident = settled(life, &id).await;
            assert!(incident.steps.iter().all(|view| view.state.has_ended()));
        });
        assert_eq!((stage.world.executed(RESTART), stage.world.executed(CLEAR)), (1, 0), "{:?}", word());
    }
}
