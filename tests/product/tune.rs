//! Tests tuning with real servers and a fake kernel: what is changed, what is refused, and that all of it can be taken back.

use std::fs;
use std::path::Path;

use incident::Record;

use crate::real::installed;
use crate::site::{Server, Setup, Site};

/// A runbook that tunes, and then does something that its author can take back.
const RUNBOOK: &str = r#"
## Too Many Files

### Alert: TooManyFiles

**Severity**: Warning
**Alert Query**: `mcp_open_files > 1000`

### Response (0-5 minutes)

1. **Tune**

   ```bash {verify="ready"}
   paramedic server tune "$SERVER_NAME" --open-files 512 --restart
   ```

2. **Mark**

   ```bash {undo="rm -- \"$MARK\""}
   echo marked >> "$MARK"
   ```
"#;

/// A variable in the environment of the process of a server.
fn variable(site: &Site, server: &str, name: &str) -> Option<String> {
    let pid = site.ready(server).pid.unwrap();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let text = String::from_utf8(environment).unwrap();
    text.split('\0').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// The limit of open files of the process of a server.
fn open_files(site: &Site, server: &str) -> String {
    let pid = site.ready(server).pid.unwrap();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(4).unwrap().to_owned()
}

#[test]
fn the_heap_of_a_node_server_is_set_and_taken_back() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    let server = Server::new("everything", &["node", script.to_str().unwrap(), "stdio"])
        .with("environment = { NODE_OPTIONS = \"--enable-source-maps\" }");
    let mut site = Site::new(&[server]);
    site.serve_until_ready(&["everything"]);
    let options = |site: &Site| variable(site, "everything", "NODE_OPTIONS").unwrap();
    let tune = ["server", "tune", "everything", "--heap", "384MiB"];
    let diff = site.run(&[tune.as_slice(), &["--restart"]].concat()).done();
    assert!(diff.contains("+    \"bytes\": 402653184\n") && diff.contains("restart done"), "{diff}");
    assert_eq!(options(&site), "--enable-source-maps --max-old-space-size=384");
    // The same again is nothing, and restarts nobody.
    let again = site.run(&[tune.as_slice(), &["--restart"]].concat()).done();
    assert_eq!(again, "everything: nothing to do, it is tuned so already\n");
    assert_eq!(site.status("everything").starts, Some(2));

    site.run(&["server", "tune", "everything", "--heap", "100TiB"]).failed(1, &["more than the machine has"]);
    site.run(&["server", "tune", "everything", "--undo", "--restart"]).done();
    assert_eq!(options(&site), "--enable-source-maps");
    assert!(!site.path("data/tuning/everything.json").exists());
    site.run(&["server", "tune", "everything", "--undo"]).failed(1, &["nothing was tuned"]);
}

