//! Tests `uninstall`: what Paramedic has changed is taken back, what others have written is not, and nothing that it has
//! written down is lost.

use std::fs;
use std::path::Path;

use process::Signal;

use crate::site::{Server, Site};

const SOCKET: &str = include_str!("../../deploy/systemd/paramedic-helper.socket");
const HELPER: &str = include_str!("../../deploy/systemd/paramedic-helper.service");

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn what_was_changed_is_taken_back_and_what_was_written_down_is_kept() {
    let mut site = Site::new(&[Server::notes("notes")]);
    let root = site.path("root").to_str().unwrap().to_owned();
    let swappiness = site.path("root/proc/sys/vm/swappiness");
    let keepalive = site.path("root/proc/sys/net/ipv4/tcp_keepalive_time");
    write(&swappiness, "60\n");
    write(&keepalive, "7200\n");
    for setting in ["vm.swappiness=10", "net.ipv4.tcp_keepalive_time=600"] {
        site.run(&["host", "tune", setting, "--root", &root]).done();
    }
    site.serve_until_ready(&["notes"]);
    site.run(&["server", "tune", "notes", "--open-files", "512"]).done();
    let units = site.path("root/run/systemd/system");
    let ours = units.join("mcp-server-notes.service.d/50-paramedic-memory.conf");
    let theirs = units.join("mcp-server-notes.service.d/50-paramedic-own.conf");
    let header = "# Set by paramedic until the next boot; it can take this back.\n";
    write(&ours, &format!("{header}[Service]\nMemoryMax=1048576\n"));
    write(&theirs, "[Service]\nNice=5\n");
    let units_of_helper: Vec<_> = [("socket", SOCKET), ("service", HELPER)]
        .map(|(end, text)| {
            (site.path("root/etc/systemd/system").join(format!("paramedic-helper.{end}")), text)
        })
        .into_iter()
        .inspect(|(path, text)| write(path, text))
        .map(|(path, _)| path)
        .collect();
    let somebodys = site.path("root/etc/systemd/system/paramedic-other.service");
    write(&somebodys, HELPER);
    let stale = site.path("data/run/guards/gone.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let uninstall =
        |site: &Site, more: &[&str]| site.run(&[&["uninstall", "--root", root.as_str()], more].concat());

    uninstall(&site, &["--yes"]).failed(4, &["`serve` runs; stop it first"]);
    site.end_serve(Signal::TERM);
    let shown = uninstall(&site, &[]);
    let tuning = site.path("data/tuning/notes.json");
    for place in [&ours, &tuning, &stale, &units_of_helper[0], &units_of_helper[1]] {
        assert!(shown.stdout.contains(place.to_str().unwrap()) && place.exists(), "{shown:?}");
    }
    assert!(shown.stderr.contains("`paramedic uninstall --yes` does it"), "{shown:?}");
    assert!(!shown.stdout.contains("50-paramedic-own"), "{shown:?}");
    site.run(&["kill-switch", "on"]).done();
    uninstall(&site, &["--yes"]).failed(4, &["the kill switch is on"]);
    site.run(&["kill-switch", "off"]).done();

    // Its server goes on, with its guard: that socket is no stale one.
    let guards = site.processes();
    let done = uninstall(&site, &["--yes"]).done();
    assert!(done.contains("notes.sock") && done.contains("left: its process still runs"), "{done}");
    let settings = site.path("root/etc/sysctl.d/60-paramedic.conf");
    for gone in [&ours, &tuning, &stale, &settings, &units_of_helper[0], &units_of_helper[1]] {
        assert!(!gone.exists(), "{}: {done}", gone.display());
    }
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!((read(&swappiness).as_str(), read(&keepalive).as_str()), ("60\n", "7200\n"));
    assert_eq!(read(&theirs), "[Service]\nNice=5\n");
    assert!(somebodys.exists());
    // What was taken back is written down: the drop-in, the tuning, two parameters, two units.
    let journal: Vec<u8> = ["data/journal.db", "data/journal.db-wal"]
        .iter()
        .flat_map(|name| fs::read(site.path(name)).unwrap_or_default())
        .collect();
    let journal = String::from_utf8_lossy(&journal);
    for words in
        ["-MemoryMax=1048576", "unit_file", "-ListenStream=/run/paramedic-helper.sock", "vm.swappiness"]
    {
        assert!(journal.contains(words), "{words} is not in the journal");
    }
    let alive: Vec<_> = site.processes().into_iter().map(|one| one.id).collect();
    assert!(guards.iter().all(|one| alive.contains(&one.id)), "{alive:?}");
    assert!(site.config().exists() && site.path("data/log/notes.log").exists());
    site.run(&["incident", "verify"]).done();
    let again = uninstall(&site, &["--yes"]).done();
    assert!(!again.contains("taken back"), "{again}");
}

#[test]
fn a_value_that_somebody_changed_since_is_left_and_said() {
    let site = Site::new(&[]);
    let root = site.path("root").to_str().unwrap().to_owned();
    let (live, later) =
        (site.path("root/proc/sys/vm/swappiness"), site.path("root/etc/sysctl.d/60-paramedic.conf"));
    write(&live, "60\n");
    site.run(&["host", "tune", "vm.swappiness=20", "--root", &root]).done();
    site.run(&["host", "tune", "vm.swappiness=10", "--root", &root]).done();
    write(&live, "30\n");
    let left = site.run(&["uninstall", "--yes", "--root", &root]);
    assert_eq!(left.code, Some(1), "{left:?}");
    assert!(left.stdout.contains("was changed since") && later.exists(), "{left:?}");

    // Only the last change is known: what was before the first is not, and the file of both goes.
    write(&live, "10\n");
    let done = site.run(&["uninstall", "--yes", "--root", &root]).done();
    assert!(done.contains("taken back; it held vm.swappiness = 20"), "{done}");
    assert_eq!((fs::read_to_string(&live).unwrap().as_str(), later.exists()), ("20\n", false));
}
