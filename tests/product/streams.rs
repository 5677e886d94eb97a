//! Tests that open pages cost little: 500 of them follow an incident, each hears of all that happens, and memory stays.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use incident::Record;

use crate::browsing::word;
use crate::sessions::Visit;
use crate::site::{Server, Site};

/// So many pages are open.
const STREAMS: usize = 500;

/// So often something happens; after the first of them memory is what it takes.
const ROUNDS: usize = 20;
const WARM: usize = 5;

/// How much more memory there may be after the last round than when all was warm, in bytes: less than the pages that were
/// sent in one round.
const GROWTH_MAX: u64 = 24 << 20;

/// How long an event may take.
const EVENT_MAX: Duration = Duration::from_secs(60);

/// A page that is open.
struct Page {
    stream: TcpStream,
    /// What came since the last event that was waited for.
    heard: String,
}

// === impl Page ===

impl Page {
    fn open(site: &Site, cookie: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(site.listen()).unwrap();
        stream.set_read_timeout(Some(EVENT_MAX)).unwrap();
        let path = path.replace('/', "%2F");
        let host = site.listen();
        write!(stream, "GET /events?page={path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n")
            .unwrap();
        let mut page = Self { stream, heard: String::new() };
        page.hear("\r\n\r\n");
        page
    }

    /// Waits until this was heard.
    fn hear(&mut self, words: &str) {
        let mut bytes = [0; 16 << 10];
        while !self.heard.contains(words) {
            let read = self.stream.read(&mut bytes).unwrap();
            assert!(read > 0, "the stream has ended: {}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        assert!(!self.heard.starts_with("HTTP") || self.heard.starts_with("HTTP/1.1 200"), "{}", self.heard);
        self.heard.clear();
    }
}

/// What a process holds in memory, in bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn five_hundred_open_pages_cost_no_more_with_time() {
    let mut site = Site::new(&[Server::notes("notes").with("mode = \"suggest\"")]);
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { .. }))
    });
    let (id, path) = (story.id(), format!("/incidents/{}", story.id()));
    let (ada, vic) = (word(&site, "ada", &["--role", "approver"]), word(&site, "vic", &[]));
    let visits = [Visit::signed_in(&site, &ada), Visit::signed_in(&site, &vic)];
    let pid = site.serve_pid();
    let before = resident(pid);
    let mut pages: Vec<Page> =
        (0..STREAMS).map(|number| Page::open(&site, &visits[number % 2].cookie, &path)).collect();
    let open = resident(pid);
    let mut warm = 0;
    for round in 0..ROUNDS {
        let note = format!("note number {round} of many");
        site.run(&["incident", "note", id, &note]).done();
        pages.iter_mut().for_each(|page| page.hear(&note));
        if round + 1 == WARM {
            warm = resident(pid);
        }
    }
    let after = resident(pid);
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "resident: {:.1} MB before, {:.1} MB with {STREAMS} streams, {:.1} MB after {WARM} events, {:.1} MB after {ROUNDS}",
        mb(before),
        mb(open),
        mb(warm),
        mb(after)
    );
    assert!(after <= warm + GROWTH_MAX, "{} MB more", mb(after - warm));
}
