//! Owns collecting: steps in the order of volatility, each with a deadline, whose findings go into the bundle one by one.
//!
//! A step runs in a thread of its own, because the kernel may hold a reader for ever. Whoever is not done in time is left
//! behind: what it had found so far is kept, with a note of what it was doing.

mod attributes;
mod changes;
mod command;
mod deleted;
mod executables;
mod hide;
mod journal;
mod kernel;
mod machine;
mod memory;
mod neighbours;
mod network;
mod out;
mod packages;
mod packets;
mod places;
mod processes;
mod reading;
mod tree;
mod users;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use host::Roots;

use crate::bundle::{End, Gathered, Writer};
use crate::error::Error;

pub use hide::hide_text;
pub use out::Out;
pub use packets::Filter;

use out::Taker;
use processes::Found;

/// What is looked at: the machine below `root`, and one server on it.
#[derive(Debug, Default)]
pub struct Scene {
    /// Where the kernel's views are.
    pub roots: Roots,
    /// In place of `/`.
    pub root: PathBuf,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// From when on the journal, and what changed on the disk, belongs to it, in milliseconds since the Unix epoch; none for what
    /// each step takes by itself.
    pub since_ms: Option<i64>,
    /// The server; none where only the machine is looked at.
    pub subject: Subject,
    /// Where sums of files that have not changed since are remembered; none remembers nothing.
    pub memory: Option<PathBuf>,
    /// Where programs of the machine are that may be asked: its own folders, and none for a tree that is not this machine.
    pub programs: Vec<PathBuf>,
    /// What a person has allowed to be taken of memory and traffic.
    pub deep: Deep,
    began: Began,
    found: Mutex<Found>,
}

/// The server that evidence is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Its process, whose environment says which words are secrets.
    pub pid: Option<i32>,
    /// Its logs, and other files of its own, such as its configuration.
    pub files: Vec<PathBuf>,
    /// Folders, such as those of its programs and its data, in which is looked for what has changed.
    pub watched: Vec<PathBuf>,
    /// The units of systemd that it lives in.
    pub units: Vec<String>,
}

/// What the last tier takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deep {
    /// Of the memory of the server's processes, together, in bytes.
    pub memory_bytes_max: u64,
    /// How long packets are captured; at most [`PACKETS_MAX`].
    pub packets: Duration,
    /// Which packets.
    pub filter: Filter,
}

/// The longest time for which packets are captured.
pub const PACKETS_MAX: Duration = Duration::from_secs(300);

/// When the scene was set.
#[derive(Debug)]
struct Began(Instant);

/// How volatile something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Gone with the next change: taken before it, in less than a second.
    T0,
    /// Gone with the next hour: files, sums, deleted files; within a minute.
    T1,
    /// Memory of the server and packets, which hold what is nobody's business: only where a person says so.
    T2,
}

/// What a step does.
pub type Run = Box<dyn FnOnce(&Scene, &Out) + Send>;

/// A step of a collection.
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// How volatile what it takes is.
    pub tier: Tier,
    /// How long it may take.
    pub deadline: Duration,
    /// What it does.
    pub run: Run,
}

/// What a collection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How long all steps together may take.
    pub time: Duration,
    /// How large the archive may become, in bytes.
    pub bytes: u64,
}

/// How far a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step that is next.
    pub step: &'static str,
    /// How many were taken.
    pub done: usize,
    /// How many there are.
    pub all: usize,
    /// How large the archive is.
    pub bytes: u64,
}

// === impl Deep ===

impl Default for Deep {
    fn default() -> Self {
        Self { memory_bytes_max: 256 << 20, packets: Duration::from_secs(10), filter: Filter::default() }
    }
}

// === impl Began ===

impl Default for Began {
    fn default() -> Self {
        Self(Instant::now())
    }
}

// === impl Scene ===

impl Scene {
    /// The machine below `root`, normally `/`.
    pub fn new(root: PathBuf, now_ms: i64, subject: Subject) -> Self {
        let own = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from).to_vec();
        let programs = if root == std::path::Path::new("/") { own } else { Vec::new() };
        Self { roots: Roots::below(&root), root, now_ms, subject, memory: None, programs, ..Self::default() }
    }

    /// The time since the Unix epoch, now.
    pub(crate) fn now(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now_ms).unwrap_or(0)) + self.began.0.elapsed()
    }

    /// A path of this machine, below its root.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

// === impl Tier ===

impl Tier {
    /// How manifests and people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::T0 => "t0",
            Self::T1 => "t1",
            Self::T2 => "t2",
        }
    }
}

// === impl Step ===

impl Step {
    /// A step that does this.
    pub fn new(
        name: &'static str,
        tier: Tier,
        deadline: Duration,
        run: impl FnOnce(&Scene, &Out) + Send + 'static,
    ) -> Self {
        Self { name, tier, deadline, run: Box::new(run) }
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Step({}, {:?}, {:?})", self.name, self.tier, self.deadline)
    }
}

