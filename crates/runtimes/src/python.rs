//! Owns where the threads of a Python process are: names of functions, files and lines, and no value of any variable.

use std::sync::mpsc;
use std::thread;

use diagnosis::{Finding, kind};
use py_spy::config::LockingStrategy;
use py_spy::{Config, Frame, PythonSpy, StackTrace};

use crate::WITHIN;

const FRAMES_MAX: usize = 8;
const THREADS_MAX: usize = 4;
/// Paths in messages; the end of one says which file it is.
const FILE_CHARS_MAX: usize = 60;

/// The stacks of a process, the main thread first; none where they cannot be read.
pub(crate) fn found(pid: i32, server: &str) -> Option<Finding> {
    let (to, from) = mpsc::channel();
    // What is read may be half changed meanwhile, and leads the reader astray: it has a thread of its own, which may also
    // fail alone.
    thread::Builder::new()
        .name("python-stacks".to_owned())
        .spawn(move || {
            let _ = to.send(stacks(pid));
        })
        .ok()?;
    finding(pid, server, &from.recv_timeout(WITHIN).ok()??)
}

fn stacks(pid: i32) -> Option<Vec<StackTrace>> {
    let config = Config { blocking: LockingStrategy::NonBlocking, ..Config::default() };
    PythonSpy::new(pid, &config).ok()?.get_stack_traces().ok()
}

fn finding(pid: i32, server: &str, stacks: &[StackTrace]) -> Option<Finding> {
    let mut threads: Vec<&StackTrace> = stacks.iter().filter(|stack| !stack.frames.is_empty()).collect();
    // The main thread has the process's own number; behind it those that run.
    threads.sort_by_key(|stack| (stack.os_thread_id != Some(pid as u64), !stack.active));
    let first = threads.first()?.frames.first().map(place)?;
    let told: Vec<String> = threads.iter().take(THREADS_MAX).map(|stack| thread_told(stack)).collect();
    let more = threads.len().saturating_sub(THREADS_MAX);
    let more = if more > 0 { format!("; and {more} threads more") } else { String::new() };
    let message = format!("Python process {pid}: {}{more}", told.join("; "));
    Some(Finding::new(kind::STACK, server).with_value(first.as_str()).with_message(&message))
}

fn thread_told(stack: &StackTrace) -> String {
    let name = stack.thread_name.clone().unwrap_or_else(|| match stack.os_thread_id {
        Some(tid) => format!("thread {tid}"),
        None => "a thread".to_owned(),
    });
    let frames: Vec<String> = stack.frames.iter().take(FRAMES_MAX).map(place).collect();
    let deeper = if stack.frames.len() > FRAMES_MAX { " < …" } else { "" };
    let does = if stack.active { "runs" } else { "waits" };
    format!("{name} {does} in {}{deeper}", frames.join(" < "))
}

fn place(frame: &Frame) -> String {
    let skip = frame.filename.chars().count().saturating_sub(FILE_CHARS_MAX);
    let file: String = frame.filename.chars().skip(skip).collect();
    let cut = if skip > 0 { "…" } else { "" };
    format!("{} ({cut}{file}:{})", frame.name, frame.line)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    const SCRIPT: &str = "\
import threading, time
secret = 'hunter2'
def spin():
    while True: pass
def handle(token):
    print('ready', flush=True)
    time.sleep(600)
threading.Thread(target=spin, name='spinner', daemon=True).start()
handle('hunter2')
";

    #[test]
    fn where_each_thread_is_without_any_value() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("server.py");
        std::fs::write(&script, SCRIPT).unwrap();
        let spawned = Command::new("python3").arg(&script).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else {
            println!("SKIPPED: there is no python3");
            return;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // What is read without a pause may be half changed; the next look is another one.
        let found = (0..200).find_map(|_| {
            found(pid, "notes").filter(|one| {
                ["handle (", "server.py:7)", "spin ("].iter().all(|word| one.message().contains(word))
            })
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let found = found.expect("both threads are seen");
        assert!(!found.message().contains("hunter2"), "{found}");
        assert_eq!(super::found(pid, "notes"), None);
    }

    #[test]
    fn who_is_no_python_has_no_stacks() {
        assert_eq!(found(i32::try_from(std::process::id()).unwrap(), "notes"), None);
    }
}
