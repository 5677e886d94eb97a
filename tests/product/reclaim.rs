//! Tests giving back space by the command line: what is young stays, and a look alone deletes nothing.

use std::fs;

use crate::site::{Server, Site};

#[test]
fn what_is_of_today_stays() {
    let site = Site::new(&[Server::notes("notes")]);
    let root = site.path("root");
    let files = ["log/notes.log.1", "log/notes.log", "var/cache/apt/archives/a.deb", "tmp/heapdump.hprof"];
    for name in files {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "x").unwrap();
    }
    let root_of = root.to_str().unwrap();
    let shown = site.run(&["host", "reclaim", "--root", root_of]).done();
    assert!(shown.contains("0 file(s) with 0 KiB may go; nothing was deleted"), "{shown}");
    assert!(shown.contains("2 too young"), "{shown}");
    let done = site.run(&["host", "reclaim", "--root", root_of, "--apply"]).done();
    assert_eq!(done, "0 file(s) are gone, 0 KiB are free again\n");
    assert!(files.iter().all(|name| root.join(name).exists()));
    let json = site.run(&["host", "reclaim", "--root", root_of, "--older-than", "30d", "-o", "json"]).done();
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((plan["bytes"].as_u64(), plan["kept"]["young"].as_u64()), (Some(0), Some(2)));
    site.run(&["host", "reclaim", "--older-than", "soon"]).failed(2, &["is no duration"]);
}
