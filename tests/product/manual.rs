//! Tests what the command line says of itself: completions that a shell takes, manual pages, and the reference in the documentation.

use std::fs;
use std::process::{Command, Stdio};

use expect_test::expect_file;

use crate::site::Site;

fn site() -> Site {
    Site::new(&[])
}

/// `cargo xtask docs` writes it anew.
#[test]
fn the_reference_in_the_documentation_is_that_of_this_program() {
    expect_file!["../../docs/commands.md"].assert_eq(&site().run(&["reference"]).done());
}

#[test]
fn bash_takes_the_completions_and_completes() {
    let site = site();
    fs::write(site.path("completions"), site.run(&["completions", "bash"]).done()).unwrap();
    let script = "source ./completions && COMP_WORDS=(paramedic incident re) COMP_CWORD=2 && \
        _paramedic paramedic re incident && printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c", script])
        .current_dir(site.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = said.lines().collect();
    assert!(
        words.contains(&"reject") && words.contains(&"resume") && words.contains(&"report"),
        "{output:?}"
    );
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(site.run(&["completions", shell]).done().contains("kill-switch"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let site = site();
    let folder = site.path("man");
    fs::create_dir(&folder).unwrap();
    site.run(&["man", "--all", folder.to_str().unwrap()]).done();
    let one = fs::read_to_string(folder.join("paramedic-incident-approve.1")).unwrap();
    assert!(one.contains(".TH paramedic-incident-approve 1"), "{one}");
    assert_eq!(site.run(&["man", "incident", "approve"]).done().trim_end(), one.trim_end());
    let pages = fs::read_dir(&folder).unwrap().count();
    let sections = site.run(&["reference"]).done().matches("\n## ").count();
    assert_eq!(pages, sections, "a page for each section of the reference");
    site.run(&["man", "incident", "aprove"]).failed(2, &["`incident` has no command `aprove`"]);
}

#[test]
fn the_schema_is_a_schema_and_needs_no_configuration() {
    let site = site();
    fs::remove_file(site.config()).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&site.run(&["config", "schema"]).done()).unwrap();
    assert_eq!(schema["$defs"]["Policy"]["properties"]["mode"]["enum"][1], "suggest");
}
