//! Owns the measurements of our own store.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Instant;

use metrics::{Bounds, Disk, Format, Labels, Limits, Store};

use super::process::{cpu_seconds, resident_mb};
use super::{pages, pages::page};
use crate::Fleet;

const LIMITS: Limits =
    Limits { retention_ms: 7_200_000, series_max: 1_000_000, samples_per_series_max: 100_000 };
/// A day in 2023, so that times have as many digits as they have.
const START_MS: i64 = 1_700_000_000_000;

fn target(index: usize) -> Labels {
    Labels::from_iter([("instance", format!("127.0.0.1:{}", 10_000 + index)), ("job", "bench".to_owned())])
}

/// Reads pages that are there already, into a store of one target: what the parser and the recognition cost.
pub(crate) fn parse() {
    let pages: Vec<String> = (0..20).map(|round| page(0, pages::SERIES, round)).collect();
    let bytes: usize = pages.iter().map(String::len).sum();
    let (mut best_first, mut best_again) = (0.0_f64, 0.0_f64);
    for _ in 0..5 {
        let before = cpu_seconds("self");
        let mut n_samples = 0;
        while cpu_seconds("self") - before < 0.5 {
            n_samples += pages.iter().map(|page| metrics::exposition::parse(page, 0).0.len()).sum::<usize>();
        }
        best_first = best_first.max(n_samples as f64 / (cpu_seconds("self") - before));
        let mut store = Store::new(LIMITS);
        let before = cpu_seconds("self");
        let (mut n_samples, mut now_ms) = (0, START_MS);
        while cpu_seconds("self") - before < 1.0 {
            for page in &pages {
                now_ms += 5_000;
                n_samples += store.scrape(&target(0), page, now_ms).samples;
            }
        }
        best_again = best_again.max(n_samples as f64 / (cpu_seconds("self") - before));
    }
    let per_sample = bytes as f64 / 20.0 / pages::SERIES as f64;
    println!("a page has {} bytes, {per_sample:.0} per sample", bytes / 20);
    println!("reading a page for the first time: {:.2} M samples per CPU-second", best_first / 1e6);
    println!("reading and storing one like the last: {:.2} M samples per CPU-second", best_again / 1e6);
}

/// Scrapes a fleet over loopback, round after round without a pause; what jitters is what the pages took to arrive.
pub(crate) fn scrape(fleet: Fleet, address: &str, rounds: u64) {
    let mut store = Store::new(LIMITS);
    let mut connection = BufReader::new(TcpStream::connect(address).expect("the pages are served"));
    let targets: Vec<Labels> = (0..fleet.targets).map(target).collect();
    let mut page = Vec::new();
    let (mut n_samples, mut cpu, mut first_cpu) = (0, 0.0, 0.0);
    for round in 0..rounds {
        let before = cpu_seconds("self");
        for (index, target) in targets.iter().enumerate() {
            let path = format!("/{index}/{}/{round}", fleet.series);
            let begun = Instant::now();
            get(&mut connection, &path, &mut page);
            let took_ms = begun.elapsed().as_millis() as i64;
            let text = std::str::from_utf8(&page).expect("it is text");
            // Each target is asked at its own time of the interval, and its page is as late as it was here.
            let due_ms = fleet.interval_ms * index as i64 / fleet.targets as i64;
            let now_ms = START_MS + round as i64 * fleet.interval_ms + due_ms + took_ms;
            n_samples += store.scrape(target, text, now_ms).samples;
        }
        let spent = cpu_seconds("self") - before;
        if round == 0 { first_cpu = spent } else { cpu += spent }
    }
    let per_round = n_samples as f64 / rounds as f64;
    let rate = per_round * (rounds - 1) as f64 / cpu;
    let (resident, most) = resident_mb("self");
    println!(
        "ours, {} targets of {} series, {rounds} rounds over HTTP: {rate:.0} samples per CPU-second (the first round \
         {:.0}), {resident:.0} MB resident (at most {most:.0}), {:.2} bytes per sample (Gorilla: 1.37); at one round \
         every {} s: {:.2} % of a core",
        fleet.targets,
        fleet.series,
        per_round / first_cpu,
        store.sample_bytes() as f64 / store.size().samples as f64,
        fleet.interval_ms / 1_000,
        cpu / (rounds - 1) as f64 / (fleet.interval_ms as f64 / 1e3) * 100.0,
    );
}

fn get(connection: &mut BufReader<TcpStream>, path: &str, page: &mut Vec<u8>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes()).expect("the server listens");
    let mut length = 0;
    loop {
        let mut header = String::new();
        connection.read_line(&mut header).expect("the server answers");
        if let Some(value) = header.strip_prefix("Content-Length: ") {
            length = value.trim().parse().expect("it is a number");
        }
        if header.len() <= 2 {
            break;
        }
    }
    page.resize(length, 0);
    connection.read_exact(page).expect("the page is whole");
}

/// Stores a fleet without a network: what parsing and storing cost and take.
pub(crate) fn take_in(fleet: Fleet, rounds: u64) {
    let store = Mutex::new(Store::new(LIMITS));
    let (rate, n_samples) = rounds_of(fleet, rounds, &store, &mut |_| {});
    report("without a network", rate, n_samples, &store);
}

