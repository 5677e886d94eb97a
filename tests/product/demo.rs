//! Tests of the demonstration: whatever ends it, it leaves no process, and wherever it can no file.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use process::Signal;
use tempfile::TempDir;

use crate::poll::eventually;
use crate::processes;
use crate::site::{self, EXE};

/// A folder for temporary files of our own, and the command of a demonstration that uses it.
fn demo() -> (TempDir, Command) {
    let folder = tempfile::Builder::new().prefix("paramedic-test-").tempdir().unwrap();
    let mut command = Command::new(EXE);
    command.arg("demo");
    site::clean(&mut command, folder.path());
    (folder, command)
}

/// Starts a demonstration, and returns once it has killed a server and Paramedic is at work.
fn in_the_middle() -> (TempDir, Child) {
    let (folder, mut command) = demo();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("step 2")), "it ended before step 2");
    // Somebody reads on, so that it is not a closed pipe that ends it.
    std::thread::spawn(move || lines.for_each(drop));
    assert!(processes::of(folder.path()).len() > 4, "serve, guards, lifelines and servers are there");
    (folder, child)
}

#[track_caller]
fn nothing_is_left(folder: &TempDir) {
    processes::gone(folder.path());
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn it_leaves_nothing() {
    let (folder, command) = demo();
    let told = site::run(command).done();
    assert_eq!(told.matches("| State | resolved |").count(), 2, "{told}");
    for words in [
        "was killed by SIGKILL. It was restarted once. Recovery was verified",
        "stopped (SIGSTOP): alive, and answering nothing",
        "Two servers down, two servers back",
    ] {
        assert!(told.contains(words), "`{words}` is missing in\n{told}");
    }
    nothing_is_left(&folder);
}

#[test]
fn it_leaves_nothing_when_terminated() {
    let (folder, mut child) = in_the_middle();
    processes::signal(i32::try_from(child.id()).unwrap(), Signal::TERM);
    eventually("the demonstration ends", || child.try_wait().unwrap());
    nothing_is_left(&folder);
}

#[test]
fn it_leaves_nothing_when_its_reader_goes_away() {
    let (folder, mut command) = demo();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    eventually("the demonstration ends", || child.try_wait().unwrap());
    nothing_is_left(&folder);
}

#[test]
fn its_processes_end_with_it_when_it_is_killed() {
    let (folder, mut child) = in_the_middle();
    child.kill().unwrap();
    child.wait().unwrap();
    processes::gone(folder.path());
}