/// The steps of all tiers up to this one, the most volatile first. The deadlines are far beyond what each takes.
pub fn steps(up_to: Tier) -> Vec<Step> {
    let t0 = |name, run: fn(&Scene, &Out)| Step::new(name, Tier::T0, Duration::from_secs(3), run);
    let t1 =
        |name, seconds, run: fn(&Scene, &Out)| Step::new(name, Tier::T1, Duration::from_secs(seconds), run);
    let mut steps = vec![
        t0("clock", machine::clock),
        t0("processes", processes::collect),
        t0("network", network::collect),
        t0("machine", machine::collect),
        t0("mounts", machine::mounts),
        t0("users", users::collect),
        t0("kernel-log", machine::kernel_log),
    ];
    if up_to == Tier::T2 {
        let t2 = |name, within, run: fn(&Scene, &Out)| Step::new(name, Tier::T2, within, run);
        steps.extend([
            t2("memory", Duration::from_secs(60), memory::collect),
            t2("packets", PACKETS_MAX + Duration::from_secs(10), packets::collect),
        ]);
    }
    if up_to >= Tier::T1 {
        steps.extend([
            t1("deleted-files", 20, deleted::collect),
            t1("server-files", 15, places::of_server),
            t1("journal", 20, journal::collect),
            t1("kernel", 20, kernel::collect),
            t1("executables", 20, executables::collect),
            t1("volatile-folders", 10, places::listings),
            t1("changes", 25, changes::collect),
            t1("units", 10, places::units),
            t1("cron", 5, places::cron),
            t1("access", 10, places::access),
            t1("logs", 15, places::logs),
            t1("packages", 30, packages::collect),
        ]);
    }
    steps
}

/// Takes the steps, and ends the bundle when all are taken, the budget is used up, or `stop` says why it has to end.
///
/// # Errors
/// When the bundle cannot be written. Where the disk is full it is ended with what it has, if that can be written.
pub fn collect(
    scene: &Arc<Scene>,
    steps: Vec<Step>,
    mut writer: Writer,
    budget: Budget,
    stop: &dyn Fn() -> Option<String>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(Writer, End), Error> {
    let began = Instant::now();
    let all = steps.len();
    let secrets = hide::secrets_of(scene);
    for (done, step) in steps.into_iter().enumerate() {
        progress(&Progress { step: step.name, done, all, bytes: writer.bytes() });
        if let Some(reason) = stop() {
            return Ok((writer, End::Interrupted(reason)));
        }
        let started = began.elapsed();
        let name = step.name;
        let left = budget.time.saturating_sub(started);
        let too_much = writer.bytes() >= budget.bytes;
        if left.is_zero() || too_much {
            let problem =
                if too_much { "the size budget was used up" } else { "the time budget was used up" };
            writer.take(name, Gathered::missing(name, problem))?;
            continue;
        }
        let end = match one(scene, step, left, &mut writer, budget.bytes, &secrets, stop) {
            Err(error) if error.is_full() => Some("there is no space left for evidence".to_owned()),
            end => end?,
        };
        let took = began.elapsed() - started;
        let over = writer.step_over(name, millis(started), millis(took));
        match (end, over) {
            (Some(reason), _) => return Ok((writer, End::Interrupted(reason))),
            (None, Err(error)) if error.is_full() => {
                return Ok((writer, End::Interrupted("there is no space left for evidence".to_owned())));
            }
            (None, over) => over?,
        }
    }
    Ok((writer, End::Complete))
}

/// Takes one step. Returns why the collection has to end, if it has to.
fn one(
    scene: &Arc<Scene>,
    step: Step,
    left: Duration,
    writer: &mut Writer,
    bytes_max: u64,
    secrets: &hide::Secrets,
    stop: &dyn Fn() -> Option<String>,
) -> Result<Option<String>, Error> {
    /// How often is looked whether somebody wants it to stop.
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let name = step.name;
    let deadline = Instant::now() + step.deadline.min(left);
    let (out, taken) = Out::new();
    let (thread_scene, run) = (Arc::clone(scene), step.run);
    let is_over = Arc::new(AtomicBool::new(false));
    let thread_over = Arc::clone(&is_over);
    let spawned = std::thread::Builder::new().name(format!("evidence {name}")).spawn(move || {
        run(&thread_scene, &out);
        thread_over.store(true, Ordering::Release);
    });
    if let Err(error) = spawned {
        writer.take(name, Gathered::missing(name, format!("no thread for it: {error}")))?;
        return Ok(None);
    }
    let mut problem = None;
    loop {
        let wait = deadline.saturating_duration_since(Instant::now());
        match taken.next(wait.min(LOOK_EVERY)) {
            Ok(gathered) => writer.take(name, secrets.hide(gathered))?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(reason) = stop() {
            taken.give_up();
            take_drafts(&taken, writer, name, Some(&reason), secrets)?;
            return Ok(Some(reason));
        }
        if writer.bytes() >= bytes_max {
            problem = Some("the size budget was used up".to_owned());
        } else if Instant::now() >= deadline {
            problem = Some("it took too long".to_owned());
        }
        if problem.is_some() {
            taken.give_up();
            break;
        }
    }
    if problem.is_none() && !is_over.load(Ordering::Acquire) {
        problem = Some("the step failed".to_owned());
    }
    take_drafts(&taken, writer, name, problem.as_deref(), secrets)?;
    Ok(None)
}

/// Takes in what a step has written so far, and says what it was doing if it did not come to its end.
fn take_drafts(
    taken: &Taker,
    writer: &mut Writer,
    step: &str,
    problem: Option<&str>,
    secrets: &hide::Secrets,
) -> Result<(), Error> {
    let (drafts, doing) = taken.drafts();
    let problem = problem.map(|problem| match doing {
        Some(doing) => format!("{problem}; the last that was begun is {doing}"),
        None => problem.to_owned(),
    });
    for (name, bytes) in drafts {
        let gathered = Gathered { problem: problem.clone(), ..Gathered::whole(name, bytes) };
        writer.take(step, secrets.hide(gathered))?;
    }
    match problem {
        Some(problem) => writer.take(step, Gathered::missing(format!("{step}/rest"), problem)),
        None => Ok(()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
