//! Owns the tests of lifelines, with real owners, children and grandchildren.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use process::{
    Bounds, Delivery, Ending, Launch, LaunchError, Lifeline, Pipes, ProcessId, Signal, become_subreaper,
    descendants, send,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("streams_and_exit_code_arrive", streams_and_exit_code_arrive),
    ("a_signal_is_reported", a_signal_is_reported),
    ("terminate_reaches_the_group_and_kill_the_rest", terminate_reaches_the_group_and_kill_the_rest),
    (
        "what_the_child_leaves_behind_ends_before_the_report",
        what_the_child_leaves_behind_ends_before_the_report,
    ),
    ("the_child_is_bound", the_child_is_bound),
    ("a_wrong_command_is_named", a_wrong_command_is_named),
    ("dropping_ends_everything", dropping_ends_everything),
    ("the_child_inherits_nothing_else", the_child_inherits_nothing_else),
    ("a_killed_owner_leaves_nothing", a_killed_owner_leaves_nothing),
    ("a_killed_lifeline_leaves_nothing", a_killed_lifeline_leaves_nothing),
    ("a_stopped_lifeline_is_killed", a_stopped_lifeline_is_killed),
];

/// A child that starts a daemon (own session, no parent), a grandchild that ignores SIGTERM, and then waits. It
/// writes the pids of all three to files.
const FAMILY: &str = r#"
    setsid sh -c 'trap "" TERM HUP; echo $$ > daemon.tmp; mv daemon.tmp daemon; while :; do sleep 60; done' >/dev/null 2>&1 </dev/null &
    sh -c 'trap "" TERM; echo $$ > deaf.tmp; mv deaf.tmp deaf; while :; do sleep 60; done' &
    echo $$ > main.tmp; mv main.tmp main
    wait
"#;

fn launch(script: &str, folder: &Path) -> Launch {
    Launch {
        paramedic_exe: std::env::current_exe().unwrap(),
        program: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: vec![("GREETING".to_owned(), "hello".to_owned())],
        cwd: Some(folder.to_owned()),
        bounds: Bounds::default(),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn read_pid(file: &Path) -> Option<ProcessId> {
    ProcessId::of(fs::read_to_string(file).ok()?.trim().parse().ok()?)
}

#[track_caller]
fn family(folder: &Path) -> Vec<ProcessId> {
    let member = |name| eventually(name, || read_pid(&folder.join(name)));
    let members = ["main", "daemon", "deaf"].map(member).to_vec();
    assert!(members.iter().all(ProcessId::is_alive), "{members:?}");
    members
}

#[track_caller]
fn all_end(members: &[ProcessId]) {
    eventually("the family ends", || members.iter().all(|member| !member.is_alive()).then_some(()));
}

/// The role of an owner in a process of its own: `owner FOLDER SCRIPT` runs the script until it ends.
pub(crate) fn owner(args: &[String]) -> ExitCode {
    let folder = Path::new(&args[0]);
    become_subreaper().unwrap();
    block_on(async {
        let (lifeline, _pipes) = Lifeline::spawn(launch(&args[1], folder)).await.unwrap();
        fs::write(folder.join("lifeline.tmp"), lifeline.process().to_string()).unwrap();
        fs::rename(folder.join("lifeline.tmp"), folder.join("lifeline")).unwrap();
        let ending = lifeline.ended().await;
        let left = descendants(Path::new("/proc"), ProcessId::current().pid).len();
        fs::write(folder.join("result"), format!("{ending}, {left} left")).unwrap();
    });
    ExitCode::SUCCESS
}

fn start_owner(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("owner").arg(folder).arg(FAMILY).stdin(Stdio::null());
    command.spawn().unwrap()
}

fn streams_and_exit_code_arrive() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let script = "read line; echo \"$GREETING $line\"; echo oops >&2; pwd; exit 41";
        let (lifeline, pipes) = Lifeline::spawn(launch(script, folder.path())).await.unwrap();
        let Pipes { mut stdin, mut stdout, mut stderr } = pipes;
        assert!(lifeline.child().is_alive());
        stdin.write_all(b"world\n").await.unwrap();
        let (mut out, mut err) = (String::new(), String::new());
        // Both only end because the lifeline has let go of its own copies.
        stdout.read_to_string(&mut out).await.unwrap();
        stderr.read_to_string(&mut err).await.unwrap();
        assert_eq!(lifeline.ended().await, Ending::Exited(41));
        assert_eq!(out, format!("hello world\n{}\n", folder.path().display()));
        assert_eq!(err, "oops\n");
        assert!(!lifeline.child().is_alive());
        assert_eq!(send(lifeline.child(), Signal::KILL).unwrap(), Delivery::Gone);
        process::ended(lifeline.process()).await.unwrap();
    });
}

fn a_signal_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (lifeline, _pipes) = Lifeline::spawn(launch("kill -SEGV $$", folder.path())).await.unwrap();
        assert_eq!(lifeline.ended().await, Ending::Signaled(11));
        assert_eq!(lifeline.ended().await, Ending::Signaled(11), "it can be asked twice");
    });
}

