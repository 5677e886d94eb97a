//! Measures what watching costs while nothing happens: the CPU and the memory of `serve`, of a guard and of a lifeline.
//!
//! `cargo bench -p cli --bench idle -- 60` prints the table of `docs/benchmarks.md` after 60 seconds over 20 servers with
//! the default intervals.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

#[path = "../../../tests/product/poll.rs"]
mod poll;
#[allow(dead_code, reason = "the tests of the whole product need more of it")]
#[path = "../../../tests/product/processes.rs"]
mod processes;
#[allow(dead_code, reason = "the tests of the whole product need more of it")]
#[path = "../../../tests/product/site.rs"]
mod site;
#[allow(dead_code, reason = "the tests of the whole product need more of it")]
#[path = "../../../tests/product/story.rs"]
mod story;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use site::{EXE, Site, free_port};

/// How many servers are watched.
const SERVERS: usize = 20;

/// How long is measured, in seconds, where no argument says so.
const SECONDS: u64 = 60;

/// The unit of CPU time in `/proc` (USER_HZ), on every architecture that we have seen.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is measured, how it is found by its command line, and the goals.
const KINDS: [(&str, &str, &str); 3] = [
    ("serve", " serve --config ", "< 40 MB, < 1 %"),
    ("guard", " guard --name ", "< 15 MB"),
    ("lifeline", " lifeline --control-fd ", "none"),
];

/// The memory of a process, in bytes.
#[derive(Clone, Copy, Default)]
struct Memory {
    resident: f64,
    proportional: f64,
    anonymous: f64,
}

fn main() {
    probe::install_crypto();
    let seconds = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(SECONDS);
    let mut site = Site::new(&[]);
    let names: Vec<String> = (0..SERVERS).map(|number| format!("notes-{number}")).collect();
    let servers = names.iter().map(|name| {
        let port = free_port();
        format!("[[server]]\nname = {name:?}\nport = {port}\nstdio = [{EXE:?}, \"demo-server\", \"notes\"]\n")
    });
    let servers: String = servers.collect();
    site.write_config(&format!("data_dir = \"data\"\nlisten = \"127.0.0.1:{}\"\n{servers}", free_port()));
    site.serve();
    names.iter().for_each(|name| drop(site.ready(name)));

    let found = site.processes();
    let of = |part: &str| -> Vec<i32> {
        found.iter().filter(|one| one.command.contains(part)).map(|one| one.id.pid).collect()
    };
    let kinds = KINDS.map(|(name, part, goal)| (name, of(part), goal));
    let before = kinds.clone().map(|(_, pids, _)| ticks(&pids));
    let began = Instant::now();
    thread::sleep(Duration::from_secs(seconds));
    let after = kinds.clone().map(|(_, pids, _)| ticks(&pids));
    let elapsed = began.elapsed().as_secs_f64();

    println!("{SERVERS} servers, {elapsed:.0} s; the mean of each kind. Memory in MB.\n");
    println!("| process | how many | CPU | of a core | resident | proportional | anonymous | goal |");
    println!("|---|---:|---:|---:|---:|---:|---:|---|");
    for (((name, pids, goal), before), after) in kinds.iter().zip(before).zip(after) {
        let cpu = (after - before) / TICKS_PER_SECOND / pids.len() as f64;
        let memory = mean(&pids.iter().map(|pid| memory(*pid)).collect::<Vec<_>>());
        println!(
            "| {name} | {} | {cpu:.2} s | {:.2} % | {:.1} | {:.1} | {:.1} | {goal} |",
            pids.len(),
            100.0 * cpu / elapsed,
            memory.resident / 1e6,
            memory.proportional / 1e6,
            memory.anonymous / 1e6,
        );
    }
}

/// The CPU time of processes together, user and system, in ticks.
fn ticks(pids: &[i32]) -> f64 {
    let of = |pid: &i32| -> f64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name may hold spaces and ends with the last parenthesis; utime and stime are the fields 14 and 15.
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..].split_whitespace().collect();
        fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()
    };
    pids.iter().map(of).sum()
}

fn memory(pid: i32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let of = |key: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
    };
    Memory { resident: of("Rss:"), proportional: of("Pss:"), anonymous: of("Anonymous:") }
}

fn mean(all: &[Memory]) -> Memory {
    let of = |part: fn(&Memory) -> f64| all.iter().map(part).sum::<f64>() / all.len() as f64;
    Memory {
        resident: of(|one| one.resident),
        proportional: of(|one| one.proportional),
        anonymous: of(|one| one.anonymous),
    }
}