/// The same with a log on a disk, flushed after each round, and the start after it.
pub(crate) fn on_disk(fleet: Fleet, rounds: u64) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut store = Store::new(LIMITS);
    let (mut disk, _) =
        Disk::open(folder.path(), 5_000, &mut store, START_MS).expect("the folder can be used");
    let store = Mutex::new(store);
    let (rate, n_samples) = rounds_of(fleet, rounds, &store, &mut |now_ms| {
        disk.flush(&store, now_ms).expect("there is room");
    });
    report("with a log", rate, n_samples, &store);
    let files = || std::fs::read_dir(folder.path()).expect("it is there").flatten();
    let bytes: u64 = files().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    let now_ms = START_MS + rounds as i64 * fleet.interval_ms;
    disk.close(&store, now_ms).expect("there is room");
    drop(store);
    let (before, begun) = (cpu_seconds("self"), Instant::now());
    let mut again = Store::new(LIMITS);
    let (_, recovery) = Disk::open(folder.path(), 5_000, &mut again, now_ms).expect("the folder can be used");
    println!(
        "on disk {:.1} MB; a start with it takes {:.2} s ({:.2} CPU-seconds) for {} samples, {} damaged",
        bytes as f64 / 1e6,
        begun.elapsed().as_secs_f64(),
        cpu_seconds("self") - before,
        again.size().samples,
        recovery.damage.len()
    );
}

/// Lets one target send a page of a gigabyte in which every line is a series of its own, round after round, beside one that
/// behaves.
pub(crate) fn bomb() {
    let bounds = Bounds { series_per_target_max: 20_000, ..Bounds::default() };
    let mut store = Store::new(LIMITS).with_bounds(bounds);
    let (good, bad) = (target(0), target(1));
    for round in 0..3 {
        let now_ms = START_MS + round * 5_000;
        let before = cpu_seconds("self");
        let mut scrape = store.begin_scrape(&bad, Format::Text, now_ms);
        let (mut sent, mut index) = (0, 0_u64);
        while sent < 1 << 30 {
            let mut piece = String::with_capacity(1 << 20);
            while piece.len() < (1 << 20) - 100 {
                index += 1;
                piece.push_str(&format!("bomb_total{{round=\"{round}\",label=\"value_{index}\"}} 1\n"));
            }
            sent += piece.len();
            scrape.feed(&mut store, piece.as_bytes());
        }
        let summary = scrape.close(&mut store);
        let unharmed = store.scrape(&good, &page(0, pages::SERIES, round as u64), now_ms);
        println!(
            "a page of {} MB with {index} series: {} taken, {} lines not read, {} refused, {} messages, {:.2} CPU-seconds \
             (the making of the page included), {:.0} MB resident; the other target: {} of {} samples",
            sent / 1_000_000,
            summary.samples,
            summary.lines_rejected,
            summary.samples_refused,
            summary.diagnostics.len() + summary.refusals.len(),
            cpu_seconds("self") - before,
            resident_mb("self").0,
            unharmed.samples,
            pages::SERIES
        );
    }
}

/// Returns samples per CPU-second after the first round, the making of pages not counted, and all samples.
fn rounds_of(fleet: Fleet, rounds: u64, store: &Mutex<Store>, after: &mut dyn FnMut(i64)) -> (f64, usize) {
    let targets: Vec<Labels> = (0..fleet.targets).map(target).collect();
    let (mut n_samples, mut counted, mut spent) = (0, 0, 0.0);
    for round in 0..rounds {
        let now_ms = START_MS + round as i64 * fleet.interval_ms;
        // Some pages at a time: they are made outside of what is measured, and are not all held.
        for some in (0..fleet.targets).collect::<Vec<_>>().chunks(50) {
            let pages: Vec<String> = some.iter().map(|index| page(*index, fleet.series, round)).collect();
            let before = thread_seconds();
            for (index, page) in some.iter().zip(&pages) {
                let mut store = store.lock().expect("nobody has panicked");
                let jitter_ms = (*index as i64 * 31 + round as i64 * 17) % 4;
                let samples = store.scrape(&targets[*index], page, now_ms + jitter_ms).samples;
                n_samples += samples;
                counted += if round > 0 { samples } else { 0 };
            }
            spent += if round > 0 { thread_seconds() - before } else { 0.0 };
        }
        let before = thread_seconds();
        after(now_ms);
        spent += if round > 0 { thread_seconds() - before } else { 0.0 };
    }
    (counted as f64 / spent, n_samples)
}

/// Returns the CPU time of this thread in seconds, to the nanosecond.
fn thread_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent: f64 = stat.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0.0);
    spent / 1e9
}

fn report(how: &str, rate: f64, n_samples: usize, store: &Mutex<Store>) {
    let store = store.lock().expect("nobody has panicked");
    let (resident, most) = resident_mb("self");
    let size = store.size();
    println!(
        "ours, {how}: {rate:.0} samples per CPU-second, {resident:.0} MB resident (at most {most:.0}), {n_samples} \
         samples of {} series, {:.2} bytes per sample (Gorilla: 1.37)",
        size.series,
        store.sample_bytes() as f64 / size.samples as f64
    );
}
