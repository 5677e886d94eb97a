//! Tests evidence as a stranger would look at it: with the bundle and a public key.

use std::fs;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use evidence::{PublicKey, Verdict, archive, verify};
use incident::{Record, Report};
use process::Signal;
use serde_json::Value;

use crate::poll::eventually;
use crate::site::{Server, Site};

/// Stands in the environment of the server, and must stand nowhere else.
const SECRET: &str = "hunter2-of-the-server";

fn guarded() -> Site {
    let site =
        Site::new(&[Server::notes("notes").with("environment = { NOTES_TOKEN = { file = \"token\" } }")]);
    fs::write(site.path("token"), SECRET).unwrap();
    fs::set_permissions(site.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    site
}

/// What a stranger reads of a bundle.
fn looked_at(site: &Site, folder: &Path) -> Verdict {
    let key = site.path("key.pem");
    fs::write(&key, site.run(&["evidence", "key"]).done()).unwrap();
    verify(folder, PublicKey::read(&key).unwrap())
}

fn text(folder: &Path, found: &Verdict, name: &str) -> String {
    let Some(item) = found.items.iter().find(|item| item.name == name) else {
        panic!(
            "no `{name}`: {:?} {:?}",
            found.items.iter().map(|item| &item.name).collect::<Vec<_>>(),
            found.missing
        );
    };
    let file = BufReader::new(fs::File::open(folder.join("items.tar.zst")).unwrap());
    String::from_utf8(archive::item(file, item.at).unwrap()).unwrap()
}

fn folder_of(shown: &str) -> PathBuf {
    let rows: Vec<Value> = serde_json::from_str(shown).unwrap();
    PathBuf::from(rows[0]["folder"].as_str().unwrap())
}

/// Where the secret stands, of all files of the site but its own.
fn leaks(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(leaks(&entry.path()));
        } else if kind.is_file() && entry.file_name() != "token" {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            let has = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            found.extend(has.then(|| entry.path()));
        }
    }
    found
}

#[test]
fn every_incident_keeps_evidence_before_its_first_change() {
    let mut site = guarded();
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let story = site.resolved("notes");
    let is_bundle =
        |record: &Record| matches!(record, Record::Captured(one) if one.what == "evidence bundle");
    let intent = |record: &Record| matches!(record, Record::Intent { .. });
    let bundle = story.timeline().iter().position(|happened| is_bundle(&happened.record)).unwrap();
    let first = story.timeline().iter().position(|happened| intent(&happened.record)).unwrap();
    assert!(bundle < first, "{story}");

    let shown = site.run(&["evidence", "list", "--incident", story.id(), "-o", "json"]).done();
    let rows: Vec<Value> = serde_json::from_str(&shown).unwrap();
    assert_eq!((rows.len(), rows[0]["state"].as_str()), (1, Some("complete")), "{shown}");
    let report: Report =
        serde_json::from_str(&site.run(&["incident", "report", story.id(), "--format", "json"]).done())
            .unwrap();
    let kept = report.evidence.iter().find(|one| one.what == "evidence bundle").unwrap();
    assert_eq!(kept.sha256.as_deref(), rows[0]["sha256"].as_str(), "the journal has the same manifest");
    assert!(kept.summary.contains(rows[0]["folder"].as_str().unwrap()) && kept.problem.is_none(), "{kept:?}");
    site.run(&["incident", "verify"]).done();

    let folder = folder_of(&shown);
    let found = looked_at(&site, &folder);
    assert!(
        found.is_sound() && found.head.as_ref().unwrap().incident.as_deref() == Some(story.id()),
        "{found:?}"
    );
    assert!(text(&folder, &found, "t0/server/requests.jsonl").contains("ready"));
    let page = site.metrics();
    site.end_serve(Signal::TERM);
    assert!(!page.contains(SECRET) && leaks(&site.path("")).is_empty(), "{:?}", leaks(&site.path("")));
}

