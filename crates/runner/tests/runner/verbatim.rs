//! Tests that a statement acts as it does in a script of its own, in a clean environment.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::{fs, io};

use runner::{End, Error, StateFile};

use crate::session::{Session, program};

/// Runs the statement as a unit and as a script, and compares all that can be seen from outside.
#[track_caller]
fn check(statement: &str) {
    let mut session = Session::new();
    let script = session.path().join("unit");
    fs::write(&script, statement).unwrap();
    let plain = Command::new("bash")
        .args(["--noprofile", "--norc", "unit"])
        .current_dir(session.path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let done = session.run(statement);
    assert_eq!(done.text(), String::from_utf8_lossy(&plain.stdout), "{statement}");
    // Only the name of the syntax checker differs.
    assert_eq!(
        done.stderr.replace("unit: eval:", "unit:"),
        String::from_utf8_lossy(&plain.stderr),
        "{statement}"
    );
    let end = plain.status.code().map_or(End::Signaled(9), End::Exited);
    assert_eq!(done.outcome.end, end, "{statement}");
}

#[test]
fn acts_as_in_a_script() {
    for statement in [
        "",
        "# only a comment",
        "exit 3",
        "false",
        "f() { exit 4; }; f; echo no",
        "return 3; echo \"after $?\"",
        "set -e; false; echo no",
        "set -e; false || true; ! true; echo on; (exit 5); echo no",
        "set -u; echo \"$nope\"",
        "set -eo pipefail; false | true; echo no",
        "echo one\nnosuchcommand two\necho three >&2",
        "cat <<E\n$0 '$1' $(echo sub)\nE",
        "cat <<'E'\n$x `y` \\\nE",
        "cat <<<\"here $LINENO\"\necho $LINENO",
        "for i in 1 2 3; do\n  echo $i\n  [ $i = 2 ] && break\ndone",
        "if then",
        "echo 'unterminated",
        "echo \"$#\" \"$@\" \"$0\"",
        "kill -KILL $$",
        "trap 'echo term' TERM; kill -TERM $$; echo on",
        "exec echo replaced",
        "echo -n no line feed",
        "read -r x; echo \"$? ${x-unset}\"",
        "x=(1 2); echo \"${x[@]:1}\" ${#x[@]} $((1 + 2)) {a,b}",
        "coproc cat; echo x >&\"${COPROC[1]}\"; read -r y <&\"${COPROC[0]}\"; echo $y",
        "true & wait $!; echo $?; sleep 0 | cat; echo \"${PIPESTATUS[@]}\"",
        "shopt -s expand_aliases\nalias hi='echo hi'\nhi",
        "-x",
        "echo é $'\\xff'",
    ] {
        check(statement);
    }
}

#[test]
fn the_environment_is_the_intents() {
    let mut session = Session::new();
    let done = session.run("env -0 | sort -z | tr '\\0' '\\n' | sed 's/=.*//' | tr '\\n' ' '").ok();
    assert_eq!(done.text(), "PARAMEDIC_UNIT PATH PORT PWD SHLVL TMPDIR _ ");
    let done = session.run("env | sed 's/=.*//' | sort | tr '\\n' ' '; echo; ls /proc/self/fd | wc -l").ok();
    assert_eq!(
        done.text(),
        "PARAMEDIC_UNIT PATH PORT PWD SHLVL TMPDIR _ \n4\n",
        "no descriptor is inherited"
    );
}

#[test]
fn a_value_is_never_code() {
    let mut session = Session::new();
    let folder = session.path().to_owned();
    let hostile = "'; touch pwned; echo \"$(touch pwned)`touch pwned` $PORT\n*";
    let done = session.run_as("printf %s \"$PORT\"", |intent| {
        intent.environment.insert("PORT".to_owned(), hostile.to_owned());
        intent.directory.clone_from(&folder);
    });
    assert_eq!(done.text(), hostile);
    assert_eq!(session.run("printf %s \"$PORT\"").text(), hostile);
    assert!(!folder.join("pwned").exists());
}

#[test]
fn files_are_the_owners_alone() {
    let mut session = Session::new();
    let done = session.run("umask 000; echo x; echo y >&2").ok();
    assert_eq!(fs::metadata(&done.folder).unwrap().permissions().mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&done.folder).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_type().unwrap().is_symlink() {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        }
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let expect =
        "claim intent.json lock outcome.json prelude.bash runner.json runner.log scratch stderr stdout unit";
    assert_eq!(names.join(" "), expect);
    assert_eq!(fs::read_to_string(done.folder.join("stderr")).unwrap(), "y\n");
    let started = done.outcome.started_ms;
    assert!(started > 1_600_000_000_000 && (0..60_000).contains(&(done.outcome.finished_ms - started)));
}

#[test]
fn refuses_an_intent_that_cannot_be_run_as_it_is() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut runner::Intent), expect: &str) {
        let (folder, mut intent) = Session::new().next("echo no");
        change(&mut intent);
        assert_eq!(runner::prepare(&folder, &intent).unwrap_err().to_string(), expect);
        assert!(!folder.exists());
    }
    fn set(intent: &mut runner::Intent, name: &str, value: &str) {
        intent.environment.insert(name.to_owned(), value.to_owned());
    }
    check(|intent| intent.statement = "a\0b".to_owned(), "the `statement` of the unit has a NUL byte");
    check(
        |intent| intent.statement = "x".repeat(98_305),
        "the `statement` of the unit is longer than 96 KiB",
    );
    check(|intent| intent.timeout_ms = u64::MAX, "the `timeout_ms` of the unit is longer than a week");
    check(|intent| intent.directory = "tmp".into(), "the `directory` of the unit is not an absolute path");
    check(|intent| intent.state_after = "x".into(), "the `state_after` of the unit is not an absolute path");
    check(|intent| set(intent, "BASH_ENV", "/x"), "the variable `BASH_ENV` of the unit belongs to the shell");
    check(
        |intent| set(intent, "A-B", ""),
        "the variable `A-B` of the unit is not named like a shell variable",
    );
    check(|intent| set(intent, "1A", ""), "the variable `1A` of the unit is not named like a shell variable");
    check(|intent| set(intent, "A", "x\0"), "the variable `A` of the unit has a NUL byte");
    check(
        |intent| set(intent, "A", &"x".repeat(98_304)),
        "the variable `A` of the unit is longer than 96 KiB",
    );
    check(
        |intent| (0..11).for_each(|n| set(intent, &format!("A{n:02}"), &"x".repeat(98_000))),
        "the variable `A10` of the unit makes the environment larger than 1 MiB",
    );
}

