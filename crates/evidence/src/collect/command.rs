//! Owns asking programs of the machine what the kernel tells only to them: with a deadline, up to a length, and never as more
//! than what they said. Whoever has taken the machine over may have replaced them.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::Scene;
use super::hide::hide_text;
use super::out::Out;
use crate::bundle::Gathered;

/// What one says at most: a large firewall has some MiB.
const SAID_BYTES_MAX: u64 = 16 << 20;
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// How a program ended, and what it said.
pub(super) struct Said {
    pub(super) bytes: Vec<u8>,
    pub(super) problem: Option<String>,
}

/// Where a program is, of those folders in which the machine has its own.
pub(super) fn find(scene: &Scene, program: &str) -> Option<PathBuf> {
    scene.programs.iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Runs a program without any of our environment, in a process group of its own, which is killed at the deadline or where
/// nobody takes what the step finds any more.
pub(super) fn run(path: &PathBuf, arguments: &[&str], within: Duration, out: &Out) -> std::io::Result<Said> {
    /// How often is looked whether it is still wanted.
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (sender, heard) = mpsc::channel();
    let readers = [
        reader(child.stdout.take(), SAID_BYTES_MAX, 0, sender.clone()),
        reader(child.stderr.take(), COMPLAINT_BYTES_MAX, 1, sender),
    ];
    let deadline = std::time::Instant::now() + within;
    let (mut texts, mut problem) = ([Vec::new(), Vec::new()], None);
    let mut open = readers.len();
    while open > 0 {
        match heard.recv_timeout(LOOK_EVERY) {
            Ok((which, bytes)) => {
                texts[which] = bytes;
                open -= 1;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if std::time::Instant::now() >= deadline || out.is_given_up() {
                    problem = Some(format!("it was ended after {within:?}"));
                    break;
                }
            }
        }
    }
    let [bytes, complaint] = texts;
    let is_cut = bytes.len() as u64 >= SAID_BYTES_MAX;
    if problem.is_some() || is_cut {
        let group = rustix::process::Pid::from_child(&child);
        // Its group as well: what it has started holds the pipe.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let ended = child.wait()?;
    if is_cut {
        problem = Some(format!("only the first {SAID_BYTES_MAX} bytes"));
    } else if problem.is_none() && !ended.success() {
        let complaint = String::from_utf8_lossy(&complaint);
        problem = Some(format!("it ended with {ended}: {}", complaint.trim().replace('\n', "; ")));
    }
    Ok(Said { bytes, problem })
}

/// Gives what a program says as an item: where it says nothing, or is not there, that is a gap.
pub(super) fn give(
    scene: &Scene,
    out: &Out,
    item: &str,
    program: &str,
    arguments: &[&str],
    within: Duration,
) {
    let said = [&[program], arguments].concat().join(" ");
    let Some(path) = find(scene, program) else {
        out.give(Gathered::missing(item, format!("there is no program `{program}`")));
        return;
    };
    out.doing(format!("`{said}`"));
    out.give(match run(&path, arguments, within, out) {
        Err(error) => Gathered::missing(item, format!("`{said}`: {error}")),
        Ok(Said { bytes, problem: Some(problem) }) if bytes.is_empty() => {
            Gathered::missing(item, format!("`{said}`: {problem}"))
        }
        Ok(Said { bytes, problem }) => {
            let (bytes, original_sha256) = hide_text(bytes);
            Gathered { problem, original_sha256, ..Gathered::whole(item, bytes) }
        }
    });
}

fn reader(
    from: Option<impl Read + Send + 'static>,
    bytes_max: u64,
    which: usize,
    sender: mpsc::Sender<(usize, Vec<u8>)>,
) -> Option<std::thread::JoinHandle<()>> {
    let from = from?;
    let read = move || {
        let mut bytes = Vec::new();
        let _ = from.take(bytes_max).read_to_end(&mut bytes);
        // Nobody hears it after the deadline.
        let _ = sender.send((which, bytes));
    };
    std::thread::Builder::new().name("evidence command".to_owned()).spawn(read).ok()
}
