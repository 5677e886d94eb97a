//! Owns Debian's Prometheus and Alertmanager as neighbours of a site, and a page of metrics that a test changes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::poll::eventually;
use crate::site::{Site, block_on, clean, free_port};

/// Where the programs are; none where there are none, which is said.
pub(crate) fn programs() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("PARAMEDIC_TEST_DEBIAN").unwrap_or_default()).join("usr/bin");
    let found = ["prometheus", "prometheus-alertmanager"].iter().all(|name| folder.join(name).is_file());
    if !found {
        println!(
            "SKIPPED: no Prometheus; `./test --deps` unpacks it, PARAMEDIC_TEST_DEBIAN names the folder"
        );
    }
    // Debian's Alertmanager reads its templates where it would be installed; it is shown that folder, and nobody else is.
    let shown =
        found && Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    if found && !shown {
        println!("SKIPPED: no Alertmanager without `unshare --map-root-user --mount`");
    }
    shown.then_some(folder)
}

/// A program that ends with its test.
pub(crate) struct Neighbour {
    command: Command,
    child: Child,
    port: u16,
}

// === impl Neighbour ===

impl Neighbour {
    fn start(mut command: Command, port: u16) -> Self {
        let child = command.spawn().unwrap();
        let neighbour = Self { command, child, port };
        neighbour.ready();
        neighbour
    }

    /// An Alertmanager with this receiver (the YAML of `webhook_configs`), and nobody beside it.
    pub(crate) fn alertmanager(site: &Site, name: &str, webhook: &str) -> Option<Self> {
        let (folder, port) = (site.path(name), free_port());
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "route: {{receiver: paramedic, group_by: [alertname], group_wait: 0s, group_interval: 300ms, repeat_interval: 1s}}\n\
             receivers:\n- name: paramedic\n  webhook_configs:\n  - {webhook}\n"
        );
        fs::write(folder.join("config.yml"), config).unwrap();
        let programs = programs()?;
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", "mount --bind \"$1\" /usr/share && shift && exec \"$@\"", "sh"]);
        command.arg(programs.join("../share")).arg(programs.join("prometheus-alertmanager"));
        command.arg(format!("--config.file={}", folder.join("config.yml").display()));
        command.arg(format!("--storage.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--cluster.listen-address=");
        Some(Self::start(quiet(command, site, name), port))
    }

    /// A Prometheus with this configuration, and these rules in `rules.yml` beside it.
    pub(crate) fn prometheus(site: &Site, config: &str, rules: &str, more: &[&str]) -> Option<Self> {
        let (folder, port) = (site.path("prometheus"), free_port());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.yml"), config).unwrap();
        fs::write(folder.join("rules.yml"), rules).unwrap();
        let mut command = Command::new(programs()?.join("prometheus"));
        command.arg(format!("--config.file={}", folder.join("config.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg("--rules.alert.resend-delay=500ms").args(more);
        Some(Self::start(quiet(command, site, "prometheus"), port))
    }

    /// A VictoriaMetrics that scrapes this port.
    pub(crate) fn victoriametrics(site: &Site, programs: &std::path::Path, scraped: u16) -> Self {
        let (folder, port) = (site.path("victoria"), free_port());
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]}}]\n"
        );
        fs::write(folder.join("config.yml"), config).unwrap();
        let mut command = Command::new(programs.join("victoria-metrics"));
        command.arg(format!("-storageDataPath={}", folder.join("data").display()));
        command.arg(format!("-promscrape.config={}", folder.join("config.yml").display()));
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        // What was just written is asked for at once.
        command.args(["-search.latencyOffset=0s", "-search.disableCache", "-memory.allowedBytes=64MB"]);
        Self::start(quiet(command, site, "victoria"), port)
    }

    /// VictoriaMetrics' `vmalert` with these rules, over that engine, which tells that Alertmanager.
    pub(crate) fn vmalert(
        site: &Site,
        programs: &std::path::Path,
        rules: &str,
        engine: &Self,
        told: &Self,
    ) -> Self {
        let (folder, port) = (site.path("vmalert"), free_port());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("rules.yml"), rules).unwrap();
        let mut command = Command::new(programs.join("vmalert"));
        command.arg(format!("-rule={}", folder.join("rules.yml").display()));
        command.arg(format!("-datasource.url={}", engine.url("")));
        command.arg(format!("-notifier.url={}", told.url("")));
        command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
        command.args([
            "-evaluationInterval=500ms",
            "-rule.resendDelay=500ms",
            "-datasource.queryTimeAlignment=false",
        ]);
        Self::start(quiet(command, site, "vmalert"), port)
    }

    fn ready(&self) {
        // Each knows one of the two.
        let is_ready = |path: &str| get(&self.url(path)).filter(|(status, _)| *status == 200);
        eventually("a neighbour is ready", || is_ready("/-/ready").or_else(|| is_ready("/health")));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it, and starts it again over the same files.
    pub(crate) fn kill_and_start(&mut self) {
        self.kill();
        self.child = self.command.spawn().unwrap();
        self.ready();
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it answers, as JSON.
    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        let (status, text) = get(&self.url(path)).unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The sum of a metric of its own over all labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, page) = get(&self.url("/metrics")).unwrap_or_default();
        let values = page.lines().filter(|line| line.starts_with(name));
        values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.kill();
    }
}

fn quiet(mut command: Command, site: &Site, name: &str) -> Command {
    let log = File::options().create(true).append(true).open(site.path(&format!("{name}.log"))).unwrap();
    clean(&mut command, site.config().parent().unwrap());
    command.stdout(Stdio::null()).stderr(log);
    command
}

/// Asks for a page; its status and text.
pub(crate) fn get(url: &str) -> Option<(u16, String)> {
    block_on(async {
        let client = crate::client::http();
        let answer = client.get(url).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    })
}

/// A page of metrics on loopback, with the values that a test gives; it lives as long as the test process.
#[derive(Clone)]
pub(crate) struct Page {
    port: u16,
    series: Arc<Mutex<BTreeMap<String, f64>>>,
}

// === impl Page ===

impl Page {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let page = Self { port: listener.local_addr().unwrap().port(), series: Arc::default() };
        let own = page.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let series = own.series.lock().unwrap().clone();
                let text: String = series.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
                let _ = write!(&stream, "{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            }
        });
        page
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sets a series, by its name with its labels.
    pub(crate) fn set(&self, series: &str, value: f64) {
        self.series.lock().unwrap().insert(series.to_owned(), value);
    }
}
