//! Owns the traces of `serve`: the store and its file, what comes in, and what is sent on.

mod export;
mod probes;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use incident::error_chain;
use tokio::sync::{Semaphore, SemaphorePermit};
use traces::{Context, Counts, Disk, Filter, Ids, Limits, Span, Store, Summary, TraceId};

use crate::config::Config;
use crate::secrets::Secrets;
use crate::{clock, config};
use export::Export;

pub(crate) use probes::Probed;

/// How many bytes of messages are read and taken in at a time. Whoever finds no room is told to come again.
const INSIDE_BYTES_MAX: usize = 32 << 20;

/// A server that is down for hours does not fill the store with what its probes have found.
const PROBED_EVERY_MS: i64 = 60_000;

/// How often what is too old is forgotten.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

/// The traces.
pub(crate) struct Traces {
    config: config::Traces,
    store: Mutex<Store>,
    /// Never taken while the store is locked.
    disk: Mutex<Kept>,
    inside: Semaphore,
    export: Option<Export>,
    ids: Ids,
    /// When a probe of a server left spans for the last time.
    probed: Mutex<HashMap<String, i64>>,
    taken: AtomicU64,
    rejected: AtomicU64,
}

/// Whether traces outlive this process.
enum Kept {
    On(Disk),
    /// They do not, for a reason that was told.
    Off,
}

/// Too many messages are inside.
#[derive(Debug)]
pub(crate) struct Full;

// === impl Traces ===

impl Traces {
    /// Reads what was kept.
    pub(crate) fn open(config: &Config, secrets: Secrets) -> Self {
        let settings = config.traces.clone();
        let mut store = empty(&settings);
        let folder = folder(config);
        let disk = match Disk::open(&folder, &mut store, clock::now_ms()) {
            Ok(disk) => Kept::On(disk),
            Err(error) => {
                let (folder, error) = (folder.display(), error_chain(&error));
                tracing::error!(%folder, error, "traces are not kept beyond the life of this process");
                Kept::Off
            }
        };
        Self {
            store: Mutex::new(store),
            disk: Mutex::new(disk),
            inside: Semaphore::new(INSIDE_BYTES_MAX),
            export: settings.export.as_ref().map(|export| Export::new(export, secrets)),
            config: settings,
            ids: Ids::new(uuid::Uuid::new_v4().as_u64_pair().0),
            probed: Mutex::default(),
            taken: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }
    }

    pub(crate) fn config(&self) -> &config::Traces {
        &self.config
    }

    /// A place for a message of so many bytes, until what is returned is dropped.
    ///
    /// # Errors
    /// Where there is none at this time.
    pub(crate) fn enter(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Full> {
        // What a span takes when it is read is more than its bytes.
        let bytes = u32::try_from(bytes.clamp(1 << 10, INSIDE_BYTES_MAX)).unwrap_or(u32::MAX);
        self.inside.try_acquire_many(bytes).map_err(|_| Full)
    }

    /// Takes spans in; it writes, so it belongs on a thread that may wait. Returns how many were refused because their
    /// trace has too many already.
    pub(crate) fn add(&self, spans: Vec<Span>) -> u64 {
        let (new, refused) = {
            let mut store = self.store();
            let before = store.counts().refused;
            let new = store.add(spans, clock::now_ms());
            (new, store.counts().refused - before)
        };
        self.taken.fetch_add(new.len() as u64, Ordering::Relaxed);
        if let Some(export) = &self.export {
            export.take(&new);
        }
        self.write(&new);
        refused
    }

    fn write(&self, new: &[Arc<Span>]) {
        let mut kept = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept::On(disk) = &mut *kept else { return };
        let written = match disk.add(new) {
            Ok(false) => return,
            Ok(true) => {
                let all = self.store().spans();
                disk.rewrite(&all)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::error!(
                error = error_chain(&error),
                "traces could not be written down: from now on they are kept in memory only"
            );
            *kept = Kept::Off;
        }
    }

    /// What a probe that begins now is part of.
    pub(crate) fn probe(&self) -> Context {
        Probed::context(&self.ids)
    }

    /// A probe is over: its spans are taken in where somebody may look for them.
    pub(crate) async fn probed(self: &Arc<Self>, probed: Probed<'_>) {
        let spans = probed.spans(&self.ids);
        if !spans.is_empty() && self.is_due(&probed.liveness.target, probed.began_ms) {
            let own = Arc::clone(self);
            // Only where this process ends is it not done.
            let _ = tokio::task::spawn_blocking(move || own.add(spans)).await;
        }
    }

    /// Whether a probe of this server may leave spans again.
    fn is_due(&self, server: &str, now_ms: i64) -> bool {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = probed.get(server).is_none_or(|last_ms| now_ms - last_ms >= PROBED_EVERY_MS);
        if is_due {
            probed.insert(server.to_owned(), now_ms);
        }
        is_due
    }

    /// Counts spans that were not taken.
    pub(crate) fn reject(&self, count: u64) {
        self.rejected.fetch_add(count, Ordering::Relaxed);
    }

    /// The last traces that are wanted.
    pub(crate) fn find(&self, filter: &Filter) -> Vec<Summary> {
        self.store().find(filter)
    }

    /// The ids that begin with these digits, at most so many.
    pub(crate) fn beginning_with(&self, digits: &str, limit: usize) -> Vec<TraceId> {
        self.store().beginning_with(digits, limit)
    }

    /// The spans of a trace.
    pub(crate) fn trace(&self, id: TraceId) -> Option<Vec<Arc<Span>>> {
        self.store().trace(id).map(<[_]>::to_vec)
    }

    /// What is held, and what was taken and rejected since the start of this `serve`.
    pub(crate) fn counts(&self) -> (Counts, [(&'static str, u64); 2]) {
        let [taken, rejected] = [&self.taken, &self.rejected].map(|count| count.load(Ordering::Relaxed));
        (self.store().counts(), [("taken", taken), ("rejected", rejected)])
    }

    /// What was sent on, and what was given up; none where nothing is.
    pub(crate) fn exported(&self) -> Option<[(&'static str, u64); 2]> {
        self.export.as_ref().map(Export::counts)
    }

    /// Why nothing can be sent on at this time, where that is so.
    pub(crate) fn problem(&self) -> Option<String> {
        self.export.as_ref().and_then(Export::problem)
    }

    /// Forgets what is too old, and sends on what comes, until the task is dropped.
    pub(crate) async fn keep(self: Arc<Self>) {
        let expire = async {
            loop {
                tokio::time::sleep(EXPIRE_EVERY).await;
                self.store().expire(clock::now_ms());
            }
        };
        let send = async {
            match &self.export {
                Some(export) => export.keep_sending().await,
                None => std::future::pending().await,
            }
        };
        tokio::join!(expire, send);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The traces of a `serve` that does not run, as they were written down.
///
/// # Errors
/// Where they are there and cannot be read.
pub fn kept_traces(config: &Config) -> std::io::Result<Store> {
    let mut store = empty(&config.traces);
    Disk::read(&folder(config), &mut store, clock::now_ms())?;
    Ok(store)
}

fn empty(config: &config::Traces) -> Store {
    let bytes = usize::try_from(config.bytes_max.0).unwrap_or(usize::MAX);
    Store::new(Limits { bytes, spans: config.spans_max, keep: config.keep.get() })
}

fn folder(config: &Config) -> PathBuf {
    config.data_dir.join("traces")
}
