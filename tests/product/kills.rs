//! Tests `kill -9` of `serve` and of runners at random moments of an incident that edits a file, deletes a marked one and
//! restarts a server: nothing is done twice, nothing is lost, and the incident ends each time.
//!
//! `PARAMEDIC_KILLS=N` kills N times; `PARAMEDIC_KILLS_SEED=S` begins with another seed, which is printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use incident::{Record, UnitEnd};
use process::{Delivery, Signal, send};
use server::api::wire::{Detail, Summary};
use tempfile::TempDir;

use crate::poll::{DEADLINE, eventually, pause};
use crate::site::{Server, Setup, Site};
use crate::story::Story;

/// How often something is killed, and by `./test --all`.
const KILLS: u64 = 20;
const KILLS_ALL: u64 = 1_000;

/// So many sites share the work.
const SITES: u64 = 2;

/// About as long as the incident lasts, in milliseconds after the server has died.
const INCIDENT_MS: u64 = 1_100;

/// How long a runner is waited for that is to be killed: there may be none any more.
const RUNNER_WAIT: Duration = Duration::from_millis(500);

const RUNBOOK: &str = r#"# Kills

## Server Down

### Alert: MCPServerDown

**Severity**: Critical\
**Alert Query**: `mcp_server_up == 0`

### Response (0-5 minutes)

1. **Edit**

   ```bash
   { sleep 0.02; echo "edit $PARAMEDIC_KEY" >> "$LEDGER"; sed -i s/old/new/ "$EDITED"; sleep 0.02; }
   ```

2. **Delete what is marked**

   ```bash
   { sleep 0.02; echo "delete $PARAMEDIC_KEY" >> "$LEDGER"; rm "$MARKED"; sleep 0.02; }
   ```

3. **Restart**

   ```bash {verify="ready"}
   { echo "restart $PARAMEDIC_KEY" >> "$LEDGER"; sleep 0.02; paramedic server restart "$SERVER_NAME"; sleep 0.02; }
   ```
"#;

/// Draws that a seed decides (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, high: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) % high
    }
}

/// What was killed, and how the incident ended, over all rounds.
#[derive(Debug, Default)]
struct Count {
    serve: u64,
    runners: u64,
    evidence: u64,
    once_more: u64,
    given_to_a_person: u64,
}

struct Place {
    site: Site,
    /// Where the incident leaves its traces.
    traces: TempDir,
    seed: u64,
    count: Count,
}

