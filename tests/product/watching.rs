//! Tests of watching an incident: live, across a restart of `serve`, and from the journal alone.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use incident::Record;
use process::Signal;
use server::api::wire::Happened;

use crate::poll::eventually;
use crate::site::{Server, Setup, Site};

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

/// A watcher, and what it prints.
struct Watcher {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    told: Vec<String>,
}

impl Watcher {
    fn start(site: &Site, args: &[&str]) -> Self {
        let mut command = site.command(&[&["incident", "watch"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, told: Vec::new() }
    }

    /// Reads until a line has these words.
    #[track_caller]
    fn until(&mut self, words: &str) -> &str {
        for line in self.lines.by_ref() {
            self.told.push(line.unwrap());
            if self.told.last().is_some_and(|line| line.contains(words)) {
                return self.told.last().unwrap();
            }
        }
        panic!("it ended without `{words}`: {:#?}", self.told)
    }

    /// Reads to the end; returns the exit code and all that it printed.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        self.told.extend(self.lines.by_ref().map(Result::unwrap));
        (eventually("the watcher ends", || self.child.try_wait().unwrap()).code(), self.told)
    }
}

fn waiting() -> (Site, String) {
    let mut site = Site::new(&[Server::notes("notes").with("mode = \"suggest\"")]);
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == RESTART))
    });
    let id = story.id().to_owned();
    (site, id)
}

#[test]
fn it_tells_what_happens_across_a_restart_of_serve_until_the_end() {
    let (mut site, id) = waiting();
    let mut watcher = Watcher::start(&site, &[&id]);
    watcher.until("incident opened for Server Down");
    watcher.until(&format!("paramedic incident approve {id} {RESTART}"));
    site.end_serve(Signal::KILL);
    site.serve();
    site.run(&["incident", "note", &id, "serve is back"]).done();
    watcher.until("tester notes: serve is back");
    site.approve(&id, RESTART).done();
    let (code, told) = watcher.end();
    assert_eq!(code, Some(0), "{told:#?}");
    let told = told.join("\n");
    for words in
        ["step 6: ", "6.1 done after", "step 6 succeeded", "mitigated", "is resolved: detected after"]
    {
        assert!(told.contains(words), "`{words}` is missing in\n{told}");
    }
    assert!(!told.contains('\x1b'), "nothing for a terminal where there is none");
    assert_eq!(told.matches("incident opened for").count(), 1, "nothing twice:\n{told}");
    assert_eq!(told.matches("step 6: ").count(), 1, "nothing twice:\n{told}");
}

#[test]
fn programs_get_a_record_a_line_and_who_closes_it_ends_it() {
    let (site, id) = waiting();
    let mut watcher = Watcher::start(&site, &["-o", "jsonl"]);
    watcher.until("approval_asked");
    site.run(&["incident", "close", &id, "--reason", "it was a drill"]).done();
    let (code, told) = watcher.end();
    assert_eq!(code, Some(1), "it was closed, and not resolved");
    let records: Vec<Happened> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(matches!(records[0].record, Record::Opened { .. }));
    assert!(records.iter().any(|one| matches!(one.record, Record::Closed { .. })), "{records:#?}");
    let shown = site.run(&["incident", "show", &id, "-o", "jsonl"]).done();
    let shown: Vec<&str> = shown.lines().collect();
    assert_eq!(shown[..told.len()], told[..]);
}

#[test]
fn the_journal_alone_is_enough() {
    let (mut site, id) = waiting();
    site.end_serve(Signal::KILL);
    let mut watcher = Watcher::start(&site, &[]);
    watcher.until(&format!("paramedic incident approve {id} {RESTART}"));
    site.run(&["incident", "note", &id, "there is no serve"]).done();
    watcher.until("tester notes: there is no serve");
    site.run(&["incident", "close", &id, "--reason", "by hand"]).done();
    let (code, told) = watcher.end();
    assert_eq!(code, Some(1), "{told:#?}");
    site.run(&["incident", "watch", "nobody"]).failed(1, &["no incident `nobody`"]);
}

#[test]
fn the_first_of_two_yeses_says_that_it_is_not_enough() {
    let folder = tempfile::tempdir().unwrap();
    let runbook = folder.path().join("clean.md");
    let text = "## Clean\n\n### Alert: NeverFires\n\n**Severity**: Warning\\\n**Alert Query**: `vector(0) > 1`\n\n\
                ### Now (0-5 minutes)\n\n1. **Clean**\n\n   ```bash {effect=destroy}\n   echo gone\n   ```\n";
    std::fs::write(&runbook, text).unwrap();
    let mut site = Site::of(&Setup {
        keys: &format!("runbooks = [{:?}]", runbook.to_str().unwrap()),
        tables: "[policy]\nsecond_person = true\n",
        servers: &[Server::notes("notes")],
        ..Setup::default()
    });
    site.serve_until_ready(&["notes"]);
    let open = ["incident", "open", "--server", "notes", "--reason", "full", "--procedure", "clean"];
    let id = site.run(&open).done().trim().to_owned();
    site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { .. }))
    });
    let first = site.approve(&id, "1.1");
    for words in ["tester said yes to 1.1", "a second person has to approve it", "nothing is run yet"] {
        assert!(first.code == Some(0) && first.stderr.contains(words), "{words}: {first:?}");
    }
    site.approve(&id, "1.1").failed(1, &["two different people"]);
    let mut second = site.approval(&id, "1.1");
    let second = crate::site::run({
        second.env("USER", "ada");
        second
    });
    assert!(second.code == Some(0) && second.stderr.contains("approved: 1.1"), "{second:?}");
    let story = site.resolved("notes");
    assert!(story.has(|record| matches!(record, Record::Approved { by, .. } if by == "ada")), "{story}");
}
