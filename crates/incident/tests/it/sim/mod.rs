//! Tests the engine in simulated worlds: everything in one is decided by a seed, and the same rules hold in all of them.
//!
//! In a world the engine dies at any write to the journal or at any moment, runners are killed or slow, the disk is full,
//! slow, or lies, people say what they like when they like, alerts are late or come twice, and clocks jump. See `plan.rs`
//! for what can happen, `judge.rs` for the rules.
//!
//! `PARAMEDIC_SIM_SEEDS=N` plays N worlds, from `PARAMEDIC_SIM_FIRST` on; `PARAMEDIC_SIM_SEED=S` plays one, and tells what
//! happened in it.

mod alerts;
mod calling;
mod calls;
mod clock;
mod dice;
mod disk;
mod judge;
mod people;
mod plan;
mod play;
mod runners;
mod scene;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use incident::{Book, Flapping, Mode, Policy, Storm};
use runbook::Effect;

use clock::ENDLESS;
use dice::Dice;
use plan::{Disturbance, MINUTE_MS};
use scene::Sim;

/// How many worlds are played when nobody says, as many as a debug build manages within some seconds; `./test --all`
/// says 100,000 to a release build.
const SEEDS: u64 = 300;

/// The runbooks: a bit of everything, in different order.
const STEPS: [&str; 5] = [
    r#"
1. **Look**

   ```bash
   cat /proc/loadavg
   echo "$VALUE"
   ```

2. **Clear**

   ```bash {retry=1}
   paramedic server clear-cache "$SERVER_NAME"
   ```

3. **Restart**

   ```bash {verify="ready"}
   paramedic server restart "$SERVER_NAME"
   ```

4. **Delete what is marked**

   ```bash
   rm -f "/var/tmp/$SERVER_NAME/marked" # lint: allow RB030
   ```
"#,
    r#"
1. **Restart**

   ```bash
   paramedic server restart "$SERVER_NAME"
   ```

2. **Restart once more**

   ```bash {approve=always verify="live"}
   paramedic server readonly "$SERVER_NAME"
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    r#"
1. **Tell the owner**

2. **Clear, however often**

   ```bash {idempotent=true}
   export MODE="$VALUE"
   paramedic server clear-cache "$SERVER_NAME"
   ```

3. **Close the shard**

   ```bash
   paramedic server readonly "$SHARD"
   ```

4. **Restart**

   ```bash {idempotent=true verify="ready" retry=2}
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    r#"
1. **Edit**

   ```bash {effect=destroy}
   paramedic server writes "$SERVER_NAME"
   ```

   ```bash {when="steps['1'].state == 'running'"}
   paramedic server clear-cache "$SERVER_NAME"
   ```

2. **Restart**

   ```bash {retry=1}
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    r#"
1. **Look in the background**

   ```bash
   cat /proc/loadavg & # lint: allow RB012
   ```

2. **Clear in the background**

   ```bash {retry=1}
   paramedic server clear-cache "$SERVER_NAME" & # lint: allow RB012
   ```

3. **Restart**

   ```bash {verify="ready"}
   paramedic server restart "$SERVER_NAME"
   ```
"#,
];

/// What is done where servers do not get what they need: a watch, and a change.
const NEEDS: &str = r#"
1. **Watch**

   ```bash {until=ready every=20s timeout=2m}
   paramedic check "$SERVER_NAME"
   cat /proc/loadavg
   ```

2. **Clear**

   ```bash
   paramedic server clear-cache "$SERVER_NAME"
   ```
"#;

fn book(steps: &str) -> Book {
    let procedure = |title: &str, alert: &str, query: &str, steps: &str| {
        format!(
            "## {title}\n\n### Alert: {alert}\n\n**Severity**: Critical\\\n\
             **Alert Query**: `{query}`\n\n### Response (0-5 minutes)\n\n{steps}\n\n\
             ### Escalation Criteria\n\n- Multiple servers affected\n- Resolution time exceeds 10 minutes\n\n"
        )
    };
    let text = procedure("Server Down", "Down", "mcp_server_up == 0", steps)
        + &procedure("Dependency", "Needs", "mcp_server_dependency_status == 0", NEEDS);
    let (book, diagnostics) = Book::parse("down.md", text.as_bytes());
    assert_eq!(book.runbook.procedures.len(), 2, "{diagnostics:?}");
    assert!(book.runbook.procedures[1].units().count() == 3, "{diagnostics:?}");
    book
}

fn policy(seed: u64) -> Policy {
    let mut dice = Dice::of(seed, "policy");
    Policy {
        mode: dice.pick(&[Mode::Auto, Mode::Auto, Mode::Suggest]),
        allow: [Effect::Observe, Effect::Change, Effect::Disrupt].into(),
        restarts_per_hour: dice.pick(&[1, 3, u32::MAX]),
        changes_per_hour: dice.pick(&[2, 5, u32::MAX, u32::MAX]),
        storm: match dice.chance(25) {
            true => Storm { servers: 2, window: Duration::from_secs(10 * 60) },
            false => Storm::NEVER,
        },
        second_person: dice.chance(30),
        approval_expiry: Duration::from_millis(dice.pick(&[2, 5, 20]) * MINUTE_MS as u64),
        runs_max: dice.pick(&[1, 2, 3]),
        ..Policy::default()
    }
}

fn flapping(seed: u64) -> Flapping {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    match Dice::of(seed, "flapping").chance(50) {
        true => Flapping { reopen_within: minutes(10), reopens: 2, period: minutes(60), quiet: minutes(20) },
        false => Flapping::NEVER,
    }
}

/// What came of a world.
struct Played {
    broken: Option<String>,
    log: Vec<(i64, String)>,
    head: String,
    entries: usize,
    effects: usize,
}

/// Where worlds of one thread have their files; the same for each, so that a world is the same each time.
struct Ground {
    folder: PathBuf,
    books: Vec<Book>,
    _temporary: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let temporary = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let books = STEPS.iter().map(|steps| book(steps)).collect();
        Self { folder: temporary.path().join("world"), books, _temporary: temporary }
    }

    fn play(&self, seed: u64, plan: Vec<Disturbance>, is_told: bool) -> Played {
        let _ = std::fs::remove_dir_all(&self.folder);
        let book = self.books[Dice::of(seed, "book").within(0, STEPS.len() as i64) as usize].clone();
        let sim = Sim::new(seed, plan, book, (policy(seed), flapping(seed)), self.folder.clone(), is_told);
        // What the engine says of it is in the log of the world.
        let silent = tracing::subscriber::NoSubscriber::default();
        let play = || tracing::subscriber::with_default(silent, || play::play(&sim));
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(play)) {
            match panic.downcast_ref::<String>() {
                Some(message) if message == ENDLESS => sim.broken(format!("liveness: {ENDLESS}")),
                _ => std::panic::resume_unwind(panic),
            }
        }
        let mut state = sim.state();
        let entries = state.disk.entries.len();
        let head = state.disk.entries.last().map_or_else(String::new, |last| last.digest.to_string());
        let effects = state.judge.effects();
        Played {
            broken: state.judge.broken.first().cloned(),
            log: std::mem::take(&mut state.log),
            head,
            entries,
            effects,
        }
    }

    /// Leaves out of a plan what is not needed to break the same rule.
    fn smallest(&self, seed: u64, mut plan: Vec<Disturbance>, broken: &str) -> (Vec<Disturbance>, Played) {
        let rule = |broken: &str| broken.split(':').next().unwrap_or_default().to_owned();
        let breaks = |plan: &Vec<Disturbance>| {
            let played = self.play(seed, plan.clone(), false);
            let same = played.broken.as_deref().map(rule) == Some(rule(broken));
            same.then_some(played)
        };
        let mut idx = plan.len();
        while idx > 0 {
            idx -= 1;
            let mut smaller = plan.clone();
            smaller.remove(idx);
            if breaks(&smaller).is_some() {
                plan = smaller;
            }
        }
        let played = self.play(seed, plan.clone(), true);
        (plan, played)
    }
}

/// How to see it again, and the shortest way to it.
fn tell(ground: &Ground, seed: u64, broken: &str) -> String {
    let (plan, played) = ground.smallest(seed, plan::plan(seed), broken);
    let mut out = format!(
        "seed {seed} breaks a rule: {broken}\n\
         again: PARAMEDIC_SIM_SEED={seed} cargo test -p incident --test it sim:: -- --nocapture\n\
         the disturbances that are enough for it:\n"
    );
    plan.iter().for_each(|one| out.push_str(&format!("  {:>8} {:?}\n", one.at_ms, one.what)));
    out.push_str("what happens then:\n");
    played.log.iter().for_each(|(at_ms, what)| out.push_str(&format!("  {at_ms:>8} {what}\n")));
    out
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays the worlds of these seeds on all processors.
fn play_all(first: u64, count: u64) {
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let (entries, effects) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let ground = Ground::new();
            let mut failed = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return failed;
                }
                let played = ground.play(seed, plan::plan(seed), false);
                entries.fetch_add(played.entries as u64, Ordering::Relaxed);
                effects.fetch_add(played.effects as u64, Ordering::Relaxed);
                if let Some(broken) = played.broken {
                    failed.push(format!("seed {seed}: {broken}"));
                    if failed.len() == 1 {
                        println!("{}", tell(&ground, seed, &broken));
                    }
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{count} worlds in {seconds:.1} s, {:.0}/s; {} entries, {} effects, {} of them break a rule",
        count as f64 / seconds,
        entries.into_inner(),
        effects.into_inner(),
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_rules_hold_in_every_world() {
    if let Some(seed) = number("PARAMEDIC_SIM_SEED") {
        let ground = Ground::new();
        let played = ground.play(seed, plan::plan(seed), true);
        played.log.iter().for_each(|(at_ms, what)| println!("{at_ms:>8} {what}"));
        if let Some(broken) = played.broken {
            panic!("{}", tell(&ground, seed, &broken));
        }
        return;
    }
    play_all(number("PARAMEDIC_SIM_FIRST").unwrap_or(0), number("PARAMEDIC_SIM_SEEDS").unwrap_or(SEEDS));
}

/// A seed that fails has to fail again.
#[test]
fn a_world_is_the_same_each_time() {
    let ground = Ground::new();
    let mut heads = BTreeSet::new();
    for seed in 0..20 {
        let play = || ground.play(seed, plan::plan(seed), true);
        let (once, again) = (play(), play());
        assert_eq!(once.log, again.log, "seed {seed}");
        assert_eq!(once.head, again.head, "seed {seed}");
        heads.insert(once.head);
    }
    assert!(heads.len() > 15, "worlds differ: {heads:?}");
}
