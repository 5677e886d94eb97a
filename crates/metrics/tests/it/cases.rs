//! Owns running PromQL cases: our own, in `cases/`, and those of Prometheus where they are.
//!
//! Prometheus' own are read from the folder `promqltest` of `$PARAMEDIC_SHARED`, or of `shared` beside the workspace.

use std::path::{Path, PathBuf};

use crate::promqltest;

#[test]
fn own_cases_hold() {
    run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases"));
}

#[test]
fn upstream_cases_hold() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("PARAMEDIC_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("promqltest");
    if folder.is_dir() {
        run(&folder);
    } else {
        println!("SKIPPED: no cases at `{}`; PARAMEDIC_SHARED names another place", folder.display());
    }
}

fn run(folder: &Path) {
    let report = promqltest::run_folder(folder).unwrap_or_else(|reason| panic!("{reason}"));
    println!("{report}");
    assert!(report.total > 0 && report.passed == report.total, "{report}");
}

#[test]
fn a_file_that_is_no_case_is_named_with_its_line() {
    for (text, reason) in [
        ("load 5m\n  a 1\n\nevaluate instant 1", "4: `evaluate instant 1` is no command"),
        ("load 5x", "1: `5x` is no duration"),
        ("load 5m\n  a{b=c} 1", "2: a label value is not quoted"),
        ("load 5m\n  a 1+x2", "2: `1+x2` is no value"),
        ("eval instant at 5m", "1: an eval needs a query"),
        ("eval instant at 5m a\n  expect much", "2: `expect much` is no expectation"),
        ("eval instant at 5m a\n  expect warn regex:(", "2: `(` is no regular expression"),
    ] {
        assert_eq!(
            promqltest::run_text("x.test", text).map(|_| ()),
            Err(format!("x.test:{reason}")),
            "{text}"
        );
    }
}

#[test]
fn what_does_not_hold_is_said() {
    let text = "load 5m\n  a{l=\"1\"} 1 2 3\n  a{l=\"2\"} {{sum:1}}x2\n\n\
                eval instant at 5m a{l=\"1\"}\n  a{l=\"1\"} 2\n\n\
                eval instant at 5m sum(a)\n  {} 3\n\n\
                clear\n\nload 5m\n  a 1\n\n\
                eval instant at 5m a\n  expect no_warn\n  a 2\n\n\
                eval instant at 5m a\n  expect fail\n\n\
                eval instant at 5m rate(a[5m])\n  expect info\n";
    let report = promqltest::run_text("x.test", text).expect("it can be read");
    assert_eq!((report.passed, report.total), (1, 5));
    let lines: Vec<String> = report.to_string().lines().map(|line| line.chars().take(40).collect()).collect();
    assert_eq!(
        lines,
        [
            "failed: x.test:16: `a`: expected [(a, [(",
            "failed: x.test:20: `a`: expected a failu",
            "failed: x.test:23: `rate(a[5m])`: expect",
            "refused: x.test:8: `sum(a)`: expected [(",
            "passed 1 of 5",
        ]
    );
}
