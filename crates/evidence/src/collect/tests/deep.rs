//! Tests what other programs are asked, and what is only taken by a person's word: memory and packets.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;
use crate::export::export;

/// A program in place of one of the machine.
fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn ranges_of_the_journal_have_their_cursors_and_no_secret() {
    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    let entry = r#"{\"__CURSOR\":\"s=$n\",\"MESSAGE\":\"API_KEY=hunter2hunter2 $*\"}"#;
    program(place.path(), "journalctl", &format!("for n in 1 2 3; do echo \"{entry}\"; done"));
    let mut scene = scene(root.path());
    scene.programs = vec![place.path().to_owned()];
    scene.subject.units = vec!["x.service".to_owned()];
    let folder = place.path().join("b");
    let found = run(scene, only(&["journal"]), PLENTY, &folder, &|| None);
    let ranges = item(&folder, &found, "t1/journal/ranges.jsonl");
    let expected = r#"{"item":"t1/journal/unit/x.service","unit":"x.service","since_ms":1699913600000,"until_ms":1700000000000,"entries":3,"first_cursor":"s=1","last_cursor":"s=3","problem":null}"#;
    assert_eq!(ranges.lines().next(), Some(expected));
    let unit = item(&folder, &found, "t1/journal/unit/x.service");
    assert!(unit.contains("--since @1699913600.000 --until @1700000000.000 --unit x.service"), "{unit}");
    assert!(!unit.contains("hunter2"), "{unit}");
    assert!(item(&folder, &found, "t1/journal/machine").contains("s=2"));
}

/// The files of a machine that is not running, without any program.
#[test]
fn the_journal_of_another_machine_is_read_from_its_files() {
    const SAMPLE: &[u8] = include_bytes!("../../../../logs/src/journal/samples/compact.journal.zst");
    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    let path = root.path().join("var/log/journal/id/system.journal");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, zstd::decode_all(SAMPLE).unwrap()).unwrap();
    let mut scene = scene(root.path());
    scene.programs = Vec::new();
    scene.now_ms = 1_790_000_001_000;
    scene.subject.units = vec!["mcp-server-mem.service".to_owned()];
    let folder = place.path().join("b");
    let found = run(scene, only(&["journal"]), PLENTY, &folder, &|| None);
    let lines = item(&folder, &found, "t1/journal/unit/mcp-server-mem.service");
    assert!(lines.lines().count() > 10 && lines.contains("\"MESSAGE\":\"request "), "{lines}");
    let ranges = item(&folder, &found, "t1/journal/ranges.jsonl");
    let first = lines.split("\"__CURSOR\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(ranges.contains(&format!("\"first_cursor\":\"{first}\"")), "{ranges}");
}

#[test]
fn a_program_that_hangs_is_ended_with_all_it_has_started_and_one_that_is_absent_is_a_gap() {
    let (root, place) = (machine(), tempfile::tempdir().unwrap());
    fs::create_dir_all(root.path().join("sys/module/nf_tables")).unwrap();
    put(root.path(), "proc/net/ip_tables_names", "filter\n");
    let pids = place.path().join("pids");
    let hang = format!("echo table; sleep 1000 & echo $! > {}; wait", pids.display());
    program(place.path(), "nft", &hang);
    program(place.path(), "iptables-save", "echo no >&2; exit 3");
    let mut scene = scene(root.path());
    scene.programs = vec![place.path().to_owned()];
    let folder = place.path().join("b");
    let began = Instant::now();
    let found = run(scene, only(&["kernel"]), PLENTY, &folder, &|| None);
    assert!(began.elapsed() < Duration::from_secs(60));
    let problem = |name: &str| {
        let gap = found.missing.iter().find(|missing| missing.name == name);
        gap.unwrap_or_else(|| panic!("no gap `{name}`: {:?}", found.missing)).problem.clone()
    };
    assert!(problem("t1/firewall/nft").contains("it was ended after 4s"), "{}", problem("t1/firewall/nft"));
    assert!(
        problem("t1/firewall/iptables").ends_with("exit status: 3: no"),
        "{}",
        problem("t1/firewall/iptables")
    );
    assert!(problem("t1/firewall/ip6tables").contains("No such file"));
    assert_eq!(problem("t1/kernel/bpf-prog"), "there is no program `bpftool`");
    let pid: i32 = fs::read_to_string(pids).unwrap().trim().parse().unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Killed, and perhaps not yet fetched by whoever has it now.
    assert!(stat.is_empty() || stat.contains(") Z ") || stat.contains(") X "), "{stat}");
}

