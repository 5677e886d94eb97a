//! Tests of the journal's own troubles and cares: a disk that is full, pages that are damaged, a file from a newer version, copies and budgets.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use process::Signal;

use crate::poll::eventually;
use crate::processes;
use crate::site::{self, EXE, Server, Setup, Site, free_port};

/// A site whose first incident is over, and whose `serve` is gone.
fn with_an_incident(tables: &str) -> Site {
    let mut site = Site::of(&Setup { tables, servers: &[Server::notes("notes")], ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    site.resolved("notes");
    site
}

/// Puts a changed copy of the journal in its place. A copy has all its pages in one file.
fn replace_journal(site: &mut Site, change: impl FnOnce(&mut Vec<u8>)) -> (PathBuf, Vec<u8>) {
    let copy = site.path("copy.db");
    assert_eq!(site.run(&["journal", "backup", copy.to_str().unwrap()]).code, Some(0));
    site.end_serve(Signal::TERM);
    let path = site.path("data/journal.db");
    let mut bytes = fs::read(copy).unwrap();
    change(&mut bytes);
    fs::write(&path, &bytes).unwrap();
    for name in ["data/journal.db-wal", "data/journal.db-shm"] {
        let _ = fs::remove_file(site.path(name));
    }
    (path, bytes)
}

#[test]
fn a_journal_of_a_newer_version_is_left_alone() {
    let mut site = with_an_incident("");
    // The schema of a database stands at byte 60 of its file.
    let (path, bytes) =
        replace_journal(&mut site, |bytes| bytes[60..64].copy_from_slice(&99_u32.to_be_bytes()));
    for command in [["serve"].as_slice(), &["incident", "list"], &["journal", "status"]] {
        site.run(command).failed(2, &["schema 99", "newer than", path.to_str().unwrap()]);
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_journal_is_named_and_nothing_is_begun() {
    let mut site = with_an_incident("");
    // All but the first page, which says that this is a journal.
    let (path, damaged) = replace_journal(&mut site, |bytes| bytes[4096..].fill(0xa5));
    site.run(&["serve"]).failed(2, &["the journal", path.to_str().unwrap()]);
    let left = fs::read(&path).unwrap();
    assert!(left[4096..] == damaged[4096..], "what is left of it stays for whoever can read it");
}

#[test]
fn a_copy_is_made_while_it_is_in_use_and_only_once() {
    let site = with_an_incident("");
    let copy = site.path("copy.db");
    let to = copy.to_str().unwrap();
    let ran = site.run(&["journal", "backup", to]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("its chain is whole"), "{ran:?}");
    site.run(&["journal", "backup", to]).failed(1, &[to]);
    // The copy is a journal like the other.
    let other = Site::new(&[]);
    fs::create_dir(other.path("data")).unwrap();
    fs::copy(&copy, other.path("data/journal.db")).unwrap();
    let listed = other.run(&["incident", "list", "--all"]).done();
    assert!(listed.contains("notes") && listed.contains("resolved"), "{listed}");
}

#[test]
fn the_budget_is_told_and_the_young_are_kept() {
    let site = with_an_incident("[retention]\nbudget = \"1KiB\"\nkeep = \"1h\"\n");
    let ran = site.run(&["journal", "status", "-o", "json"]);
    assert_eq!(ran.code, Some(1), "over the budget, and nothing may go: {ran:?}");
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(status["budget_bytes"], 1024);
    assert_eq!(status["incidents"], serde_json::json!([]));
    assert!(status["bytes"].as_u64().unwrap() > 1024);
    let told = site.run(&["journal", "status"]).stdout;
    assert!(told.contains("1KiB") && told.contains("too young"), "{told}");
}

/// The data directory is a small file system of its own, which is filled from outside.
#[test]
fn on_a_full_disk_looking_goes_on_and_nothing_is_changed() {
    let Some(full) = FullDisk::begin() else {
        println!("SKIPPED: this user may not mount a file system in a name space of their own");
        return;
    };
    let site = &full.site;
    full.fill();
    let pid = site.status("notes").pid.unwrap();
    processes::signal(pid, Signal::KILL);
    eventually("serve says that there is no room", || {
        full.log().contains("No space left on device").then_some(())
    });
    let health = eventually("serve is not healthy", || full.health().filter(|page| page.contains("503")));
    assert!(health.contains("nothing is changed while nothing can be written"), "{health}");
    let status = site.status("notes");
    assert_eq!((status.starts, status.pid), (Some(1), None), "looked at, and not restarted");

    fs::remove_file(full.filler()).unwrap();
    let story = eventually("the incident is over", || {
        let listed = site.incidents();
        listed.first().is_some_and(|one| one.state == incident::State::Resolved).then_some(listed)
    });
    assert_eq!(story.len(), 1, "{story:?}");
    assert_eq!(site.status("notes").starts, Some(2), "restarted once");
    assert!(site.run(&["incident", "list", "--all"]).done().contains("resolved"));
    eventually("serve is healthy again", || full.health().filter(|page| page.contains("200 OK")));
}

/// `serve` with its data directory on a file system of a few megabytes.
struct FullDisk {
    site: Site,
    serve: std::process::Child,
    listen: u16,
}

impl FullDisk {
    /// `None` where this user may not do it.
    fn begin() -> Option<Self> {
        let may = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
        may.ok().filter(std::process::ExitStatus::success)?;
        let site = Site::of(&Setup { servers: &[Server::notes("notes")], ..Setup::default() });
        let listen = free_port();
        site.write_config(&format!(
            "data_dir = \"data\"\nrun_dir = \"run\"\nlog_dir = \"log\"\nlisten = \"127.0.0.1:{listen}\"\n\
             [probe]\ninterval = \"250ms\"\n\
             [metrics]\nscrape_interval = \"1s\"\nevaluation_interval = \"250ms\"\n\
             [verify]\nprobes = 3\ninterval = \"250ms\"\nperiod = \"500ms\"\n\
             [alerts.MCPServerDown]\nfor = \"1s\"\nkeep_firing_for = \"500ms\"\n\
             [[server]]\nname = \"notes\"\nport = {}\nstdio = [{EXE:?}, \"demo-server\", \"notes\"]\n",
            site.port("notes")
        ));
        fs::create_dir(site.path("data")).unwrap();
        let log = File::create(site.path("serve.log")).unwrap();
        let mut command = Command::new("unshare");
        command.args([
            "-rm",
            "sh",
            "-c",
            "mount -t tmpfs -o size=8m none data && exec \"$0\" serve --config paramedic.toml",
            EXE,
        ]);
        site::clean(&mut command, &site.path("."));
        command.current_dir(site.path(".")).stdout(log.try_clone().unwrap()).stderr(log);
        let mut full = Self { serve: command.spawn().unwrap(), site, listen };
        full.ready();
        Some(full)
    }

    fn ready(&mut self) {
        eventually("the server answers", || {
            assert_eq!(self.serve.try_wait().unwrap(), None, "{}", self.log());
            let ran = self.site.run(&["server", "status", "notes", "-o", "json"]);
            ran.stdout.contains("\"ready\"").then_some(())
        });
    }

    fn log(&self) -> String {
        self.site.serve_log()
    }

    fn filler(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.serve.id()));
        root.join(self.site.path("data/filler").strip_prefix("/").unwrap())
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for bytes in [64 * 1024, 512] {
            while file.write_all(&vec![0; bytes]).is_ok() {}
        }
    }

    /// The answer of `/health`.
    fn health(&self) -> Option<String> {
        use std::io::Read as _;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.listen)).ok()?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = self.serve.kill();
        let _ = self.serve.wait();
    }
}
