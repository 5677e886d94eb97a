//! Owns the owner's side of a lifeline: starting one, ordering it, and hearing how its child ended.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use super::{GROUP, KILL, OPEN_FILES, Report, TERMINATE};
use crate::ending::Ending;
use crate::identity::ProcessId;
use crate::inherit::{self, Standing};
use crate::signal::{Signal, send};
use crate::tree::{descendants, kill_until_none};
use crate::wait;

/// A lifeline answers within milliseconds of its start; one that has not answered for this long is stopped or
/// was never a lifeline.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// After this long without an ending, a lifeline that was told to kill is killed itself.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// The lifelines of this process that run: the only children that are not swept up when one of them is killed.
static RUNNING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// What to run at the other end of a lifeline.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program that has the role `lifeline`; an absolute path, for `cwd` may be elsewhere.
    pub paramedic_exe: PathBuf,
    /// What to run, searched for in `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to this process's own environment.
    pub env: Vec<(String, String)>,
    /// Its working directory, if not this process's.
    pub cwd: Option<PathBuf>,
    /// What it may use.
    pub bounds: Bounds,
}

/// What a child, and all that it starts, may use.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// How many descriptors each process may have open.
    pub open_files: Option<u64>,
    /// The `cgroup.procs` of the control group that it is to be in.
    pub group: Option<PathBuf>,
}

/// The child's standard streams. Dropping `stdin` is how it learns that no more will come.
#[derive(Debug)]
pub struct Pipes {
    /// The child reads this.
    pub stdin: ChildStdin,
    /// The child's output.
    pub stdout: ChildStdout,
    /// The child's errors.
    pub stderr: ChildStderr,
}

/// A running child behind its lifeline. Dropping it kills the child and all that it has started.
#[derive(Debug)]
pub struct Lifeline {
    lifeline: ProcessId,
    child: ProcessId,
    orders: OwnedWriteHalf,
    ending: watch::Receiver<Option<Ending>>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The working directory cannot be used.
    #[error("cannot enter directory `{}`", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The lifeline itself could not be started.
    #[error("cannot start the lifeline `{}`", exe.display())]
    Spawn {
        /// The program that should have the role.
        exe: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The command could not be executed.
    #[error("cannot run `{program}`: {reason}")]
    Command {
        /// The command's first word.
        program: String,
        /// What the system told the lifeline.
        reason: String,
    },
    /// The lifeline ended, or stayed silent for 10 s, before it reported anything.
    #[error("the lifeline for `{program}` did not report a start")]
    Silent {
        /// The command's first word.
        program: String,
    },
}

// === impl Lifeline ===

impl Lifeline {
    /// Starts a lifeline and, through it, the command. The caller should be a subreaper
    /// ([`crate::become_subreaper`]), and then have no other children than lifelines.
    ///
    /// # Errors
    /// When the command was not executed; nothing runs then.
    pub async fn spawn(launch: Launch) -> Result<(Self, Pipes), LaunchError> {
        if let Some(path) = &launch.cwd {
            let fail = |source| LaunchError::Directory { path: path.clone(), source };
            // The dot asks for what entering needs: a directory, and the permission to search it.
            tokio::fs::metadata(path.join(".")).await.map_err(fail)?;
        }
        let (mut process, control) = start(&launch)
            .map_err(|source| LaunchError::Spawn { exe: launch.paramedic_exe.clone(), source })?;
        let silent = || LaunchError::Silent { program: launch.program.clone() };
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err(silent());
        };
        let lifeline =
            process.id().and_then(|pid| ProcessId::of(i32::try_from(pid).ok()?)).ok_or_else(silent)?;
        let (reports, orders) = control.into_split();
        let mut reports = BufReader::new(reports);
        let first = tokio::time::timeout(START_DEADLINE, next_report(&mut reports)).await;
        let child = match first {
            Ok(Some(Report::Started(child))) => child,
            Ok(Some(Report::Failed(reason))) => {
                // It ends by itself; this only reaps it.
                let _ = process.wait().await;
                return Err(LaunchError::Command { program: launch.program, reason });
            }
            Ok(Some(Report::Ended(_)) | None) | Err(_) => {
                let _ = process.kill().await;
                return Err(silent());
            }
        };
        running().push(lifeline.pid);
        let (sender, ending) = watch::channel(None);
        tokio::spawn(watch_over(process, lifeline, child, reports, sender));
        Ok((Self { lifeline, child, orders, ending }, Pipes { stdin, stdout, stderr }))
    }

    /// The command's process.
    pub fn child(&self) -> ProcessId {
        self.child
    }

    /// The lifeline's own process.
    pub fn process(&self) -> ProcessId {
        self.lifeline
    }

    /// Asks the child's process group to end (SIGTERM).
    pub fn terminate(&self) {
        self.order(TERMINATE);
    }

