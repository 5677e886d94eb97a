//! Measures what a page costs to read, what a scrape costs from the socket to the store, and what samples take in memory,
//! beside Prometheus and VictoriaMetrics over the same pages.
//!
//! `cargo bench -p metrics`. Each measurement is a process of its own, so that its memory is its own; the pages come from
//! one more. `PARAMEDIC_BENCH_PROMETHEUS` and `PARAMEDIC_BENCH_VICTORIA` name the programs of the two others, and
//! `PARAMEDIC_BENCH_SECONDS` how long each may scrape.

mod store {
    pub(crate) mod others;
    pub(crate) mod ours;
    pub(crate) mod pages;
    pub(crate) mod process;
}

use store::{others, ours, pages};

/// The task: 300 targets of 941 series every 5 s.
const MANY: Fleet = Fleet { targets: 300, series: pages::SERIES, interval_ms: 5_000 };
/// An ordinary large fleet: 1,000 servers of 300 series every 15 s.
const WIDE: Fleet = Fleet { targets: 1_000, series: 300, interval_ms: 15_000 };

/// What is scraped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) targets: usize,
    pub(crate) series: usize,
    pub(crate) interval_ms: i64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["pages"] => pages::serve(),
        ["parse"] => ours::parse(),
        ["many", address] => ours::scrape(MANY, address, 60),
        ["many-memory"] => ours::take_in(MANY, 60),
        ["many-disk"] => ours::on_disk(MANY, 60),
        ["bomb"] => ours::bomb(),
        ["wide", address] => ours::scrape(WIDE, address, 20),
        _ => all(),
    }
}

fn all() {
    let pages = pages::Served::start();
    process("parse", &[]);
    process("many", &[&pages.address]);
    process("many-memory", &[]);
    process("many-disk", &[]);
    process("wide", &[&pages.address]);
    process("bomb", &[]);
    let seconds =
        std::env::var("PARAMEDIC_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    others::prometheus(MANY, &pages.address, seconds);
    others::victoria_metrics(MANY, &pages.address, seconds);
}

/// Runs one measurement in a process of its own.
fn process(what: &str, arguments: &[&str]) {
    let program = std::env::current_exe().expect("this program has a path");
    let status = std::process::Command::new(program).arg(what).args(arguments).status();
    assert!(status.expect("the measurement starts").success(), "{what}");
}
