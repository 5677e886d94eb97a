//! Measures a storm: 10,000 alerts of 1,000 servers, as fast as they are taken in and within 10 s, on a real disk.
//!
//! `cargo bench -p incident --bench storm`. Each alert comes eight times; then it is resolved, and comes back twice as another
//! one. Each server has its own incident, whose change waits for a person, because there are too many at once. `bare` is
//! one `INSERT` per transaction on the same disk in the same run. `PARAMEDIC_BENCH_DIR` names a folder on another disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use incident::{
    Alarm, AlertFacts, Book, Engine, Fired, Goal, Kill, Mode, Policy, Record, Settings, Shelf, Source, Storm,
    Verification, World,
};
use journal::{Blobs, Journal};
use probe::CheckType;
use runbook::Effect;
use runner::{End, Outcome, Recovery, StateFile};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

const SERVERS: usize = 1_000;
/// Tasks that tell of alerts, as Alertmanagers and rules do.
const SIDES: usize = 8;
const IN_TIME: Duration = Duration::from_secs(10);

const RUNBOOK: &str = "## Server Down\n\n### Alert: Down\n\n**Severity**: Critical\\\n\
    **Alert Query**: `mcp_server_up == 0`\n\n### Response (0-5 minutes)\n\n\
    1. **Look**\n\n   ```bash\n   cat /proc/loadavg\n   ```\n\n\
    2. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n";

/// Servers that are all down, and statements that end at once.
struct Down {
    names: AtomicU32,
}

impl World for Down {
    fn now_ms(&self) -> i64 {
        now_ms()
    }

    fn random(&self) -> u16 {
        self.names.fetch_add(1, Ordering::Relaxed) as u16
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn check(&self, _: &str, _: CheckType) -> Option<String> {
        Some("connection refused".to_owned())
    }

    fn incarnation(&self, _: &str) -> Option<u64> {
        Some(1)
    }

    fn process(&self, _: &str) -> Option<i32> {
        None
    }

    fn parameters(&self, server: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("SERVER_NAME".to_owned(), server.to_owned())])
    }

    fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn policy(&self, _: &str) -> Policy {
        Policy {
            mode: Mode::Auto,
            allow: [Effect::Observe, Effect::Change, Effect::Disrupt].into(),
            storm: Storm { servers: 5, window: Duration::from_secs(600) },
            ..Policy::default()
        }
    }

    fn kill(&self) -> Kill {
        Kill::Off
    }

    async fn run(&self, _: &Path, _: &runner::Intent) -> Result<Recovery, runner::Error> {
        let now_ms = now_ms();
        Ok(Recovery::Finished(Outcome {
            background_ms: None,
            started_ms: now_ms,
            finished_ms: now_ms,
            end: End::Exited(0),
            stdout_bytes: 0,
            stderr_bytes: 0,
            truncated: false,
            state: StateFile::Missing,
        }))
    }

    async fn recover(&self, _: &Path) -> Result<Recovery, runner::Error> {
        Ok(Recovery::NeverStarted)
    }
}

fn main() {
    let folder = std::env::var_os("PARAMEDIC_BENCH_DIR");
    let folder = folder.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(&folder).expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("in {}", folder.path().display());
    let before = runtime.block_on(bare(&folder.path().join("before.db")));
    runtime.block_on(storm(folder.path()));
    let after = runtime.block_on(bare(&folder.path().join("after.db")));
    println!("bare SQLite, one row per transaction, one writer: {before:.0} rows/s before, {after:.0} after");
}

