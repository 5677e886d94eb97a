//! Measures manifests and backups of trees beside the programs that people use for that: many small files, and one large one.
//!
//! ```text
//! PARAMEDIC_B3SUM=/path/to/b3sum cargo bench -p integrity --bench trees
//! ```
//!
//! `PARAMEDIC_BENCH_FILES` and `PARAMEDIC_BENCH_BYTES` make it smaller, `PARAMEDIC_BENCH_DIR` says where. Everything is read
//! from memory: each contender is run once before the three runs of which the median counts, and all take turns.

#![expect(clippy::unwrap_used, reason = "a bench ends by panicking")]

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use integrity::backup::{Catalogue, Create, Tree, create};
use integrity::{Expect, Keep, Options, Patterns, Places, check};

/// Runs of which the median counts.
const RUNS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|one| one == "one") {
        return one(&args[2], Path::new(&args[3]), Path::new(&args[4]));
    }
    let number = |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (files, bytes) = (number("PARAMEDIC_BENCH_FILES", 100_000), number("PARAMEDIC_BENCH_BYTES", 4 << 30));
    let folder = std::env::var_os("PARAMEDIC_BENCH_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in);
    let folder = folder.unwrap();
    let (many, large) = (folder.path().join("many"), folder.path().join("large"));
    make_many(&many, files);
    make_large(&large, bytes);
    let threads = std::thread::available_parallelism().unwrap();
    println!("{files} files of 0 to 8 KiB, and one of {} MiB; {threads} processors", bytes >> 20);
    for tree in [&many, &large] {
        println!("\n{}", tree.file_name().unwrap().display());
        race(folder.path(), tree);
    }
    println!("\nbackup of the many, level 3");
    race_backups(folder.path(), &many);
}

/// A contender: its name, and how it is started.
type Contender = (String, Box<dyn Fn() -> Command>);

fn ours(what: &str, folder: &Path, tree: &Path) -> Contender {
    let (verb, folder, tree) = (what.to_owned(), folder.to_owned(), tree.to_owned());
    let start = move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["one", &verb]).args([&folder, &tree]);
        command
    };
    (format!("paramedic: {what}"), Box::new(start))
}

fn theirs(name: &str, program: String, tree: &Path) -> Contender {
    let tree = tree.to_owned();
    let start = move || {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("find . -type f -print0 | xargs -0 {program}")]).current_dir(&tree);
        command
    };
    (name.to_owned(), Box::new(start))
}

fn race(folder: &Path, tree: &Path) {
    let b3sum = std::env::var("PARAMEDIC_B3SUM").unwrap_or_else(|_| "b3sum".to_owned());
    let mut all = vec![
        ours("baseline", folder, tree),
        ours("full check", folder, tree),
        ours("quick check", folder, tree),
        theirs("sha256sum", "sha256sum".to_owned(), tree),
        theirs("md5sum", "md5sum".to_owned(), tree),
    ];
    if Command::new(&b3sum).arg("--version").stdout(Stdio::null()).status().is_ok() {
        all.push(theirs("b3sum", b3sum, tree));
    } else {
        println!("there is no b3sum");
    }
    table(&all);
}

fn race_backups(folder: &Path, tree: &Path) {
    let (from, to) = (tree.to_owned(), folder.join("theirs.tar.zst"));
    let start = move || {
        let mut command = Command::new("sh");
        let line = format!("tar -cf - . | zstd -q -f -3 -T1 -o {} && sync {}", to.display(), to.display());
        command.args(["-c", &line]).current_dir(&from);
        command
    };
    table(&[ours("backup", folder, tree), ("tar | zstd -3".to_owned(), Box::new(start))]);
}

fn table(all: &[Contender]) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); all.len()];
    let mut most: Vec<String> = vec![String::new(); all.len()];
    for run in 0..=RUNS {
        for (n, (name, start)) in all.iter().enumerate() {
            let (began, output) = (Instant::now(), start().stdout(Stdio::piped()).output().unwrap());
            let took = began.elapsed();
            assert!(output.status.success(), "{name}: {output:?}");
            if run > 0 {
                times[n].push(took);
            }
            if name.starts_with("paramedic") {
                most[n] = String::from_utf8(output.stdout).unwrap().trim().to_owned();
            }
        }
    }
    for ((name, _), (times, most)) in all.iter().zip(times.iter_mut().zip(most)) {
        times.sort();
        println!("{name:<24} {:>9.3} s  {most}", times[RUNS / 2].as_secs_f64());
    }
}

/// Does one thing, and says how much memory it took at most.
fn one(what: &str, folder: &Path, tree: &Path) {
    let may_change = Patterns::new([]).unwrap();
    let scratch = folder.join("scratch");
    fs::create_dir_all(&scratch).unwrap();
    let now_ns = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    if what == "backup" {
        let catalogue = Catalogue::at(folder.join("backup"));
        let trees = [Tree { root: tree, at: tree, may_change: &may_change }];
        let what = Create {
            server: "bench",
            trees: &trees,
            databases: &[],
            scratch: &scratch,
            now_ms: now_ns / 1_000_000,
            throttle: None,
        };
        let backup = create(&catalogue, &what, |_, _| Ok(None)).unwrap();
        catalogue.remove(&backup).unwrap();
    } else {
        let manifest = folder.join(format!("{}.jsonl", tree.file_name().unwrap().display()));
        let options = Options {
            expect: Expect::Changes,
            may_change: &may_change,
            reads_all: what != "quick check",
            with_sha256: false,
            throttle: None,
            progress: None,
        };
        let keep = match what {
            "baseline" => Keep::Baseline { accepts_damage: false },
            _ => Keep::IfWhole,
        };
        let places = Places { manifest: &manifest, scratch: &scratch };
        let report = check(tree, options, keep, places, now_ns).unwrap();
        assert!(report.is_whole && report.is_kept, "{report:?}");
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim());
}

fn make_many(folder: &Path, files: u64) {
    for n in 0..files {
        let below = folder.join(format!("{:03}", n % 317));
        if n < 317 {
            fs::create_dir_all(&below).unwrap();
        }
        fs::write(below.join(format!("{n}.txt")), noise(n, n * 2_654_435_761 % 8192)).unwrap();
    }
}

fn make_large(folder: &Path, bytes: u64) {
    fs::create_dir_all(folder).unwrap();
    let mut file = BufWriter::new(File::create(folder.join("large.bin")).unwrap());
    for piece in 0..bytes >> 20 {
        file.write_all(&noise(piece, 1 << 20)).unwrap();
    }
}

/// Bytes that a compressor makes something of, and that are never the same.
fn noise(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"abcdefghijklmnopqrstuvwxyz0123456789"[(state % 36) as usize]
    };
    (0..length).map(|_| next()).collect()
}
