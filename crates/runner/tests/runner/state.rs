//! Tests what one unit hands to the next.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use runner::{End, Shell, StateFile};

use crate::session::Session;

/// Runs the statements as units and compares what the last one prints.
#[track_caller]
fn check(statements: &[&str], expect: &str) {
    let mut session = Session::new();
    let (last, before) = statements.split_last().unwrap();
    for statement in before {
        let done = session.run(statement);
        assert_eq!(done.outcome.state, StateFile::Saved, "{statement}: {}", done.stderr);
    }
    let done = session.run(last);
    assert_eq!(done.text(), expect, "{}", done.stderr);
}

#[test]
fn variables() {
    check(&["x=1 y='a  b'", "echo \"$x $y\""], "1 a  b\n");
    check(&["declare -i n=5", "n+=2; echo $n"], "7\n");
    check(&["declare -u up=abc; declare -l low=ABC", "up=x; low=Y; echo $up$low"], "Xy\n");
    check(&["empty=", "echo ${empty-unset}${other-unset}"], "unset\n");
    check(&["declare -n ref=target; target=1", "ref=2; echo $target"], "2\n");
    check(&["[[ abc =~ b(.) ]]", "echo ${BASH_REMATCH[1]}"], "c\n");
    check(&["SECONDS=100", ":", "echo $((SECONDS >= 100))"], "1\n");
    check(&["x=1", "unset x", "echo ${x-unset}"], "unset\n");
}

#[test]
fn arrays() {
    check(&["a=(x 'y z' \"\")", "a+=(last); echo ${#a[@]} \"${a[1]}\" ${a[3]}"], "4 y z last\n");
    check(&["a=([5]=five [9]=nine)", "echo \"${!a[@]}\""], "5 9\n");
    check(&["declare -A m=([k]=v ['a b']=2 [']']=3)", "k=]; echo ${m[k]} ${m[a b]} ${m[$k]}"], "v 2 3\n");
    check(&["declare -A m; declare -a l", "m[x]=1; echo ${!m[@]}"], "x\n");
    check(&["a=()", "echo ${#a[@]} ${a-unset}"], "0 unset\n");
}

#[test]
fn exports_and_parameters() {
    check(&["export x=1; y=2", "bash -c 'echo $x${y-unset}'"], "1unset\n");
    check(&["export later", "later=1", "bash -c 'echo $later'"], "1\n");
    check(&["PORT=9090", "echo $PORT; bash -c 'echo $PORT'"], "9090\n9090\n");
    check(&["unset PORT", ":", "echo ${PORT-unset}"], "unset\n");
    check(&["export -n PORT", "bash -c 'echo ${PORT-unset}'; echo $PORT"], "unset\n8080\n");
}

#[test]
fn a_parameter_that_comes_later_is_seen_and_paramedics_own_are_always_new() {
    let mut session = Session::new();
    let set = |name: &'static str, value: &'static str| {
        move |intent: &mut runner::Intent| {
            intent.environment.insert(name.to_owned(), value.to_owned());
        }
    };
    session.run_as("export PARAMEDIC_FINDINGS=changed", set("PARAMEDIC_FINDINGS", "/first")).ok();
    let done = session.run_as("echo $PARAMEDIC_FINDINGS", set("PARAMEDIC_FINDINGS", "/second")).ok();
    assert_eq!(done.text(), "/second\n");
    assert_eq!(session.run_as("echo $TARGET", set("TARGET", "db")).ok().text(), "db\n");
}

#[test]
fn functions() {
    check(&["f() { echo \"f $1\"; }", "f 1"], "f 1\n");
    check(&["f() { cat <<E\n$1 'q'\nE\n}", "f here"], "here 'q'\n");
    check(&["f() { echo $x; }; export -f f; export x=1", "bash -c f"], "1\n");
    check(&["shopt -s extglob; f() { [[ $1 == @(a|b) ]] && echo yes; }", "f b"], "yes\n");
    check(&["f() { echo 1; }; readonly -f f", "f() { echo 2; }; f"], "1\n");
    check(&["f() { g; }; g() { echo g; }", "unset -f g", "g() { echo new; }; f"], "new\n");
    check(&["my-f.1() { echo odd; }", "my-f.1"], "odd\n");
}

#[test]
fn options() {
    check(&["set -euo pipefail", "echo ${-//[!eu]/}; false | true; echo no"], "eu\n");
    check(&["set -e", "set +e", "false; echo on"], "on\n");
    check(&["set -u", "echo before; echo $nope; echo no"], "before\n");
    check(&["set -f -C", "echo /et*; cd /tmp; set +o noclobber"], "/et*\n");
    check(&["set -a", "auto=1", "bash -c 'echo $auto'; env | grep -c __paramedic"], "1\n0\n");
    check(
        &["shopt -s nullglob extglob; shopt -u sourcepath", "shopt -p nullglob sourcepath; echo /none*"],
        "shopt -s nullglob\nshopt -u sourcepath\n\n",
    );
    check(&["set -o posix", "shopt -po posix", "set +o posix", "shopt -po posix"], "set +o posix\n");
    check(&["shopt -s nocasematch nocaseglob localvar_unset", "[[ A == a ]] && echo same"], "same\n");
    check(&["set -k -m", "echo ${-//[!km]/}"], "km\n");
}

