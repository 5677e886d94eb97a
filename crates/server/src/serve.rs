//! Owns the life of `serve`: locked, started from the lowest floor up, and stopped without taking the servers along.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use incident::{Book, Engine, Goal, Settings, Shelf, Verification};
use journal::{Blobs, Journal};
use metrics::RuleGroup;
use probe::Prober;
use process::lock::{Lock, LockError};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::alertmanager::Alertmanager;
use crate::alive::Parent;
use crate::api;
use crate::api::Door;
use crate::api::prometheus::Turns;
use crate::backend::Backend;
use crate::config::Config;
use crate::evidence_view::Heads;
use crate::fleet::{Fleet, Surroundings};
use crate::flow::Flow;
use crate::inbound::Inbound;
use crate::incident_clocks::IncidentClocks;
use crate::listening;
use crate::notify::{Notifier, Told};
use crate::remote_write::RemoteWrite;
use crate::retention::{data_dir, keep_within_budget};
use crate::rules;
use crate::secrets::Secrets;
use crate::traces::Traces;
use crate::trust::{Trust, TrustError};
use crate::watch::Watch;
use crate::web;
use crate::world::ServeWorld;

/// The runbook that is used where the configuration names none.
pub const SHIPPED: (&str, &[u8]) =
    ("server-down.md (shipped)", include_bytes!("../../../runbooks/server-down.md"));

/// How many events of servers may wait to be taken in.
const EVENTS_MAX: usize = 1_024;

/// How long a shell unit may run where its author says nothing.
const UNIT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// How much output of a unit is kept, in bytes.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// How long what a statement leaves in the background runs on at most, where its incident lasts as long.
const BACKGROUND_MAX: std::time::Duration = std::time::Duration::from_secs(3600);

/// A running `serve`.
pub struct Serve {
    flow: Arc<Flow>,
    loops: JoinSet<()>,
    parent: Option<Arc<Parent>>,
    _lock: Lock,
}

/// What `serve` is started with.
#[derive(Debug, Clone)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// Where it was read from; commands in runbooks read it again.
    pub config_path: PathBuf,
    /// The program and what guards are tied to.
    pub surroundings: Surroundings,
}