#[test]
fn evidence_of_a_server_that_runs_is_collected_checked_and_exported() {
    let mut site = guarded();
    site.serve_until_ready(&["notes"]);
    site.run(&["evidence", "collect", "nobody"]).failed(2, &["`nobody` is no server"]);
    site.run(&["evidence", "verify"]).failed(1, &["no evidence"]);
    let collect = |incident: &str| {
        folder_of(
            &site
                .run(&["evidence", "collect", "notes", "--depth", "t0", "--incident", incident, "-o", "json"])
                .done(),
        )
    };
    let first = collect("I-1");
    // What a tool was said to be, before somebody changed it: the next collection shows the difference.
    let record = site.path("data/evidence/.tools/notes.json");
    let edited = fs::read_to_string(&record).unwrap().replacen(
        "\"description\":\"",
        "\"description\":\"Once it was so. ",
        1,
    );
    fs::write(&record, edited).unwrap();
    let second = collect("I-1");

    let found = looked_at(&site, &second);
    assert!(found.is_sound(), "{:?}", found.problems);
    let pid = site.ready("notes").pid.unwrap();
    let processes = text(&second, &found, "t0/processes.jsonl");
    let server = processes.lines().find(|line| line.contains(&format!("\"pid\":{pid},"))).unwrap();
    assert!(server.contains("NOTES_TOKEN") && !server.contains(SECRET), "{server}");
    let tools = text(&second, &found, "t0/server/tools.jsonl");
    assert!(
        tools.lines().all(|line| line.contains("\"sha256\":\"")) && tools.contains("\"definition\""),
        "{tools}"
    );
    // It has none, and says so at `initialize`.
    assert_eq!(text(&second, &found, "t0/server/prompts.jsonl"), "");
    assert_eq!(text(&second, &found, "t0/server/resources.jsonl"), "");
    assert_eq!(text(&second, &found, "t0/server/templates.jsonl"), "");
    let difference: Value =
        serde_json::from_str(&text(&second, &found, "t0/server/tools-difference.json")).unwrap();
    assert_eq!(difference["changed"][0]["members"], serde_json::json!(["description"]), "{difference}");
    let status: Value = serde_json::from_str(&text(&second, &found, "t0/server/guard-status.json")).unwrap();
    assert!(status["sessions"].is_number() && status["command"].is_array(), "{status}");
    let configuration = text(&second, &found, "t0/server/configuration.json");
    assert!(configuration.contains("NOTES_TOKEN") && !configuration.contains(SECRET), "{configuration}");
    assert_eq!(leaks(&site.path("data/evidence")), Vec::<PathBuf>::new());

    // By incident, both; exported, with what people read beside it.
    site.run(&["evidence", "verify", "I-1"]).done();
    let exported = site.run(&["evidence", "export", "I-1", "-o", "json"]).done();
    let exported: Vec<PathBuf> = serde_json::from_str(&exported).unwrap();
    assert_eq!(exported.len(), 2);
    let copy = looked_at(&site, &exported[1]);
    assert!(copy.is_sound() && copy.custody.len() == 2, "{copy:?}");
    let list = fs::read_to_string(exported[1].join("analysis/process_list.txt")).unwrap();
    assert!(list.lines().any(|line| line.starts_with(&format!("{pid}\t"))), "{list}");
    site.run(&["evidence", "export", "I-1"]).done();

    // A byte of one item, and it is that item.
    let item = found.items.iter().find(|item| item.name == "t0/server/tools.jsonl").unwrap();
    let mut bytes = fs::read(first.join("items.tar.zst")).unwrap();
    let item_of_first = looked_at(&site, &first).items.into_iter().find(|one| one.name == item.name).unwrap();
    bytes[usize::try_from(item_of_first.at + item_of_first.frame_bytes / 2).unwrap()] ^= 1;
    fs::write(first.join("items.tar.zst"), bytes).unwrap();
    site.run(&["evidence", "verify", "I-1"]).failed(1, &["`t0/server/tools.jsonl` was altered"]);
    fs::remove_dir_all(&exported[0]).unwrap();
    site.run(&["evidence", "export", "I-1"]).failed(1, &["is not as it was sealed"]);
}

