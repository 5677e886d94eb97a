//! Tests what is written down while the machine only looks on: everything that it would have done, in order, and why not.

use incident::{Incident, Keeper, Kill, Mode, Shadow, Withheld};

use crate::stage::Stage;

const STEPS: &str = "1. **Look**\n\n   ```bash\n   echo looked\n   ```\n\n\
    2. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n\n\
    3. **Clean**\n\n   ```bash\n   rm -rf /tmp/cache # lint: allow RB030\n   mkdir \"/tmp/$FOLDER\"\n   ```\n\n\
    4. **Never**\n\n   ```bash {when=\"cause == 'none_such'\"}\n   paramedic server stop \"$SERVER_NAME\"\n   ```\n";

/// What would have been done: unit, effect, `run` or why a person would have been asked, the values.
fn lines(incident: &Incident) -> Vec<String> {
    let line = |unit: &str, withheld: &Withheld| {
        let would =
            withheld.asks.as_ref().map_or_else(|| "run".to_owned(), |reason| format!("ask, {reason}"));
        format!("{unit} {} {would} {:?}: {}", withheld.effect, withheld.values, withheld.allow)
    };
    Shadow::of(incident).would.iter().map(|one| line(&one.unit, &one.withheld)).collect()
}

#[tokio::test]
async fn observe_lists_all_that_it_would_have_done() {
    let stage = Stage::new(STEPS);
    stage.world.state().policy.mode = Mode::Observe;
    stage.world.state().policy.runs_max = 1;
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.person_needed(&id).await;
    assert_eq!(
        lines(&incident),
        [
            "2.1 disrupt run {\"SERVER_NAME\": \"time\"}: mode `auto` (it runs) or `suggest` (it asks first)",
            "3.1 destroy ask, its effect is destroy (`rm` deletes files) {}: mode `auto` or `suggest`, and a person's yes",
            "3.2 change ask, it needs FOLDER {}: mode `auto` or `suggest`, and a person's yes",
        ]
    );
    assert_eq!(life.world.executed("rm -rf /tmp/cache # lint: allow RB030"), 0);
    let report = life.engine.report(&id).await.unwrap();
    let skipped: Vec<_> =
        report.not_run.iter().map(|one| (one.unit.as_str(), one.withheld.is_some())).collect();
    assert_eq!(skipped, [("2.1", true), ("3.1", true), ("3.2", true), ("4.1", false)]);
    let shadows = life.engine.shadows().await.unwrap();
    let counts: Vec<_> = shadows[0].counts().into_iter().collect();
    assert_eq!(counts, [("change", (0, 1)), ("destroy", (0, 1)), ("disrupt", (1, 0))]);
}

#[tokio::test]
async fn what_the_kill_switch_stops_is_told_and_is_no_shadow() {
    let stage =
        Stage::new("1. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n");
    stage.world.state().policy.runs_max = 1;
    stage.world.state().kill = Kill::On;
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.person_needed(&id).await;
    assert_eq!(lines(&incident), Vec::<String>::new());
    let report = life.engine.report(&id).await.unwrap();
    let withheld = report.not_run[0].withheld.as_ref().unwrap();
    assert_eq!((withheld.keeper, withheld.asks.as_deref()), (Keeper::KillSwitch, None));
    let told = report.markdown();
    assert!(told.contains("What allows it: `paramedic kill-switch off`."), "{told}");
}

#[tokio::test]
async fn a_dry_run_is_a_shadow_too() {
    let stage =
        Stage::new("1. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n");
    stage.world.state().policy.runs_max = 1;
    stage.world.state().policy.dry_run = true;
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.person_needed(&id).await;
    assert_eq!(lines(&incident), ["1.1 disrupt run {\"SERVER_NAME\": \"time\"}: `dry_run = false`"]);
}
