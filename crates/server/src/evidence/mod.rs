//! Owns evidence as `serve` and the command line keep it: where, with which key, and what is known of an MCP server beside what
//! the machine says.

mod checks;
mod lists;
mod mcp;
mod place;
mod sending;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::evidence::manifest::{FORMAT, Head};
use ::evidence::{
    Budget, Deep, End, Error, Extent, Progress, PublicKey, Scene, Sealed, SigningKey, Subject, Tier, Writer,
};
use chrono::DateTime;
use host::Roots;
use incident::Preserved;
use tokio::sync::Semaphore;

use crate::config::{Config, Server};
use crate::subject::subject;
pub(crate) use checks::{checks, note_check};
use place::Place;
use sending::Sending;

/// More bundles of one second than this are no accident.
const SAME_NAME_MAX: u32 = 100;
/// Bundles that are listed; a folder with more is full of something else.
const BUNDLES_MAX: usize = 100_000;
/// The first step of an incident waits so long for its evidence, a disk that hangs included.
const PRESERVE_MAX: Duration = Duration::from_secs(20);
/// What is given for memory.
const MEMORY_WITHIN: Duration = Duration::from_secs(60);
/// As the sums of executables are remembered.
const MEMORY: &str = ".executables.json";

/// What is to be collected.
#[derive(Debug)]
pub struct Collection {
    /// The server that it is about.
    pub server: Option<String>,
    /// Its process, where that is known already.
    pub pid: Option<i32>,
    /// The incident.
    pub incident: Option<String>,
    /// Who wants it.
    pub by: String,
    /// How deep to look.
    pub tier: Tier,
    /// From when on the journal, and what changed on the disk, is wanted, in milliseconds since the Unix epoch; none for what is
    /// usual ([`Scene::since_ms`]).
    pub since_ms: Option<i64>,
    /// What the deepest tier takes.
    pub deep: Deep,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Where the machine is; `/` but in tests.
    pub root: PathBuf,
    /// The `paramedic` program, which ends what sends a bundle elsewhere.
    pub exe: PathBuf,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub enum CollectError {
    #[error("all bundles together take {bytes} bytes, `budget` of `[evidence]` allows {budget}: move some of `{}` elsewhere", dir.display())]
    OverBudget { dir: PathBuf, bytes: u64, budget: u64 },
    #[error(transparent)]
    Failed(#[from] Error),
    #[error("the collection failed")]
    Panicked(#[from] tokio::task::JoinError),
}

/// A bundle that is on its way to where it is sent.
#[derive(Debug)]
pub struct OnItsWay {
    sending: Sending,
    sealed: Sealed,
    key: Arc<SigningKey>,
    by: String,
    at_ms: i64,
}

/// A bundle that was made, and whether the copy of it was.
#[derive(Debug)]
pub struct Kept {
    /// The bundle.
    pub sealed: Sealed,
    /// Whether it is whole.
    pub end: End,
    /// Where its copy is, or why there is none; none where no copy is wanted.
    pub copy: Option<Result<PathBuf, String>>,
    /// Where it is sent elsewhere: nobody has to wait for that.
    pub on_its_way: Option<OnItsWay>,
}

// === impl OnItsWay ===

impl OnItsWay {
    /// Waits until it has arrived, or `stop` says why nobody waits any longer; says what came of it in its custody log, and
    /// returns that in words.
    ///
    /// # Errors
    /// That it has not, and why.
    pub async fn arrived(self, stop: impl Future<Output = String> + Send) -> Result<String, String> {
        let Sealed { folder, sha256, .. } = &self.sealed;
        self.sending.end(folder, *sha256, &self.key, &self.by, self.at_ms, stop).await
    }
}

/// Where the key of this host is.
pub fn evidence_key_folder(config: &Config) -> PathBuf {
    config.data_dir.join("keys")
}

/// The public key that checks bundles of this host.
///
/// # Errors
/// When there is none yet, or it cannot be read.
pub fn evidence_public_key(config: &Config) -> Result<PublicKey, Error> {
    PublicKey::of_folder(&evidence_key_folder(config))
}

/// The key of this host, which is made if there is none.
///
/// # Errors
/// When it cannot be read or made.
pub fn evidence_key(config: &Config) -> Result<SigningKey, Error> {
    SigningKey::open(&evidence_key_folder(config))
}

/// The folders of all bundles, wherever they were written, the oldest first: their names begin with the time.
pub fn bundles(config: &Config) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for dir in config.evidence.places.iter().chain([&config.evidence.dir]) {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders
            .extend(entries.map(|entry| entry.path()).filter(|path| is_named_as_one(path)).take(BUNDLES_MAX));
    }
    folders.sort_unstable_by(|one, other| (one.file_name(), one).cmp(&(other.file_name(), other)));
    folders.dedup();
    folders
}

/// The root of another disk has other folders too.
fn is_named_as_one(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let digits = |part: Option<&str>| part.is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() > 16
        && name.as_bytes()[8] == b'_'
        && name.as_bytes()[15] == b'_'
        && digits(name.get(..8))
        && digits(name.get(9..15))
}

/// Collects, seals, and copies. `stop` says why it has to end, `progress` is told how far it is.
///
/// # Errors
/// When nothing could be written at all, or no more may be.
pub async fn collect(
    config: Arc<Config>,
    wanted: Collection,
    stop: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    mut progress: Box<dyn FnMut(&Progress) + Send>,
) -> Result<Kept, CollectError> {
    let server =
        wanted.server.as_ref().and_then(|name| config.server.iter().find(|one| one.name == *name)).cloned();
    let (server_step, pid) = match &wanted.server {
        Some(name) => mcp::step(&config, name, server.as_ref(), &wanted).await,
        None => (None, None),
    };
    let work = move || -> Result<Kept, CollectError> {
        within_budget(&config)?;
        let dir = &config.evidence.dir;
        let key = Arc::new(evidence_key(&config)?);
        // What is remembered from one collection to the next is here, wherever the bundle goes; without it all is read anew.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        let places = place::choose(&config, server.as_ref(), &wanted.root.join("sys"));
        let mut writer = begin(&places, &wanted, &key)?;
        let sending = config.evidence.stream.as_ref().map(|stream| {
            let sending = Sending::begin(stream, writer.folder(), &wanted.exe);
            writer.on_seal(sending.teller());
            sending
        });
        let about = about(&config, server.as_ref(), pid, &wanted.root);
        let mut scene = Scene::new(wanted.root.clone(), wanted.now_ms, about);
        scene.since_ms = wanted.since_ms;
        scene.memory = Some(dir.join(MEMORY));
        scene.deep = wanted.deep.clone();
        let filter = &mut scene.deep.filter;
        if filter.peer.is_none() && filter.port.is_none() {
            // A server behind a pipe has no port of its own: what is said to it goes through its guard's.
            filter.port = server.as_ref().map(|server| server.port);
        }
        let mut steps = ::evidence::steps(wanted.tier);
        if let Some(step) = server_step {
            let first_file = steps.iter().position(|step| step.tier != Tier::T0).unwrap_or(steps.len());
            steps.insert(first_file, step);
        }
        // Memory and packets come on top, by a person's word.
        let deeper =
            if wanted.tier == Tier::T2 { MEMORY_WITHIN + wanted.deep.packets } else { Duration::ZERO };
        let time = config.evidence.timeout.get() + deeper;
        let budget = Budget { time, bytes: config.evidence.bytes_max.0 };
        let end;
        (writer, end) = ::evidence::collect(&Arc::new(scene), steps, writer, budget, &*stop, &mut *progress)?;
        let sealed = writer.finish(end.clone(), &wanted.by, wanted.now_ms)?;
        let copy = config.evidence.copy_to.as_ref().map(|to| {
            ::evidence::export(&sealed.folder, to, &key, &wanted.by, wanted.now_ms)
                .map_err(|error| incident::error_chain(&error))
        });
        let (by, at_ms) = (wanted.by, wanted.now_ms);
        let on_its_way = sending.map(|sending| OnItsWay { sending, sealed: sealed.clone(), key, by, at_ms });
        Ok(Kept { sealed, end, copy, on_its_way })
    };
    tokio::task::spawn_blocking(work).await?
}

/// Sends a bundle that is there already, such as one that was on its way when `serve` ended.
///
/// # Errors
/// That it has not arrived, and why.
pub async fn send(
    config: &Config,
    folder: &Path,
    exe: &Path,
    by: &str,
    now_ms: i64,
    stop: impl Future<Output = String> + Send,
) -> Result<String, String> {
    let words = |error: Error| incident::error_chain(&error);
    let Some(stream) = &config.evidence.stream else {
        return Err("there is no `[evidence.stream]` to send it to in the configuration".to_owned());
    };
    let key = evidence_key(config).map_err(words)?;
    let verdict = ::evidence::verify(folder, key.public());
    let (Some(sha256), true) = (verdict.sha256, verdict.is_sound()) else {
        return Err(format!("`{}` is not as it was sealed, and is not sent", folder.display()));
    };
    let extent = Extent::of(folder).map_err(words)?;
    let sending = Sending::begin(stream, folder, exe);
    sending.teller()(extent);
    sending.end(folder, sha256, &key, by, now_ms, stop).await
}

/// Incidents that wait for their evidence.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// Taken by whoever collects for the engine: two at once keep a disk and a processor busy.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// Where a whole fleet fails at once its machine is looked at some times, not a thousand times: the answer must not wait for that.
const WAITING_MAX: usize = 8;

/// Keeps T0 for the engine: whatever happens, it gets an answer, within what is given for it.
pub(crate) async fn preserve(config: Arc<Config>, wanted: Collection) -> Preserved {
    let missing = |problem: String| Preserved {
        summary: "no bundle".to_owned(),
        problem: Some(problem),
        ..Preserved::default()
    };
    if WAITING.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        return missing(format!(
            "{WAITING_MAX} incidents were having theirs kept; those bundles are of the same machine"
        ));
    }
    let collecting = async {
        let _one = AT_ONCE.acquire().await;
        collect(config, wanted, Arc::new(|| None), Box::new(|_| {})).await
    };
    let ended = tokio::time::timeout(PRESERVE_MAX, collecting).await;
    WAITING.fetch_sub(1, Ordering::Relaxed);
    let kept = match ended {
        Err(_) => return missing(format!("it was not done within {} s", PRESERVE_MAX.as_secs())),
        Ok(Err(error)) => return missing(incident::error_chain(&error)),
        Ok(Ok(kept)) => kept,
    };
    let sealed = kept.sealed;
    let mut problem = match kept.end {
        End::Complete => None,
        End::Interrupted(reason) => Some(reason),
    };
    if let Some(Err(error)) = &kept.copy {
        problem.get_or_insert_with(|| format!("it could not be copied elsewhere: {error}"));
    }
    let copy = kept.copy.and_then(Result::ok).map(|path| format!(", copied to `{}`", path.display()));
    let sent = kept.on_its_way.map(|on_its_way| {
        let words = format!(", on its way to {}", on_its_way.sending.target());
        // The answer to an incident does not wait for the network, which may be what is gone.
        tokio::spawn(async move {
            if let Err(problem) = on_its_way.arrived(std::future::pending()).await {
                tracing::warn!(problem, "evidence is only on this machine");
            }
        });
        words
    });
    Preserved {
        summary: format!(
            "{} items and {} gaps in `{}`{}{}",
            sealed.items,
            sealed.missing,
            sealed.folder.display(),
            copy.unwrap_or_default(),
            sent.unwrap_or_default()
        ),
        manifest: fs::read(sealed.folder.join(::evidence::MANIFEST)).unwrap_or_default(),
        bytes: sealed.bytes,
        problem,
    }
}

fn within_budget(config: &Config) -> Result<(), CollectError> {
    let size = |folder: &PathBuf| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>()
    };
    let (bytes, budget) = (bundles(config).iter().map(size).sum(), config.evidence.budget.0);
    if bytes >= budget {
        return Err(CollectError::OverBudget { dir: config.evidence.dir.clone(), bytes, budget });
    }
    Ok(())
}

