//! Owns the lifeline's own process: one thread, one poll loop, no runtime.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus, kill_process_group, pidfd_open,
    setrlimit, wait,
};

use super::{GROUP, KILL, OPEN_FILES, Report, TERMINATE};
use crate::ending::Ending;
use crate::identity::ProcessId;
use crate::inherit::{self, Standing};
use crate::signal::send;
use crate::tree::{become_subreaper, descendants};

/// Orphans that were handed to the lifeline and have ended wait this long, at most, to be reaped.
const REAP_EVERY: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// What cannot be killed in this time hangs in the kernel; the lifeline then reports and leaves it.
const KILL_DEADLINE: Duration = Duration::from_secs(2);
const KILL_PAUSE: Duration = Duration::from_millis(2);
/// The owner's words are single bytes; more at once only means that it repeats itself.
const WORDS_MAX: usize = 16;

/// Carries out the role: starts `command` and stays until it and everything it has started have ended.
/// `control_fd` is the descriptor of the control socket. Call it from the main thread, before any other is started:
/// the child's life hangs on this thread.
pub fn run(control_fd: i32, command: &[String]) -> ExitCode {
    let control = match control_socket(control_fd) {
        Ok(control) => control,
        Err(error) => {
            eprintln!("lifeline: no control socket at descriptor {control_fd}: {error}");
            return ExitCode::from(2);
        }
    };
    match start(command) {
        Ok((main, pidfd)) => Watch { control, main, pidfd, ending: None }.run(),
        Err(reason) => {
            report(&control, &Report::Failed(reason));
            ExitCode::FAILURE
        }
    }
}

/// A running child, seen from the lifeline.
struct Watch {
    control: UnixStream,
    main: ProcessId,
    pidfd: OwnedFd,
    ending: Option<Ending>,
}

/// What the poll loop woke up for.
enum Wake {
    Terminate,
    Kill,
    Look,
}

// === impl Watch ===

impl Watch {
    fn run(mut self) -> ExitCode {
        report(&self.control, &Report::Started(self.main));
        loop {
            match self.next() {
                Wake::Terminate => self.terminate(),
                Wake::Kill => self.kill_all(),
                Wake::Look => {}
            }
            self.reap();
            if let Some(ending) = self.ending {
                self.kill_all();
                report(&self.control, &Report::Ended(ending));
                return ExitCode::SUCCESS;
            }
        }
    }

    fn next(&self) -> Wake {
        let mut fds = [PollFd::new(&self.control, PollFlags::IN), PollFd::new(&self.pidfd, PollFlags::IN)];
        if poll(&mut fds, Some(&REAP_EVERY)).is_err() || fds[0].revents().is_empty() {
            return Wake::Look;
        }
        let mut words = [0; WORDS_MAX];
        match (&self.control).read(&mut words) {
            Ok(0) => Wake::Kill,
            Ok(n) if words[..n].contains(&KILL) => Wake::Kill,
            Ok(n) if words[..n].contains(&TERMINATE) => Wake::Terminate,
            Ok(_) => Wake::Look,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Wake::Look,
            Err(_) => Wake::Kill,
        }
    }

    /// The group bears the pid of the child, which is not free before it has been reaped, here.
    fn terminate(&self) {
        if let (None, Some(group)) = (self.ending, Pid::from_raw(self.main.pid)) {
            // ESRCH: it has just ended, which the loop will see.
            let _ = kill_process_group(group, Signal::TERM);
        }
    }

    /// Kills everything below until the kernel says that this process has no children: then nothing is left.
    fn kill_all(&mut self) {
        let own = ProcessId::current().pid;
        let deadline = Instant::now() + KILL_DEADLINE;
        while self.reap() == Children::Some && Instant::now() < deadline {
            for process in descendants(std::path::Path::new("/proc"), own) {
                // Not permitted: a set-user-id program. It is tried again until the deadline.
                let _ = send(process, Signal::KILL);
            }
            thread::sleep(KILL_PAUSE);
        }
        if self.ending.is_none() {
            self.ending = Some(Ending::Signaled(Signal::KILL.as_raw()));
        }
    }

    fn reap(&mut self) -> Children {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(None) => return Children::Some,
                Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == self.main.pid => {
                    self.ending = Some(ending(status));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Err(_) => return Children::None,
            }
        }
    }
}

/// Whether this process has children that still run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Children {
    Some,
    None,
}

fn control_socket(number: RawFd) -> io::Result<UnixStream> {
    let control = UnixStream::from(inherit::adopt(number)?);
    // The owner's end may not wait for ever on a lifeline, nor a lifeline on an owner that does not read.
    control.set_write_timeout(Some(Duration::from_secs(1)))?;
    Ok(control)
}

fn start(command: &[String]) -> Result<(ProcessId, OwnedFd), String> {
    let [program, args @ ..] = command else { return Err("no command is given".to_owned()) };
    become_subreaper().map_err(|error| format!("cannot become a subreaper: {error}"))?;
    let mut command = Command::new(program);
    command.args(args).arg0(program);
    inherit::limit(&mut command, Standing::TiedGroup, None);
    inherit::unshield(&mut command);
    bound(&mut command)?;
    let child = command.spawn().map_err(|error| error.to_string())?;
    // The pid is not reaped before `Watch` does so: neither line can meet another process.
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("the child has no pid")?;
    let main = ProcessId::of(pid.as_raw_nonzero().get()).ok_or("the child is not in /proc")?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| error.to_string())?;
    release_standard_streams().map_err(|error| format!("cannot let go of the standard streams: {error}"))?;
    Ok((main, pidfd))
}

/// Gives the child what it may use: limits are inherited from here, and a control group is entered by itself.
fn bound(command: &mut Command) -> Result<(), String> {
    command.env_remove(OPEN_FILES).env_remove(GROUP);
    if let Some(count) = std::env::var(OPEN_FILES).ok().and_then(|count| count.parse().ok()) {
        let limit = Rlimit { current: Some(count), maximum: Some(count) };
        setrlimit(Resource::Nofile, limit)
            .map_err(|error| format!("cannot limit the open files to {count}: {error}"))?;
    }
    if let Some(path) = std::env::var_os(GROUP) {
        let file = OpenOptions::new().write(true).open(&path);
        let file =
            file.map_err(|error| format!("cannot enter the group of `{}`: {error}", path.to_string_lossy()))?;
        inherit::enter(command, file);
    }
    Ok(())
}

/// The owner sees end of file when the child closes its output, and the child when the owner closes its input,
/// only if this process holds neither.
fn release_standard_streams() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(null.as_fd())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    rustix::stdio::dup2_stderr(null.as_fd())?;
    Ok(())
}

fn report(mut control: &UnixStream, report: &Report) {
    let mut line = serde_json::to_vec(report).expect("a report has no map with keys that are not strings");
    line.push(b'\n');
    // An owner that has ended reads no report.
    let _ = control.write_all(&line);
}

fn ending(status: WaitStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, Some(signal)) => Ending::Signaled(signal),
        (None, None) => Ending::Exited(-1),
    }
}