/// Why `serve` cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another one has the data directory.
    #[error("another `paramedic serve` has this data directory")]
    Locked(#[from] LockError),
    /// Something on the way failed.
    #[error("{what} `{}` failed", path.display())]
    Io {
        /// What was done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on `{address}` (the key `listen`)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The journal cannot be opened.
    #[error("the journal in `{}` cannot be used", .0.display())]
    Journal(PathBuf, #[source] journal::Error),
    /// The blob store cannot be opened.
    #[error("the blob store in `{}` cannot be used", .0.display())]
    Blobs(PathBuf, #[source] journal::BlobError),
    /// The prober cannot be made.
    #[error("the prober cannot be made")]
    Prober(#[from] probe::ProberError),
    /// The engine cannot start.
    #[error("the engine cannot start")]
    Engine(#[from] incident::EngineError),
}

// === impl Serve ===

impl Serve {
    /// Starts everything: takes over guards that run, starts the others, goes on with open incidents.
    ///
    /// # Errors
    /// Where the data directory is taken or cannot be written, the address is taken, or the journal is unusable.
    pub async fn start(start: Start) -> Result<Self, ServeError> {
        let Start { config, config_path, surroundings } = start;
        let config = Arc::new(config);
        for folder in [&config.data_dir, &config.run_dir, &config.run_dir.join("guards")] {
            private_folder(folder)?;
        }
        let lock = crate::lock::take(&config.data_dir.join("serve.lock")).await?;
        let local = listen_local(&api::socket_path(&config))?;
        let public = TcpListener::bind(config.listen)
            .await
            .map_err(|source| ServeError::Listen { address: config.listen, source })?;
        let (journal, blobs) = open_stores(&config).await?;
        let (shelf, mut unused) = shelf(&config);
        let (of_runbooks, problems) = rules::rules(&config, &shelf);
        problems.iter().for_each(|problem| tracing::warn!("{problem}"));
        let (of_files, not_used) = rules::groups(&config);
        not_used.iter().for_each(|problem| tracing::error!("{problem}"));
        unused.extend(not_used);
        let mut rules: Vec<RuleGroup> = std::iter::once(of_runbooks).chain(of_files).collect();

        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let bin = program_folder(&config, &surroundings.exe)?;
        let fleet = Arc::new(Fleet::start(&config, &surroundings, &events));
        let world = Arc::new(ServeWorld {
            config: Arc::clone(&config),
            fleet: Arc::clone(&fleet),
            prober: Prober::new()?.with_program(&surroundings.exe),
            probes: Semaphore::new(config.probe.at_once),
            exe: surroundings.exe.clone(),
            bin,
            config_path,
            watch: OnceLock::new(),
        });
        let dir = data_dir(&config, journal.clone(), blobs.clone());
        let settings = engine_settings(&config);
        let engine = Engine::start(Arc::clone(&world), journal.clone(), blobs, shelf, settings).await?;
        let secrets = Secrets::of_process(&surroundings.exe);
        let backend = config.metrics.backend.as_ref().map(|backend| {
            Backend::take_over(backend, secrets.clone(), config.metrics.evaluation_interval.get(), &mut rules)
        });
        let watch = Arc::new(Watch::new(&config, rules));
        // Nobody else sets it.
        let _ = world.watch.set(Arc::clone(&watch));
        let told = Arc::new(Told::default());
        let flow = Arc::new(Flow {
            notifier: Arc::new(Notifier::new(&world, &told)),
            world,
            fleet,
            watch,
            engine,
            journal,
            turn: Mutex::default(),
            told,
            clocks: IncidentClocks::default(),
            queries: Turns::default(),
            door: Door::open(&config, crate::clock::now_ms()),
            inbound: Inbound::new(&config, secrets.clone()),
            alertmanager: config.alertmanager.as_ref().map(|one| Alertmanager::new(one, secrets.clone())),
            backend,
            traces: Arc::new(Traces::open(&config, secrets.clone())),
            heads: Heads::default(),
            remote_write: config.metrics.remote_write.as_ref().map(|one| RemoteWrite::new(one, secrets)),
            unused,
        });

        let mut loops = flow.start(inbox);
        loops.spawn(keep_within_budget(Arc::clone(&config), dir));
        let (local_routes, public_routes) = (api::local(Arc::clone(&flow)), web::public(Arc::clone(&flow)));
        loops.spawn(async move { drop(axum::serve(local, local_routes).await) });
        loops.spawn(listening::answer(public, public_routes));
        flow.engine.resume().await;
        Ok(Self { flow, loops, parent: None, _lock: lock })
    }

    /// Tells whoever has started this process that it serves, and from now on that it is alive.
    pub fn tell(&mut self, parent: Parent) {
        let parent = Arc::new(parent);
        parent.ready();
        self.loops.spawn(Arc::clone(&parent).keep_alive(Arc::clone(&self.flow)));
        self.parent = Some(parent);
    }

    /// The engine, for whoever watches what happens.
    pub fn engine(&self) -> &Engine<ServeWorld> {
        &self.flow.engine
    }

    /// The servers.
    pub fn fleet(&self) -> &Fleet {
        &self.flow.fleet
    }

    /// Ends the loops. Guards, their servers and running units go on.
    pub async fn stop(mut self) {
        self.parent.iter().for_each(|parent| parent.stopping());
        self.end_loops().await;
    }

    /// Ends the loops; what they have seen last is written down.
    async fn end_loops(&mut self) {
        self.loops.shutdown().await;
        let watch = Arc::clone(&self.flow.watch);
        if let Ok(Some(error)) = tokio::task::spawn_blocking(move || watch.flush()).await {
            tracing::error!(error, "the last samples could not be written down");
        }
    }

    /// Ends the loops, and then the guards with their servers.
    pub async fn stop_with_servers(mut self) {
        self.end_loops().await;
        if let Err(error) = end_background_of(&self.flow.engine).await {
            tracing::error!(error = %incident::error_chain(&error), "the end of a background job could not be written down");
        }
        self.flow.fleet.shut_down().await;
    }
}

async fn end_background_of(engine: &Engine<ServeWorld>) -> Result<(), incident::EngineError> {
    for incident in engine.incidents().await? {
        engine.end_background(&incident.id, "`serve` ends with its servers").await?;
    }
    Ok(())
}

fn engine_settings(config: &Config) -> Settings {
    let verify = &config.verify;
    let goal = Goal {
        probes: verify.probes,
        period_ms: verify.period.ms().unsigned_abs(),
        timeout_ms: verify.timeout.ms().unsigned_abs(),
    };
    Settings {
        runs: config.data_dir.join("runs"),
        reports: config.data_dir.join("reports"),
        verification: Verification::Probes { goal, interval: verify.interval.get() },
        unit_timeout: UNIT_TIMEOUT,
        output_bytes_max: OUTPUT_BYTES_MAX,
        background_max: BACKGROUND_MAX,
    }
}

/// Opens the journal and the blob store of a data directory.
///
/// # Errors
/// Where either cannot be opened.
pub async fn open_stores(config: &Config) -> Result<(Journal, Blobs), ServeError> {
    let (journal, blobs) = (config.data_dir.join("journal.db"), config.data_dir.join("blobs"));
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok((
        Journal::open(&journal, &node).await.map_err(|source| ServeError::Journal(journal, source))?,
        Blobs::open(&blobs).map_err(|source| ServeError::Blobs(blobs, source))?,
    ))
}

/// Writes changes into the journal of a `serve` that does not run, whose lock the caller holds; returns how many. Where
/// there is no journal there is none to be written into.
///
/// # Errors
/// Where the journal cannot be opened or written.
pub async fn note_changes(
    config: &Config,
    by: &str,
    at_ms: i64,
    changes: Vec<incident::change::Change>,
) -> Result<usize, ServeError> {
    let path = config.data_dir.join("journal.db");
    if changes.is_empty() || !path.exists() {
        return Ok(0);
    }
    let (journal, _) = open_stores(config).await?;
    let mut written = 0;
    for change in changes {
        let record = incident::Record::Changed { number: 0, unit: None, by: by.to_owned(), change };
        let draft = incident::loose_draft(at_ms, &record).map_err(ServeError::Engine)?;
        journal.append(draft).await.map_err(|source| ServeError::Journal(path.clone(), source))?;
        written += 1;
    }
    Ok(written)
}

/// Reads the runbooks. One that cannot be read or is not trusted is told of, also to whoever asks later, and the others
/// are used.
fn shelf(config: &Config) -> (Shelf, Vec<String>) {
    let trust = Trust::of(config);
    let mut unused = Vec::new();
    let read = |path: &PathBuf| match trust.read(path) {
        Ok(bytes) => Some(parse(&path.to_string_lossy(), &bytes)),
        Err(error) => {
            unused.push(incident::error_chain(&error));
            let what = match error {
                TrustError::Read { .. } => "cannot be read",
                TrustError::Owner { .. } | TrustError::Writable { .. } => "is not trusted",
            };
            tracing::error!(path = %path.display(), error = %incident::error_chain(&error), "a runbook {what}, and its alerts are not watched for");
            None
        }
    };
    let books = if config.runbooks.is_empty() {
        vec![parse(SHIPPED.0, SHIPPED.1)]
    } else {
        config.runbooks.iter().filter_map(read).collect()
    };
    (Shelf::new(books), unused)
}

fn parse(name: &str, bytes: &[u8]) -> Book {
    let (book, diagnostics) = Book::parse(name, bytes);
    for diagnostic in diagnostics {
        tracing::warn!("{name}:{}:{}: {}", diagnostic.line, diagnostic.column, diagnostic.message);
    }
    book
}

/// A folder that only its owner may enter.
///
/// # Errors
/// Where it cannot be made.
pub fn private_folder(path: &Path) -> Result<(), ServeError> {
    let fail = |source| ServeError::Io { what: "making the folder", path: path.to_owned(), source };
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(fail)
}

/// The local socket: a stale one is in nobody's way, for the lock is ours.
fn listen_local(path: &Path) -> Result<UnixListener, ServeError> {
    let fail = |what| move |source| ServeError::Io { what, path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail("removing the stale socket")(error)),
    }
    let listener = UnixListener::bind(path).map_err(fail("listening on"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(fail("closing to others"))?;
    Ok(listener)
}

/// A folder in which `paramedic` is this very program, so that a runbook never runs another version.
///
/// # Errors
/// Where the link cannot be made.
pub fn program_folder(config: &Config, exe: &Path) -> Result<PathBuf, ServeError> {
    let bin = config.run_dir.join("bin");
    private_folder(&bin)?;
    let link = bin.join("paramedic");
    if std::fs::read_link(&link).is_ok_and(|target| target == exe) {
        return Ok(bin);
    }
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(exe, &link).map_err(|source| ServeError::Io {
        what: "making the link",
        path: link,
        source,
    })?;
    Ok(bin)
}