fn terminate_reaches_the_group_and_kill_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (lifeline, _pipes) = Lifeline::spawn(launch(FAMILY, folder.path())).await.unwrap();
        let members = family(folder.path());
        lifeline.terminate();
        assert_eq!(lifeline.ended().await, Ending::Signaled(15), "the child does not ignore it");
        assert!(members.iter().all(|member| !member.is_alive()), "the deaf and the daemon were killed");
    });
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let script = format!("trap '' TERM; {FAMILY} while :; do sleep 60; done");
        let (lifeline, _pipes) = Lifeline::spawn(launch(&script, folder.path())).await.unwrap();
        let members = family(folder.path());
        lifeline.kill();
        assert_eq!(lifeline.ended().await, Ending::Signaled(9));
        assert!(members.iter().all(|member| !member.is_alive()));
    });
}

fn what_the_child_leaves_behind_ends_before_the_report() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let script = "setsid sleep 300 & echo $! > left; exit 3";
        let (lifeline, _pipes) = Lifeline::spawn(launch(script, folder.path())).await.unwrap();
        assert_eq!(lifeline.ended().await, Ending::Exited(3));
        let left = read_pid(&folder.path().join("left"));
        assert!(left.is_none_or(|left| !left.is_alive()), "{left:?}");
    });
}

fn the_child_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    // In place of a control group: who enters writes nought.
    let group = folder.path().join("cgroup.procs");
    fs::write(&group, "").unwrap();
    let script = "ulimit -n > limit; env > environment";
    let bounds = Bounds { open_files: Some(200), group: Some(group.clone()) };
    block_on(async {
        let bound = Launch { bounds, ..launch(script, folder.path()) };
        let (lifeline, _pipes) = Lifeline::spawn(bound.clone()).await.unwrap();
        assert_eq!(lifeline.ended().await, Ending::Exited(0));
        assert_eq!(fs::read_to_string(folder.path().join("limit")).unwrap(), "200\n");
        assert_eq!(fs::read_to_string(&group).unwrap(), "0");
        let environment = fs::read_to_string(folder.path().join("environment")).unwrap();
        for name in ["PARAMEDIC_OPEN_FILES", "PARAMEDIC_GROUP"] {
            assert!(!environment.contains(name), "{environment}");
        }

        let nowhere = Bounds { open_files: None, group: Some("/no/such/group".into()) };
        let error = Lifeline::spawn(Launch { bounds: nowhere, ..bound }).await.unwrap_err();
        assert!(error.to_string().contains("cannot enter the group of `/no/such/group`"), "{error}");
    });
}

fn a_wrong_command_is_named() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let wrong = Launch { program: "/no/such/server".to_owned(), ..launch("", folder.path()) };
        let error = Lifeline::spawn(wrong.clone()).await.unwrap_err();
        let reason = "cannot run `/no/such/server`: No such file or directory (os error 2)";
        assert_eq!(error.to_string(), reason);

        let lost = Launch { cwd: Some("/no/such/folder".into()), ..wrong.clone() };
        let error = Lifeline::spawn(lost).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot enter directory `/no/such/folder`");

        let error = Lifeline::spawn(Launch { paramedic_exe: "/no/exe".into(), ..wrong.clone() }).await;
        assert!(matches!(error, Err(LaunchError::Spawn { .. })), "{error:?}");

        let mute = Lifeline::spawn(Launch { paramedic_exe: "true".into(), ..wrong }).await;
        assert!(matches!(mute, Err(LaunchError::Silent { .. })), "{mute:?}");
    });
}

fn dropping_ends_everything() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (lifeline, _pipes) = Lifeline::spawn(launch(FAMILY, folder.path())).await.unwrap();
        let members = family(folder.path());
        drop(lifeline);
        all_end(&members);
    });
}

fn the_child_inherits_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let leak = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    block_on(async {
        // The directory that `ls` reads is a descriptor of its own.
        let (_lifeline, mut pipes) =
            Lifeline::spawn(launch("ls /proc/self/fd | wc -l", folder.path())).await.unwrap();
        let mut count = String::new();
        pipes.stdout.read_to_string(&mut count).await.unwrap();
        assert_eq!(count.trim(), "4");
    });
    drop(leak);
}

fn a_killed_owner_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = start_owner(folder.path());
    let members = family(folder.path());
    let lifeline = eventually("the lifeline", || read_pid(&folder.path().join("lifeline")));
    owner.kill().unwrap();
    assert_eq!(Ending::from(owner.wait().unwrap()), Ending::Signaled(9));
    all_end(&members);
    all_end(&[lifeline]);
}

fn a_killed_lifeline_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = start_owner(folder.path());
    let members = family(folder.path());
    let lifeline = eventually("the lifeline", || read_pid(&folder.path().join("lifeline")));
    assert_eq!(send(lifeline, Signal::KILL).unwrap(), Delivery::Delivered);
    assert!(owner.wait().unwrap().success());
    assert!(members.iter().all(|member| !member.is_alive()));
    assert_eq!(fs::read_to_string(folder.path().join("result")).unwrap(), "killed by SIGKILL, 0 left");
}

fn a_stopped_lifeline_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (lifeline, _pipes) = Lifeline::spawn(launch("sleep 300", folder.path())).await.unwrap();
        assert!(!lifeline.process().is_stopped());
        send(lifeline.process(), Signal::STOP).unwrap();
        eventually("it stops", || lifeline.process().is_stopped().then_some(()));
        lifeline.kill();
        assert_eq!(lifeline.ended().await, Ending::Signaled(9));
        assert!(!lifeline.child().is_alive());
    });
}
