//! Owns the tests of lines as `journalctl` writes them, and of a `journalctl` that does not behave.

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

fn unit() -> UnitName {
    "mcp-server-mem.service".parse().unwrap()
}

const REAL: &str = r#"{"MESSAGE":"hello","PRIORITY":"6","_PID":"90","SYSLOG_IDENTIFIER":"sh","_SYSTEMD_UNIT":"mcp-server-mem.service","_SYSTEMD_INVOCATION_ID":"ab12","__REALTIME_TIMESTAMP":"1795683524740231","__CURSOR":"s=1;i=2"}"#;

#[test]
fn lines_are_understood() {
    let expect = Line {
        at_ms: 1_795_683_524_740,
        from: From::Unit,
        message: "hello".to_owned(),
        priority: Some(6),
        pid: Some(90),
        identifier: Some("sh".to_owned()),
        invocation: Some("ab12".to_owned()),
        cursor: Some(Cursor("s=1;i=2".to_owned())),
    };
    assert_eq!(parse(&unit(), REAL.as_bytes()).lines, [expect]);
    // Of systemd, with several values, with bytes that are no text, with none.
    let manager = r#"{"MESSAGE":[102,255,111],"UNIT":["mcp-server-mem.service","x"],"_SYSTEMD_UNIT":"init.scope","INVOCATION_ID":"cd","_SYSTEMD_INVOCATION_ID":"of init","__REALTIME_TIMESTAMP":"1000"}"#;
    let silent = r#"{"MESSAGE":null,"_SYSTEMD_UNIT":"mcp-server-mem.service","__REALTIME_TIMESTAMP":"2000"}"#;
    let read = parse(&unit(), format!("{manager}\n{silent}\n").as_bytes());
    let shown: Vec<_> =
        read.lines.iter().map(|line| (line.from, line.message.as_str(), line.at_ms)).collect();
    assert_eq!(shown, [(From::Others, "f\u{fffd}o", 1), (From::Unit, "", 2)]);
    assert_eq!(read.lines[0].invocation.as_deref(), Some("cd"));
}

#[test]
fn another_unit_is_not_this_one() {
    for other in ["mcp-server-mem-2.service", "xmcp-server-mem.service", "mcp-server-mem"] {
        let text = REAL.replace("mcp-server-mem.service", other);
        assert_eq!(parse(&unit(), text.as_bytes()), Lines::default());
    }
}

#[test]
fn what_is_cut_off_or_strange_is_counted() {
    let text = format!("{REAL}\n[1]\n{}\n{}", r#"{"_SYSTEMD_UNIT":"mcp-server-mem.service"}"#, &REAL[..40]);
    let read = parse(&unit(), text.as_bytes());
    assert_eq!((read.lines.len(), read.strange), (1, 3));
}

proptest! {
    #[test]
    fn any_output_is_read(text in "\\PC{0,200}") {
        let _ = parse(&unit(), text.as_bytes());
    }
}

fn program(folder: &Path, script: &str) -> Journal {
    let path = folder.join("journalctl");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Journal {
        program: path,
        timeout: Duration::from_secs(20),
        bytes_max: 100_000,
        directory: None,
        only_program: true,
    }
}

#[tokio::test]
async fn a_journalctl_that_does_not_behave_is_an_error_or_cut() {
    let folder = tempfile::tempdir().unwrap();
    let read =
        async |journal: Journal| journal.read(&unit(), &Wanted { lines_max: 5, ..Wanted::default() }).await;
    let error = read(program(folder.path(), "echo 'no such thing' >&2; exit 1")).await.unwrap_err();
    assert!(error.to_string().ends_with("failed: no such thing"), "{error}");
    let hung = Journal { timeout: Duration::from_millis(100), ..program(folder.path(), "exec sleep 1000") };
    assert!(matches!(read(hung).await, Err(Error::Deadline { .. })));
    let endless = read(program(folder.path(), "exec yes '{}'")).await.unwrap();
    assert!(endless.is_cut && endless.lines.is_empty());
    let none = Journal { program: "/no/such/program".into(), only_program: true, ..Journal::default() };
    assert!(matches!(read(none).await, Err(Error::Run { .. })));
    let hint = read(program(folder.path(), "echo 'Hint: not everything' >&2")).await.unwrap();
    assert_eq!(hint.remark.as_deref(), Some("Hint: not everything"));
}
