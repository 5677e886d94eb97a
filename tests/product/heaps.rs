//! Tests of `server heap-dump`: the process is found by the name of its server, nothing is done without `--apply`, and who has no
//! way is left alone.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use serde_json::Value;

use crate::real::installed;
use crate::site::{Server, Site};

#[test]
fn a_heap_is_dumped_into_a_private_place_on_a_word() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::DirBuilder::new().mode(0o700).create(&work).unwrap();
    let argv = ["node", "--heapsnapshot-signal=SIGUSR2", script.to_str().unwrap(), "stdio"];
    let started_for_it = Server::new("ready", &argv).with(&format!("directory = {work:?}"));
    let plain = Server::new("plain", &["node", script.to_str().unwrap(), "stdio"]);
    let mut site = Site::new(&[started_for_it, plain]);
    site.serve_until_ready(&["ready", "plain"]);
    let pids = ["ready", "plain"].map(|server| site.status(server).pid);

    let shown = site.run(&["server", "heap-dump", "ready"]).done();
    assert!(shown.contains("by SIGUSR2") && shown.contains("nothing was done"), "{shown}");
    assert!(!site.path("data/heap-dumps").exists());
    site.run(&["server", "heap-dump", "plain", "--apply"]).failed(1, &["--heapsnapshot-signal=SIGUSR2"]);
    site.run(&["server", "collect-garbage", "ready", "--apply"]).failed(1, &["without running code in it"]);
    site.run(&["server", "heap-dump", "nobody"]).failed(2, &["no server `nobody`"]);

    let written: Value =
        serde_json::from_str(&site.run(&["server", "heap-dump", "ready", "--apply", "-o", "json"]).done())
            .unwrap();
    let file = fs::metadata(written["file"].as_str().unwrap()).unwrap();
    assert_eq!((file.permissions().mode() & 0o777, Some(file.len())), (0o600, written["bytes"].as_u64()));
    assert!(fs::read_dir(&work).unwrap().next().is_none(), "nothing stays where others might come");
    assert_eq!(["ready", "plain"].map(|server| site.status(server).pid), pids, "both go on");
}
