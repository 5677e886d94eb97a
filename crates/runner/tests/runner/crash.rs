//! Tests that, whoever is killed and when, a statement runs at most once, and nobody is told that it did not.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use process::{ProcessId, Signal, send};
use runner::{End, Intent, Recovery, recover, start};

use crate::session::{Done, Session, block_on, program, wait_until};

/// Names the folder of the unit in the environment of the engine that dies.
const ENGINE_OF: &str = "RUNNER_TEST_ENGINE_OF";

/// A unit whose statement leaves a line whenever it is begun, and takes a moment.
fn marking(session: &mut Session) -> (std::path::PathBuf, Intent, std::path::PathBuf) {
    let (folder, mut intent) = session.next("echo begun >> \"$MARKER\"; (setsid sleep 0.02); x=1");
    let marker = folder.with_extension("marker");
    intent.environment.insert("MARKER".to_owned(), marker.to_str().unwrap().to_owned());
    (folder, intent, marker)
}

fn lines(marker: &Path) -> usize {
    fs::read_to_string(marker).unwrap_or_default().lines().count()
}

/// Returns the processes that have this unit in their environment.
pub(crate) fn of_unit(folder: &Path) -> Vec<i32> {
    let mark = format!("PARAMEDIC_UNIT={}", folder.display());
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_of_unit = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
            && ProcessId::of(*pid).is_some_and(|process| process.is_alive())
    };
    pids.filter(is_of_unit).collect()
}

#[test]
fn killed_at_any_moment_a_unit_is_begun_at_most_once() {
    let mut session = Session::new();
    let mut seen = [0; 3];
    // The file whose appearance is waited for before the kill, and how long after it.
    let moments = ["", "lock", "claim", "runner.json", "stdout", "../unit-N.marker", "outcome.json"];
    for round in 0..35 {
        let (folder, intent, marker) = marking(&mut session);
        runner::prepare(&folder, &intent).unwrap();
        let process = start(&program(), &folder).unwrap();
        let moment = moments[round % moments.len()];
        let moment = match moment {
            "../unit-N.marker" => marker.clone(),
            moment => folder.join(moment),
        };
        // The claim is a link that points nowhere.
        wait_until(|| moment.symlink_metadata().is_ok() || !process.is_alive());
        for _ in 0..round * 200 {
            std::hint::spin_loop();
        }
        send(process, Signal::KILL).unwrap();
        let recovery = block_on(runner::attach(&folder, process)).unwrap();
        let begun = lines(&marker);
        match &recovery {
            Recovery::Finished(outcome) => assert_eq!((&outcome.end, begun), (&End::Exited(0), 1)),
            Recovery::NeverStarted => assert_eq!(begun, 0),
            Recovery::Interrupted => assert!(begun <= 1),
            Recovery::Running(_) => panic!("its process has been killed"),
        }
        seen[match &recovery {
            Recovery::Finished(_) => 0,
            Recovery::NeverStarted => 1,
            _ => 2,
        }] += 1;
        assert_eq!(of_unit(&folder), [] as [i32; 0], "{recovery:?}");

        // Neither a second question nor a second start changes anything.
        assert_eq!(recover(&folder).unwrap(), recovery);
        let again = start(&program(), &folder).unwrap();
        assert_eq!(block_on(runner::attach(&folder, again)).unwrap(), recovery);
        assert_eq!(lines(&marker), begun, "{recovery:?}");
    }
    assert!(seen.iter().all(|count| *count > 0), "finished, never started, interrupted: {seen:?}");
}

#[test]
fn of_two_starts_one_runs() {
    let mut session = Session::new();
    let (folder, intent, marker) = marking(&mut session);
    runner::prepare(&folder, &intent).unwrap();
    let processes = [start(&program(), &folder).unwrap(), start(&program(), &folder).unwrap()];
    for process in processes {
        let recovery = block_on(runner::attach(&folder, process)).unwrap();
        assert!(matches!(recovery, Recovery::Finished(_) | Recovery::Running(_)), "{recovery:?}");
    }
    wait_until(|| matches!(recover(&folder).unwrap(), Recovery::Finished(_)));
    assert_eq!(lines(&marker), 1);
}

#[test]
fn engines_that_ask_meanwhile_agree() {
    let mut session = Session::new();
    for _ in 0..10 {
        let (folder, intent, marker) = marking(&mut session);
        runner::prepare(&folder, &intent).unwrap();
        let ask = || match recover(&folder).unwrap() {
            Recovery::Running(process) => block_on(runner::attach(&folder, process)).unwrap(),
            settled => settled,
        };
        let answers = thread::scope(|scope| {
            let engines = [scope.spawn(ask), scope.spawn(ask)];
            let process = start(&program(), &folder).unwrap();
            let mut answers = engines.map(|engine| engine.join().unwrap()).to_vec();
            answers.push(block_on(runner::attach(&folder, process)).unwrap());
            answers
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        match answers[0] {
            Recovery::Finished(_) => assert_eq!(lines(&marker), 1),
            _ => assert_eq!((lines(&marker), &answers[0]), (0, &Recovery::NeverStarted)),
        }
    }
}

/// Is nothing as a test; the one below runs it in a process of its own, which starts a unit and is killed.
#[test]
fn engine_that_dies() {
    let Some(folder) = std::env::var_os(ENGINE_OF) else { return };
    start(&program(), Path::new(&folder)).unwrap();
    println!("\nstarted");
    thread::park();
}

#[test]
fn a_unit_outlives_its_engine() {
    use std::io::{BufRead, BufReader};

    let mut session = Session::new();
    let go = session.path().join("go");
    let (folder, mut intent) = session.next("until [ -e \"$GO\" ]; do sleep 0.01; done; echo done");
    intent.environment.insert("GO".to_owned(), go.to_str().unwrap().to_owned());
    runner::prepare(&folder, &intent).unwrap();
    let mut engine = Command::new(program())
        .args(["--exact", "crash::engine_that_dies", "--nocapture"])
        .env(ENGINE_OF, &folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(engine.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(output.any(|line| line == "started"));
    wait_until(|| folder.join("runner.json").exists());
    engine.kill().unwrap();
    engine.wait().unwrap();

    let Recovery::Running(process) = recover(&folder).unwrap() else { panic!("it runs until it may go") };
    fs::write(go, "").unwrap();
    let done = Done::of(&folder, block_on(runner::attach(&folder, process)).unwrap()).ok();
    assert_eq!(done.text(), "done\n");
}

#[test]
fn what_was_never_prepared_never_started() {
    let mut session = Session::new();
    let (folder, intent) = session.next("echo no");
    assert_eq!(recover(&folder).unwrap(), Recovery::NeverStarted);
    runner::prepare(&folder, &intent).unwrap_err();
    let process = start(&program(), &folder).unwrap();
    assert_eq!(block_on(runner::attach(&folder, process)).unwrap(), Recovery::NeverStarted);
    let log = fs::read_to_string(folder.join("runner.log")).unwrap();
    assert!(log.contains("cannot read") && log.contains("intent.json"), "{log}");
}
