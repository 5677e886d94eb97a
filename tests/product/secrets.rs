//! Tests secrets by reference: they reach the server and the contact that needs them, and nothing that is shown, logged or
//! written down; what is missing has a name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use process::Signal;

use crate::machine::Machine;
use crate::receiver::{Answer, Receiver};
use crate::site::{Server, Setup, Site};
use crate::two_units::install_program;

/// Found nowhere but where it belongs.
const SECRET: &str = "hunter2-of-the-test";

fn write(site: &Site, name: &str, text: &str, mode: u32) {
    fs::write(site.path(name), text).unwrap();
    fs::set_permissions(site.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

/// The environment of the process of a server.
fn environment(site: &Site, server: &str) -> Vec<String> {
    let pid = site.ready(server).pid.unwrap();
    let text = String::from_utf8(fs::read(format!("/proc/{pid}/environ")).unwrap()).unwrap();
    text.split('\0').map(str::to_owned).collect()
}

/// The files below a folder that have these bytes in them, and those whose processes have them in their arguments.
fn leaks(folder: &Path, site: &Site) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if entry.file_type().unwrap().is_file() {
                let bytes = fs::read(&path).unwrap_or_default();
                found.extend(has(&bytes).then(|| path.display().to_string()));
            }
        }
    }
    for one in site.processes() {
        let bytes = fs::read(format!("/proc/{}/cmdline", one.id.pid)).unwrap_or_default();
        found.extend(has(&bytes).then(|| format!("the arguments of {}", one.id.pid)));
    }
    found
}

