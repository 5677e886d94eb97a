//! Tests of the six shipped alerts, each in the situation that it is for, on a real server behind a guard and on one
//! without; and that a healthy fleet has none.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use metrics::AlertState;
use process::Signal;
use serde_json::json;
use server::api::wire::AlertStatus;
use tempfile::TempDir;

use crate::client::ask;
use crate::foreign::Foreign;
use crate::monitoring::Page;
use crate::poll::eventually;
use crate::processes;
use crate::real::installed;
use crate::site::{Server, Setup, Site, clean, free_port};

pub(crate) const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks");
pub(crate) const BOOKS: [&str; 6] = [
    "server-down",
    "performance-degradation",
    "security-incident",
    "memory-leak",
    "dependency-failure",
    "data-corruption",
];
pub(crate) const NAMES: [&str; 6] = [
    "MCPServerDown",
    "MCPSlowResponseTime",
    "MCPSecurityIncident",
    "MCPHighMemoryUsage",
    "MCPDependencyDown",
    "MCPDataIntegrityFailed",
];

/// Stands for a server's script, behind a child that holds some hundred megabytes as soon as a file is there.
fn hungry(folder: &Path, server: &str, transport: &str) -> String {
    let file = folder.join(server);
    let hold = "x=$(head -c 300000000 /dev/zero | tr '\\0' x); sleep 600; echo $x";
    format!("(until [ -e '{}' ]; do sleep 0.2; done; {hold}) & exec node \"$0\" {transport}", file.display())
}

/// Two real servers, one behind a guard, what they depend on, and a page for what no server tells of itself.
struct Fleet {
    site: Site,
    /// The one without a guard.
    bare: Child,
    depends_on: String,
    dependency: Option<Foreign>,
    page: Page,
    /// A file of the name of a server makes it grow.
    hunger: TempDir,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.bare.id() as i32) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.bare.wait();
    }
}

// === impl Fleet ===

impl Fleet {
    fn start() -> Option<Self> {
        let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        let script = installed("PARAMEDIC_TEST_NPM", script)?;
        let (page, port, hunger) = (Page::new(), free_port(), tempfile::tempdir().unwrap());
        let depends_on = format!("127.0.0.1:{}", free_port());
        let on =
            format!("[[server.dependency]]\nname = \"store\"\ntcp = \"{depends_on}\"\ncritical = true\n");
        let bare = format!(
            "{on}[[server]]\nname = \"bare\"\nport = {port}\nupstream = \"http://127.0.0.1:{port}/mcp\"\n{on}"
        );
        let guarded = Server::new(
            "guarded",
            &["sh", "-c", &hungry(hunger.path(), "guarded", "stdio"), script.to_str().unwrap()],
        )
        .with(&bare);
        let mut tables = format!(
            "[policy]\nmode = \"observe\"\n\
             [[scrape]]\njob = \"app\"\nserver = \"guarded\"\nurl = \"http://127.0.0.1:{}/metrics\"\n",
            page.port()
        );
        for name in &NAMES[1..] {
            tables += &format!("[alerts.{name}]\nfor = \"0s\"\nkeep_firing_for = \"1s\"\n");
        }
        page.set("mcp_data_integrity_status", 1.0);
        let files = BOOKS.map(|name| format!("{name}.md"));
        let keys = format!("runbooks = {files:?}");
        let setup = Setup { keys: &keys, tables: &tables, servers: &[guarded], verify_seconds: 0 };
        let mut site = Site::of(&setup);
        let config = fs::read_to_string(site.config()).unwrap();
        // Who is stopped is found slow sooner.
        site.write_config(&config.replace("timeout = \"5s\"", "timeout = \"2s\""));
        write_books(&site);
        let mut command = std::process::Command::new("sh");
        clean(&mut command, site.config().parent().unwrap());
        command.env("PORT", port.to_string()).process_group(0);
        command.args(["-c", &hungry(hunger.path(), "bare", "streamableHttp")]).arg(&script);
        let bare = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let dependency = Some(Foreign::start(&site, "store", "sums", &depends_on));
        eventually("the dependency listens", || TcpStream::connect(&depends_on).ok());
        site.serve_until_ready(&["guarded"]);
        site.until("bare", "healthy", |status| status.health == "healthy");
        let fleet = Self { site, bare, depends_on, dependency, page, hunger };
        // Node takes its time: what fired before it listened is over soon.
        eventually("nothing fires any more", || fleet.firing().is_empty().then_some(()));
        Some(fleet)
    }

