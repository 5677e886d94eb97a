//! Tests background jobs: they outlive the statement and what it tells, and nobody is left when they have ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use process::{ProcessId, Signal, send};
use runner::{
    BackgroundEnd, End, Recovery, StateFile, attach, background_over, end_background, recover, settle, start,
};

use crate::crash::of_unit;
use crate::ending::{assert_gone, printed};
use crate::session::{Done, Session, block_on, program, wait_until};

/// A job that says its number and goes on until it is ended.
const LASTING: &str = "(while :; do sleep 0.01; echo tick; done) & echo $!";

/// Runs a statement of which the jobs may run on, for so long.
fn run_for(session: &mut Session, statement: &str, limit: Duration) -> Done {
    session.run_as(statement, |intent| intent.background_ms = Some(limit.as_millis() as u64))
}

fn run(session: &mut Session, statement: &str) -> Done {
    run_for(session, statement, Duration::from_secs(3_600))
}

fn keeper(folder: &Path) -> ProcessId {
    serde_json::from_slice(&fs::read(folder.join("runner.json")).unwrap()).unwrap()
}

fn stdout(folder: &Path) -> String {
    fs::read_to_string(folder.join("stdout")).unwrap()
}

/// The first number that the unit printed.
fn job(done: &Done) -> i32 {
    done.text().lines().find_map(|line| line.parse().ok()).unwrap()
}

#[track_caller]
fn assert_over(folder: &Path) {
    assert_eq!(of_unit(folder), [] as [i32; 0]);
    assert!(!keeper(folder).is_alive());
}

#[test]
fn a_job_outlives_its_statement_and_its_output_goes_on() {
    let mut session = Session::new();
    let begun = Instant::now();
    let done = run(&mut session, LASTING).ok();
    assert!(begun.elapsed() < Duration::from_secs(10), "the statement does not wait for its job");
    assert_eq!(done.outcome.background_ms, Some(3_600_000));
    assert!(ProcessId::of(job(&done)).is_some_and(|job| job.is_alive()));
    assert_eq!(recover(&done.folder).unwrap(), Recovery::Finished(done.outcome.clone()));
    let before = done.outcome.stdout_bytes;
    wait_until(|| fs::metadata(done.folder.join("stdout")).unwrap().len() > before + 50);
    // The next statement goes on where the shell was.
    assert_eq!(session.run("echo next").ok().text(), "next\n");

    let background = block_on(end_background(&done.folder)).unwrap();
    assert_eq!((background.end, background.truncated), (BackgroundEnd::Told, false));
    assert!(background.ended_ms > done.outcome.finished_ms);
    assert_over(&done.folder);
    assert_gone(&[job(&done)]);
    assert!(stdout(&done.folder).ends_with("tick\n"));
    // Neither another word nor another question changes anything.
    assert_eq!(block_on(end_background(&done.folder)).unwrap(), background);
    assert_eq!(recover(&done.folder).unwrap(), Recovery::Finished(done.outcome));
}

#[test]
fn a_job_that_ends_is_over() {
    let mut session = Session::new();
    let go = session.path().join("go");
    let statement =
        format!("(until [ -e {} ]; do sleep 0.01; done; echo bye) & (setsid sleep 0.05 &)", go.display());
    let done = run(&mut session, &statement).ok();
    assert_eq!(done.text(), "");
    fs::write(go, "").unwrap();
    block_on(background_over(&done.folder)).unwrap();
    assert_eq!(stdout(&done.folder), "bye\n");
    assert_over(&done.folder);
    let background = block_on(end_background(&done.folder)).unwrap();
    assert_eq!(background.end, BackgroundEnd::ByItself);
}

#[test]
fn a_job_that_has_ended_before_its_statement_is_nothing() {
    let mut session = Session::new();
    let done = run(&mut session, "sleep 0.01 & wait; echo done").ok();
    assert_eq!((done.outcome.background_ms, done.text().as_str()), (None, "done\n"));
    assert_over(&done.folder);
}

#[test]
fn at_its_limit_a_job_is_ended() {
    let mut session = Session::new();
    let statement = "sleep 600 & echo $!; (setsid sleep 600 >/dev/null 2>&1 & echo $!)";
    let done = run_for(&mut session, statement, Duration::from_millis(200)).ok();
    block_on(background_over(&done.folder)).unwrap();
    assert_gone(&printed(&done));
    assert_over(&done.folder);
    let background = block_on(end_background(&done.folder)).unwrap();
    assert_eq!(background.end, BackgroundEnd::Limit);
}

#[test]
fn a_job_that_does_not_care_is_killed() {
    let mut session = Session::new();
    let ready = session.path().join("ready");
    let statement = format!("(trap '' TERM; : > {}; while :; do sleep 1; done) & echo $!", ready.display());
    let done = run(&mut session, &statement).ok();
    wait_until(|| ready.exists());
    let begun = Instant::now();
    assert_eq!(block_on(end_background(&done.folder)).unwrap().end, BackgroundEnd::Told);
    assert!(begun.elapsed() >= Duration::from_secs(2), "it had its two seconds");
    assert_gone(&printed(&done));
    assert_over(&done.folder);
}

