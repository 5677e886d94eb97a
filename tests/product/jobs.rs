//! Tests background jobs with a real `serve`: one goes on printing while `serve` is killed, sees the recovery, and ends
//! with the incident; by hand it ends with the procedure.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use incident::Record;
use process::Signal;

use crate::poll::eventually;
use crate::processes;
use crate::site::{Server, Setup, Site};
use crate::story::Story;

/// How long a line of the job is, in bytes.
const TICK_BYTES: u64 = "tick\n".len() as u64;

const RUNBOOK: &str = r#"
## Server Down

### Alert: MCPServerDown

**Severity**: Critical\
**Alert Query**: `mcp_server_up == 0`

### Response (0-5 minutes)

1. **Collect in the background**

   ```bash
   while :; do echo tick; sleep 0.05; done & # lint: allow RB011 # lint: allow RB012
   ```

2. **Ask the owner**

3. **Restart**

   ```bash {verify="ready"}
   paramedic server restart "$SERVER_NAME"
   ```
"#;

/// How many lines the job has printed so far, by the file of its unit.
fn printed(site: &Site) -> u64 {
    let Ok(folders) = fs::read_dir(site.path("data/runs")) else { return 0 };
    let files = folders.flatten().map(|incident| incident.path().join("1-1.1-1/stdout"));
    files.filter_map(|file| fs::metadata(file).ok()).map(|file| file.len() / TICK_BYTES).sum()
}

/// The processes of the test that are neither `serve` nor of a guard.
fn jobs(site: &Site) -> Vec<String> {
    let all = site.processes().into_iter().map(|found| found.command);
    all.filter(|command| ["runner", "bash", "sleep"].iter().any(|word| command.contains(word))).collect()
}

/// How many lines the journal has in the outcome of the statement, and at the end of the job, with the reason for that.
fn told(story: &Story) -> (u64, u64, String) {
    let timeline = || story.timeline().iter().map(|happened| &happened.record);
    let first = timeline().find_map(|record| match record {
        Record::Outcome { unit, stdout, background_ms, .. } if unit.unit == "1.1" => {
            assert!(background_ms.is_some(), "{story}");
            Some(stdout.as_ref().map_or(0, |stdout| stdout.bytes / TICK_BYTES))
        }
        _ => None,
    });
    let mut ends = timeline().filter_map(|record| match record {
        Record::BackgroundEnded { stdout, reason, .. } => {
            Some((stdout.as_ref().unwrap().bytes / TICK_BYTES, reason.clone()))
        }
        _ => None,
    });
    let (last, reason) = ends.next().unwrap_or_else(|| panic!("it has not ended: {story}"));
    assert_eq!(ends.next(), None, "{story}");
    (first.unwrap(), last, reason)
}

#[test]
fn a_job_outlives_serve_and_ends_with_the_incident() {
    let runbook = tempfile::Builder::new().prefix("paramedic-jobs-").suffix(".md").tempfile().unwrap();
    fs::write(runbook.path(), RUNBOOK).unwrap();
    let keys = format!("runbooks = [{:?}]", runbook.path());
    let servers = [Server::notes("notes")];
    let mut site = Site::of(&Setup { keys: &keys, servers: &servers, ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let asked = |story: &Story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == "2"))
    };
    let story = site.incident("notes", "waiting", asked);
    site.end_serve(Signal::KILL);
    let killed = printed(&site);
    eventually("the job goes on without serve", || (printed(&site) > killed + 10).then_some(()));
    site.serve();
    let found = printed(&site);
    eventually("the job goes on with the next serve", || (printed(&site) > found + 10).then_some(()));
    site.approve(story.id(), "2").done();

    let story = site.resolved("notes");
    let (first, last, reason) = told(&story);
    assert!(first <= killed && found + 10 < last, "{first} {killed} {found} {last}\n{story}");
    assert_eq!(reason, "recovery is verified");
    let verified = story.when(|record| matches!(record, Record::Verified { .. }));
    let ended = story.when(|record| matches!(record, Record::BackgroundEnded { .. }));
    assert!(verified <= ended, "{story}");
    assert_eq!(printed(&site), last, "all that it printed is in the journal");
    assert_eq!(jobs(&site), [] as [String; 0]);
    let report = site.run(&["incident", "report", story.id()]).done();
    assert!(report.contains("ran on in the background for"), "{report}");
    site.run(&["incident", "verify"]).done();
}

/// A runbook for a person, of one statement with a job that does not end by itself, and one that says so.
fn by_hand(last: &str) -> (Site, PathBuf) {
    let site = Site::new(&[]);
    let text = format!(
        "## Untidy\n\n### Alert: Untidy\n\n**Severity**: Warning\\\n**Alert Query**: `untidy > 0`\n\n\
         ### Now (0-5 minutes)\n\n1. **Collect**\n\n   ```bash\n   \
         while :; do echo tick; sleep 0.05; done &\n   {last}\n   ```\n"
    );
    let path = site.path("untidy.md");
    fs::write(&path, text).unwrap();
    (site, path)
}

#[test]
fn by_hand_a_job_ends_with_the_procedure() {
    let (site, path) = by_hand("sleep 0.5");
    let args = ["runbook", "run", path.to_str().unwrap(), "--procedure", "untidy", "--yes"];
    let shown = site.run(&args).done();
    assert!(shown.contains("runs on in the background"), "{shown}");
    let end = shown.split_once("ended in the background after").unwrap_or_else(|| panic!("{shown}")).1;
    assert!(end.matches("tick").count() >= 3, "{shown}");
    processes::gone(site.path("").as_path());
}

/// The statement that runs at that moment goes on to its end; the job does not.
#[test]
fn a_person_who_interrupts_ends_the_job() {
    let (site, path) = by_hand("sleep 3");
    let args = ["runbook", "run", path.to_str().unwrap(), "--procedure", "untidy", "--yes"];
    let mut child = site.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("the job prints", || (printed(&site) > 3).then_some(()));
    eventually("the next statement runs", || {
        let all = site.processes();
        all.iter().any(|found| found.command.starts_with("sleep 3")).then_some(())
    });
    processes::signal(i32::try_from(child.id()).unwrap(), Signal::INT);
    let ended = eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(1));
    let story = site.run(&["incident", "list", "--all", "-o", "json"]).done();
    let listed: Vec<server::api::wire::Summary> = serde_json::from_str(&story).unwrap();
    let shown = site.run(&["incident", "show", listed[0].id.as_str()]).done();
    assert!(shown.contains("1.1 ended in the background after"), "{shown}");
    processes::gone(site.path("").as_path());
}
