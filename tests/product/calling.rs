//! Tests of calling people: contacts of all kinds, deadlines, and a `serve` that is killed or stopped in between.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use incident::{Deadline, Record};
use process::Signal;

use crate::poll::eventually;
use crate::receiver::{Answer, Receiver};
use crate::site::{Server, Setup, Site};
use crate::story::Story;

/// A runbook that calls `on-call`, allows five seconds to take notice, and whose only change waits for a yes. Its second
/// alert is about a server of which nothing was heard for five seconds.
const RUNBOOK: &str = r#"---
contacts:
  primary: on-call
---
# Test

## Down

### Alert: MCPServerDown

**Severity**: Critical\
**Response Time**: < 5 seconds\
**Contact**: primary\
**Alert Query**: `mcp_server_up == 0`

### Response (0-1 minutes)

1. **Restart**

   ```bash {verify="ready" timeout=60s approve=always}
   paramedic server restart "$SERVER_NAME"
   ```

### Escalation Criteria

- The moon is full

## Silent

### Alert: MCPServerSilent

**Severity**: Critical\
**Alert Query**: `present_over_time(mcp_server_up[1h]) unless present_over_time(mcp_server_up[5s])`

### Response (0-1 minutes)

2. **Look**

   ```bash
   true
   ```
"#;

/// A site with a server, the runbook above, and contacts.
fn site(tables: &str) -> Site {
    let setup = Setup {
        keys: "runbooks = [\"test.md\"]",
        tables,
        servers: &[Server::notes("notes"), Server::notes("other")],
        ..Setup::default()
    };
    let site = Site::of(&setup);
    fs::write(site.path("test.md"), RUNBOOK).unwrap();
    site
}

fn webhook(receiver: &Receiver, more: &str) -> String {
    format!(
        "[[contact]]\nname = \"on-call\"\nkind = \"webhook\"\nurl = \"{}\"\n{more}\n\
         [escalation]\nloops = 0\n[[escalation.level]]\ncontacts = [\"on-call\"]\ndelay = \"1h\"\n",
        receiver.url()
    )
}

/// Waits until the change of a server's incident waits for a yes.
fn asked(site: &Site, server: &str) -> Story {
    site.incident(server, "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { .. }))
    })
}

/// Whether whoever has to be told of the opening, of the question and of whatever came after it, was.
fn is_told_of_all(story: &Story) -> bool {
    let asked = story.count(|record| matches!(record, Record::NotificationAsked { .. }));
    let ended = story.count(|record| matches!(record, Record::NotificationEnded { problem: None, .. }));
    let news = story.count(|record| {
        matches!(record, Record::Opened { .. } | Record::ApprovalAsked { .. } | Record::Escalated { .. })
            || is_level(record)
    });
    asked == ended && asked == news && asked > 1
}

fn is_level(record: &Record) -> bool {
    matches!(record, Record::DeadlinePassed { deadline: Deadline::Level { .. }, .. })
}

