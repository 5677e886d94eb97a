//! Tests which commands of the shipped runbooks this version does not have yet; the list ends when it is empty.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use expect_test::expect;

use crate::arguments::Arguments;

/// Values for the parameters of all runbooks.
const PARAMETERS: [(&str, &str); 4] = [
    ("SERVER_NAME", "notes"),
    ("INCIDENT_ID", "019ab0d2-0000-7000-8000-000000000000"),
    ("LOG_FILE", "/var/log/mcp-servers/notes.log"),
    ("DEPENDENCY_NAME", "disk"),
];

/// The calls of the product in a statement, as bash cuts them into words. Nothing is run.
fn calls(statement: &str) -> Vec<Vec<String>> {
    let script = format!("paramedic() {{ printf '%s\\0' \"$@\"; printf '\\1'; }}\n{statement}");
    let mut bash = Command::new("bash");
    let printed = bash.arg("-c").arg(script).env_clear().envs(PARAMETERS).output().expect("bash is there");
    let text = String::from_utf8(printed.stdout).expect("the calls are text");
    let words = |call: &str| call.split_terminator('\0').map(str::to_owned).collect();
    text.split_terminator('\u{1}').map(words).collect()
}

#[test]
fn what_the_shipped_runbooks_call_is_there_or_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks");
    let (mut n_calls, mut missing) = (0, BTreeSet::new());
    for entry in std::fs::read_dir(folder).expect("the runbooks ship") {
        let path = entry.expect("the folder can be read").path();
        let bytes = std::fs::read(&path).expect("the runbook can be read");
        let (runbook, _) = runbook::parse(&path.to_string_lossy(), &bytes);
        let units = runbook.procedures.iter().flat_map(runbook::Procedure::units);
        for unit in units.filter(|unit| unit.source.starts_with("paramedic ")) {
            for call in calls(&unit.source) {
                n_calls += 1;
                if Arguments::try_parse_from(std::iter::once("paramedic".to_owned()).chain(call.clone()))
                    .is_err()
                {
                    let options = call.iter().filter(|word| word.starts_with('-'));
                    let verbs =
                        call.iter().take(2).filter(|word| word.as_str() != "notes" && !word.starts_with('-'));
                    let words: Vec<&str> = verbs
                        .take_while(|word| !word.contains(['(', '_']))
                        .chain(options)
                        .map(String::as_str)
                        .collect();
                    missing.insert(words.join(" "));
                }
            }
        }
    }
    assert!(n_calls > 80, "{n_calls}");
    let missing: String = missing.iter().map(|call| format!("{call}\n")).collect();
    expect![""].assert_eq(&missing);
}
