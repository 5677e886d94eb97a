//! Measures the API over the network by a token: how long an answer takes while nothing else is asked, and while others ask
//! as fast as they can.
//!
//! `cargo bench -p cli --bench api -- 20` prints the table of `docs/benchmarks.md` after 20 seconds each.

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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use site::{Server, Setup, Site, block_on};

/// Servers that are watched.
const SERVERS: usize = 5;
/// How long is measured, in seconds, where no argument says so.
const SECONDS: u64 = 20;
/// Others who ask at the same time.
const OTHERS: usize = 4;
/// The time between two questions of the one who is measured.
const PAUSE: Duration = Duration::from_millis(5);
/// What is asked.
const PATHS: [&str; 3] = ["/api/v1/servers", "/api/v1/incidents", "/api/v1/servers/notes-0"];

fn main() {
    probe::install_crypto();
    // Cargo runs a benchmark with `--bench`; whoever tests it wants only to know that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let said = std::env::args().find_map(|argument| argument.parse().ok());
    let seconds = said.unwrap_or(if is_bench { SECONDS } else { 1 });
    let names: Vec<String> = (0..SERVERS).map(|number| format!("notes-{number}")).collect();
    let servers: Vec<Server> = names.iter().map(|name| Server::notes(name)).collect();
    let tables = "[api]\nrequests_per_minute = 100000000\n";
    let mut site = Site::of(&Setup { tables, servers: &servers, ..Setup::default() });
    site.serve_until_ready(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let word = site.run(&["token", "create", "bench"]).done();
    let client = Client { base: format!("http://{}", site.listen()), word: word.trim().to_owned() };

    println!("| path | alone: p50, p99, most | {OTHERS} others ask: p50, p99, most | others, answers/s |");
    println!("|---|---:|---:|---:|");
    for path in PATHS {
        let alone = client.measure(path, seconds);
        let (over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let others: Vec<_> = (0..OTHERS)
            .map(|number| {
                let (client, over, answers) = (client.clone(), Arc::clone(&over), Arc::clone(&answers));
                thread::spawn(move || client.ask_until(&over, PATHS[number % PATHS.len()], &answers))
            })
            .collect();
        let busy = client.measure(path, seconds);
        over.store(true, Ordering::Relaxed);
        others.into_iter().for_each(|other| other.join().unwrap());
        let rate = answers.load(Ordering::Relaxed) / seconds;
        println!("| `{path}` | {} | {} | {rate} |", told(alone), told(busy));
    }
}

/// Somebody with a token.
#[derive(Clone)]
struct Client {
    base: String,
    word: String,
}

impl Client {
    /// Asks at a steady pace; returns how long each answer took.
    fn measure(&self, path: &str, seconds: u64) -> Vec<Duration> {
        let (http, began, mut took) = (reqwest::Client::new(), Instant::now(), Vec::new());
        block_on(async {
            while began.elapsed() < Duration::from_secs(seconds) {
                let asked = Instant::now();
                self.ask(&http, path).await;
                took.push(asked.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
        });
        took
    }

    fn ask_until(&self, over: &AtomicBool, path: &str, answers: &AtomicU64) {
        let http = reqwest::Client::new();
        block_on(async {
            while !over.load(Ordering::Relaxed) {
                self.ask(&http, path).await;
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    async fn ask(&self, http: &reqwest::Client, path: &str) {
        let request = http.get(format!("{}{path}", self.base)).bearer_auth(&self.word);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        response.bytes().await.unwrap();
    }
}

fn told(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    format!("{:.2} ms, {:.2} ms, {:.2} ms", at(50), at(99), at(100))
}