#[test]
fn tracing_shows_the_statement_alone() {
    let mut session = Session::new();
    session.run("set -x").ok();
    let done = session.run("echo hi").ok();
    assert_eq!((done.text().as_str(), done.stderr.as_str()), ("hi\n", "++ echo hi\n"));
    assert_eq!(session.run("set +x; echo hi").ok().stderr, "++ set +x\n");
    assert_eq!(session.run("echo hi").ok().stderr, "");
}

#[test]
fn separators() {
    check(&["IFS=,", "x=a,b; printf '%s\\n' $x"], "a\nb\n");
    check(&["IFS=", "x='a b'; printf '%s\\n' $x"], "a b\n");
    check(&["unset IFS", "x='a b'; printf '%s\\n' $x ${IFS-unset}"], "a\nb\nunset\n");
    check(&["readonly IFS=,", ":", "x=a,b; printf '%s\\n' $x"], "a\nb\n");
    check(&["IFS=$'\\n'", ":", "printf %q \"$IFS\""], "$'\\n'");
}

#[test]
fn readonly() {
    check(&["readonly x=1", "x=2; echo no"], "");
    check(&["readonly -a a=(1 2); declare -rx e=3", ":", "(a=3) 2>/dev/null || echo ${a[1]} $e"], "2 3\n");
}

#[test]
fn place() {
    check(&["cd /usr/bin", "cd ..; pwd", "pwd; cd - >/dev/null; pwd"], "/usr\n/usr/bin\n");
    check(&["cd /usr; pushd /tmp >/dev/null; pushd / >/dev/null", "popd >/dev/null", "dirs"], "/tmp /usr\n");
    check(&["umask 027", "umask"], "0027\n");
    check(&["pwd"], "/\n");
    check(&["echo ${OLDPWD-unset}"], "unset\n");
    check(
        &[
            "cd $TMPDIR; mkdir 'par\namedic $(id)'; cd 'par\namedic $(id)'",
            "rmdir \"$PWD\"; echo \"${PWD##*/}\"",
        ],
        "par\namedic $(id)\n",
    );
    check(&["cd \"$(mktemp -d)\"; mkdir real; ln -s real link; cd link", "echo ${PWD##*/}"], "link\n");
}

#[test]
fn a_directory_that_is_gone_stops_the_next_unit() {
    let mut session = Session::new();
    session.run("d=$(mktemp -d); cd \"$d\"; rmdir \"$d\"").ok();
    let done = session.run("echo no");
    let reason = "the state of the unit before could not be restored";
    assert_eq!(done.outcome.end, End::NotStarted(reason.to_owned()));
    assert_eq!((done.outcome.state, done.text().as_str()), (StateFile::Missing, ""));

    let done = Session::new().run_as("echo no", |intent| intent.directory = "/no/such".into());
    assert_eq!(done.outcome.end, End::NotStarted("the directory cannot be entered".to_owned()));
    assert_eq!(done.text(), "");
}

#[test]
fn positional_parameters_and_aliases() {
    check(&["set -- a 'b c'", "echo $# \"$2\"; shift", "echo $# \"$1\""], "1 b c\n");
    check(&["shopt -s expand_aliases; alias hi='echo hello  there'", "hi"], "hello there\n");
    check(&["alias hi='echo hello'", "hi || echo none"], "none\n");
}

#[test]
fn locale() {
    check(&["export LC_ALL=C.UTF-8", "x=é; echo ${#x}; bash -c 'echo $LC_ALL'"], "1\nC.UTF-8\n");
    check(
        &["LC_ALL=C.UTF-8; x=$'é\\xff\\n'", "LC_ALL=C; echo ${#x}; unset LC_ALL", "echo ${LC_ALL-unset}"],
        "unset\n",
    );
}

#[test]
fn exit_within_functions_leaves_the_global_variables() {
    let inner = "f() { local x=f IFS=: only=1; local -a list=(1); local -r fixed=1; LC_ALL=C; exit 0; }";
    let outer = "g() { local x=g list=2 LC_ALL=POSIX; f; }";
    check(
        &[
            "x=global IFS=, list=kept; export LC_ALL=C.UTF-8; set -- top",
            &format!("{inner}; {outer}; g argument"),
            "echo \"$x/$IFS/$list/${only-unset}/$LC_ALL/$1\"",
        ],
        "global/,/kept/unset/C.UTF-8/top\n",
    );
    check(&["x=global; f() { local x=1; return 3; }; set -e", "f", "echo $x"], "global\n");
    check(&["f() { local x=1; echo $nope; }; set -u; x=global", "f", "echo $x"], "global\n");
}