async fn storm(folder: &Path) {
    let journal = Journal::open(folder.join("journal.db"), "bench").await.expect("a journal");
    let settings = Settings {
        runs: folder.join("runs"),
        reports: folder.join("reports"),
        verification: Verification::Probes {
            goal: Goal { probes: 3, period_ms: 1_000, timeout_ms: 60_000 },
            interval: Duration::from_secs(1),
        },
        unit_timeout: Duration::from_secs(60),
        output_bytes_max: 1 << 20,
        background_max: Duration::from_secs(3600),
    };
    let blobs = Blobs::open(folder.join("blobs")).expect("blobs");
    let shelf = Shelf::new(vec![Book::parse("down.md", RUNBOOK.as_bytes()).0]);
    let world = Arc::new(Down { names: AtomicU32::new(0) });
    let engine = Engine::start(world, journal.clone(), blobs, shelf, settings).await.expect("an engine");
    let began = Instant::now();
    let mut alerts = blow(&engine, 1, began).await;
    engine.alerts_standing(&BTreeSet::new(), |_| true).await.expect("resolved");
    let opened = began.elapsed();
    alerts += blow(&engine, 2, began).await;
    let taken_in = began.elapsed();
    // The first few come before it is a storm, and are restarted; those whose alert was just resolved are left alone.
    let decided = |one: &Record| match one {
        Record::Intent { effect, .. } => effect == "disrupt",
        Record::UnitSkipped { .. } => true,
        _ => false,
    };
    let waiting = |incident: &incident::Incident| {
        incident.open_questions().next().is_some() || incident.timeline.iter().any(|(_, one)| decided(one))
    };
    while engine.look(|all| all.filter(|one| waiting(one)).count()).await.expect("a look") < SERVERS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let settled = began.elapsed().as_secs_f64();
    let incidents = engine.incidents().await.expect("incidents");
    let entries = journal.head().await.expect("a head").expect("entries").seq;
    let per_server: BTreeSet<&str> = incidents.iter().map(|one| one.server.as_str()).collect();
    assert_eq!((incidents.len(), per_server.len()), (SERVERS, SERVERS), "one incident per server");
    for incident in &incidents {
        let again =
            incident.timeline.iter().filter(|(_, one)| matches!(one, Record::SeenAgain { .. })).count();
        assert_eq!(again, 1, "each came back once");
    }
    assert_eq!(journal.verify().await.expect("a chain").broken, None);
    println!(
        "{alerts} alerts of {SERVERS} servers: {} incidents, the first wave within {:.2} s, all within {:.2} s (to be {} s)",
        incidents.len(),
        opened.as_secs_f64(),
        taken_in.as_secs_f64(),
        IN_TIME.as_secs()
    );
    println!(
        "every incident looked at and waiting for a person after {settled:.2} s: {:.0} incidents/s, {:.0} entries/s on disk ({entries} entries)",
        SERVERS as f64 / settled,
        entries as f64 / settled
    );
    println!("peak memory: {}", peak());
}

/// Every alert, from all sides: eight times in the first wave, twice in the second.
async fn blow(engine: &Engine<Down>, wave: i64, began: Instant) -> usize {
    let sides = if wave == 1 { SIDES } else { 2 };
    let tasks: Vec<_> = (0..sides)
        .map(|side| {
            let engine = engine.clone();
            tokio::spawn(async move {
                for number in 0..SERVERS {
                    // Not all in the same order.
                    engine
                        .fire(&fired((number + side * 31) % SERVERS, wave))
                        .await
                        .expect("an alert taken in");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a side");
    }
    assert!(began.elapsed() < Duration::from_secs(600), "it does not come to an end");
    sides * SERVERS
}

fn fired(number: usize, wave: i64) -> Fired {
    let server = format!("server-{number}");
    let alert = AlertFacts {
        name: "Down".to_owned(),
        severity: "critical".to_owned(),
        labels: BTreeMap::from([("server_name".to_owned(), server.clone())]),
        fingerprint: format!("{number:016x}"),
        started_ms: wave,
    };
    let summary = format!("{server} does not answer");
    let alarm = Alarm { source: Source::Rule, summary, alert: Some(alert), exit: None };
    Fired { server, alert: "Down".to_owned(), alarm }
}

async fn bare(path: &Path) -> f64 {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = pool.connect_with(options).await.expect("a database");
    sqlx::query("CREATE TABLE row (seq INTEGER PRIMARY KEY, body TEXT)")
        .execute(&pool)
        .await
        .expect("a table");
    let body = "x".repeat(400);
    let (began, mut rows) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        sqlx::query("INSERT INTO row (body) VALUES (?)").bind(&body).execute(&pool).await.expect("a row");
        rows += 1;
    }
    f64::from(rows) / began.elapsed().as_secs_f64()
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("not known").trim().to_owned()
}

fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a measurement is a shell: it has a clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
