//! Owns the pages: realistic ones, 941 samples and about 94 KB, whose values move, and a server for them.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Series of a page.
pub(crate) const SERIES: usize = 941;
const TOOLS: usize = 60;
const BUCKETS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

/// A server of pages in a process of its own, which ends with this value.
pub(crate) struct Served {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

/// Returns the page of a target at a moment: `round` counts intervals.
///
/// Each tool has a histogram of 12 buckets, its sum and count, and a counter; some tools are called, most are not, and
/// the rest of the page are gauges of several kinds.
pub(crate) fn page(target: usize, series: usize, round: u64) -> String {
    let mut page = String::with_capacity(100 << 10);
    let mut n_series = 0;
    page.push_str("# HELP mcp_request_duration_seconds How long requests take.\n");
    page.push_str("# TYPE mcp_request_duration_seconds histogram\n");
    for tool in 0..TOOLS.min(series / 15) {
        // A third of the tools is in use, each at its own pace.
        let calls = if tool % 3 == 0 { round * (1 + (tool + target) as u64 % 7) } else { 40 + tool as u64 };
        let labels = format!(
            "method=\"tools/call\",tool=\"tool_number_{tool}\",status=\"success\",server_name=\"server-{target}\""
        );
        for (index, bucket) in BUCKETS.iter().enumerate() {
            let count = calls * (index as u64 + 1) / 12;
            writeln!(page, "mcp_request_duration_seconds_bucket{{{labels},le=\"{bucket}\"}} {count}")
                .expect("it is a string");
        }
        writeln!(page, "mcp_request_duration_seconds_sum{{{labels}}} {:.6}", calls as f64 * 0.037_151)
            .expect("it is a string");
        writeln!(page, "mcp_request_duration_seconds_count{{{labels}}} {calls}").expect("it is a string");
        n_series += BUCKETS.len() + 2;
    }
    page.push_str("# HELP mcp_gauge Several things.\n# TYPE mcp_gauge gauge\n");
    for gauge in 0..series - n_series {
        let value = match gauge % 4 {
            0 => 1.0,
            1 => (round % 17) as f64,
            2 => 1e8 + (round * 4_096 * (gauge as u64 % 5)) as f64,
            _ => (round as f64 * 0.1 + gauge as f64).sin(),
        };
        writeln!(page, "mcp_gauge{{kind=\"kind_{gauge}\",server_name=\"server-{target}\"}} {value}")
            .expect("it is a string");
    }
    page
}

/// Serves `/TARGET/SERIES` on a port of its own, which it says on its first line, until its input ends.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address"));
    let started = Instant::now();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(&stream, started));
        }
    });
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn answer(stream: &TcpStream, started: Instant) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) <= 2 {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap_or_default().trim_matches('/');
        // A third part of the path is a round of its own; otherwise time passes by itself.
        let mut parts = path.split('/').filter_map(|part| part.parse::<u64>().ok());
        let (target, series) = (parts.next().unwrap_or(0), parts.next().unwrap_or(SERIES as u64));
        let round = parts.next().unwrap_or_else(|| started.elapsed().as_secs() / 5);
        let page = page(target as usize, series as usize, round);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n",
            page.len()
        );
        let mut stream = stream;
        if stream.write_all((head + &page).as_bytes()).is_err() {
            return;
        }
    }
}

// === impl Served ===

impl Served {
    pub(crate) fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .arg("pages")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut address).expect("it says where it listens");
        Self { child, address: address.trim().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
