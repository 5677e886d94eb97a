//! Owns the measurements of Prometheus and VictoriaMetrics over the same pages.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{cpu_seconds, resident_mb};
use crate::Fleet;

/// Both need some time before their first round of scrapes is over.
const WARM: Duration = Duration::from_secs(12);

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
    if path.is_none() {
        println!("SKIPPED {variable}: it names no program");
    }
    path
}

/// Writes a configuration with one job per target, because each has a path of its own.
fn configuration(fleet: Fleet, address: &str) -> String {
    let interval = fleet.interval_ms / 1_000;
    let mut text =
        format!("global:\n  scrape_interval: {interval}s\n  scrape_timeout: {interval}s\nscrape_configs:\n");
    for target in 0..fleet.targets {
        write!(
            text,
            "- job_name: bench-{target}\n  metrics_path: /{target}/{}\n  static_configs:\n  - targets: ['{address}']\n    labels: {{instance: '127.0.0.1:{}'}}\n",
            fleet.series,
            10_000 + target
        )
        .expect("it is a string");
    }
    text
}

pub(crate) fn prometheus(fleet: Fleet, address: &str, seconds: u64) {
    let Some(program) = program("PARAMEDIC_BENCH_PROMETHEUS") else { return };
    measure("Prometheus", fleet, address, seconds, |folder, config| {
        Command::new(&program)
            .arg(format!("--config.file={config}"))
            .arg(format!("--storage.tsdb.path={folder}/data"))
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
}

pub(crate) fn victoria_metrics(fleet: Fleet, address: &str, seconds: u64) {
    let Some(program) = program("PARAMEDIC_BENCH_VICTORIA") else { return };
    measure("VictoriaMetrics", fleet, address, seconds, |folder, config| {
        Command::new(&program)
            .arg(format!("-promscrape.config={config}"))
            .arg(format!("-storageDataPath={folder}/data"))
            .args(["-httpListenAddr=127.0.0.1:0", "-loggerLevel=ERROR"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
}

fn measure(
    name: &str,
    fleet: Fleet,
    address: &str,
    seconds: u64,
    start: impl FnOnce(&str, &str) -> std::io::Result<Child>,
) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let folder = folder.path().display().to_string();
    let config = format!("{folder}/config.yml");
    std::fs::write(&config, configuration(fleet, address)).expect("there is room");
    let mut running = Running(start(&folder, &config).expect("it starts"));
    let pid = running.0.id().to_string();
    pause(WARM);
    let (before, begun) = (cpu_seconds(&pid), Instant::now());
    pause(Duration::from_secs(seconds));
    assert!(running.0.try_wait().expect("it is ours").is_none(), "{name} has ended by itself");
    let (cpu, elapsed) = (cpu_seconds(&pid) - before, begun.elapsed().as_secs_f64());
    let samples = (fleet.targets * fleet.series) as f64 * elapsed / (fleet.interval_ms as f64 / 1e3);
    let (resident, most) = resident_mb(&pid);
    println!(
        "{name}, {} targets of {} series every {} s for {elapsed:.0} s: {:.0} samples per CPU-second, {resident:.0} MB \
         resident (at most {most:.0})",
        fleet.targets,
        fleet.series,
        fleet.interval_ms / 1_000,
        samples / cpu
    );
}

/// Lets time pass: what is measured goes by the clock.
fn pause(duration: Duration) {
    std::thread::park_timeout(duration);
}
