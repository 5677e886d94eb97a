//! Owns the run of a unit's shell within the runner: start, output, deadline, and the end of all that it started.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use process::{Ending, ProcessId, kill_descendants};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, wait};

use crate::folder::{Folder, STDERR, STDOUT, open_new};
use crate::keeper::Jobs;
use crate::leftovers::UNIT_VARIABLE;
use crate::output::Output;
use crate::{End, Error, Intent, Outcome, Shell, StateFile, clock, read_only, state};

/// How long a unit that ran too long has to end by itself.
pub(crate) const TERM_GRACE: Duration = Duration::from_secs(2);

/// How long a killed shell is waited for: only one that the kernel holds needs more than a moment.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// How far the end of a unit that ran too long has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Terminated,
    Killed,
}

/// A shell that was started, and the files that its output goes to.
struct Started {
    child: Child,
    stdout: File,
    stderr: File,
}

/// A unit's shell, being watched.
struct Watch {
    child: Child,
    pidfd: OwnedFd,
    stdout: Output,
    stderr: Output,
    stage: Stage,
}

/// Runs the shell of a unit to its end. This process must be a subreaper. What is left in the background, where that
/// may run on, is handed to the caller.
pub(crate) fn run(folder: &Folder, intent: &Intent) -> Result<(Outcome, Option<Jobs>), Error> {
    let started_ms = clock::now_ms();
    match start(folder, intent) {
        Ok(started) => watch(folder, intent, started, started_ms)
            .map_err(|source| Error::Watch { folder: folder.path().to_owned(), source }),
        Err(reason) => {
            let outcome = Outcome {
                started_ms,
                finished_ms: clock::now_ms(),
                end: End::NotStarted(reason),
                stdout_bytes: 0,
                stderr_bytes: 0,
                truncated: false,
                state: StateFile::Missing,
                background_ms: None,
            };
            Ok((outcome, None))
        }
    }
}

