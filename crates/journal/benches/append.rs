//! Measures entries per second, each on disk when its append returns, beside what SQLite does on the same disk.
//!
//! `cargo bench -p journal`. `bare` is one `INSERT` of as many bytes in a transaction of its own, on one
//! connection, without chain and index. `PARAMEDIC_BENCH_DIR` names a folder on another disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use journal::{Draft, Journal};
use serde_json::json;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// Long enough for some hundred syncs of a slow disk.
const MEASURED: Duration = Duration::from_secs(2);

/// Each kind is measured so often, in turns, and the best counts: other work only ever slows one down.
const ROUNDS: usize = 3;

/// How many tasks write at once.
const WRITERS: [usize; 3] = [1, 8, 64];

/// As long as the output of a small unit.
const BODY_BYTES: usize = 400;

/// What is written to.
#[derive(Clone)]
enum Target {
    Bare(SqlitePool),
    Journal(Journal),
}

fn main() {
    let folder = std::env::var_os("PARAMEDIC_BENCH_DIR");
    let folder = folder.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("entries per second, each on disk; in {}", folder.display());
    println!("{:>8} {:>10} {:>10} {:>7}", "writers", "bare", "journal", "ratio");
    for writers in WRITERS {
        let (mut bare, mut ours) = (0.0_f64, 0.0_f64);
        for _ in 0..ROUNDS {
            let folder = tempfile::tempdir_in(&folder).expect("a folder");
            let target = runtime.block_on(Target::bare(&folder.path().join("bare.db")));
            bare = bare.max(runtime.block_on(rate(&target, writers)));
            let target = runtime.block_on(Target::journal(&folder.path().join("journal.db")));
            ours = ours.max(runtime.block_on(rate(&target, writers)));
        }
        println!("{writers:>8} {bare:>10.0} {ours:>10.0} {:>7.2}", ours / bare);
    }
}

// === impl Target ===

impl Target {
    async fn journal(path: &Path) -> Self {
        Self::Journal(Journal::open(path, "bench").await.expect("a journal"))
    }

    async fn bare(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
        let pool = pool.connect_with(options).await.expect("a database");
        let table = sqlx::query("CREATE TABLE row (seq INTEGER PRIMARY KEY, body TEXT)");
        table.execute(&pool).await.expect("a table");
        Self::Bare(pool)
    }

    async fn write(&self, number: i64) {
        match self {
            Self::Bare(pool) => {
                let insert = sqlx::query("INSERT INTO row (body) VALUES (?)").bind("x".repeat(BODY_BYTES));
                insert.execute(pool).await.expect("a row");
            }
            Self::Journal(journal) => {
                let draft = Draft {
                    at_ms: 1_700_000_000_000 + number,
                    incident: Some(format!("incident-{}", number % 100)),
                    kind: "outcome".to_owned(),
                    version: 1,
                    body: json!({"excerpt": "x".repeat(BODY_BYTES)}),
                };
                journal.append(draft).await.expect("an entry");
            }
        }
    }
}

/// Returns how often per second so many tasks at once wrote to `target`.
async fn rate(target: &Target, writers: usize) -> f64 {
    let stopped = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (target, stopped) = (target.clone(), Arc::clone(&stopped));
            tokio::spawn(async move {
                let mut number = 0;
                while !stopped.load(Ordering::Relaxed) {
                    target.write(number).await;
                    number += 1;
                }
                number
            })
        })
        .collect();
    tokio::time::sleep(MEASURED).await;
    stopped.store(true, Ordering::Relaxed);
    let mut written = 0;
    for task in tasks {
        written += task.await.expect("a writer");
    }
    written as f64 / began.elapsed().as_secs_f64()
}