#[test]
fn limits_and_variables_of_any_server() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    site.run(&["server", "tune", "notes", "--open-files", "512", "--env", "LEVEL=debug"]).done();
    assert_ne!(open_files(&site, "notes"), "512", "it holds from the next start on");
    site.run(&["server", "restart", "notes"]).done();
    assert_eq!(
        (open_files(&site, "notes").as_str(), variable(&site, "notes", "LEVEL").as_deref()),
        ("512", Some("debug"))
    );
    for name in ["PARAMEDIC_OPEN_FILES", "PARAMEDIC_GROUP"] {
        assert_eq!(variable(&site, "notes", name), None);
    }
    let shown = site.run(&["server", "tune", "notes"]).done();
    assert!(shown.contains("\"open_files\": 512") && shown.contains("\"LEVEL\": \"debug\""), "{shown}");
    site.run(&["server", "tune", "notes", "--unset", "LEVEL", "--unset", "open-files"]).done();
    assert_eq!(site.run(&["server", "tune", "notes"]).done(), "nothing is tuned\n");

    // Whether the memory of a server can be limited is for the machine to say; a limit that is set is one.
    let limited = site.run(&["server", "tune", "notes", "--memory-limit", "400MiB", "--restart"]);
    if limited.code == Some(0) {
        let pid = site.ready("notes").pid.unwrap();
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let own = format!("/paramedic-notes-{}", site.status("notes").guard_pid.unwrap());
        assert!(groups.lines().any(|line| line.ends_with(&own)), "{groups}");
    } else {
        limited.failed(1, &["its memory cannot be limited on this machine"]);
        println!("SKIPPED: {}", limited.stderr.trim());
    }
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let foreign = "[[server]]\nname = \"foreign\"\nport = 9\nupstream = \"http://127.0.0.1:9/mcp\"";
    let mut site =
        Site::of(&Setup { tables: foreign, servers: &[Server::notes("notes")], ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    let tune = |more: &[&str]| site.run(&[&["server", "tune", "notes"], more].concat());
    tune(&["--memory-limit", "900TiB"]).failed(1, &["`notes`", "more than the machine has"]);
    tune(&["--memory-limit", "4096"]).failed(1, &["less than what is in use"]);
    tune(&["--heap", "64MiB"]).failed(1, &["`notes` runs paramedic", "only Node.js and Java"]);
    tune(&["--open-files", "3"]).failed(1, &["nothing starts with 3"]);
    tune(&["--open-files", "99999999999"]).failed(1, &["more than the kernel gives"]);
    tune(&["--env", "LD_PRELOAD=/x.so"]).failed(1, &["decides what the server runs"]);
    tune(&["--env", "1=2"]).failed(2, &["no name of a variable"]);
    tune(&["--heap", "many"]).failed(2, &["`many` is no size"]);
    tune(&["--unset", "heaps"]).failed(1, &["`heaps` is not tuned"]);
    tune(&["--undo"]).failed(1, &["nothing was tuned"]);
    site.run(&["server", "tune", "nobody", "--heap", "64MiB"]).failed(2, &["`nobody` is no server", "notes"]);
    site.run(&["server", "tune", "foreign", "--open-files", "512"])
        .failed(4, &["whoever started it tunes it"]);
    site.run(&["kill-switch", "on"]).done();
    tune(&["--open-files", "512"]).failed(4, &["the kill switch is on"]);
    site.run(&["kill-switch", "off"]).done();
    let file = site.path("data/tuning/notes.json");
    assert!(!file.exists());

    // What somebody wrote by hand and nobody understands keeps no server down.
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{\"heap\": \"large\"}").unwrap();
    tune(&["--open-files", "512"]).failed(2, &["notes.json", "mend or remove it"]);
    site.run(&["server", "restart", "notes"]).done();
    let says = |line: &serde_json::Value| {
        line["message"].as_str().is_some_and(|text| text.starts_with("started without its tuning"))
    };
    assert!(site.server_log("notes").iter().any(says));
}

/// A site whose incident has tuned and marked, and the name of the incident.
fn tuned() -> (Site, String) {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let server =
        Server::notes("notes").with(&format!("parameters = {{ MARK = {:?} }}", mark.to_str().unwrap()));
    let keys = "runbooks = [\"tune.md\"]";
    let mut site = Site::of(&Setup { keys, servers: &[server], ..Setup::default() });
    fs::write(site.path("tune.md"), RUNBOOK).unwrap();
    site.serve_until_ready(&["notes"]);
    let open = ["incident", "open", "--server", "notes", "--procedure", "TooManyFiles", "--reason", "many"];
    let id = site.run(&open).done().trim().to_owned();
    site.resolved("notes");
    assert_eq!(
        (open_files(&site, "notes").as_str(), fs::read_to_string(&mark).unwrap().as_str()),
        ("512", "marked\n")
    );

    let shown = site.run(&["incident", "show", &id]).done();
    for line in [
        "change c1: tuning of server `notes` changed by the runbook (unit 1.1)".to_owned(),
        format!("paramedic incident undo {id} c1"),
        format!("paramedic incident undo {id} 2.1"),
    ] {
        assert!(shown.contains(&line), "{line} is not in {shown}");
    }
    let undone = site.run(&["incident", "undo", &id, "2.1"]).done();
    assert!(undone.contains("undo-2.1: done"), "{undone}");
    assert!(!mark.exists());
    site.run(&["incident", "undo", &id, "2.1"])
        .failed(1, &["`2.1` cannot be taken back", "tester took it back"]);
    site.run(&["incident", "undo", &id, "7.7"]).failed(1, &["there are: c1"]);
    (site, id)
}

#[test]
fn what_a_runbook_changed_is_taken_back_once() {
    let (site, id) = tuned();
    let undone = site.run(&["incident", "undo", &id, "c1"]).done();
    assert!(undone.contains("-  \"open_files\": 512\n"), "{undone}");
    assert!(!site.path("data/tuning/notes.json").exists());
    site.run(&["incident", "undo", &id, "1.1"]).failed(1, &["took it back already"]);
    site.run(&["server", "restart", "notes"]).done();
    assert_ne!(open_files(&site, "notes"), "512");
    let story = site.incident("notes", "undone", |story| {
        story.has(|record| matches!(record, Record::Changed { change, .. } if change.undoes == Some(1)))
    });
    assert!(
        story.has(|record| matches!(record, Record::Approved { unit, by, .. }
        if unit.unit == "undo-c1" && by == "tester")),
        "{story}"
    );
}

#[test]
fn what_somebody_changed_since_is_left_alone() {
    let (site, id) = tuned();
    site.run(&["server", "tune", "notes", "--open-files", "600"]).done();
    let ran = site.run(&["incident", "undo", &id, "c1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for words in ["was changed since", "\"open_files\": 512", "\"open_files\": 600", "nothing was done"] {
        assert!(ran.stdout.contains(words), "`{words}` is missing: {ran:?}");
    }
    let shown = site.run(&["server", "tune", "notes"]).done();
    assert!(shown.contains("600"), "{shown}");
}

/// A kernel of files.
fn kernel(site: &Site) -> String {
    for (key, value) in [("vm/swappiness", "60\n"), ("net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")] {
        let path = site.path("root/proc/sys").join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }
    site.path("root").to_str().unwrap().to_owned()
}

#[test]
fn a_parameter_of_the_kernel_is_set_for_now_and_later_and_put_back() {
    let site = Site::new(&[]);
    let root = kernel(&site);
    let (live, later) =
        (site.path("root/proc/sys/vm/swappiness"), site.path("root/etc/sysctl.d/60-paramedic.conf"));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let tune = |setting: &str, more: &[&str]| {
        site.run(&[&["host", "tune", setting, "--root", &root], more].concat())
    };
    let diff = tune("vm.swappiness=10", &[]).done();
    assert!(diff.contains("-60\n+10\n") && diff.contains("+vm.swappiness = 10\n"), "{diff}");
    assert_eq!(read(&live), "10\n");
    let file = read(&later);
    tune("vm/swappiness=10", &[]).done();
    assert_eq!(read(&later), file, "the same again is nothing");
    tune("net.ipv4.tcp_rmem=4096 65536 6291456", &[]).done();
    assert_eq!(read(&site.path("root/proc/sys/net/ipv4/tcp_rmem")), "4096\t65536\t6291456\n");

    for (setting, words) in [
        ("vm.swap=1", "`vm.swap` is no parameter"),
        ("vm.../../../etc/passwd=1", "is no parameter"),
        ("vm.swappiness=ten", "it is a number now, 10"),
        ("vm.swappiness=1 2", "1 numbers belong there"),
        ("vm.swappiness=", "it is empty"),
    ] {
        tune(setting, &[]).failed(1, &[words]);
    }
    tune("vm.swappiness", &[]).failed(2, &["is not KEY=VALUE"]);

    // What came later stands in the same file: in that order, and no other.
    tune("vm.swappiness", &["--undo"]).failed(4, &["was changed since", "tcp_rmem"]);
    tune("net.ipv4.tcp_rmem", &["--undo"]).done();
    tune("vm.swappiness", &["--undo"]).done();
    assert_eq!((read(&live).as_str(), later.exists()), ("60\n", false));
    assert_eq!(read(&site.path("root/proc/sys/net/ipv4/tcp_rmem")), "4096\t131072\t6291456\n");
}