/// Its word is not heard, so what it kept is found by its mark.
#[test]
fn what_a_killed_keeper_has_left_is_ended_all_the_same() {
    for signal in [Signal::KILL, Signal::STOP] {
        if signal == Signal::STOP && std::env::var_os("PARAMEDIC_TEST_ALL").is_none() {
            println!("SKIPPED: a keeper that is stopped takes 15 s; PARAMEDIC_TEST_ALL is not set");
            continue;
        }
        let mut session = Session::new();
        let done = run(&mut session, LASTING).ok();
        send(keeper(&done.folder), signal).unwrap();
        if signal == Signal::KILL {
            block_on(background_over(&done.folder)).unwrap();
        }
        assert_eq!(recover(&done.folder).unwrap(), Recovery::Finished(done.outcome.clone()));
        assert_eq!(block_on(end_background(&done.folder)).unwrap().end, BackgroundEnd::Lost);
        assert_gone(&[job(&done)]);
        assert_over(&done.folder);
    }
}

#[test]
fn whenever_a_runner_is_killed_nothing_of_its_job_is_left() {
    let mut session = Session::new();
    let moments = ["claim", "runner.json", "stdout", "outcome.json"];
    for round in 0..16 {
        let (folder, mut intent) = session.next(LASTING);
        intent.background_ms = Some(60_000);
        runner::prepare(&folder, &intent).unwrap();
        let process = start(&program(), &folder).unwrap();
        let moment = folder.join(moments[round % moments.len()]);
        wait_until(|| moment.symlink_metadata().is_ok());
        for _ in 0..round * 2_000 {
            std::hint::spin_loop();
        }
        send(process, Signal::KILL).unwrap();
        match block_on(attach(&folder, process)).unwrap() {
            Recovery::Finished(outcome) => {
                assert_eq!(outcome.background_ms, Some(60_000));
                block_on(background_over(&folder)).unwrap();
                assert_eq!(block_on(end_background(&folder)).unwrap().end, BackgroundEnd::Lost);
            }
            recovery => assert_eq!(recovery, Recovery::Interrupted),
        }
        assert_eq!(of_unit(&folder), [] as [i32; 0], "killed at {}", moment.display());
    }
}

#[test]
fn output_over_the_limit_is_dropped_for_jobs_too() {
    let mut session = Session::new();
    let statement =
        "echo first; (until [ -e \"$TMPDIR/go\" ]; do sleep 0.01; done; head -c 100000 /dev/zero) &";
    let done = session
        .run_as(statement, |intent| {
            intent.background_ms = Some(60_000);
            intent.output_bytes_max = 100;
        })
        .ok();
    assert!(!done.outcome.truncated);
    fs::write(session.path().join("go"), "").unwrap();
    block_on(background_over(&done.folder)).unwrap();
    let background = block_on(end_background(&done.folder)).unwrap();
    assert_eq!((background.end, background.truncated), (BackgroundEnd::ByItself, true));
    assert_eq!(fs::read(done.folder.join("stdout")).unwrap().len(), 100);
}

/// What is cut short has no jobs.
#[test]
fn a_statement_that_runs_too_long_ends_with_its_jobs() {
    let mut session = Session::new();
    let done = session.run_as("sleep 600 & echo $!; sleep 600", |intent| {
        intent.timeout_ms = 300;
        intent.background_ms = Some(60_000);
    });
    assert_eq!((&done.outcome.end, done.outcome.background_ms), (&End::TimedOut, None));
    assert_gone(&printed(&done));
    assert_over(&done.folder);
}

#[test]
fn a_job_is_no_part_of_the_state() {
    let mut session = Session::new();
    let done = run(&mut session, "x=1; (x=2; sleep 600) & echo $!").ok();
    assert_eq!(done.outcome.state, StateFile::Saved);
    assert_eq!(session.run("echo $x").ok().text(), "1\n");
    block_on(end_background(&done.folder)).unwrap();
    assert_gone(&printed(&done));
}

/// Is nothing as a test; the one below runs it in a process of its own, which starts a unit and is killed.
#[test]
fn engine_of_jobs_that_dies() {
    let Some(folder) = std::env::var_os("RUNNER_TEST_ENGINE_OF_JOBS") else { return };
    start(&program(), Path::new(&folder)).unwrap();
    println!("\nstarted");
    std::thread::park();
}

#[test]
fn another_engine_finds_the_job_and_ends_it() {
    use std::io::{BufRead, BufReader};

    let mut session = Session::new();
    let (folder, mut intent): (PathBuf, _) = session.next(LASTING);
    intent.background_ms = Some(60_000);
    runner::prepare(&folder, &intent).unwrap();
    let mut engine = Command::new(program())
        .args(["--exact", "background::engine_of_jobs_that_dies", "--nocapture"])
        .env("RUNNER_TEST_ENGINE_OF_JOBS", &folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(engine.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(output.any(|line| line == "started"));
    wait_until(|| folder.join("runner.json").exists());
    engine.kill().unwrap();
    engine.wait().unwrap();

    let recovery = block_on(settle(&folder)).unwrap();
    let Recovery::Finished(outcome) = recovery else { panic!("{recovery:?}") };
    assert_eq!(outcome.background_ms, Some(60_000));
    wait_until(|| stdout(&folder).lines().count() > 5);
    assert_eq!(block_on(end_background(&folder)).unwrap().end, BackgroundEnd::Told);
    assert_over(&folder);
}
