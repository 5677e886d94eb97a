//! Measures the page of a fleet of 1,000 servers as somebody has it: how long `serve` takes to answer and how much that is, and
//! how long a browser takes until it can be used.
//!
//! `cargo bench -p cli --bench pages` prints the table of `docs/benchmarks.md`. One real server answers for all of them, as the
//! upstream of each; all are probed every 15 seconds, and rules are evaluated as they are by default. Without Chromium and its driver that part says so.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

#[allow(dead_code, reason = "the tests of the whole product need it")]
#[path = "../../../tests/product/installed.rs"]
mod installed;
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
#[allow(dead_code, reason = "the tests of the whole product need more of it")]
#[path = "../../../tests/product/webdriver.rs"]
mod webdriver;

use std::time::{Duration, Instant};

use server::api::wire::ServerStatus;
use site::{Server, Setup, Site, block_on};
use webdriver::{Browser, ENTER, plainly};

/// Servers of the fleet.
const SERVERS: usize = 1_000;
/// How often the page is loaded.
const LOADS: usize = 100;
/// What the first page may take and have.
const GOAL: Duration = Duration::from_millis(100);
const GOAL_BYTES: usize = 100_000;

fn main() {
    probe::install_crypto();
    // Cargo runs a benchmark with `--bench`; whoever tests it wants only to know that it runs.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (servers, loads) = if is_bench { (SERVERS, LOADS) } else { (20, 5) };
    let mut real = Site::new(&[Server::notes("notes")]);
    real.serve_until_ready(&["notes"]);
    let site = fleet(servers, &real.endpoint("notes"));
    let word = site.run(&["token", "create", "bench", "--role", "approver"]).done().trim().to_owned();
    let address = format!("http://{}", site.listen());

    println!("| {servers} servers | p50 | p99 | most | goal |\n|---|---:|---:|---:|---:|");
    let mut took = Vec::new();
    let mut bytes = 0;
    let (client, cookie) = signed_in(&address, &word);
    for _ in 0..loads {
        let asked = Instant::now();
        let request = client.get(format!("{address}/")).header("cookie", &cookie);
        let (status, page) = block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        });
        took.push(asked.elapsed());
        assert!(status == 200 && page.contains("server-0000"), "{status}");
        bytes = page.len();
    }
    row("`serve` answers with the first page", took);
    println!("| its size | {} kB | | | {} kB |", bytes / 1_000, GOAL_BYTES / 1_000);
    browse(&address, &word, loads);
    println!("\n{}", if bytes < GOAL_BYTES { "The size is met." } else { "The size is MISSED." });
}

/// A fleet whose servers are all one, by other names.
fn fleet(servers: usize, endpoint: &str) -> Site {
    let one = |number: usize| {
        let port = 40_000 + number;
        format!("[[server]]\nname = \"server-{number:04}\"\nport = {port}\nupstream = \"{endpoint}\"\n")
    };
    let tables: String = (0..servers).map(one).collect();
    let mut site = Site::of(&Setup { tables: &tables, ..Setup::default() });
    let text = std::fs::read_to_string(site.config()).unwrap();
    // Tests want everything sooner than anybody else.
    let usual = [
        ("[probe]\ninterval = \"250ms\"", "[probe]\ninterval = \"15s\""),
        ("scrape_interval = \"1s\"\nevaluation_interval = \"250ms\"\n", ""),
    ];
    let text = usual.iter().fold(text, |text, (soon, later)| text.replace(soon, later));
    site.write_config(&text);
    site.serve();
    poll::eventually("all servers answer", || {
        let all: Vec<ServerStatus> = site.get("/api/v1/servers")?;
        (all.len() == servers && all.iter().all(|one| one.health == "healthy")).then_some(())
    });
    site
}

/// A client, and the cookie of its session.
fn signed_in(address: &str, word: &str) -> (reqwest::Client, String) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = client.post(format!("{address}/login")).header("origin", address);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let (status, headers, text) = plainly(request.body(format!("word={word}")));
    assert_eq!(status, 303, "{text}");
    let set = headers["set-cookie"].to_str().unwrap();
    (client, set.split(';').next().unwrap().to_owned())
}

/// Loads the page in a browser, and looks for a server there.
fn browse(address: &str, word: &str, loads: usize) {
    let Some(browser) = Browser::start() else { return };
    browser.go(&format!("{address}/login"));
    browser.fill("#word", word);
    browser.press(ENTER);
    browser.until("location.pathname != '/login'");
    let (mut usable, mut whole, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let since = |browser: &Browser, what: &str| {
        let of = browser.js(&format!("performance.getEntriesByType('navigation')[0].{what}"));
        Duration::from_secs_f64(of.as_f64().unwrap() / 1e3)
    };
    for _ in 0..loads {
        browser.go(&format!("{address}/"));
        browser.until("performance.getEntriesByType('navigation')[0]?.loadEventEnd > 0");
        usable.push(since(&browser, "domInteractive"));
        whole.push(since(&browser, "loadEventEnd"));
        // From the last letter until the one row is there, as the page itself sees it.
        browser.js("(window.found = 0, document.getElementById('q').addEventListener('input', () => { \
             const began = performance.now(); new MutationObserver((_, one) => { \
             if (document.querySelectorAll('.fleet tbody tr').length === 1) { one.disconnect(); \
             window.found = performance.now() - began } }).observe(document.getElementById('parts'), \
             {childList: true, subtree: true}) }, {once: true}), 1)");
        browser
            .js("((q) => { q.value = 'server-0007'; q.dispatchEvent(new Event('input', {bubbles: true})) })\
             (document.getElementById('q'))");
        browser.until("window.found > 0");
        found.push(Duration::from_secs_f64(browser.js("window.found").as_f64().unwrap() / 1e3));
    }
    row("a browser has it, and takes clicks", usable);
    row("a browser has all of it, with style and script", whole);
    row("one server is found after the last letter (200 ms of it are waited)", found);
}

fn row(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    let ms = |one: Duration| format!("{:.1} ms", one.as_secs_f64() * 1e3);
    let goal = match what.starts_with("one server") {
        true => String::new(),
        false if at(99) < GOAL => format!("{} ms, met", GOAL.as_millis()),
        false => format!("{} ms, MISSED", GOAL.as_millis()),
    };
    println!("| {what} | {} | {} | {} | {goal} |", ms(at(50)), ms(at(99)), ms(at(100)));
}