fn has(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

#[test]
fn secrets_reach_whom_they_are_for_and_nobody_else() {
    let receiver = Receiver::new(&[Answer::Status(200)]);
    let contact = "[[contact]]\nname = \"on-call\"\nkind = \"webhook\"\nurl = { file = \"secrets/url\" }\n\
         authorization = { command = [\"cat\", \"secrets/authorization\"] }\n\
         [escalation]\n[[escalation.level]]\ncontacts = [\"on-call\"]";
    let server = Server::notes("notes").with(
        "environment = { API_TOKEN = { env_file = \"secrets/env\", key = \"TOKEN\" }, FROM_FILE = { file = \"secrets/file\" }, LEVEL = \"debug\" }\n\
         dependency = [{ name = \"token\", env = \"API_TOKEN\" }]",
    );
    let mut site = Site::of(&Setup { tables: contact, servers: &[server], ..Setup::default() });
    fs::create_dir(site.path("secrets")).unwrap();
    write(&site, "secrets/url", &receiver.url(), 0o600);
    write(&site, "secrets/authorization", &format!("Bearer {SECRET}\n"), 0o600);
    write(&site, "secrets/env", &format!("# TOKEN=no\nTOKEN=\"{SECRET}\"\n"), 0o640);
    write(&site, "secrets/file", &format!("{SECRET}\n"), 0o600);
    // A command has the folder of `serve`; an absolute path means the same to all.
    let config = fs::read_to_string(site.config()).unwrap();
    let absolute = site.path("secrets/authorization").display().to_string();
    site.write_config(&config.replace("\"secrets/authorization\"", &format!("{absolute:?}")));

    site.run(&["config", "check"]).done();
    let shown = site.run(&["config", "show"]).done() + &site.run(&["config", "show", "-o", "json"]).done();
    assert!(shown.contains("secrets/file") && shown.contains("TOKEN") && !has(shown.as_bytes()), "{shown}");

    site.serve_until_ready(&["notes"]);
    let environment = environment(&site, "notes");
    for entry in [format!("API_TOKEN={SECRET}"), format!("FROM_FILE={SECRET}"), "LEVEL=debug".to_owned()] {
        assert!(environment.contains(&entry), "{entry} is not there");
    }
    site.until("notes", "healthy, as what it needs is there", |status| status.health == "healthy");
    site.kill("notes");
    site.resolved("notes");
    let came = receiver.came();
    assert!(!came.is_empty());
    assert!(came.iter().all(|one| one.headers["authorization"] == format!("Bearer {SECRET}")));
    site.run(&["incident", "verify"]).done();
    assert!(!has(site.serve_log().as_bytes()));
    assert_eq!(leaks(&site.path("data"), &site), [""; 0]);
    site.end_serve(Signal::TERM);
}

#[test]
fn what_is_missing_or_open_is_named_and_keeps_its_server_down() {
    let server = Server::notes("notes").with("environment = { API_TOKEN = { file = \"token\" } }");
    let mut site = Site::new(&[server]);
    let check = |words: &[&str]| {
        let ran = site.run(&["config", "check"]);
        ran.failed(2, &[&["the variable `API_TOKEN` of the server `notes`"], words].concat());
        assert!(!has(ran.stderr.as_bytes()), "{ran:?}");
    };
    check(&["token` cannot be read", "No such file"]);
    write(&site, "token", SECRET, 0o644);
    check(&["token` is not secret", "mode 0644", "chmod"]);
    write(&site, "token", "", 0o600);
    check(&["is empty"]);

    // Its server is not started with half of what it needs; with all of it, it is.
    site.serve();
    let down = site
        .until("notes", "without its secret", |status| status.reason.contains("`API_TOKEN` is not known"));
    assert_eq!(down.pid, None);
    write(&site, "token", SECRET, 0o600);
    site.run(&["server", "start", "notes"]).done();
    assert!(environment(&site, "notes").contains(&format!("API_TOKEN={SECRET}")));
    site.run(&["config", "check"]).done();
    site.run(&["server", "tune", "notes", "--env", "OTHER_TOKEN=x"])
        .failed(1, &["`OTHER_TOKEN` is a secret"]);
}

#[test]
fn commands_have_to_give_one_in_time_and_without_a_word_too_much() {
    let check = |command: &str, words: &[&str]| {
        let server = Server::notes("notes")
            .with(&format!("environment = {{ API_TOKEN = {{ command = {command} }} }}"));
        let site = Site::new(&[server]);
        let ran = site.run(&["config", "check"]);
        ran.failed(2, words);
        assert!(!has(ran.stderr.as_bytes()), "{ran:?}");
    };
    check("[\"/no/such/program\"]", &["`/no/such/program` cannot be run"]);
    check(
        &format!("[\"sh\", \"-c\", \"echo {SECRET}; echo no entry for {SECRET} >&2; exit 3\"]"),
        &["the command `sh` ended with", "no entry for [REDACTED]"],
    );
    check("[\"true\"]", &["the command `true` is empty"]);
    check("[\"head\", \"-c\", \"100000\", \"/dev/zero\"]", &["printed too much"]);
    if std::env::var_os("PARAMEDIC_TEST_ALL").is_some() {
        check("[\"sleep\", \"1000\"]", &["took longer than 10s"]);
    } else {
        println!("SKIPPED: the deadline of ten seconds; PARAMEDIC_TEST_ALL waits for it");
    }
}

#[test]
fn a_secret_in_the_configuration_is_refused_and_not_repeated() {
    for (tables, words) in [
        (
            format!(
                "[[contact]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9\"\nauthorization = \"Bearer {SECRET}\"\n"
            ),
            "`authorization`: a secret is not written here",
        ),
        (
            format!(
                "[[contact]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"http://ann:{SECRET}@127.0.0.1:9\"\n"
            ),
            "has a password in it",
        ),
        (
            format!(
                "[[server]]\nname = \"a\"\nport = 9\nstdio = [\"x\"]\nenvironment = {{ API_KEY = \"{SECRET}\" }}\n"
            ),
            "`API_KEY` is a secret",
        ),
        (
            format!(
                "[[server]]\nname = \"a\"\nport = 9\nstdio = [\"x\"]\nenvironment = {{ DB = \"postgres://a:{SECRET}@db/x\" }}\n"
            ),
            "the value of `DB` has a password",
        ),
        (
            format!(
                "[[server]]\nname = \"a\"\nport = 9\nstdio = [\"x\"]\nparameters = {{ API_TOKEN = \"{SECRET}\" }}\n"
            ),
            "parameters are shown",
        ),
        ("trusted_owner = \"nobody-here\"\n".to_owned(), "nobody on this machine is called `nobody-here`"),
    ] {
        let site = Site::new(&[]);
        site.write_config(&format!("data_dir = \"data\"\n{}", tables));
        let ran = site.run(&["config", "check"]);
        ran.failed(2, &[words]);
        assert!(!has(ran.stderr.as_bytes()) && !has(ran.stdout.as_bytes()), "{ran:?}");
    }
    // What only a unit has is not looked at at a keyboard, and that is said.
    let site =
        Site::new(&[Server::notes("notes").with("environment = { A_TOKEN = { credential = \"a-token\" } }")]);
    let ran = site.run(&["config", "check"]);
    assert!(
        ran.code == Some(0)
            && ran.stderr.contains("not looked at")
            && ran.stderr.contains("`LoadCredential=a-token:PATH`"),
        "{ran:?}"
    );
}

/// What systemd gives to a unit of an ordinary user is found there, and by nobody else.
#[test]
fn a_credential_is_read_in_a_unit_that_has_it() {
    let Some(machine) = Machine::boot() else { return };
    install_program(&machine);
    machine.write("/etc/paramedic/credentials/a-token", SECRET);
    machine.run(&["chmod", "0600", "/etc/paramedic/credentials/a-token"]);
    let config = "data_dir = \"/var/lib/paramedic\"\n[[server]]\nname = \"notes\"\nport = 7801\nstdio = [\"x\"]\n\
                  environment = { A_TOKEN = { credential = \"a-token\" } }\n";
    machine.write("/etc/paramedic/paramedic.toml", config);
    let check = ["/usr/bin/paramedic", "--config=/etc/paramedic/paramedic.toml", "config", "check"];
    let unit = ["systemd-run", "--quiet", "--wait", "--pipe", "--property=User=paramedic"];
    let run = |more: &[&str]| machine.try_run(&[&unit, more, &check].concat()).unwrap();
    let with = run(&["--property=LoadCredential=a-token:/etc/paramedic/credentials/a-token"]);
    let said = String::from_utf8_lossy(&with.stderr).into_owned();
    assert!(with.status.success() && !said.contains("not looked at"), "{with:?}");
    let other = run(&["--property=LoadCredential=other:/etc/paramedic/credentials/a-token"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success() && said.contains("`A_TOKEN` of the server `notes`"), "{other:?}");
    assert!(!has(&other.stderr) && !has(&with.stderr));
}
