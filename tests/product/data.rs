//! Tests of servers' data: damage is found while `serve` runs, opens the incident that is for it, and a person sees what
//! and since when.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::poll::{eventually, pause};
use crate::site::{Server, Setup, Site};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks/data-corruption.md");

/// A server whose data are the folder `files`.
fn site(more: &str) -> Site {
    let server = Server::notes("notes").with("[[server.data]]\npath = \"files\"").with(more);
    let site = Site::of(&Setup {
        keys: &format!("runbooks = [{BOOK:?}]"),
        tables: "[integrity]\nquick = \"200ms\"",
        servers: &[server],
        ..Setup::default()
    });
    fs::create_dir(site.path("files")).unwrap();
    fs::write(site.path("files/one.json"), "[1]").unwrap();
    site
}

/// What a command prints whose answer is no.
#[track_caller]
fn no(site: &Site, words: &[&str]) -> String {
    let ran = site.run(words);
    ran.failed(1, &[]);
    ran.stdout
}

#[test]
fn damage_of_data_opens_its_incident() {
    let mut site = site("");
    site.serve_until_ready(&["notes"]);
    let status = |value: &str| {
        eventually(&format!("the status is {value}"), || {
            let ran = site.run(&["query", "mcp_data_integrity_status", "-o", "json"]);
            ran.stdout.contains(&format!("\"{value}\"")).then_some(())
        });
    };
    status("1");
    // People work with it.
    fs::write(site.path("files/two.json"), "{\"a\": 2}").unwrap();
    site.run(&["integrity", "history", "notes"]).done();
    fs::write(site.path("files/one.json"), "[1").unwrap();
    let story = site.incident("notes", "open", |_| true);
    let alert = story.alarm().alert.as_ref().map(|alert| alert.name.as_str());
    assert_eq!(alert, Some("MCPDataIntegrityFailed"));
    status("0");
    let history = no(&site, &["integrity", "history", "notes"]);
    assert!(history.contains("one.json") && history.contains("the damage began between"), "{history}");
    let checked = no(&site, &["integrity", "check", "notes", "--deep"]);
    assert!(checked.contains("DAMAGED: 1") && checked.contains("broken"), "{checked}");
    // It is mended, and everything is read: then it is whole again.
    fs::write(site.path("files/one.json"), "[1]").unwrap();
    let checked = site.run(&["integrity", "check", "notes", "--deep"]).done();
    assert!(checked.contains("2 file(s)"), "{checked}");
    status("1");
}