/// A bundle in the best place that takes one.
fn begin(places: &[Place], wanted: &Collection, key: &Arc<SigningKey>) -> Result<Writer, Error> {
    let mut first = None;
    for place in places {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&place.dir);
        let made = made.map_err(|source| Error::Write { path: place.dir.clone(), source });
        match made.and_then(|()| begin_in(place, wanted, key)) {
            Ok(writer) => return Ok(writer),
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    // There is always a last place.
    Err(first.unwrap_or_else(|| Error::Exists { path: PathBuf::new() }))
}

/// A bundle with a name of its own: `TIME_NAME`, as the original runbook names its folders.
fn begin_in(place: &Place, wanted: &Collection, key: &Arc<SigningKey>) -> Result<Writer, Error> {
    let time = DateTime::from_timestamp_millis(wanted.now_ms).unwrap_or_default().format("%Y%m%d_%H%M%S");
    let about = wanted.server.as_deref().unwrap_or("host");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let about: String = about.chars().map(|c| if plain(c) { c } else { '_' }).take(64).collect();
    let head = Head {
        format: FORMAT,
        server: wanted.server.clone(),
        incident: wanted.incident.clone(),
        by: wanted.by.clone(),
        host: fs::read_to_string(wanted.root.join("proc/sys/kernel/hostname"))
            .ok()
            .map(|name| name.trim().to_owned()),
        at_ms: wanted.now_ms,
        since_ms: wanted.since_ms,
        tiers: [Tier::T0, Tier::T1, Tier::T2]
            .into_iter()
            .filter(|tier| *tier <= wanted.tier)
            .map(|tier| tier.name().to_owned())
            .collect(),
        place: Some(place.why.clone()),
    };
    let mut n = 1;
    loop {
        let number = if n == 1 { String::new() } else { format!("-{n}") };
        let folder = place.dir.join(format!("{time}_{about}{number}"));
        match Writer::begin(&folder, head.clone(), Arc::clone(key)) {
            Err(Error::Exists { .. }) if n < SAME_NAME_MAX => n += 1,
            begun => return begun,
        }
    }
}

fn about(config: &Config, server: Option<&Server>, pid: Option<i32>, root: &Path) -> Subject {
    let Some(server) = server else { return Subject { pid, ..Subject::default() } };
    let looked_at = subject(config, server);
    let mut files = vec![config.log_dir.join(format!("{}.log", server.name))];
    let rotated = (1..=9).map(|number| config.log_dir.join(format!("{}.log.{number}", server.name)));
    files.extend(rotated.filter(|path| path.exists()));
    files.extend(server.guard_settings.clone());
    let unit = server.unit.as_ref().map(|unit| unit.to_string());
    let units = vec![unit.unwrap_or_else(|| format!("mcp-server-{}.service", server.name))];
    // A server without a guard is whoever listens for it.
    let found = || Some(looked_at.process_now(&Roots::below(root))?.pid);
    let pid = if server.has_guard() { pid } else { pid.or_else(found) };
    let places = looked_at.places.iter().map(|place| place.path.clone());
    let watched = places.chain(config.intrusion.own.clone()).filter(|path| path.is_dir()).collect();
    Subject { pid, files, watched, units }
}

#[cfg(test)]
mod tests;