#[test]
fn a_collection_that_is_stopped_leaves_a_bundle_that_says_so() {
    let site = guarded();
    let mut command = site.command(&["evidence", "collect"]);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let folder = eventually("a bundle is begun", || {
        let entries = fs::read_dir(site.path("data/evidence")).ok()?.flatten();
        entries.map(|entry| entry.path()).find(|path| path.join("seal.json").exists())
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let code = child.wait().unwrap().code();
    let found = looked_at(&site, &folder);
    assert!(found.is_sound(), "{:?}", found.problems);
    // On a machine that is faster than the signal it was done.
    match found.state.unwrap() {
        evidence::State::Interrupted => {
            assert_eq!((code, found.reason.as_deref()), (Some(1), Some("stopped by SIGTERM")));
        }
        state => assert_eq!((code, state), (Some(0), evidence::State::Complete)),
    }
}

#[test]
fn a_collection_that_is_killed_leaves_a_bundle_that_says_so() {
    let site = guarded();
    let mut command = site.command(&["evidence", "collect"]);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let folder = eventually("something was sealed", || {
        let entries = fs::read_dir(site.path("data/evidence")).ok()?.flatten();
        let sealed =
            |path: &PathBuf| path.join("seal.json").exists() && !looked_at(&site, path).items.is_empty();
        entries.map(|entry| entry.path()).find(sealed)
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    let found = looked_at(&site, &folder);
    assert!(found.is_sound() && !found.items.is_empty(), "{found:?}");
    assert_ne!(found.state, Some(evidence::State::Interrupted), "nobody could say so any more");
    site.run(&["evidence", "verify"]).done();
}

/// Collects onto a loop device on which less than a tenth of a megabyte is left beside what is held for the seal, also for
/// root.
const FULL_DISK: &str =
    "truncate -s 6M \"$HOME/image\"; mkfs.ext4 -q -m 0 \"$HOME/image\"; mount -o loop \"$HOME/image\" \"$MOUNT\"
    AVAILABLE=$(df --output=avail -B1 \"$MOUNT\" | tail -n 1)
    head -c $((AVAILABLE - 600000)) /dev/zero > \"$MOUNT/filler\"
    \"$EXE\" evidence collect > \"$HOME/said\" 2>&1 || echo \"exit $?\" >> \"$HOME/said\"
    cp -a \"$MOUNT/evidence\" \"$HOME/kept\"";

#[test]
fn a_disk_that_is_full_leaves_a_bundle_that_says_so() {
    if !rustix::process::getuid().is_root() {
        println!("SKIPPED: this takes root");
        return;
    }
    let site = guarded();
    let (home, mount) = (site.path("home"), site.path("mount"));
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(&mount).unwrap();
    let text = fs::read_to_string(site.config()).unwrap();
    site.write_config(&format!("{text}\n[evidence]\ndir = \"{}/evidence\"\n", mount.display()));
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-ec", FULL_DISK]);
    crate::site::clean(&mut command, &home);
    command.env("MOUNT", &mount).env("EXE", crate::site::EXE).env("PARAMEDIC_CONFIG", site.config());
    let ran = crate::site::run(command);
    let Some(folder) = fs::read_dir(home.join("kept")).ok().and_then(|mut entries| {
        entries.find_map(|entry| {
            entry.ok().map(|entry| entry.path()).filter(|path| path.join("seal.json").exists())
        })
    }) else {
        assert!(!home.join("said").exists(), "{}", fs::read_to_string(home.join("said")).unwrap());
        println!("SKIPPED: no loop device of our own: {}", ran.stderr);
        return;
    };
    let said = fs::read_to_string(home.join("said")).unwrap();
    let found = looked_at(&site, &folder);
    assert!(found.is_sound(), "{:?}\n{said}", found.problems);
    assert_eq!(found.state, Some(evidence::State::Interrupted), "{said}");
    assert_eq!(found.reason.as_deref(), Some("there is no space left for evidence"));
    assert!(said.contains("exit 1") && said.contains("no space left"), "{said}");
    let place = found.head.unwrap().place.unwrap();
    assert!(place.contains("MiB of the 64 that are needed are free"), "{place}");
    assert_eq!(found.custody.len(), 1, "its custody log was written into what was held for it");
}

/// What arrived in a folder by `tar -x`, put together as the documentation says.
const PUT_TOGETHER: &str = "cd \"$1\"/* && for file in items.tar.zst manifest.jsonl steps.jsonl
    do cat $file.* > $file && rm $file.0*; done; pwd";

#[test]
fn a_bundle_goes_off_the_machine_while_it_is_collected_and_to_another_disk() {
    let site = guarded();
    let vault = site.path("vault");
    fs::create_dir(&vault).unwrap();
    let shm = tempfile::tempdir_in("/dev/shm").unwrap();
    let text = fs::read_to_string(site.config()).unwrap();
    let with = |command: &str| {
        site.write_config(&format!(
            "{text}\n[evidence]\nplaces = [\"{}/absent\", \"{}\"]\n[evidence.stream]\ncommand = {command}\ntries = 2\n",
            shm.path().display(),
            shm.path().display()
        ));
    };
    with(&format!("[\"tar\", \"-x\", \"-C\", \"{}\"]", vault.display()));
    let collect = ["evidence", "collect", "notes", "--depth", "t0", "-o", "json"];
    let ran = site.run(&collect);
    assert!(ran.stderr.contains("sent to the command `tar` in "), "{}", ran.stderr);
    let folder = folder_of(&ran.done());
    assert!(folder.starts_with(shm.path()), "{}", folder.display());
    let found = looked_at(&site, &folder);
    let place = found.head.as_ref().unwrap().place.clone().unwrap();
    assert!(place.contains("not on a disk that is looked at; not `"), "{place}");
    assert!(found.is_sound() && found.custody[1].action.starts_with("sent to"), "{found:?}");
    let mut command = std::process::Command::new("bash");
    command.args(["-ec", PUT_TOGETHER, "-"]).arg(&vault);
    let arrived = PathBuf::from(crate::site::run(command).done().trim());
    let arrived = looked_at(&site, &arrived);
    assert!(arrived.is_sound() && arrived.sha256 == found.sha256, "{:?}", arrived.problems);
    site.run(&["evidence", "verify", folder.file_name().unwrap().to_str().unwrap()]).done();

    // Where it cannot go it is here, and that is said.
    with("[\"bash\", \"-c\", \"echo no vault today >&2; exit 7\"]");
    site.run(&collect).failed(1, &["not sent to the command `bash`", "no vault today"]);
    let rows: Vec<Value> =
        serde_json::from_str(&site.run(&["evidence", "list", "-o", "json"]).done()).unwrap();
    assert!(rows.len() == 2 && rows[1]["remarks"].to_string().contains("not sent to"), "{rows:?}");
    // And is sent once it can.
    with(&format!("[\"tar\", \"-x\", \"-C\", \"{}\"]", vault.display()));
    let late = rows[1]["bundle"].as_str().unwrap();
    let ran = site.run(&["evidence", "send", late]);
    assert!(ran.code == Some(0) && ran.stderr.contains("sent to the command `tar`"), "{ran:?}");
    assert!(vault.join(late).join("custody.json").exists());
    let shown = site.run(&["evidence", "list", "-o", "json"]).done();
    assert!(!shown.contains("not sent to"), "{shown}");
}
