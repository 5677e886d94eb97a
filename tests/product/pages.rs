//! Tests of `[[scrape]]`: pages of metrics over TLS, packed, behind a header, and those that drip, explode or lie.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use crate::poll::eventually;
use crate::site::{Server, Setup, Site, clean, free_port};

/// The exporter.
const EXPORTER: &str = include_str!("exporter.py");

struct Exporter(Child);

impl Exporter {
    /// None where there is no Python, which is said.
    fn start(site: &Site, port: u16, tls: Option<&str>) -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", EXPORTER, &port.to_string()]).args(tls);
        clean(&mut command, site.config().parent().unwrap());
        match command.stderr(Stdio::null()).spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                println!("SKIPPED: there is no python3: {error}");
                None
            }
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The value of a query that finds one series.
fn one(site: &Site, query: &str) -> Option<f64> {
    let found = site.run(&["query", query, "-o", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&found.stdout).unwrap();
    let [row] = &rows[..] else { return None };
    row["value"][1].as_str()?.parse().ok()
}

/// Writes a file that only its owner may read.
fn secret(site: &Site, name: &str, text: &[u8]) {
    fs::write(site.path(name), text).unwrap();
    fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

#[track_caller]
fn becomes(site: &Site, query: &str, value: f64) {
    eventually(query, || one(site, query).filter(|found| *found == value));
}

#[test]
fn a_page_over_tls_for_those_who_may_read_it() {
    let tls = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/product/tls");
    let port = free_port();
    let scrape = format!(
        "[[scrape]]\njob = \"app\"\nurl = \"https://127.0.0.1:{port}/metrics\"\nserver = \"notes\"\n\
         labels = {{ team = \"data\" }}\ninterval = \"500ms\"\ntimeout = \"500ms\"\n\
         authorization = {{ file = \"word\" }}\nca = \"{tls}/ca.pem\"\n\
         certificate = \"{tls}/client.pem\"\nkey = {{ file = \"client.key\" }}\n"
    );
    let mut site =
        Site::of(&Setup { tables: &scrape, servers: &[Server::notes("notes")], ..Setup::default() });
    secret(&site, "word", b"Bearer wrong\n");
    secret(&site, "client.key", &fs::read(format!("{tls}/client.key")).unwrap());
    let Some(_exporter) = Exporter::start(&site, port, Some(tls)) else { return };
    site.run(&["config", "check"]).done();
    site.serve_until_ready(&["notes"]);
    becomes(&site, r#"up{job="app"}"#, 0.0);
    eventually("the reason is told", || site.serve_log().contains("answered with HTTP 401").then_some(()));
    // Secrets are read anew each time.
    secret(&site, "word", b"Bearer s3cret\n");
    let labels = format!(r#"instance="127.0.0.1:{port}",job="app",kind="a",server_name="notes",team="data""#);
    becomes(&site, &format!("app_jobs_total{{{labels}}}"), 7.0);
    becomes(&site, r#"up{job="app"}"#, 1.0);
    let told = site.serve_log();
    assert!(told.contains("is there again") && !told.contains("s3cret"), "{told}");
    assert_eq!(told.matches("answered with HTTP 401").count(), 1, "a reason is told once: {told}");
}

#[test]
fn pages_that_drip_explode_and_lie_harm_nobody() {
    let port = free_port();
    let page = |job: &str, path: &str| {
        format!(
            "[[scrape]]\njob = \"{job}\"\nurl = \"http://127.0.0.1:{port}/{path}\"\ninterval = \"500ms\"\n\
             timeout = \"500ms\"\nauthorization = {{ command = [\"echo\", \"Bearer s3cret\"] }}\n"
        )
    };
    let tables =
        page("good", "metrics") + &page("drip", "drip") + &page("bomb", "bomb") + &page("lies", "lies");
    let mut site =
        Site::of(&Setup { tables: &tables, servers: &[Server::notes("notes")], ..Setup::default() });
    let Some(_exporter) = Exporter::start(&site, port, None) else { return };
    site.serve_until_ready(&["notes"]);
    becomes(&site, r#"app_jobs_total{job="good"}"#, 7.0);
    becomes(&site, r#"up{job="drip"}"#, 0.0);
    becomes(&site, r#"up{job="bomb"}"#, 0.0);
    eventually("the drip is told", || site.serve_log().contains("within 500 ms").then_some(()));
    eventually("the bomb is told", || site.serve_log().contains("more than 16777216 bytes").then_some(()));
    becomes(&site, r#"up{job="lies"}"#, 1.0);
    becomes(&site, r#"lie{a="1",job="lies"}"#, 5.0);
    becomes(&site, r#"lie{a="3",job="lies"}"#, f64::INFINITY);
    let told = site.serve_log();
    assert!(told.contains("line=6") || told.contains("line=8"), "bad lines are named: {told}");
    becomes(&site, r#"up{job="good"}"#, 1.0);
    becomes(&site, r#"mcp_server_up{server_name="notes"}"#, 1.0);
}

#[test]
fn what_is_wrong_with_a_scrape_is_named() {
    let check = |lines: &str, words: &[&str]| {
        let tables = format!("[[scrape]]\njob = \"a\"\n{lines}\n");
        let site =
            Site::of(&Setup { tables: &tables, servers: &[Server::notes("notes")], ..Setup::default() });
        site.run(&["config", "check"]).failed(2, words);
    };
    check("url = \"ftp://x/\"", &["`url`", "no address of HTTP"]);
    check("url = \"http://me:secret@x/\"", &["`url`", "no password is written here"]);
    check("url = \"http://x/\"\nserver = \"nobody\"", &["`server`", "there is no server `nobody`"]);
    check("url = \"http://x/\"\nlabels = { job = \"b\" }", &["`labels`", "`job` is no label"]);
    check("url = \"http://x/\"\nca = \"ca.pem\"", &["`url`", "certificates are for HTTPS"]);
    check("url = \"https://x/\"\ncertificate = \"a.pem\"", &["`certificate`", "go together"]);
    check(
        "url = \"http://x/\"\ninterval = \"1s\"\ntimeout = \"2s\"",
        &["`timeout`", "no longer than its interval"],
    );
    check("url = \"http://x/\"\n[[scrape]]\njob = \"a\"\nurl = \"http://x/\"", &["`url`", "is read twice"]);
    check("url = \"http://x/\"\nauthorization = \"Bearer x\"", &["a secret is not written here"]);
}