#[test]
fn the_largest_intent_runs() {
    let mut session = Session::new();
    let statement = format!("echo ${{#A}} # {}", "'".repeat((96 << 10) - 13));
    let done = session.run_as(&statement, |intent| {
        for n in 0..9 {
            intent.environment.insert(format!("A{n}"), "\u{1}".repeat(98_000));
        }
        intent.environment.insert("A".to_owned(), "é".repeat(49_000));
    });
    assert_eq!(done.ok().text(), "98000\n");
}

#[test]
fn a_folder_is_used_once() {
    let mut session = Session::new();
    let done = session.run("echo once").ok();
    let (_, intent) = session.next("echo twice");
    let error = runner::prepare(&done.folder, &intent).unwrap_err();
    assert!(matches!(error, Error::Taken { .. }), "{error}");
    let (folder, intent) = session.next("echo no");
    let error = runner::prepare(&folder.join("deeper"), &intent).unwrap_err();
    assert!(matches!(error, Error::File { action: "create", .. }), "{error}");
}

#[test]
fn without_a_shell_nothing_starts() {
    let mut session = Session::new();
    let empty = session.path().to_str().unwrap().to_owned();
    let done = session.run_as("echo no", |intent| {
        intent.environment.insert("PATH".to_owned(), empty);
    });
    let End::NotStarted(reason) = done.outcome.end else { panic!("{:?}", done.outcome) };
    assert_eq!(reason, format!("cannot start the shell: {}", io::Error::from_raw_os_error(2)));
    assert_eq!(done.outcome.state, StateFile::Missing);

    let (folder, intent) = session.next("echo no");
    runner::prepare(&folder, &intent).unwrap();
    let error = runner::start(&program().with_file_name("missing"), &folder).unwrap_err();
    assert!(matches!(error, Error::Start { .. }), "{error}");
    assert_eq!(runner::recover(&folder).unwrap(), runner::Recovery::NeverStarted);
}
