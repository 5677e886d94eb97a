//! Tests statements that the rules of the linter speak against: refused where nobody can take them back, asked about where they change something.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use expect_test::expect;
use incident::{Alarm, Book, Fired, Incident, IncidentId, Record};
use runbook::Effect;

use crate::stage::{Life, Stage, alarm, check_story};
use crate::world::START_MS;

#[tokio::test]
async fn what_nobody_can_take_back_is_refused_and_the_rest_goes_on() {
    let stage = Stage::new(
        r#"
1. **Look**

   ```bash
   jmap -histo "$PORT"
   crontab jobs # lint: allow RB030
   touch ${SERVER_NAME}
   uptime
   ```
"#,
    );
    let values = [("PORT".to_owned(), "8001".to_owned()), ("SERVER_NAME".to_owned(), "time".to_owned())];
    stage.world.state().parameters = values.into();
    stage.world.state().problem = None;
    let life = stage.open().await;
    let id = life.fire().await;
    life.yes(&id, "1.2").await;
    life.yes(&id, "1.3").await;
    let incident = life.resolved(&id).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 skipped: RB033: `jmap` ends or stops a process that is not what it expects; `paramedic diagnose` knows the runtime before it looks; who means it writes `# lint: allow RB033` behind it, and is asked
           1.2 asks (destroy): its effect is destroy (`crontab` replaces the whole table of jobs)
           1.2 approved by ada
           1.2 intent 1 (destroy): crontab jobs
           1.2 outcome 1: code 0
           1.3 asks (change): RB003: $SERVER_NAME is not quoted; put the word in double quotes
           1.3 approved by ada
           1.3 intent 1 (change): touch ${SERVER_NAME}
           1.3 outcome 1: code 0
           1.4 intent 1 (observe): uptime
           1.4 outcome 1: code 0
        step 1 succeeded: 3 of 4 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(life.world.executed("jmap -histo \"$PORT\""), 0);
    life.check_invariants().await;
}

/// The original runbook, unmodified, with a person who says yes to everything: what looks is run at once, what changes
/// is run after a yes, and what kills is not run at all.
#[tokio::test]
async fn the_original_runbook_looks_asks_and_refuses() {
    let Some(path) = original() else { return };
    let (book, _) = Book::parse("original.md", &std::fs::read(path).unwrap());
    let mut refused = BTreeSet::new();
    for procedure in &book.runbook.procedures {
        let stage = Stage::of(book.clone());
        {
            let mut state = stage.world.state();
            state.policy.allow = [Effect::Observe].into();
            state.policy.runs_max = 1;
            let given = |name: String| (name, "8001".to_owned());
            state.parameters.extend(procedure.parameters().into_iter().map(|one| given(one.name)));
        }
        let life = stage.open().await;
        let alert = procedure.alert.as_ref().unwrap().name.clone();
        let Alarm { alert: facts, .. } = alarm("time", START_MS);
        let facts = facts.map(|facts| incident::AlertFacts { name: alert.clone(), ..facts });
        let alarm = Alarm { alert: facts, ..alarm("time", START_MS) };
        let fired = Fired { server: "time".to_owned(), alert, alarm };
        let id = life.engine.fire(&fired).await.unwrap().unwrap();
        let incident = yes_to_all(&life, &id).await;
        for unit in procedure.units() {
            let objection = book.objection(&procedure.id, &unit.id);
            let view = incident.units.iter().find(|(named, _)| named.unit == unit.id).map(|(_, view)| view);
            let Some(view) = view else { continue };
            let place = format!("{} {}: {}", procedure.id, unit.id, unit.source);
            if let Some(objection) = objection.filter(|one| one.lethal) {
                let reason = view.skipped.as_deref().unwrap_or_default();
                assert!(reason.starts_with(objection.code) && view.intent.is_none(), "{place}: {reason}");
                refused.insert((unit.line, objection.code));
            } else if unit.effect != Effect::Observe && view.intent.is_some() {
                assert!(was_approved(&incident, &unit.id), "{place}");
            }
        }
        life.check_invariants().await;
    }
    expect![[r#"{(91, "RB030"), (190, "RB033"), (380, "RB030"), (465, "RB033"), (486, "RB033"), (493, "RB033"), (532, "RB033"), (533, "RB033"), (550, "RB030"), (751, "RB030"), (752, "RB030"), (796, "RB030")}"#]].assert_eq(&format!("{refused:?}"));
}

async fn yes_to_all(life: &Life, id: &IncidentId) -> Incident {
    loop {
        let incident = life
            .until(id, |incident| {
                incident.open_questions().next().is_some()
                    || incident.person_needed.is_some()
                    || incident.mitigated_ms.is_some()
            })
            .await;
        let Some((unit, _, asked)) = incident.open_questions().next() else { return incident };
        let values: BTreeMap<_, _> =
            asked.missing.iter().map(|name| (name.clone(), "8001".to_owned())).collect();
        life.approve(id, &unit.unit, "ada", values).await.unwrap();
    }
}

fn was_approved(incident: &Incident, unit: &str) -> bool {
    incident
        .timeline
        .iter()
        .any(|(_, record)| matches!(record, Record::Approved { unit: named, .. } if named.unit == unit))
}

/// The original runbook; where it is not at hand, the test says so and passes.
fn original() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("PARAMEDIC_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join("seed/incident_response_runbooks.md");
    if !path.exists() {
        println!("SKIPPED: the original runbook is not at hand; PARAMEDIC_SHARED names its folder");
        return None;
    }
    Some(path)
}
