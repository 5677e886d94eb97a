//! Owns evidence as `serve` and the command line keep it: where, with which key, and what is known of an MCP server beside what
//! the machine says.

mod mcp;
mod tools;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::evidence::manifest::{FORMAT, Head};
use ::evidence::{Budget, End, Error, Progress, PublicKey, Scene, Sealed, SigningKey, Subject, Tier, Writer};
use chrono::DateTime;
use incident::Preserved;
use tokio::sync::Semaphore;

use crate::config::{Config, Server};

/// More bundles of one second than this are no accident.
const SAME_NAME_MAX: u32 = 100;
/// Bundles that are listed; a folder with more is full of something else.
const BUNDLES_MAX: usize = 100_000;
/// The first step of an incident waits so long for its evidence, a disk that hangs included.
const PRESERVE_MAX: Duration = Duration::from_secs(20);
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
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// Where the machine is; `/` but in tests.
    pub root: PathBuf,
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

/// A bundle that was made, and whether the copy of it was.
#[derive(Debug)]
pub struct Kept {
    /// The bundle.
    pub sealed: Sealed,
    /// Whether it is whole.
    pub end: End,
    /// Where its copy is, or why there is none; none where no copy is wanted.
    pub copy: Option<Result<PathBuf, String>>,
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

/// The folders of all bundles, the oldest first: their names begin with the time.
pub fn bundles(config: &Config) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(&config.evidence.dir) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).take(BUNDLES_MAX).collect();
    folders.retain(|folder| folder.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    folders.sort_unstable();
    folders
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
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| Error::Write { path: dir.clone(), source })?;
        let key = Arc::new(evidence_key(&config)?);
        let mut writer = begin(dir, &wanted, &key)?;
        let mut scene =
            Scene::new(wanted.root.clone(), wanted.now_ms, subject(&config, server.as_ref(), pid));
        scene.memory = Some(dir.join(MEMORY));
        let mut steps = ::evidence::steps(wanted.tier);
        if let Some(step) = server_step {
            let first_file = steps.iter().position(|step| step.tier != Tier::T0).unwrap_or(steps.len());
            steps.insert(first_file, step);
        }
        let budget = Budget { time: config.evidence.timeout.get(), bytes: config.evidence.bytes_max.0 };
        let end;
        (writer, end) = ::evidence::collect(&Arc::new(scene), steps, writer, budget, &*stop, &mut *progress)?;
        let sealed = writer.finish(end.clone(), &wanted.by, wanted.now_ms)?;
        let copy = config.evidence.copy_to.as_ref().map(|to| {
            ::evidence::export(&sealed.folder, to, &key, &wanted.by, wanted.now_ms)
                .map_err(|error| incident::error_chain(&error))
        });
        Ok(Kept { sealed, end, copy })
    };
    tokio::task::spawn_blocking(work).await?
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
    Preserved {
        summary: format!(
            "{} items and {} gaps in `{}`{}",
            sealed.items,
            sealed.missing,
            sealed.folder.display(),
            copy.unwrap_or_default()
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

/// A bundle with a name of its own: `TIME_NAME`, as the original runbook names its folders.
fn begin(dir: &Path, wanted: &Collection, key: &Arc<SigningKey>) -> Result<Writer, Error> {
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
        tiers: [Tier::T0, Tier::T1]
            .into_iter()
            .filter(|tier| *tier <= wanted.tier)
            .map(|tier| tier.name().to_owned())
            .collect(),
    };
    let mut n = 1;
    loop {
        let number = if n == 1 { String::new() } else { format!("-{n}") };
        match Writer::begin(&dir.join(format!("{time}_{about}{number}")), head.clone(), Arc::clone(key)) {
            Err(Error::Exists { .. }) if n < SAME_NAME_MAX => n += 1,
            begun => return begun,
        }
    }
}

fn subject(config: &Config, server: Option<&Server>, pid: Option<i32>) -> Subject {
    let Some(server) = server else { return Subject { pid, ..Subject::default() } };
    let mut files = vec![config.log_dir.join(format!("{}.log", server.name))];
    let rotated = (1..=9).map(|number| config.log_dir.join(format!("{}.log.{number}", server.name)));
    files.extend(rotated.filter(|path| path.exists()));
    files.extend(server.guard_settings.clone());
    Subject { pid, files, folders: Vec::new() }
}