#[test]
fn a_folder_is_checked_without_serve_and_without_a_server() {
    let site = site("immutable = true");
    let folder = site.path("files");
    let folder = folder.to_str().unwrap();
    site.run(&["integrity", "check", "notes"]).done();
    site.run(&["integrity", "baseline", folder]).done();
    fs::write(site.path("files/one.json"), "[1, 2]").unwrap();
    let json = no(&site, &["integrity", "check", folder, "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["differences"][0]["change"], "written", "{report}");
    assert_eq!(report["differences"][0]["path"], "one.json", "{report}");
    fs::write(site.path("files/one.json"), "[").unwrap();
    site.run(&["integrity", "baseline", folder]).failed(1, &["is no baseline"]);
    site.run(&["integrity", "baseline", folder, "--force"]).done();
    site.run(&["integrity", "check", folder]).done();
    site.run(&["integrity", "check", "nobody"]).failed(2, &["there is no server `nobody`"]);
    site.run(&["integrity", "check", "/nowhere/at/all"])
        .failed(1, &["/nowhere/at/all could not be looked at"]);
}

/// All files of a folder with their content.
fn all(folder: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|file| {
            (file.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(file).unwrap())
        })
        .collect()
}

/// The names of the backups, newest first.
fn backups(site: &Site, more: &[&str]) -> Vec<String> {
    let ran = site.run(&[&["backup", "list", "notes", "-o", "json"], more].concat());
    let list: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_newest_good_backup_from_before_the_damage_is_put_back() {
    let site = site("");
    for n in 0..50 {
        fs::write(site.path(&format!("files/{n}.json")), format!("[{n}]")).unwrap();
    }
    let good = all(&site.path("files"));
    site.run(&["integrity", "check", "notes"]).done();
    site.run(&["backup", "create", "notes"]).done();
    let [first] = backups(&site, &["--verified"]).try_into().unwrap();
    // Damage comes, and nobody sees it before the next backups.
    fs::write(site.path("files/7.json"), "[").unwrap();
    site.run(&["backup", "create", "notes"]).failed(1, &["damaged already: 7.json"]);
    let second = backups(&site, &[]).remove(0);
    fs::write(site.path("files/7.json"), "[7]").unwrap();
    site.run(&["backup", "create", "notes"]).done();
    let third = backups(&site, &[]).remove(0);
    let archive = site.path(&format!("data/backup/notes/{third}.tar.zst"));
    let bytes = fs::read(&archive).unwrap();
    fs::write(&archive, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(site.path("data/backup/notes/somebody's.tar.gz"), "foreign").unwrap();
    let verified = site.run(&["backup", "verify", "notes", "--all"]);
    verified.failed(1, &["is not the one that was written", &second]);
    assert_eq!(backups(&site, &[]), [third, second, first.clone()]);
    assert_eq!(backups(&site, &["--verified"]), std::slice::from_ref(&first));
    fs::write(site.path("files/8.json"), "").unwrap();
    fs::remove_file(site.path("files/9.json")).unwrap();
    let damaged = all(&site.path("files"));
    no(&site, &["integrity", "check", "notes"]);
    // Somebody would go on writing into what is put aside.
    let open = fs::File::options().append(true).open(site.path("files/one.json")).unwrap();
    site.run(&["backup", "restore", "notes", "--latest"])
        .failed(1, &["open to write", "nothing was put back"]);
    drop(open);
    let told = site.run(&["backup", "restore", "notes", "--latest"]).done();
    assert!(told.contains(&first), "{told}");
    assert_eq!(all(&site.path("files")), good);
    let kept = told.lines().find_map(|line| line.rsplit_once("what was there before is ")).unwrap().1;
    assert_eq!(all(Path::new(kept)), damaged);
    site.run(&["integrity", "check", "notes", "--deep"]).done();
    let none = ["backup", "list", "notes", "--verified", "--before", "2020-01-01T00:00:00Z"];
    site.run(&none).failed(1, &[]);
    site.run(&["backup", "restore", "notes", "20200101T000000Z"]).failed(1, &["there is no such backup"]);
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_tree_or_the_new_one() {
    let site = site("");
    for n in 0..300 {
        fs::write(site.path(&format!("files/{n}.json")), format!("[{n}, {:?}]", "x".repeat(2000))).unwrap();
    }
    let good = all(&site.path("files"));
    site.run(&["backup", "create", "notes"]).done();
    fs::write(site.path("files/0.json"), "[").unwrap();
    let damaged = all(&site.path("files"));
    let (mut before, mut after) = (0, 0);
    let kills = if std::env::var_os("PARAMEDIC_TEST_ALL").is_some() { 500 } else { 10 };
    for n in 0..kills {
        let mut restore = site.command(&["backup", "restore", "notes", "--latest"]).spawn().unwrap();
        // Moments from its start to after its end; which one is hit makes no difference to what has to hold.
        for _ in 0..n * 7 % 40 {
            if restore.try_wait().unwrap().is_some() {
                break;
            }
            pause();
        }
        restore.kill().unwrap();
        restore.wait().unwrap();
        let found = all(&site.path("files"));
        if found == good {
            after += 1;
            fs::write(site.path("files/0.json"), "[").unwrap();
        } else {
            assert!(found == damaged, "kill {n}: neither the old tree nor the new one");
            before += 1;
        }
    }
    println!("{before} kills before the exchange, {after} after it");
    site.run(&["backup", "restore", "notes", "--latest"]).done();
    assert_eq!(all(&site.path("files")), good);
}