    /// Ends the child and everything that it has started (SIGKILL). A lifeline that does not obey within 5 s, because
    /// it is stopped itself, is killed, which has the same effect.
    pub fn kill(&self) {
        self.order(KILL);
        let (lifeline, mut ending) = (self.lifeline, self.ending.clone());
        tokio::spawn(async move {
            let ended = ending.wait_for(Option::is_some);
            if tokio::time::timeout(KILL_GRACE, ended).await.is_err()
                && let Err(error) = send(lifeline, Signal::KILL)
            {
                tracing::error!(pid = lifeline.pid, %error, "a lifeline that does not obey cannot be killed");
            }
        });
    }

    /// Waits until the child and everything that it has started have ended, and tells how the child did.
    pub async fn ended(&self) -> Ending {
        let mut ending = self.ending.clone();
        // The sender always sends before it is dropped, unless the runtime goes away; then nobody waits either.
        let ended = ending.wait_for(Option::is_some).await;
        ended.ok().and_then(|ending| *ending).unwrap_or(Ending::Signaled(Signal::KILL.as_raw()))
    }

    /// One byte always finds room in an empty socket; a lifeline that is gone needs no order.
    fn order(&self, word: u8) {
        let _ = self.orders.try_write(&[word]);
    }
}

fn start(launch: &Launch) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let number = theirs.as_raw_fd();
    let mut command = std::process::Command::new(&launch.paramedic_exe);
    command
        .args(["lifeline", "--control-fd", &number.to_string(), "--", &launch.program])
        .args(&launch.args)
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .envs(launch.bounds.open_files.map(|count| (OPEN_FILES, count.to_string())))
        .envs(launch.bounds.group.as_ref().map(|file| (GROUP, file)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(cwd) = &launch.cwd {
        command.current_dir(cwd);
    }
    inherit::limit(&mut command, Standing::Session, Some(number));
    let process = Command::from(command).spawn()?;
    // Only the lifeline has the other end now: its end is seen as end of file.
    drop(theirs);
    Ok((process, UnixStream::from_std(ours)?))
}

async fn watch_over(
    mut process: Child,
    lifeline: ProcessId,
    child: ProcessId,
    mut reports: BufReader<OwnedReadHalf>,
    ending: watch::Sender<Option<Ending>>,
) {
    let ended = match next_report(&mut reports).await {
        Some(Report::Ended(ended)) => {
            ending.send_replace(Some(ended));
            Some(ended)
        }
        Some(Report::Started(_) | Report::Failed(_)) | None => None,
    };
    if let Err(error) = process.wait().await {
        tracing::error!(pid = lifeline.pid, %error, "a lifeline cannot be waited for");
    }
    running().retain(|pid| *pid != lifeline.pid);
    if ended.is_none() {
        tracing::error!(pid = lifeline.pid, "the lifeline was killed: ending what is left of its child");
        // The kernel kills the child when the lifeline ends, and so this is short, unless the child hangs in it.
        if !matches!(tokio::time::timeout(KILL_GRACE, wait::ended(child)).await, Ok(Ok(()))) {
            tracing::error!(pid = child.pid, "the child did not end with its lifeline");
        }
        let left = tokio::task::spawn_blocking(sweep).await.unwrap_or_default();
        if !left.is_empty() {
            tracing::error!(?left, "processes outlived their lifeline");
        }
        ending.send_replace(Some(Ending::Signaled(Signal::KILL.as_raw())));
    }
}

/// Kills and reaps what fell to this process when one of its lifelines was killed. Without the role of a subreaper
/// nothing falls to it, and nothing may be touched.
fn sweep() -> Vec<ProcessId> {
    if !matches!(rustix::process::child_subreaper(), Ok(Some(_))) {
        return Vec::new();
    }
    let own = ProcessId::current().pid;
    let ours = running().clone();
    let proc_root = Path::new("/proc");
    let protected: Vec<i32> = ours
        .iter()
        .flat_map(|lifeline| descendants(proc_root, *lifeline).into_iter().map(|process| process.pid))
        .chain(ours.iter().copied())
        .collect();
    let mut adopted = Vec::new();
    let left = kill_until_none(|| {
        let mut found = descendants(proc_root, own);
        found.retain(|process| !protected.contains(&process.pid));
        adopted.extend(found.iter().filter_map(|process| Pid::from_raw(process.pid)));
        found
    });
    for pid in adopted {
        // ECHILD: it belonged to another of the killed processes, or was seen twice.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
    left
}

async fn next_report(reports: &mut BufReader<OwnedReadHalf>) -> Option<Report> {
    let mut line = String::new();
    // The other end is our own program, and its longest line is the reason of a failed start.
    reports.read_line(&mut line).await.ok().filter(|bytes| *bytes > 0)?;
    serde_json::from_str(&line).ok()
}

fn running() -> std::sync::MutexGuard<'static, Vec<i32>> {
    // The list is a plain vector: whoever panicked while holding it left it whole.
    RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