#[test]
fn the_statements_own_exit_trap_runs_too() {
    check(&["x=1; trap 'echo bye $x' EXIT; x=2", "echo $x"], "2\n");
    let mut session = Session::new();
    let done = session.run("trap 'echo bye $?; exit 7' EXIT; (exit 3)");
    assert_eq!((done.text().as_str(), done.outcome.end), ("bye 3\n", End::Exited(7)));
    assert_eq!(done.outcome.state, StateFile::Saved);
    let done = session.run("trap 'echo bye' EXIT; exit 3");
    assert_eq!((done.text().as_str(), done.outcome.end), ("bye\n", End::Exited(3)));
    assert_eq!(done.outcome.state, StateFile::Missing, "its trap took the place of ours");
    let done = session.run("trap 'echo error' ERR; false");
    assert_eq!((done.text().as_str(), done.outcome.end), ("error\n", End::Exited(1)));
}

#[test]
fn hijacked_commands_do_not_matter() {
    let names = "declare printf set shopt trap unset export mapfile umask enable cd source eval exit return local break continue";
    let hijack = names.split(' ').map(|name| format!("{name}() {{ echo HIJACKED; }}; ")).collect::<String>();
    let restore = "for n in $NAMES; do builtin unset -f $n; done; ";
    let mut session = Session::new();
    session.run(&format!("NAMES='{names}' a=(1 2); IFS=:; readonly r=3; {hijack}")).ok();
    session.run("x='kept here'").ok();
    let done = session.run(&format!("declare; IFS=' '; {restore} declare -p a r x")).ok();
    let expect =
        "HIJACKED\ndeclare -a a=([0]=\"1\" [1]=\"2\")\ndeclare -r r=\"3\"\ndeclare -- x=\"kept here\"\n";
    assert_eq!(done.text(), expect);
    session.run("enable -n printf declare mapfile; y=1").ok();
    assert_eq!(session.run("echo $x $y").ok().text(), "kept here 1\n");
}

#[test]
fn without_builtin_there_is_no_state_but_an_outcome() {
    let mut session = Session::new();
    for hijack in ["builtin() { :; }", "builtin() { echo rm -rf /; }; return() { :; }", "enable -n builtin"] {
        let done = session.run(&format!("{hijack}; (exit 3)"));
        assert_eq!(
            (&done.outcome.end, done.outcome.state),
            (&End::Exited(3), StateFile::Missing),
            "{hijack}"
        );
        assert_eq!(done.text(), "");
    }
}

#[test]
fn a_unit_for_sh_has_no_part_in_the_state() {
    let sh = |intent: &mut runner::Intent| intent.shell = Shell::Sh;
    let mut session = Session::new();
    let done = session.run_as("x=sh; echo \"$x $PORT $(pwd)\"; exit 3", sh);
    assert_eq!((done.text().as_str(), &done.outcome.end), ("sh 8080 /\n", &End::Exited(3)));
    assert_eq!(done.outcome.state, StateFile::Saved);
    session.run("x=bash; pwd; cd /usr").ok();
    assert_eq!(session.run_as("echo ${x-unset}; pwd", sh).ok().text(), "unset\n/\n");
    assert_eq!(session.run("echo $x; pwd").ok().text(), "bash\n/usr\n");
    assert_eq!(session.run_as("-x || echo dash", sh).ok().text(), "dash\n");
}

#[test]
fn what_is_no_state_is_not_restored() {
    let mut session = Session::new();
    session.run("x=1").ok();
    let state = session.path().join("state-1");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = fs::read(&state).unwrap();
    for broken in [&whole[..whole.len() - 1], &whole[1..], b"", b"# complete\n"] {
        fs::write(&state, broken).unwrap();
        for shell in [Shell::Bash, Shell::Sh] {
            let done = session.run_as("echo no", |intent| intent.shell = shell);
            let reason = "the state of the unit before is missing or damaged";
            assert_eq!(done.outcome.end, End::NotStarted(reason.to_owned()));
            assert_eq!((done.outcome.state, done.text().as_str()), (StateFile::Missing, ""));
        }
    }
    fs::remove_file(&state).unwrap();
    assert!(matches!(session.run("echo no").outcome.end, End::NotStarted(_)));
    fs::write(&state, [b"# paramedic state 1\n)\n" as &[u8], &whole[20..]].concat()).unwrap();
    assert!(matches!(session.run("echo no").outcome.end, End::NotStarted(_)));
    fs::write(&state, whole).unwrap();
    assert_eq!(session.run("echo $x").ok().text(), "1\n");
}
