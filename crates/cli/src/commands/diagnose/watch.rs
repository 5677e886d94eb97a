//! Owns watching: samples of a tree of processes and of the machine, and which process it is that grows.

use std::collections::HashMap;
use std::thread;
use std::time::Instant;

use diagnosis::{Finding, Shape, kind};
use host::{Census, Rates, Roots, Sample};
use process::ProcessId;
use serde::Serialize;
use server::growth::{Grown, grown, look, words};

use super::patient::Patient;
use crate::arguments::{DiagnoseArguments, Output};
use crate::fail::{Code, Failure};
use crate::show;

/// A day at the usual interval; then the oldest are forgotten.
const SAMPLES_MAX: usize = 17_280;

/// One look.
#[derive(Debug, Serialize)]
struct Look {
    seconds: f64,
    processes: usize,
    rss_bytes: u64,
    descriptors: Option<u64>,
    cpu_percent: Option<f64>,
    machine: Option<Rates>,
}

/// What was seen of one tree.
#[derive(Default)]
struct Seen {
    memory: Vec<(f64, f64)>,
    descriptors: Vec<(f64, f64)>,
    of_process: HashMap<ProcessId, Vec<(f64, f64)>>,
    /// What was done between the last two looks.
    last: Option<(f64, Rates)>,
}

/// Watches until it has been long enough, and says what grows.
pub(super) fn watch(
    patient: &Patient,
    arguments: &DiagnoseArguments,
    output: Output,
) -> Result<Vec<Finding>, Failure> {
    let roots = Roots::default();
    let (started, mut seen) = (Instant::now(), Seen::default());
    let (mut before, mut shape) = (None, Shape::Unknown);
    let limit = arguments.length;
    if output == Output::Table {
        show::live("SECONDS  PROCESSES  MEMORY       DESCRIPTORS  CPU     MACHINE");
    }
    loop {
        let Some(top) = patient.subject.process_now(&roots) else {
            return Err(Failure::new(
                Code::No,
                anyhow::anyhow!("`{}` has no process to watch", patient.subject.name),
            ));
        };
        let (census, sample) = (Census::take(&roots), Sample::take(&roots));
        let Some(usage) = census.usage(&roots, top) else { continue };
        let now = Instant::now();
        let seconds = (now - started).as_secs_f64();
        let cpu_percent = before.as_ref().map(|(at, usage_before, _): &(Instant, host::Usage, Sample)| {
            usage.cpu_ms_since(usage_before) as f64 / 10.0 / (now - *at).as_secs_f64()
        });
        let machine = before.as_ref().map(|(at, _, sample_before)| sample.since(sample_before, now - *at));
        seen.take(seconds, &usage);
        seen.last = cpu_percent.zip(machine.clone());
        let looked = Look {
            seconds,
            processes: usage.cpu.len(),
            rss_bytes: usage.rss_bytes,
            descriptors: usage.descriptors,
            cpu_percent,
            machine,
        };
        looked.print(output);
        let found = look(&seen.memory, &Grown::memory(None));
        if found.shape != shape && output == Output::Table {
            shape = found.shape;
            show::live(&format!("memory: {}", words(&found, &seen.memory, &Grown::memory(None))));
        }
        before = Some((now, usage, sample));
        if limit.is_some_and(|limit| started.elapsed() >= limit) {
            return Ok(seen.found(&roots, &patient.subject.name));
        }
        thread::sleep(arguments.interval);
    }
}

/// How busy a server and its machine were between two looks.
fn rates(server: &str, cpu_percent: f64, machine: &Rates) -> Vec<Finding> {
    let rounded = |percent: f64| (percent * 10.0).round() / 10.0;
    let mut found = vec![Finding::new(kind::CPU_USED_PERCENT, server).with_value(rounded(cpu_percent))];
    let busy = machine.cpu_busy_percent.map(rounded);
    found.extend(busy.map(|busy| Finding::new(kind::CPU_BUSY_PERCENT, "machine").with_value(busy)));
    let disk = |(name, rate): (&String, &host::DiskRate)| {
        Finding::new(kind::DISK_BUSY_PERCENT, name).with_value(rounded(rate.busy_percent))
    };
    found.extend(machine.disks.iter().map(disk));
    found
}

// === impl Look ===

impl Look {
    fn print(&self, output: Output) {
        if output != Output::Table {
            show::json_line(self);
            return;
        }
        let percent =
            |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0} %"));
        show::live(&format!(
            "{:>7.0}  {:>9}  {:>7.1} MiB  {:>11}  {:>6}  {}",
            self.seconds,
            self.processes,
            self.rss_bytes as f64 / f64::from(1 << 20),
            self.descriptors.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            percent(self.cpu_percent),
            self.machine.as_ref().map(ToString::to_string).unwrap_or_default()
        ));
    }
}

// === impl Seen ===

impl Seen {
    fn take(&mut self, seconds: f64, usage: &host::Usage) {
        let put = |points: &mut Vec<(f64, f64)>, value: f64| {
            if points.len() == SAMPLES_MAX {
                points.remove(0);
            }
            points.push((seconds, value));
        };
        put(&mut self.memory, usage.rss_bytes as f64);
        if let Some(descriptors) = usage.descriptors {
            put(&mut self.descriptors, descriptors as f64);
        }
        self.of_process.retain(|id, _| usage.rss.contains_key(id));
        for (id, rss_bytes) in &usage.rss {
            put(self.of_process.entry(*id).or_default(), *rss_bytes as f64);
        }
    }

    /// Growth of the whole, with the process that grows most.
    fn found(&self, roots: &Roots, server: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        let memory = grown(kind::RSS_GROWTH_BYTES_PER_HOUR, server, &self.memory, &Grown::memory(None));
        found.extend(memory.map(|finding| match self.grower(roots) {
            Some(who) if finding.value().and_then(diagnosis::Scalar::number) > Some(0.0) => {
                let message = format!("{who}; {}", finding.message());
                finding.with_message(&message)
            }
            _ => finding,
        }));
        found.extend(grown(kind::DESCRIPTORS_GROWTH_PER_HOUR, server, &self.descriptors, &Grown::count()));
        found.extend(self.last.iter().flat_map(|(percent, machine)| rates(server, *percent, machine)));
        found
    }

    fn grower(&self, roots: &Roots) -> Option<String> {
        let trends = self.of_process.iter().map(|(id, points)| (id, look(points, &Grown::memory(None))));
        let growing = trends.filter(|(_, trend)| trend.shape == Shape::Growing);
        let (id, trend) = growing.max_by(|one, other| one.1.slope.total_cmp(&other.1.slope))?;
        let name = host::process_name(roots, id.pid).unwrap_or_default();
        let mib = trend.slope * 60.0 / f64::from(1 << 20);
        Some(format!("process {} ({name}) grows by {mib:.1} MiB a minute", id.pid))
    }
}
