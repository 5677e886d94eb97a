//! Tests that only what root or the user of `serve` alone can write says what is done.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use crate::site::{Server, Setup, Site};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks/server-down.md");

const OPEN: &str =
    "## Look\n\n### Alert: Look\n\n### Look (0-5 minutes)\n\n1. **Look**\n\n```bash\ntrue\n```\n";

#[test]
fn a_runbook_that_others_may_write_is_not_used() {
    let keys = "runbooks = [\"open.md\", \"shut.md\"]";
    let mut site = Site::of(&Setup { keys, servers: &[Server::notes("notes")], ..Setup::default() });
    let shut = fs::read_to_string(SHIPPED).unwrap();
    for (name, text, bits) in [("open.md", OPEN, 0o666), ("shut.md", &shut, 0o600)] {
        fs::write(site.path(name), text).unwrap();
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(bits)).unwrap();
    }
    let open = site.path("open.md");
    let open = open.to_str().unwrap();
    let mend = format!("chmod go-w {open}");
    site.run(&["config", "check"]).failed(2, &[open, "mode 0666", &mend]);
    site.serve_until_ready(&["notes"]);
    let log = site.serve_log();
    let told = |line: &str| line.contains("is not trusted") && line.contains(&mend);
    assert!(log.lines().any(told), "{log}");
    let health = health(&site);
    assert!(health.starts_with("HTTP/1.1 200 ") && health.contains("\"degraded\""), "{health}");
    assert!(health.contains(&mend) && !health.contains("shut.md"), "{health}");

    // The other one is used.
    site.kill("notes");
    assert_eq!(site.resolved("notes").restarts(), 1);

    // Whoever follows it by hand is warned, and does as they please.
    let by_hand = ["runbook", "run", open, "--procedure", "look", "--yes"];
    let ran = site.run(&by_hand);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("warning: ") && ran.stderr.contains(&mend), "{ran:?}");

    fs::set_permissions(open, fs::Permissions::from_mode(0o644)).unwrap();
    site.run(&["config", "check"]).done();
}

fn health(site: &Site) -> String {
    let mut stream = UnixStream::connect(site.path("data/run/paramedic.sock")).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
