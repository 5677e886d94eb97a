//! Tests of servers' data: damage is found while `serve` runs, opens the incident that is for it, and a person sees what
//! and since when.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

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
fn a_watch_reads_what_changes_and_everything_when_its_time_has_come() {
    let site = site("");
    let config = site.path("paramedic.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("quick = \"200ms\"", "quick = \"200ms\"\nfull = \"2s\"")).unwrap();
    let mut watching = site.command(&["integrity", "watch", "notes", "--interval", "1s", "-o", "jsonl"]);
    let mut watching = watching.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    let pasts = || -> Vec<serde_json::Value> {
        let ran = site.run(&["integrity", "history", "notes", "-o", "json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_default()
    };
    let full = || pasts().iter().filter(|past| past["reads_all"] == true).count();
    eventually("everything was read", || (full() == 1).then_some(()));
    // Nobody waits for the next look when something changes.
    fs::write(site.path("files/one.json"), "[1").unwrap();
    eventually("the damage is seen", || {
        let damaged = |past: &serde_json::Value| past["trees"][0]["damaged"] == 1;
        pasts().iter().any(damaged).then_some(())
    });
    eventually("everything was read again", || (full() >= 2).then_some(()));
    let pasts = pasts();
    assert!(pasts.iter().any(|past| past["reads_all"] == false), "{pasts:?}");
    watching.kill().unwrap();
    watching.wait().unwrap();
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
    assert_eq!(backups(&site, &[]), [third, second, first.clone(), "somebody's.tar.gz".to_owned()]);
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
fn archives_that_are_alone_are_verified_and_put_back() {
    let site = site("");
    let good = all(&site.path("files"));
    let folder = site.path("data/backup/notes");
    site.run(&["backup", "create", "notes"]).done();
    let [id] = backups(&site, &[]).try_into().unwrap();
    site.run(&["evidence", "key"]);
    let key = site.path("key.pem");
    fs::write(&key, site.run(&["evidence", "key"]).done()).unwrap();
    // All that is left of it is the archive, and somebody has packed it again.
    let alone = format!("{id}.tar.gz");
    let repack =
        format!("zstd -d -q -c {id}.tar.zst | gzip > {alone} && rm {id}.*json {id}.*.jsonl {id}.tar.zst");
    let packed = Command::new("sh").args(["-c", &repack]).current_dir(&folder).status().unwrap();
    assert!(packed.success());
    assert_eq!(backups(&site, &[]), [alone.as_str()]);
    let verified = site.run(&["backup", "verify", "notes", &alone]).done();
    assert!(verified.contains("good at"), "{verified}");
    let archive = folder.join(&alone);
    let bundle = ["backup", "verify", "--bundle", archive.to_str().unwrap(), "--key", key.to_str().unwrap()];
    site.run(&bundle).done();
    fs::write(site.path("files/one.json"), "[").unwrap();
    let told = site.run(&["backup", "restore", "notes", &alone]).done();
    assert!(told.contains(&id), "{told}");
    assert_eq!(all(&site.path("files")), good);

    // One of somebody else: nobody stands for it, and at most its own list of sums proves it.
    let tar = "tar -czf \"$0\" -C .. files";
    let theirs = folder.join("theirs.tar.gz");
    let pack = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(&theirs).current_dir(site.path("files"));
        assert!(shell.status().unwrap().success());
    };
    pack(tar);
    site.run(&["backup", "verify", "notes", "theirs.tar.gz"]).failed(1, &["nothing proves what is in it"]);
    pack(&format!("md5sum * > /tmp/$$.md5 && mv /tmp/$$.md5 checksums.md5 && {tar} && rm checksums.md5"));
    let verified = site.run(&["backup", "verify", "notes", "theirs.tar.gz"]);
    assert!(
        verified.code == Some(0) && verified.stderr.contains("what its checksums.md5 says"),
        "{verified:?}"
    );
    fs::write(site.path("files/one.json"), "[").unwrap();
    site.run(&["backup", "restore", "notes", "theirs.tar.gz"]).failed(1, &["--unsealed"]);
    site.run(&["backup", "restore", "notes", "theirs.tar.gz", "--unsealed", "--damaged"]).done();
    assert_eq!(all(&site.path("files")), good);
    let half = fs::read(&theirs).unwrap();
    fs::write(&theirs, &half[..half.len() / 2]).unwrap();
    site.run(&["backup", "verify", "notes", "theirs.tar.gz"]).failed(1, &["theirs.tar.gz cannot be used"]);
    assert!(!folder.join("scratch/alone").exists(), "nothing of it stays");
}

#[test]
fn a_change_is_checked_soon_and_not_only_when_it_is_time() {
    let server = Server::notes("notes").with("[[server.data]]\npath = \"files\"");
    let mut site =
        Site::of(&Setup { tables: "[integrity]\nquick = \"40s\"", servers: &[server], ..Setup::default() });
    fs::create_dir_all(site.path("files/below")).unwrap();
    fs::write(site.path("files/below/one.json"), "[1]").unwrap();
    site.serve();
    let pasts = || -> Vec<serde_json::Value> {
        let ran = site.run(&["integrity", "history", "notes", "-o", "json"]);
        serde_json::from_str(&ran.stdout).unwrap_or_default()
    };
    let at_ms = |past: &serde_json::Value| past["at_ms"].as_i64().unwrap();
    let first = eventually("the first check is over", || pasts().first().map(at_ms));
    fs::write(site.path("files/below/one.json"), "[").unwrap();
    let is_whole = |past: &serde_json::Value| past["trees"][0]["is_whole"].as_bool();
    let found = eventually("the damage is found", || {
        pasts().iter().find(|past| is_whole(past) == Some(false)).map(at_ms)
    });
    assert!(found - first < 40_000, "it was found when it was time: {first} {found}");
}

#[test]
fn nobody_writes_while_files_are_copied_and_everybody_does_after_a_kill() {
    let mut site = site("");
    // It takes a while to copy, and no room.
    fs::File::create(site.path("files/holes")).unwrap().set_len(3 << 30).unwrap();
    site.serve_until_ready(&["notes"]);
    let restriction = || site.status("notes").restriction;
    let create = ["backup", "create", "notes", "--read-only", "--read-only-most"];
    let mut going = site.command(&[&create[..], &["5s"]].concat());
    let mut going = going.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let held = eventually("nobody may write", restriction);
    assert!(held.contains("read-only mode until") && held.contains("a backup is made"), "{held}");
    going.kill().unwrap();
    going.wait().unwrap();
    eventually("the guard lets everybody write again", || restriction().is_none().then_some(()));
    assert!(backups(&site, &[]).is_empty(), "half a backup is none");
    // It is taken back as soon as all is copied.
    fs::remove_file(site.path("files/holes")).unwrap();
    let made = site.run(&[&create[..], &["10m"]].concat()).done();
    assert!(made.contains("read-only") && made.contains("clients may write"), "{made}");
    assert_eq!(restriction(), None);
    // What an operator has laid down stays.
    site.run(&["server", "readonly", "notes"]).done();
    site.run(&[&create[..], &["10m"]].concat()).done();
    assert!(restriction().is_some_and(|words| !words.contains("until")));
}

#[test]
fn a_snapshot_is_backed_up_in_the_place_of_the_data() {
    let site = site("");
    let good = all(&site.path("files"));
    // As a file system makes one at one moment.
    let snapshot = site.path("snapshot");
    let made = Command::new("cp").arg("-a").arg(site.path("files")).arg(&snapshot).status().unwrap();
    assert!(made.success());
    fs::write(site.path("files/one.json"), "[2]").unwrap();
    let of = |folder: &str| format!("{}={}", site.path(folder).display(), snapshot.display());
    site.run(&["backup", "create", "notes", "--read-at", &of("elsewhere")])
        .failed(1, &["is no folder of the data"]);
    site.run(&["backup", "create", "notes", "--read-at", &of("files")]).done();
    site.run(&["backup", "restore", "notes", "--latest"]).done();
    assert_eq!(all(&site.path("files")), good);
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

#[test]
fn lists_of_sums_are_those_of_the_usual_programs() {
    let site = site("");
    fs::write(site.path("files/a b.txt"), "two\n").unwrap();
    let folder = site.path("files");
    let named = folder.to_str().unwrap();
    for (format, program) in [("md5", "md5sum"), ("sha256", "sha256sum")] {
        let list = site.path(&format!("checksums.{format}"));
        let list = list.to_str().unwrap();
        site.run(&["integrity", "sums", named, "--format", format, "--to", list]).done();
        // They read ours, and we read theirs.
        let theirs = Command::new(program)
            .args(["--check", "--strict", "--quiet", list])
            .current_dir(&folder)
            .status();
        assert!(theirs.unwrap().success());
        let made = Command::new(program).args(["one.json", "a b.txt"]).current_dir(&folder).output().unwrap();
        fs::write(list, made.stdout).unwrap();
        site.run(&["integrity", "sums", named, "--check", list]).done();
        fs::write(site.path("files/one.json"), "[2]").unwrap();
        fs::write(site.path("files/later"), "").unwrap();
        let said = no(&site, &["integrity", "sums", named, "--check", list]);
        assert!(said.contains("written") && said.contains("one.json") && said.contains("added"), "{said}");
        fs::remove_file(site.path("files/later")).unwrap();
        fs::write(site.path("files/one.json"), "[1]").unwrap();
    }
    fs::write(site.path("bad"), "00  ../x\n").unwrap();
    site.run(&["integrity", "sums", named, "--check", site.path("bad").to_str().unwrap()])
        .failed(2, &["line 1 of", "is not a sum"]);
}

#[test]
fn file_systems_are_asked_only_where_nobody_has_them() {
    let site = site("");
    let image = site.path("image");
    let named = image.to_str().unwrap();
    site.run(&["integrity", "filesystem", "/dev/null"]).failed(2, &["neither a device nor a file"]);
    fs::write(&image, "nothing").unwrap();
    site.run(&["integrity", "filesystem", named]).failed(2, &["holds no ext4, XFS or btrfs"]);
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("PATH", &path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !run("mkfs.ext4", &["-q", "-F", named]) {
        println!("SKIPPED: there is no mkfs.ext4");
        return;
    }
    site.run(&["integrity", "filesystem", named]).done();
    // A loop device of ours: whole, mounted, and whole again.
    let device = Command::new("losetup").args(["--find", "--show", named]).env("PATH", &path).output();
    if let Some(device) = device.ok().filter(|output| output.status.success()) {
        let device = String::from_utf8(device.stdout).unwrap().trim().to_owned();
        let at = site.path("mounted");
        fs::create_dir(&at).unwrap();
        let checked = site.run(&["integrity", "filesystem", &device]);
        let is_mounted = run("mount", &[&device, at.to_str().unwrap()]);
        let mounted = site.run(&["integrity", "filesystem", &device]);
        let by_file = site.run(&["integrity", "filesystem", named]);
        let is_gone = !is_mounted || run("umount", &[&device]);
        let is_detached = run("losetup", &["--detach", &device]);
        assert!(is_gone && is_detached);
        checked.done();
        if is_mounted {
            mounted.failed(2, &["mounted at", "unmount it"]);
            by_file.failed(2, &["the file of /dev/loop"]);
        }
    } else {
        println!("SKIPPED: loop devices take root");
    }
    // The table of inodes is lost.
    let mut bytes = fs::read(&image).unwrap();
    bytes[64 << 10..512 << 10].fill(0xa5);
    fs::write(&image, bytes).unwrap();
    let said = no(&site, &["integrity", "filesystem", named]);
    assert!(said.contains("DAMAGED") && said.contains("fsck.ext4 -f -n"), "{said}");
}

#[test]
fn a_backup_without_the_seal_of_this_host_is_not_put_back_unasked() {
    let site = site("");
    site.run(&["backup", "create", "notes"]).done();
    let [id] = backups(&site, &[]).try_into().unwrap();
    let folder = site.path("data/backup/notes");
    let archive = folder.join(format!("{id}.tar.zst"));
    let key = site.path("key.pem");
    fs::write(&key, site.run(&["evidence", "key"]).done()).unwrap();
    let verify = |archive: &Path| -> crate::site::Ran {
        site.run(&["backup", "verify", "--bundle", archive.to_str().unwrap(), "--key", key.to_str().unwrap()])
    };
    // Elsewhere, with nothing but its files and the key.
    let elsewhere = site.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap()) {
        if entry.path().is_file() {
            fs::copy(entry.path(), elsewhere.join(entry.file_name())).unwrap();
        }
    }
    let said = verify(&elsewhere.join(format!("{id}.tar.zst"))).done();
    assert!(said.contains("it is sealed by that key"), "{said}");

    let restore = ["backup", "restore", "notes", "--latest"];
    let record = folder.join(format!("{id}.json"));
    let sealed = fs::read_to_string(&record).unwrap();
    fs::write(&record, sealed.replace("\"left_out\": 0", "\"left_out\": 1")).unwrap();
    verify(&archive).failed(1, &["its seal is one of another record"]);
    site.run(&["backup", "verify", "notes", &id]).failed(1, &["not one that this host has sealed"]);
    let listed = site.run(&["backup", "list", "notes"]).done();
    assert!(listed.contains("NOT SEALED by this host"), "{listed}");
    site.run(&restore).failed(1, &["there is no such backup"]);
    site.run(&["backup", "restore", "notes", &id]).failed(1, &["not one that this host has sealed"]);
    fs::write(&record, &sealed).unwrap();
    fs::remove_file(folder.join(format!("{id}.seal.json"))).unwrap();
    verify(&archive).failed(1, &["it has no seal"]);
    site.run(&restore).failed(1, &["there is no such backup"]);
    // A person may want it all the same.
    site.run(&[&restore[..], &["--unsealed"]].concat()).done();
}

#[test]
fn a_disk_that_is_full_half_way_leaves_no_backup_and_no_other_data() {
    let site = site("");
    // Nothing that could be made smaller.
    let noise: Vec<u8> = (0..3u64 << 17)
        .flat_map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).to_le_bytes())
        .collect();
    fs::write(site.path("files/large.bin"), &noise).unwrap();
    site.run(&["backup", "create", "notes"]).done();
    let [first] = backups(&site, &[]).try_into().unwrap();
    fs::remove_file(site.path("files/one.json")).unwrap();
    let now = || {
        (fs::read(site.path("files/large.bin")).unwrap(), fs::read_dir(site.path("files")).unwrap().count())
    };
    let before = now();

    // The same with the folder of the backups, or that of the data, on a disk of 5 MiB.
    let full = |folder: &str, args: &[&str]| {
        let folder = site.path(folder);
        let mut command = Command::new("unshare");
        let line = "cp -a \"$1\" \"$1.copy\" && mount -t tmpfs -o size=5m none \"$1\" && cp -a \"$1.copy/.\" \"$1\" && shift && exec \"$@\"";
        command.args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            line,
            "bash",
            folder.to_str().unwrap(),
        ]);
        command.arg(crate::site::EXE).args(args).arg("--config").arg(site.config());
        crate::site::clean(&mut command, site.config().parent().unwrap());
        command.current_dir(site.config().parent().unwrap());
        crate::site::run(command)
    };
    let may = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) || !rustix::process::geteuid().is_root() {
        println!("SKIPPED: a disk that is full takes root and mounts of our own");
        return;
    }
    let ran = full("data/backup/notes", &["backup", "create", "notes"]);
    ran.failed(1, &["no backup was made", "No space left on device"]);
    fs::create_dir(site.path("around")).unwrap();
    // There is room for the data, and not for another tree of them.
    let config = fs::read_to_string(site.config()).unwrap();
    fs::rename(site.path("files"), site.path("around/files")).unwrap();
    site.write_config(&config.replace("path = \"files\"", "path = \"around/files\""));
    site.run(&["backup", "create", "notes"]).done();
    let ran = full("around", &["backup", "restore", "notes", "--latest"]);
    ran.failed(1, &["nothing was put back", "are free"]);
    fs::rename(site.path("around/files"), site.path("files")).unwrap();
    assert!(now() == before);
    assert!(backups(&site, &[]).contains(&first));
}