#[test]
fn the_memory_of_a_server_without_its_secret() {
    let place = tempfile::tempdir().unwrap();
    let mut server = std::process::Command::new("/bin/cat")
        .stdin(std::process::Stdio::piped())
        .env_clear()
        .env("GREETING", "what-was-in-its-memory")
        .env("GREETING_TOKEN", "hunter2-hunter2")
        .spawn()
        .unwrap();
    let pid = i32::try_from(server.id()).unwrap();
    // Its environment is there once it is the program.
    let path = format!("/proc/{pid}/environ");
    while !fs::read(&path).unwrap().starts_with(b"GREETING") {
        std::thread::yield_now();
    }
    let scene = Scene::new("/".into(), 1, Subject { pid: Some(pid), ..Subject::default() });
    let folder = place.path().join("b");
    let found = run(scene, only(&["memory"]), PLENTY, &folder, &|| None);
    server.kill().unwrap();
    server.wait().unwrap();
    let index = item(&folder, &found, "t2/memory/index.jsonl");
    assert!(index.contains("[stack]") && index.contains("\"left_out\":\"its file has it\""), "{index}");
    let pieces: Vec<_> =
        found.items.iter().filter(|item| item.name.starts_with(&format!("t2/memory/{pid}/"))).collect();
    let texts: Vec<String> = pieces.iter().map(|piece| item(&folder, &found, &piece.name)).collect();
    assert!(texts.iter().any(|text| text.contains("what-was-in-its-memory")), "{:?}", found.missing);
    assert!(texts.iter().all(|text| !text.contains("hunter2-hunter2")));
    assert!(texts.iter().any(|text| text.contains("GREETING_TOKEN=***************\0")));

    // Exported, it is a core as well: each byte at the address that it had.
    let exported = export(&folder, &place.path().join("out"), &key(), "test", 0).unwrap();
    let core = fs::read(exported.join(format!("analysis/core.{pid}"))).unwrap();
    let word = |at: usize| usize::try_from(u64::from_le_bytes(core[at..at + 8].try_into().unwrap())).unwrap();
    let half = |at: usize| usize::from(u16::from_le_bytes(core[at..at + 2].try_into().unwrap()));
    assert_eq!((&core[..4], half(16)), (&b"\x7fELF"[..], 4));
    let headers: Vec<usize> = (0..half(56)).map(|n| word(32) + n * half(54)).collect();
    let loaded: Vec<_> = headers[1..].iter().map(|at| (word(at + 8), word(at + 16), word(at + 32))).collect();
    let greeting = memchr::memmem::find(&core, b"what-was-in-its-memory").unwrap();
    let (at, address, _) =
        loaded.iter().find(|(at, _, bytes)| (*at..at + bytes).contains(&greeting)).unwrap();
    let is_there = |line: &str| {
        let run: serde_json::Value = serde_json::from_str(line).unwrap();
        let (Some(from), Some(bytes)) = (run["address"].as_str(), run["bytes"].as_u64()) else {
            return false;
        };
        let from = usize::from_str_radix(from, 16).unwrap();
        let is_in = (from..from + usize::try_from(bytes).unwrap()).contains(&(address + greeting - at));
        is_in && run["item"].is_string()
    };
    let place = index.lines().find(|line| is_there(line)).unwrap_or_else(|| panic!("{index}"));
    let place: serde_json::Value = serde_json::from_str(place).unwrap();
    let piece = item(&folder, &found, place["item"].as_str().unwrap());
    assert!(piece.contains("what-was-in-its-memory"), "{place}");
    // It waits for its input, and the kernel has said where; the first note is this thread's.
    let threads = item(&folder, &found, &format!("t2/memory/{pid}/threads.jsonl"));
    let thread: serde_json::Value = serde_json::from_str(threads.lines().next().unwrap()).unwrap();
    let note = word(headers[0] + 8) + 20;
    assert_eq!(core[note + 32..note + 36], pid.to_le_bytes());
    if let (Some(sp), "x86_64") = (thread["sp"].as_str(), std::env::consts::ARCH) {
        assert_eq!(format!("{:#x}", word(note + 112 + 19 * 8)), sp);
    }
}

#[test]
fn memory_is_bounded_and_what_is_left_is_said() {
    let place = tempfile::tempdir().unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    let mut scene = Scene::new("/".into(), 1, Subject { pid: Some(own), ..Subject::default() });
    scene.deep.memory_bytes_max = 100_000;
    let folder = place.path().join("b");
    let found = run(scene, only(&["memory"]), PLENTY, &folder, &|| None);
    let is_piece = |name: &str| name.rsplit('/').next().is_some_and(|last| last.parse::<u32>().is_ok());
    let taken: u64 = found.items.iter().filter(|item| is_piece(&item.name)).map(|item| item.bytes).sum();
    assert_eq!(taken, 100_000);
    assert!(
        found.missing.iter().any(|gap| gap.problem == "more than 100000 bytes of memory"),
        "{:?}",
        found.missing
    );
}