impl Place {
    fn new() -> Self {
        let traces = tempfile::Builder::new().prefix("paramedic-kills-").tempdir().unwrap();
        let path = |name: &str| traces.path().join(name);
        fs::write(path("runbook.md"), RUNBOOK).unwrap();
        let keys = format!("runbooks = [{:?}]", path("runbook.md"));
        let parameters = format!(
            "parameters = {{ LEDGER = {:?}, EDITED = {:?}, MARKED = {:?} }}",
            path("ledger"),
            path("edited"),
            path("marked")
        );
        let tables = "[policy]\nrestarts_per_hour = 1000000\nchanges_per_hour = 1000000\ncooldown = \"0s\"\n";
        let servers = [Server::notes("notes").with(&parameters)];
        let mut site = Site::of(&Setup { keys: &keys, tables, servers: &servers, verify_seconds: 5 });
        site.serve_until_ready(&["notes"]);
        Self { site, traces, seed: 0, count: Count::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.traces.path().join(name)
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// One incident with one kill in it.
    fn round(&mut self, seed: u64) {
        self.seed = seed;
        fs::write(self.path("ledger"), "").unwrap();
        fs::write(self.path("edited"), "old\n").unwrap();
        fs::write(self.path("marked"), "").unwrap();
        let mut dice = Dice(seed);
        let before: Vec<Summary> = self.site.get("/api/v1/incidents").unwrap_or_default();
        let newest_ms = before.iter().map(|one| one.opened_ms).max().unwrap_or(0);
        self.site.kill("notes");
        let at = Instant::now() + Duration::from_millis(dice.below(INCIDENT_MS));
        while Instant::now() < at {
            self.answer(newest_ms);
            pause();
        }
        if dice.below(2) == 0 || !self.kill_a_runner(newest_ms) {
            self.count.serve += 1;
            self.site.end_serve(Signal::KILL);
            self.site.serve();
        }
        let story = eventually(&format!("round {seed}: the incident ends"), || {
            let newest = self.answer(newest_ms)?;
            let story = self.story(&newest);
            story.is_reported().then_some(story)
        });
        self.check(&story);
        self.site.ready("notes");
    }

    /// Kills a runner, if one comes along; tells whether it did.
    fn kill_a_runner(&mut self, newest_ms: i64) -> bool {
        let until = Instant::now() + RUNNER_WAIT;
        while Instant::now() < until {
            self.answer(newest_ms);
            let runner = self.site.processes().into_iter().find(|found| found.command.contains(" runner "));
            if let Some(runner) = runner {
                let killed = matches!(send(runner.id, Signal::KILL), Ok(Delivery::Delivered));
                self.count.runners += u64::from(killed);
                return killed;
            }
            pause();
        }
        false
    }

    fn story(&self, summary: &Summary) -> Story {
        let path = format!("/api/v1/incidents/{}", summary.id);
        Story::new(eventually("the incident is told", || self.site.get::<Detail>(&path)))
    }

    /// Answers what a person is asked, by what they see; returns the incident of this round.
    fn answer(&mut self, newest_ms: i64) -> Option<Summary> {
        let all: Vec<Summary> = self.site.get("/api/v1/incidents")?;
        let newest =
            all.into_iter().filter(|one| one.opened_ms > newest_ms).max_by_key(|one| one.opened_ms)?;
        let id = newest.id.to_string();
        if let Some(unit) = newest.waiting.first() {
            let story = self.story(&newest);
            let asked = story.timeline().iter().rev().find_map(|happened| match &happened.record {
                Record::ApprovalAsked { unit: of, reason, .. } if of.unit == *unit => Some((of.run, reason)),
                _ => None,
            });
            let Some((run, reason)) = asked else { return Some(newest) };
            // Whether it was done stands in the ledger: nobody does it once more then.
            let done = self.lines().contains_key(&(run, unit.clone()));
            if reason.contains("once more") && done {
                self.site.run(&["incident", "reject", &id, unit, "--reason", "it was done"]);
            } else {
                self.count.once_more += u64::from(reason.contains("once more"));
                self.site.approve(&id, unit);
            }
        }
        if newest.person_needed.is_some() && self.site.status("notes").phase != "ready" {
            self.site.run(&["server", "restart", "notes"]);
        }
        Some(newest)
    }

    /// How often each unit was done, by run and unit.
    fn lines(&self) -> BTreeMap<(u32, String), usize> {
        let mut lines = BTreeMap::new();
        for line in self.read("ledger").unwrap_or_default().lines() {
            let key = line.split(' ').nth(1).unwrap_or_default();
            let parts: Vec<&str> = key.split('/').collect();
            let [_, run, unit, _] = parts[..] else { panic!("`{line}` is no line of the ledger") };
            *lines.entry((run.parse().unwrap(), unit.to_owned())).or_default() += 1;
        }
        lines
    }

    fn check(&mut self, story: &Story) {
        let lines = self.lines();
        let seed = self.seed;
        assert!(lines.values().all(|times| *times == 1), "seed {seed}: done twice: {lines:?}\n{story}");
        // An intent without an end is lost.
        let ends = |unit: &incident::UnitRef| {
            story.has(|record| matches!(record, Record::Outcome { unit: of, .. } if of == unit))
        };
        for happened in story.timeline() {
            if let Record::Intent { unit, .. } = &happened.record {
                assert!(ends(unit), "seed {seed}: {} has no outcome\n{story}", unit.unit);
            }
        }
        let succeeded = |name: &str| {
            story.has(|record| matches!(record, Record::Outcome { unit, end: UnitEnd::Exited { code: 0 }, .. } if unit.unit == name))
        };
        if succeeded("1.1") {
            assert_eq!(self.read("edited").as_deref(), Some("new\n"), "seed {seed}\n{story}");
        }
        if succeeded("2.1") {
            assert_eq!(self.read("marked"), None, "seed {seed}\n{story}");
        }
        for (_, unit) in lines.keys() {
            let told =
                story.has(|record| matches!(record, Record::Intent { unit: of, .. } if of.unit == *unit));
            assert!(told, "seed {seed}: {unit} was done, and the journal does not say so\n{story}");
        }
        let by_evidence =
            |record: &Record| matches!(record, Record::Outcome { end: UnitEnd::DoneByEvidence { .. }, .. });
        self.count.evidence += u64::from(story.has(by_evidence));
        self.count.given_to_a_person += u64::from(story.person_needed().is_some());
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn whoever_is_killed_nothing_is_done_twice_or_lost_and_the_incident_ends() {
    let all = std::env::var_os("PARAMEDIC_TEST_ALL").is_some();
    let kills = number("PARAMEDIC_KILLS").unwrap_or(if all { KILLS_ALL } else { KILLS });
    let first = number("PARAMEDIC_KILLS_SEED").unwrap_or(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for site in 0..SITES {
            scope.spawn(move || {
                let mut place = Place::new();
                for seed in (first + site..first + kills).step_by(SITES as usize) {
                    println!("round with seed {seed}");
                    place.round(seed);
                }
                println!("{:?}", place.count);
            });
        }
    });
    println!(
        "{kills} kills in {:.1} s; a round is given up after {DEADLINE:?}",
        began.elapsed().as_secs_f64()
    );
}
