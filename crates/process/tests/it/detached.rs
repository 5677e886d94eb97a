//! Owns the tests of processes that are started apart from their caller.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use process::{Detached, Ending, ProcessId};

use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_detached_process_stands_alone", a_detached_process_stands_alone),
    ("a_detached_program_that_is_missing_is_an_error", a_detached_program_that_is_missing_is_an_error),
];

fn detached(program: &str, script: &str, folder: &Path) -> Detached {
    Detached {
        program: program.into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("ONLY".into(), "this".into()), ("PATH".into(), "/usr/bin:/bin".into())],
        cwd: folder.to_owned(),
        stdout: File::create(folder.join("out")).unwrap(),
        stderr: File::create(folder.join("err")).unwrap(),
    }
}

fn a_detached_process_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let leak = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let script = "cat; cut -d' ' -f6 /proc/$$/stat; echo $$ $ONLY ${HOME-none}; ls /proc/self/fd | wc -l; \
                  pwd; echo oops >&2; exit 7";
    let mut child = detached("/bin/sh", script, folder.path()).spawn().unwrap();
    let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
    assert_eq!(Ending::from(child.wait().unwrap()), Ending::Exited(7));
    let out = fs::read_to_string(folder.path().join("out")).unwrap();
    assert_eq!(out, format!("{id}\n{id} this none\n4\n{}\n", folder.path().display()));
    assert_eq!(fs::read_to_string(folder.path().join("err")).unwrap(), "oops\n");
    drop(leak);
}

fn a_detached_program_that_is_missing_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = detached("/no/such/program", "", folder.path()).spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