#[test]
fn packets_of_a_port_are_captured_and_those_of_others_are_not() {
    let place = tempfile::tempdir().unwrap();
    let (wanted, other) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = wanted.local_addr().unwrap().port();
    let mut scene = Scene::new("/".into(), 1_700_000_000_000, Subject::default());
    scene.deep.packets = Duration::from_millis(500);
    scene.deep.filter.port = Some(port);
    let folder = place.path().join("b");
    let is_over = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (from, to) = (
                UdpSocket::bind("127.0.0.1:0").unwrap(),
                [&wanted, &other].map(|one| one.local_addr().unwrap()),
            );
            while !is_over.load(Ordering::Relaxed) {
                from.send_to(b"this is wanted", to[0]).unwrap();
                from.send_to(b"and this is not", to[1]).unwrap();
                std::thread::yield_now();
            }
        });
        let found = run(scene, only(&["packets"]), PLENTY, &folder, &|| None);
        is_over.store(true, Ordering::Relaxed);
        found
    });
    if let Some(gap) = found.missing.iter().find(|gap| gap.name == "t2/packets.pcap") {
        assert!(gap.problem.starts_with("packets may not be read"), "{}", gap.problem);
        println!("SKIPPED: {}", gap.problem);
        return;
    }
    let pcap = found.items.iter().find(|item| item.name == "t2/packets.pcap").unwrap();
    let file = std::io::BufReader::new(fs::File::open(folder.join("items.tar.zst")).unwrap());
    let bytes = archive::item(file, pcap.at).unwrap();
    assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    let has = |words: &[u8]| memchr::memmem::find(&bytes, words).is_some();
    assert!(has(b"this is wanted") && !has(b"and this is not"));
    // The first packet, as an analyser reads it.
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((word(20), word(24), word(32)), (101, 1_700_000_000, word(36)));
    assert_eq!((bytes[40], word(32)), (0x45, 20 + 8 + 14));
}

/// Of a server that has a network of its own, as in a container: its packets, and none of this machine's.
#[test]
fn packets_in_another_network_namespace_are_those_of_the_server() {
    let ready = "ip link set lo up && echo ready && exec sleep 1000";
    let spawned = std::process::Command::new("unshare")
        .args(["--net", "--", "sh", "-c", ready])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn();
    let Ok(mut server) = spawned else {
        println!("SKIPPED: there is no `unshare`");
        return;
    };
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut line)
        .unwrap();
    let pid = i32::try_from(server.id()).unwrap();
    let (place, is_over) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let folder = place.path().join("b");
    let found = (line == "ready\n").then(|| {
        std::thread::scope(|scope| {
            let (sender, port) = mpsc::channel();
            let is_over = &is_over;
            scope.spawn(move || {
                let theirs = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
                let kind = Some(rustix::thread::LinkNameSpaceType::Network);
                rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&theirs), kind).unwrap();
                let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
                let to_address = to.local_addr().unwrap();
                sender.send(to_address.port()).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    from.send_to(b"said in a network of its own", to_address).unwrap();
                    std::thread::yield_now();
                }
            });
            let subject = Subject { pid: Some(pid), ..Subject::default() };
            let mut scene = Scene::new("/".into(), 1_700_000_000_000, subject);
            scene.deep.packets = Duration::from_millis(300);
            scene.deep.filter.port = Some(port.recv().unwrap());
            let found = run(scene, only(&["packets"]), PLENTY, &folder, &|| None);
            is_over.store(true, Ordering::Relaxed);
            found
        })
    });
    server.kill().unwrap();
    server.wait().unwrap();
    let Some(found) = found else {
        println!("SKIPPED: no network of our own");
        return;
    };
    let pcap = found.items.iter().find(|item| item.name == "t2/packets.pcap").unwrap();
    let file = std::io::BufReader::new(fs::File::open(folder.join("items.tar.zst")).unwrap());
    let bytes = archive::item(file, pcap.at).unwrap();
    assert!(memchr::memmem::find(&bytes, b"said in a network of its own").is_some(), "{} bytes", bytes.len());
}

/// Processes come and go while they are read.
#[test]
fn processes_that_end_while_they_are_read() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("b");
    let is_over = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let run = std::process::Command::new("/bin/true").spawn();
                let _ = run.and_then(|mut child| child.wait());
            }
        });
        let found = run(
            Scene::new("/".into(), 1, Subject::default()),
            only(&["processes"]),
            PLENTY,
            &folder,
            &|| None,
        );
        is_over.store(true, Ordering::Relaxed);
        found
    });
    for line in item(&folder, &found, "t0/processes.jsonl").lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|one| one["pid"].is_i64()),
            "{line}"
        );
    }
    assert!(found.missing.is_empty(), "{:?}", found.missing);
}
