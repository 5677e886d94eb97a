//! Tests documentation duties through the engine: what the machine writes down meets them, the rest a person does.

use incident::{EngineError, Word};

use crate::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::new(
        "1. **Look**\n\n   ```bash\n   echo looked\n   ```\n\n### Documentation Requirements\n\n\
         - Record all commands executed\n- Update incident log with timeline\n- Who was told\n",
    );
    stage.world.state().problem = None;
    stage
}

#[tokio::test]
async fn a_person_meets_what_the_machine_cannot() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    life.resolved(&id).await;
    let met = async || {
        let duties = life.engine.report(&id).await.unwrap().duties.unwrap();
        duties.into_iter().map(|duty| duty.met).collect::<Vec<_>>()
    };
    assert_eq!(met().await, [true, true, false]);
    let word = |duty| Word::DutyMet { duty, note: "the team".to_owned(), follow_up: None };
    for none_such in [0, 4] {
        let refused = life.engine.say(&id, "ada", word(none_such)).await.unwrap_err();
        assert!(matches!(refused, EngineError::NoDuty { duties: 3, .. }), "{refused}");
    }
    life.engine.say(&id, "ada", word(3)).await.unwrap();
    assert_eq!(met().await, [true, true, true]);
    let told = life.engine.report(&id).await.unwrap().markdown();
    assert!(told.contains("| 3 | Who was told | met: ada: the team |"), "{told}");
}

#[tokio::test]
async fn every_form_of_the_report_is_written_and_they_say_the_same() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.resolved(&id).await;
    let read = |form: &str| std::fs::read_to_string(stage.path(&format!("reports/{id}.{form}"))).unwrap();
    let report: incident::Report = serde_json::from_str(&read("json")).unwrap();
    assert_eq!(report.markdown(), read("md"));
    assert_eq!(report.html(), read("html"));
    // Everything but that the report was written is in it, and it stays the same.
    let again = life.engine.report(&id).await.unwrap();
    assert_eq!(again.timeline.len(), report.timeline.len() + 1);
    assert_eq!(report.phases[0].words, "took 0 ms, within its window");
    assert_eq!((again.steps, again.clocks, again.phases), (report.steps, report.clocks, report.phases));
    assert!(incident.is_reported());
}