/// Starts the shell. An error is why there is none; then nothing was run.
fn start(folder: &Folder, intent: &Intent) -> Result<Started, String> {
    if let Some(before) = &intent.state_before
        && !state::is_complete(before)
    {
        return Err("the state of the unit before is missing or damaged".to_owned());
    }
    let open =
        |name| open_new(&folder.file(name)).map_err(|error| format!("cannot create `{name}`: {error}"));
    let (stdout, stderr) = (open(STDOUT)?, open(STDERR)?);
    let mut command = match intent.shell {
        Shell::Bash => {
            state::write_scripts(folder, intent)
                .map_err(|error| format!("cannot write the unit's script: {error}"))?;
            let mut command = Command::new("bash");
            command.args(["--noprofile", "--norc", state::UNIT_FILE]).current_dir(folder.path());
            command
        }
        Shell::Sh => {
            let mut command = Command::new("sh");
            command.args(["-c", "--", &intent.statement]).current_dir(&intent.directory);
            command
        }
    };
    command
        .env_clear()
        .envs(&intent.environment)
        .env(UNIT_VARIABLE, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child =
        spawn(&mut command, folder, intent).map_err(|error| format!("cannot start the shell: {error}"))?;
    Ok(Started { child, stdout, stderr })
}

fn spawn(command: &mut Command, folder: &Folder, intent: &Intent) -> io::Result<Child> {
    let Some(writable) = &intent.writable else { return command.spawn() };
    let own = [Some(folder.path()), intent.state_after.parent()].into_iter().flatten().map(Path::to_owned);
    let writable: Vec<PathBuf> = own.chain(writable.iter().cloned()).collect();
    if !intent.environment.contains_key("TMPDIR") {
        command.env("TMPDIR", folder.path());
    }
    let (child, problem) = read_only::start(command, &writable)?;
    if let Some(problem) = problem {
        let _ = writeln!(io::stderr(), "the unit may write everywhere: {problem}");
    }
    Ok(child)
}

fn watch(
    folder: &Folder,
    intent: &Intent,
    started: Started,
    started_ms: i64,
) -> io::Result<(Outcome, Option<Jobs>)> {
    let mut watch = started.watch(intent.output_bytes_max)?;
    let ending = watch.until_end(intent.timeout())?;
    let may_stay = watch.stage == Stage::Running && matches!(ending, Some(Ending::Exited(_)));
    let limit = intent.background().filter(|_| may_stay && reap() == Children::Some);
    if limit.is_none() {
        end_descendants();
    }
    // Whoever held the pipes has ended, so this is all; or it is what the shell has printed, and a bit of its jobs.
    watch.stdout.drain();
    watch.stderr.drain();

    let state = match intent.shell {
        Shell::Bash => state::keep_new(intent),
        Shell::Sh => state::keep_old(intent),
    };
    let end = match (watch.stage, ending) {
        (Stage::Running, Some(Ending::Exited(code))) => {
            state::refusal(folder).map_or(End::Exited(code), End::NotStarted)
        }
        (Stage::Running, Some(Ending::Signaled(signal))) => End::Signaled(signal),
        _ => End::TimedOut,
    };
    let outcome = Outcome {
        started_ms,
        finished_ms: clock::now_ms(),
        end,
        stdout_bytes: watch.stdout.bytes(),
        stderr_bytes: watch.stderr.bytes(),
        truncated: watch.stdout.is_truncated() || watch.stderr.is_truncated(),
        state,
        background_ms: limit.and(intent.background_ms),
    };
    Ok((outcome, limit.map(|limit| Jobs { stdout: watch.stdout, stderr: watch.stderr, limit })))
}

// === impl Started ===

impl Started {
    fn watch(mut self, output_bytes_max: u64) -> io::Result<Watch> {
        let stdout = self.child.stdout.take().expect("standard output is piped").into();
        let stderr = self.child.stderr.take().expect("standard error is piped").into();
        Ok(Watch {
            pidfd: pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?,
            stdout: Output::new(stdout, self.stdout, output_bytes_max)?,
            stderr: Output::new(stderr, self.stderr, output_bytes_max)?,
            child: self.child,
            stage: Stage::Running,
        })
    }
}

// === impl Watch ===

impl Watch {
    /// Copies the output until the shell has ended. `None` if it could not even be killed.
    fn until_end(&mut self, timeout: Duration) -> io::Result<Option<Ending>> {
        let mut deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                match self.escalate() {
                    Some(grace) => deadline = Instant::now() + grace,
                    None => return Ok(None),
                }
                continue;
            }
            if self.wait(left)? {
                return Ok(Some(self.child.wait()?.into()));
            }
        }
    }

    /// Waits for output or the end, and copies output. Returns whether the shell has ended.
    fn wait(&mut self, left: Duration) -> io::Result<bool> {
        let sources = [Some(self.pidfd.as_fd()), self.stdout.source(), self.stderr.source()];
        let ready = ready(sources, left)?;
        if ready[1] {
            self.stdout.pump();
        }
        if ready[2] {
            self.stderr.pump();
        }
        Ok(ready[0])
    }

    /// Takes the next step to end the unit, and returns how long it has for it.
    fn escalate(&mut self) -> Option<Duration> {
        let (stage, signal, grace) = match self.stage {
            Stage::Running => (Stage::Terminated, Signal::TERM, TERM_GRACE),
            Stage::Terminated => (Stage::Killed, Signal::KILL, KILL_GRACE),
            Stage::Killed => return None,
        };
        self.stage = stage;
        // The group is named by the shell, which we have not reaped: nobody else can have its number. Without
        // a group left there is nobody to signal.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
        Some(grace)
    }
}

/// Says which sources can be read, after at most `left`.
pub(crate) fn ready(sources: [Option<BorrowedFd<'_>>; 3], left: Duration) -> io::Result<[bool; 3]> {
    // At most a week, so that the numbers fit.
    let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
    let mut places = [None; 3];
    let mut fds = Vec::with_capacity(sources.len());
    for (place, source) in places.iter_mut().zip(&sources) {
        if let Some(source) = source {
            *place = Some(fds.len());
            fds.push(PollFd::new(source, PollFlags::IN));
        }
    }
    match poll(&mut fds, Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(places.map(|place| place.is_some_and(|place| !fds[place].revents().is_empty())))
}

/// Ends what the shell left running. As a subreaper this process has no descendants once it has no children, and
/// that is asked first: to look through all processes takes milliseconds.
pub(crate) fn end_descendants() {
    if reap() == Children::None {
        return;
    }
    for left in kill_descendants(ProcessId::current().pid) {
        let _ = writeln!(io::stderr(), "process {left} of the unit cannot be ended");
    }
    reap();
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Children {
    None,
    Some,
}

fn reap() -> Children {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return Children::Some,
            Err(_) => return Children::None,
        }
    }
}