#[test]
fn a_command_is_told_of_everything_once_and_the_levels_are_called() {
    let script = "echo \"$(cat)\" >> told.jsonl; echo \"$PARAMEDIC_NEWS $PARAMEDIC_CONTACT\" >> news";
    let tables = "[[contact]]\nname = \"broken\"\nkind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"echo no modem >&2; exit 1\"]\n\
         [[contact]]\nname = \"on-call\"\nkind = \"command\"\ncommand = [\"bash\", \"-c\", 'SCRIPT']\n\
         [escalation]\nloops = 0\n[[escalation.level]]\ncontacts = [\"on-call\"]\ndelay = \"1s\"\n\
         [[escalation.level]]\ncontacts = [\"broken\"]\ndelay = \"1h\"\n"
        .replace("SCRIPT", script);
    let mut site = site(&tables);
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let story = site.incident("notes", "at level 2", |story| story.count(is_level) == 2);
    let failed = site.incident("notes", "told instead", |story| {
        story.has(|record| matches!(record, Record::NotificationEnded { contact, instead: Some(_), .. } if contact == "broken"))
    });
    let said = failed.to_string();
    assert!(
        said.contains(
            "broken could not be told, on-call is told instead: the command exited with code 1: no modem"
        ),
        "{said}"
    );
    site.approve(story.id(), "1.1").done();
    site.resolved("notes");
    let told = || fs::read_to_string(site.path("news")).unwrap_or_default();
    // In which order, nobody promises.
    let ends = ["recovered on-call", "resolved on-call"];
    eventually("the end is told", || ends.iter().all(|end| told().contains(end)).then_some(()));
    let lines = fs::read_to_string(site.path("told.jsonl")).unwrap();
    let notices: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: BTreeSet<&str> = notices.iter().map(|notice| notice["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), notices.len(), "{lines}");
    let news: BTreeSet<&str> = notices.iter().map(|notice| notice["news"].as_str().unwrap()).collect();
    assert_eq!(news, ["approval_wanted", "escalated", "opened", "recovered", "resolved"].into(), "{lines}");
    assert_eq!(notices[0]["undecided"][0], "The moon is full");
    assert_eq!(notices[0]["severity"], "critical");
}

#[test]
fn a_receiver_that_fails_twice_is_told_at_the_third_attempt() {
    let receiver = Receiver::new(&[Answer::Status(500), Answer::Status(429)]);
    let mut site = site(&webhook(&receiver, "authorization = { file = \"secret\" }"));
    fs::write(site.path("secret"), "Bearer x\n").unwrap();
    fs::set_permissions(site.path("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    asked(&site, "notes");
    let story = site.incident("notes", "told of all", is_told_of_all);
    let came = receiver.came();
    assert!(came.iter().all(|request| request.headers["authorization"] == "Bearer x"), "{came:?}");
    let failed: Vec<&str> = came
        .iter()
        .filter(|request| !matches!(request.answer, Answer::Status(200)))
        .map(|request| request.key())
        .collect();
    assert_eq!(failed.len(), 2);
    // Each of them came again, under the same key, and was taken.
    for key in failed {
        assert!(
            came.iter().any(|request| request.key() == key && matches!(request.answer, Answer::Status(200))),
            "{came:?}"
        );
    }
    let ended = story.count(|record| matches!(record, Record::NotificationEnded { attempts: 1, .. }));
    assert!(ended < story.count(|record| matches!(record, Record::NotificationEnded { .. })), "{story}");
    let page = site.metrics();
    assert!(
        page.contains(
            "paramedic_notifications_total{contact=\"on-call\",news=\"opened\",outcome=\"delivered\"} 1"
        ),
        "{page}"
    );
    assert!(page.contains("paramedic_incident_time_to_detect_seconds_count 1"), "{page}");
    assert!(page.contains("paramedic_incidents{state=\"triggered\",severity=\"critical\"} 1"), "{page}");
}

#[test]
fn killed_before_the_answer_it_tells_again_with_the_same_key() {
    let receiver = Receiver::new(&[Answer::Silence]);
    let mut site = site(&webhook(&receiver, "timeout = \"5m\""));
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    eventually("the receiver has the notice", || receiver.came().first().cloned());
    site.end_serve(Signal::KILL);
    let first = receiver.came()[0].key().to_owned();
    site.serve();
    let id = asked(&site, "notes").id().to_owned();
    site.run(&["incident", "escalate", &id, "--contact", "database", "--reason", "index"]).done();
    let story = site.incident("notes", "told of all", |story| {
        is_told_of_all(story) && story.has(|record| matches!(record, Record::Escalated { .. }))
    });
    let came = receiver.came();
    assert_eq!(came.iter().filter(|request| request.key() == first).count(), 2, "{came:?}");
    // Whoever takes each key once has each notice once.
    let taken: BTreeSet<&str> = came.iter().map(|request| request.key()).collect();
    let asked = story.count(|record| matches!(record, Record::NotificationAsked { .. }));
    assert_eq!(taken.len(), asked, "{came:?}");
    let called =
        came.iter().find(|request| request.body["text"].as_str().unwrap().contains("index")).unwrap();
    assert_eq!(called.news(), "escalated");
    assert!(called.body["note"].as_str().unwrap().contains("no contact `database`"), "{called:?}");
}

#[test]
fn stopped_for_a_while_it_looks_first_and_what_is_overdue_fires_once() {
    let receiver = Receiver::new(&[]);
    let mut site = site(&webhook(&receiver, ""));
    site.serve_until_ready(&["notes", "other"]);
    site.kill("notes");
    site.incident("notes", "open", |_| true);
    site.signal_serve(Signal::STOP);
    // Longer than the silence that the second alert is about, and than the time to take notice.
    let woken_ms = server::now_ms() + 8_000;
    eventually("the time passes", || (server::now_ms() > woken_ms).then_some(()));
    site.signal_serve(Signal::CONT);
    let story = site.incident("notes", "at level 1", |story| story.has(is_level));
    assert!(story.when(is_level) >= woken_ms, "{story}");
    let due = story.timeline().iter().find_map(|happened| match &happened.record {
        Record::DeadlinePassed { due_ms, .. } => Some(*due_ms),
        _ => None,
    });
    assert!(due.unwrap() < woken_ms);
    assert!(site.serve_log().contains("looked at anew"), "{}", site.serve_log());
    // By now the rules have been evaluated again: an exit does so.
    site.kill("other");
    asked(&site, "other");
    let incidents = site.incidents();
    assert_eq!(incidents.len(), 2, "{incidents:?}");
    let story = site.incident("notes", "there", |_| true);
    assert_eq!(story.count(is_level), 1, "{story}");
}
