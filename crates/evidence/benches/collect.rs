//! Owns measuring evidence side by side: T0 beside the commands of the original runbook, sealing beside `tar` and `sha256sum`.
//!
//! `cargo bench -p evidence` begins as many sleeping processes as are missing to 300, and prints medians.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use evidence::manifest::{FORMAT, Head};
use evidence::{Budget, Gathered, Scene, SigningKey, Subject, Tier, Writer, collect, steps, verify};

const PROCESSES: usize = 300;
const ROUNDS: usize = 9;
/// What the runbook's steps 3 and 4 run, as far as it looks at what is volatile.
const COMMANDS: [&[&str]; 5] = [
    &["netstat", "-tulpn"],
    &["ss", "-tuln"],
    &["ps", "auxf"],
    &["lsof"],
    &["journalctl", "--since", "1 hour ago"],
];

fn main() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let present = fs::read_dir("/proc").expect("/proc").flatten();
    let present = present.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count();
    let mut sleepers: Vec<Child> =
        (present..PROCESSES).filter_map(|_| Command::new("sleep").arg("600").spawn().ok()).collect();
    println!("{} processes", present + sleepers.len());
    let key = Arc::new(SigningKey::of_seed(&[1; 32]));
    let mut n = 0;
    let t0 = median(|| {
        n += 1;
        let folder = place.path().join(n.to_string());
        let began = Instant::now();
        let writer = Writer::begin(&folder, head(), Arc::clone(&key)).expect("a bundle");
        let scene = Arc::new(Scene::new("/".into(), 0, Subject::default()));
        let budget = Budget { time: Duration::from_secs(60), bytes: 1 << 30 };
        let (writer, end) =
            collect(&scene, steps(Tier::T0), writer, budget, &|| None, &mut |_| {}).expect("T0");
        let sealed = writer.finish(end, "bench", 0).expect("a seal");
        let took = began.elapsed();
        if n == 1 {
            println!("T0: {} items, {} bytes", sealed.items, sealed.bytes);
        }
        took
    });
    println!("T0, collected, compressed, sealed, synced: {t0:?}");
    for command in COMMANDS {
        let run = || {
            Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status()
        };
        match run() {
            Err(error) => println!("{}: {error}", command.join(" ")),
            Ok(_) => println!("{}: {:?}", command.join(" "), median(|| timed(|| drop(run())))),
        }
    }
    for child in &mut sleepers {
        let _ = child.kill();
        let _ = child.wait();
    }
    sealing(place.path(), &key);
}

/// 256 MiB that do not shrink and 256 MiB of text that does, sealed and checked beside `sha256sum` of the same.
fn sealing(place: &Path, key: &Arc<SigningKey>) {
    let folder = place.join("files");
    fs::create_dir(&folder).expect("a folder");
    let mut seed = 1_u64;
    let mut noise = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let files: Vec<Vec<u8>> = (0..16)
        .map(|file| match file % 2 {
            0 => (0..(32 << 20) / 8).flat_map(|_| noise().to_ne_bytes()).collect(),
            _ => format!("2026-11-26T20:00:00Z INFO request {}\n", noise())
                .repeat((32 << 20) / 60)
                .into_bytes(),
        })
        .collect();
    for (n, bytes) in files.iter().enumerate() {
        fs::write(folder.join(n.to_string()), bytes).expect("a file");
    }
    let mut n = 0;
    let seal = median(|| {
        n += 1;
        let bundle = place.join(format!("sealed-{n}"));
        timed(|| {
            let mut writer = Writer::begin(&bundle, head(), Arc::clone(key)).expect("a bundle");
            for file in 0..files.len() {
                let bytes = fs::read(folder.join(file.to_string())).expect("a file");
                writer.take("files", Gathered::whole(file.to_string(), bytes)).expect("an item");
            }
            writer.finish(evidence::End::Complete, "bench", 0).expect("a seal");
        })
    });
    let check = median(|| timed(|| assert!(verify(&place.join("sealed-1"), key.public()).is_sound())));
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).current_dir(&folder).stdout(Stdio::null());
        median(|| timed(|| drop(command.status())))
    };
    println!(
        "sealing {} MiB: {seal:?}; checking it: {check:?}",
        files.iter().map(Vec::len).sum::<usize>() >> 20
    );
    println!("sha256sum *: {:?}", shell("sha256sum *"));
    println!("tar | sha256sum: {:?}", shell("tar cf - . | sha256sum"));
    println!("tar | zstd -1 | sha256sum: {:?}", shell("tar cf - . | zstd -1 -q -c | sha256sum"));
}

fn head() -> Head {
    Head {
        format: FORMAT,
        server: None,
        incident: None,
        by: "bench".to_owned(),
        host: None,
        at_ms: 0,
        tiers: Vec::new(),
        place: None,
        since_ms: None,
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median(mut one: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| one()).collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}