    fn firing(&self) -> Vec<(String, String)> {
        let alerts: Vec<AlertStatus> = self.site.get("/api/v1/alerts").unwrap_or_default();
        let firing = alerts.into_iter().filter(|one| one.state == AlertState::Firing);
        firing.map(|one| (one.name, one.server)).collect()
    }

    /// Waits until an alert fires for a server, or does not; `again` is done until then.
    #[track_caller]
    fn until(&self, is_firing: bool, name: &str, server: &str, mut again: impl FnMut()) {
        eventually(&format!("{name} of {server}: {is_firing}"), || {
            again();
            let found = self.firing().contains(&(name.to_owned(), server.to_owned()));
            (found == is_firing).then_some(())
        });
    }
}

/// Writes the shipped runbooks with limits that a test reaches.
fn write_books(site: &Site) {
    let mut changed = 0;
    for name in BOOKS {
        let text = fs::read_to_string(format!("{SHIPPED}/{name}.md")).unwrap();
        let slow = "sum by (le, server_name) (rate(mcp_request_duration_seconds_bucket[5m]))) >";
        let large = "max by (server_name) (mcp_server_memory_usage_bytes{memory_type=\"rss\"}) >";
        let scaled = text
            .replace(&format!("{slow} 5`"), &format!("{slow} 1`"))
            .replace(&format!("{large} 2 * 1024 ^ 3 or"), &format!("{large} 300000000 or"));
        changed += usize::from(scaled != text);
        fs::write(site.path(&format!("{name}.md")), scaled).unwrap();
    }
    assert_eq!(changed, 2, "the limits are not where they were");
}

#[test]
fn each_alert_fires_in_the_situation_that_it_is_for() {
    let Some(mut fleet) = Fleet::start() else { return };
    let nothing = || {};
    let endpoint = fleet.site.endpoint("guarded");
    // Healthy, and at work.
    for _ in 0..20 {
        ask(&endpoint, "echo", &json!({"message": "well"})).unwrap();
        assert_eq!(fleet.firing(), [], "a healthy fleet");
    }

    // Slow: real calls behind the guard; our own questions where there is none.
    let long = json!({"duration": 1.5, "steps": 1});
    fleet.until(true, "MCPSlowResponseTime", "guarded", || {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| ask(&endpoint, "trigger-long-running-operation", &long));
            }
        });
    });
    let bare = fleet.bare.id() as i32;
    processes::signal(bare, Signal::STOP);
    fleet.until(true, "MCPSlowResponseTime", "bare", nothing);
    processes::signal(bare, Signal::CONT);
    fleet.until(false, "MCPServerDown", "bare", nothing);

    // Memory, of a child of the server.
    for server in ["guarded", "bare"] {
        fs::write(fleet.hunger.path().join(server), "").unwrap();
        fleet.until(true, "MCPHighMemoryUsage", server, nothing);
    }

    // A dependency of both.
    fleet.dependency = None;
    for server in ["guarded", "bare"] {
        fleet.until(true, "MCPDependencyDown", server, nothing);
    }
    fleet.dependency = Some(Foreign::start(&fleet.site, "store", "sums", &fleet.depends_on));
    for server in ["guarded", "bare"] {
        fleet.until(false, "MCPDependencyDown", server, nothing);
    }

    // The first security event of a counter that was not there, and data that are not whole.
    fleet.page.set("mcp_server_errors_total{error_type=\"security\",severity=\"critical\"}", 1.0);
    fleet.until(true, "MCPSecurityIncident", "guarded", nothing);
    fleet.page.set("mcp_data_integrity_status", 0.0);
    fleet.until(true, "MCPDataIntegrityFailed", "guarded", nothing);

    // Down: an exit behind the guard is told at once; without one, probes tell.
    fleet.site.kill("guarded");
    fleet.until(true, "MCPServerDown", "guarded", nothing);
    processes::signal(bare, Signal::KILL);
    fleet.until(true, "MCPServerDown", "bare", nothing);

    // An incident is opened a moment after its alert fires.
    let expected =
        ["guarded Server Down", "bare Server Down", "guarded Security Incident", "guarded Data Corruption"];
    eventually(&format!("incidents {expected:?}"), || {
        let incidents = fleet.site.incidents();
        let is_there =
            |wanted: &&str| incidents.iter().any(|one| format!("{} {}", one.server, one.title) == **wanted);
        expected.iter().all(is_there).then_some(())
    });
}
