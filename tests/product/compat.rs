//! Tests the stand-ins for older scripts: every line of the original runbook that calls one, as it stands there, at a
//! fleet of the original's eight servers; and that nothing of anybody else is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use process::Signal;
use serde_json::Value;

use crate::poll::eventually;
use crate::processes;
use crate::site::{Ran, Server, Setup, Site, clean, original, run};

/// The servers that the original's scripts know.
const FLEET: [&str; 8] =
    ["desktop-commander", "filesystem", "postgres", "github", "memory", "brave-search", "slack", "puppeteer"];

/// What a line of the original runbook has in it that calls one of ours.
const CALLS: [&str; 3] = ["/monitoring/mcp_", "/monitoring/data_", "@curl-format.txt"];

/// The line that would replace everybody's table of jobs.
const CRONTAB: u32 = 796;

/// Starts a line in a root of its own, in which `/monitoring`, `/var/log` and `/backup` are folders of `$SITE`.
const ROOT: &str = r#"ROOT=$SITE/root
mkdir -p "$ROOT" && mount -t tmpfs none "$ROOT" && cd /
for entry in *; do
    if [ -L "$entry" ]; then cp -P "$entry" "$ROOT/"; continue; fi
    [ -d "$entry" ] && mkdir "$ROOT/$entry" && mount --rbind "/$entry" "$ROOT/$entry"
done
mkdir -p "$ROOT/monitoring" "$ROOT/backup" "$SITE/backup" "$SITE/var-log"
mount --bind "$SITE/monitoring" "$ROOT/monitoring"
mount --bind "$SITE/backup" "$ROOT/backup"
mount --bind "$SITE/var-log" "$ROOT/var/log"
exec chroot "$ROOT" bash -c 'cd /monitoring && . "$LINE"'"#;

/// The lines of the original runbook that call a stand-in.
fn lines(book: &Path) -> Vec<(u32, String)> {
    let text = fs::read_to_string(book).unwrap();
    let numbered = text.lines().zip(1..).filter(|(line, _)| CALLS.iter().any(|call| line.contains(call)));
    let calls = numbered.map(|(line, number)| (number, line.trim_start().to_owned()));
    // One opens a script to read it, and calls nothing.
    calls.filter(|(_, line)| !line.starts_with("with open(")).collect()
}

/// A command for a line, in its own root; what it says goes to `out`.
fn command(site: &Site, number: u32, line: &str) -> Command {
    let file = site.path(&format!("line-{number}"));
    fs::write(&file, format!("{line}\n")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-ec", ROOT]);
    clean(&mut command, site.config().parent().unwrap());
    let port = site.port("memory").to_string();
    let variables =
        [("SERVER_NAME", "memory"), ("PORT", &port), ("QUERY", "ready"), ("INCIDENT_DIR", "/var/log")];
    command.envs(variables).env("LINE", &file).env("SITE", site.config().parent().unwrap());
    command
}

/// What a line has to say, by what it calls; a line in the background has to say it before it is ended.
fn expected(line: &str) -> &'static [&'static str] {
    match line {
        _ if line.contains("--check-type dependency") => &["memory", "dependency", "healthy"],
        _ if line.contains("health_checks.py --server") => &["memory", "readiness", "healthy"],
        // The whole fleet.
        _ if line.contains("health_checks.py --continuous") => &FLEET,
        _ if line.contains("metrics_collector.py") => &["memory"],
        _ if line.contains("--search \"security\"") => &[],
        _ if line.contains("--search \"${QUERY}\"") => &["ready after"],
        _ if line.contains("mcp_tracing.py --demo") => &["tool_execution", "again: paramedic trace show"],
        _ if line.contains("data_integrity_monitor.py") => &["file(s)"],
        _ if line.contains("curl") => &["first byte:", "status:        200"],
        _ => panic!("a line that nobody expects: {line}"),
    }
}

#[track_caller]
fn has_all(what: &str, said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{what}: `{word}` is missing: {said}");
    }
}

fn fleet() -> Site {
    let servers: Vec<Server> = FLEET
        .iter()
        .map(|name| {
            let data =
                "[[server.dependency]]\nname = \"disk\"\nfile = \"/\"\n[[server.data]]\npath = \"files\"";
            Server::notes(name).with(data)
        })
        .collect();
    let site = Site::of(&Setup { servers: &servers, ..Setup::default() });
    fs::create_dir(site.path("files")).unwrap();
    fs::write(site.path("files/one.json"), "[1]").unwrap();
    site
}

