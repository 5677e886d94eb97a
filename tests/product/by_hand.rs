//! Tests of runbooks in a person's hands: shown, and followed without `serve`, configuration or alert.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::poll::eventually;
use crate::site::{self, Ran, Site, original};

const RUNBOOK: &str = r#"
## Untidy Folder

### Alert: FolderUntidy

**Severity**: Warning
**Alert Query**: `folder_untidy > 0`

### Immediate Response (0-5 minutes)

1. **Look**

   ```bash
   printf 'looking at <%s>\n' "$SUBJECT"
   ```

2. **Tidy**

   ```bash
   printf '%s\n' "$SUBJECT" >> "$MARKER"
   ```
"#;

/// A folder with the runbook; `serve` is never started.
fn site() -> Site {
    let site = Site::new(&[]);
    fs::write(site.path("tidy.md"), RUNBOOK).unwrap();
    site
}

/// Follows the runbook.
#[track_caller]
fn follow(site: &Site, subject: &str, more: &[&str]) -> Ran {
    site::run(following(site, subject, more))
}

fn marker(site: &Site) -> (PathBuf, String) {
    let path = site.path("marker");
    let parameter = format!("MARKER={}", path.display());
    (path, parameter)
}

/// The command to follow the runbook.
fn following(site: &Site, subject: &str, more: &[&str]) -> Command {
    let (runbook, subject) = (site.path("tidy.md"), format!("SUBJECT={subject}"));
    let args = ["runbook", "run", runbook.to_str().unwrap(), "--procedure", "FolderUntidy", "-p", &subject];
    site.command(&[&args, more].concat())
}

/// The only report that was written.
#[track_caller]
fn report(site: &Site) -> String {
    let files = fs::read_dir(site.path("data/reports")).unwrap().map(|file| file.unwrap().path());
    let reports: Vec<_> = files.filter(|path| path.extension().is_some_and(|form| form == "md")).collect();
    assert_eq!(reports.len(), 1);
    fs::read_to_string(&reports[0]).unwrap()
}

#[test]
fn a_missing_parameter_stops_before_anything_ran() {
    let site = site();
    let ran = follow(&site, "attic", &["--yes"]);
    ran.failed(2, &["nothing was run", "MARKER", "-p NAME=VALUE"]);
    assert!(!ran.stdout.contains("looking at"), "{ran:?}");
    assert!(!site.path("data").exists(), "nothing was recorded");
}

/// Nothing of the original runbook runs before it knows the port, whichever of its procedures is followed.
#[test]
fn the_original_runbook_says_that_it_needs_the_port() {
    let Some(original) = original() else { return };
    let site = Site::new(&[]);
    let runbook = original.to_str().unwrap();
    for alert in ["MCPServerDown", "MCPHighMemoryUsage", "MCPDependencyDown"] {
        let ran = site::run(site.command(&[
            "runbook",
            "run",
            runbook,
            "--procedure",
            alert,
            "-p",
            "SERVER_NAME=time",
            "--yes",
        ]));
        ran.failed(2, &["nothing was run", "PORT (line ", "-p NAME=VALUE"]);
        assert!(!site.path("data").exists(), "nothing was recorded");
    }
}

#[test]
fn a_change_that_nobody_approves_is_not_run() {
    let site = site();
    let (path, parameter) = marker(&site);
    let ran = follow(&site, "attic", &["-p", &parameter]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stdout.contains("looking at <attic>"), "what only looks was run: {ran:?}");
    assert!(!path.exists());
    let report = report(&site);
    for words in
        ["### 1. Look: succeeded", "### 2. Tidy: failed", "nobody is at the keyboard", "not restarted"]
    {
        assert!(report.contains(words), "`{words}` is missing in\n{report}");
    }
}

#[test]
fn a_change_that_is_approved_is_run_once() {
    let site = site();
    let (path, parameter) = marker(&site);
    let told = follow(&site, "attic", &["-p", &parameter, "--yes"]).done();
    assert_eq!(fs::read_to_string(path).unwrap(), "attic\n");
    assert!(
        told.contains("looking at <attic>") && told.contains("printf '%s\\n' \"$SUBJECT\" >> \"$MARKER\""),
        "{told}"
    );
    let report = report(&site);
    for words in [
        "| State | closed |",
        "### 2. Tidy: succeeded",
        "): done after",
        "approved by tester",
        "looking at <attic>",
    ] {
        assert!(report.contains(words), "`{words}` is missing in\n{report}");
    }
}

#[test]
fn a_reader_that_goes_away_cuts_nothing_short() {
    let site = site();
    let (path, parameter) = marker(&site);
    let mut command = following(&site, "attic", &["-p", &parameter, "--yes"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_to_string(path).unwrap(), "attic\n");
    assert!(report(&site).contains("| State | closed |"));
}

#[test]
fn hostile_values_stay_data() {
    let site = site();
    let (path, parameter) = marker(&site);
    let hacked = site.path("hacked");
    let touch = format!("touch {}", hacked.display());
    let value =
        format!("$({touch}) `{touch}` \"; {touch} #' ; {touch}\n{touch}\n${{IFS}}%s\\n é \u{1f600} *");
    follow(&site, &value, &["-p", &parameter, "--yes"]).done();
    assert_eq!(fs::read_to_string(path).unwrap(), format!("{value}\n"));
    assert!(!hacked.exists());
    assert!(report(&site).contains("looking at <$(touch"), "the report shows it as it was");
}

/// The procedures of a runbook with the numbers of their steps, by the command line.
#[track_caller]
fn steps(site: &Site, path: &Path) -> Vec<usize> {
    let shown = site.run(&["runbook", "show", path.to_str().unwrap(), "-o", "json"]).done();
    let runbook: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let array = |value: &serde_json::Value| value.as_array().unwrap().clone();
    let steps = |procedure: &serde_json::Value| {
        array(&procedure["phases"]).iter().map(|phase| array(&phase["steps"]).len()).sum()
    };
    array(&runbook["procedures"]).iter().map(steps).collect()
}

#[test]
fn the_shipped_runbook_is_shown() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks/server-down.md"));
    let site = Site::new(&[]);
    assert_eq!(steps(&site, path), [7]);
    let outline = site.run(&["runbook", "show", "--tree", path.to_str().unwrap()]).done();
    assert!(outline.contains("6.1   disrupt  paramedic server restart \"$SERVER_NAME\""), "{outline}");
}

#[test]
fn the_original_runbook_has_six_procedures_and_44_steps() {
    let Some(path) = original() else { return };
    let steps = steps(&Site::new(&[]), &path);
    assert_eq!((steps.len(), steps.iter().sum::<usize>()), (6, 44), "{steps:?}");
}