#[test]
fn every_line_of_the_original_runbook_that_calls_a_script_works_as_it_stands() {
    let Some(book) = original() else { return };
    let may = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) || !rustix::process::geteuid().is_root() {
        println!("SKIPPED: the folders of the original runbook take root and mounts of our own");
        return;
    }
    let mut site = fleet();
    site.serve_until_ready(&FLEET);
    let said = site.run(&["compat", "install", site.path("monitoring").to_str().unwrap()]).done();
    has_all("install", &said, &["mcp_health_checks.py", "curl-format.txt", "written"]);
    let security = r#"{"ts":"2026-01-01T00:00:00.000Z","level":"ERROR","server":"slack","event":"security","message":"a security matter"}"#;
    fs::write(site.path("data/log/attack.log"), format!("{security}\n")).unwrap();

    let has_curl = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
    let all = lines(&book);
    assert_eq!(all.len(), 18, "{all:#?}");
    for (number, line) in all {
        let what = format!("line {number}: {line}");
        if number == CRONTAB {
            let effects = site.path("crontab");
            fs::write(&effects, &line).unwrap();
            let said = site.run(&["runbook", "effects", effects.to_str().unwrap()]).done();
            has_all(&what, &said, &["destroy", "`crontab` replaces the whole table of jobs"]);
        } else if line.contains("curl") && !has_curl {
            println!("SKIPPED: {what}: there is no curl");
        } else if line.ends_with('&') {
            in_background(&site, number, &line);
        } else {
            let ran = run(command(&site, number, &line));
            has_all(&what, &ran.done(), expected(&line));
        }
    }
    let found = fs::read_to_string(site.path("var-log/security_events.json")).unwrap();
    let found: Vec<Value> = serde_json::from_str(&found).unwrap();
    assert_eq!(found.iter().map(|one| &one["message"]).collect::<Vec<_>>(), ["a security matter"]);
}

/// A line that goes on until somebody ends it.
fn in_background(site: &Site, number: u32, line: &str) {
    let out = site.path(&format!("out-{number}"));
    let mut command = command(site, number, &format!("{line}\necho \"process $!\"\nwait"));
    let file = fs::File::create(&out).unwrap();
    let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let said = eventually(&format!("line {number}: {line}"), || {
        let said = fs::read_to_string(&out).unwrap();
        let has_all = expected(line).iter().all(|word| said.contains(word));
        (has_all && said.contains("process ")).then_some(said)
    });
    let pid = said.lines().find_map(|line| line.strip_prefix("process ")).unwrap().parse().unwrap();
    processes::signal(pid, Signal::TERM);
    child.wait().unwrap();
}

#[test]
fn nothing_of_anybody_else_is_overwritten_or_removed() {
    let site = Site::new(&[]);
    let folder = site.path("made/monitoring");
    let named = folder.to_str().unwrap();
    let compat = |verb: &str| -> Ran { site.run(&["compat", verb, named]) };
    compat("uninstall").failed(1, &["nothing was installed into"]);
    compat("install").done();
    // Again, as after an upgrade.
    compat("install").done();
    assert_eq!(fs::metadata(folder.join("mcp_logging.py")).unwrap().permissions().mode() & 0o777, 0o755);

    let script = folder.join("mcp_logging.py");
    let own = "print('mine')\n";
    fs::write(&script, own).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    compat("install").failed(1, &["mcp_logging.py in", "nothing was written"]);
    let ran = compat("uninstall");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    has_all("uninstall", &ran.stdout, &["mcp_logging.py", "stays: it was changed", "removed"]);
    let left = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(left(&folder), [".paramedic-compat.json", "mcp_logging.py", "notes.txt"]);
    assert_eq!(fs::read_to_string(&script).unwrap(), own);

    fs::remove_file(&script).unwrap();
    compat("uninstall").done();
    assert_eq!(left(&folder), ["notes.txt"]);
    fs::remove_file(folder.join("notes.txt")).unwrap();
    // It was there before: it stays.
    compat("install").done();
    compat("uninstall").done();
    assert!(folder.exists());
    fs::remove_dir(&folder).unwrap();
    compat("install").done();
    compat("uninstall").done();
    assert!(!folder.exists());

    // A forged record removes nothing, and a link is not followed.
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(".paramedic-compat.json"), r#"{"made_folder":true,"files":{"../../x":"00"}}"#)
        .unwrap();
    compat("uninstall").failed(1, &["which is none of ours"]);
    fs::remove_file(folder.join(".paramedic-compat.json")).unwrap();
    std::os::unix::fs::symlink(site.config(), &script).unwrap();
    compat("install").failed(1, &["mcp_logging.py in"]);
}

#[test]
fn a_stand_in_speaks_the_words_of_its_script() {
    let gone = "[[server]]\nname = \"gone\"\nport = 9\nupstream = \"http://127.0.0.1:9/mcp\"";
    let mut site = Site::new(&[Server::notes("memory").with(gone)]);
    site.serve_until_ready(&["memory"]);
    site.run(&["compat", "install", site.path("m").to_str().unwrap()]).done();
    let python = |words: &[&str]| {
        let mut command = Command::new("python3");
        clean(&mut command, site.config().parent().unwrap());
        command.current_dir(site.path("m")).args(words);
        run(command)
    };
    python(&["mcp_health_checks.py", "--check-type", "all"])
        .failed(2, &["[possible values: liveness, readiness, dependency]"]);
    has_all("help", &python(&["mcp_logging.py", "--help"]).done(), &["--analyze", "--search"]);
    has_all("demo", &python(&["mcp_logging.py", "--demo"]).done(), &["\"event\":\"security\""]);
    let health = python(&["mcp_health_checks.py", "--server", "memory", "--output", "json"]).done();
    assert_eq!(serde_json::from_str::<Value>(&health).unwrap()[0]["health"], "healthy", "{health}");
    // What the original never said by its exit code.
    python(&["mcp_health_checks.py", "--server", "gone", "--check-type", "liveness"]).failed(1, &[]);
}
