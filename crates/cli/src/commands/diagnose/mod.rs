//! Owns `paramedic diagnose`: one look at servers and their machine, what is found, and what it comes to.

mod far;
mod log;
mod numbers;
mod patient;
mod show;
mod unit;
mod watch;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use diagnosis::{Finding, Ranked, named, rank};
use host::{Roots, Snapshot, examine};
use incident::{ExitFacts, findings_of_exit};
use probe::{Check, CheckType, Names, Prober};
use serde::Serialize;
use server::now_ms;

use crate::arguments::{DiagnoseArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use patient::Patient;

/// What a step of an incident takes in of one unit.
const FINDINGS_MAX: usize = 100;
/// How an exit has to do with the trouble of now.
const RECENT_MS: i64 = 30 * 60 * 1000;

/// What is known of one server.
#[derive(Debug, Serialize)]
struct Diagnosis {
    /// The server, or what was looked at in its place.
    server: String,
    /// The process whose tree was looked at.
    pid: Option<i32>,
    /// Of the causes that are possible the one that stands out; none is an answer.
    cause: Option<&'static str>,
    /// What that means.
    means: Option<&'static str>,
    /// What usually helps.
    helps: Option<&'static str>,
    /// What was found, the worst first.
    findings: Vec<Finding>,
    /// Which causes the findings speak for, and why; those that are ruled out stand at the end, and why not.
    causes: Vec<Ranked>,
    /// How long the look took, in milliseconds.
    took_ms: u64,
}

pub(super) fn run(
    arguments: &DiagnoseArguments,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        return far::run(&client, arguments, output);
    }
    let client = context::client(config.clone())?;
    let (config, path) = context::load_or_default(config)?;
    let patients = patient::wanted(arguments, &config, &path)?;
    let prober = Prober::new().map_err(Failure::usage)?;
    let runtime = context::runtime()?;
    if arguments.watch {
        let [patient] = patients.as_slice() else {
            return Err(Failure::usage(anyhow::anyhow!("name the one server that is to be watched")));
        };
        let grown = watch::watch(patient, arguments, output)?;
        let found = runtime.block_on(patient.diagnose(&client, &prober, &config, grown));
        show::print(std::slice::from_ref(&found), arguments.all, output);
        crate::findings::note(&found.findings);
        return Ok(Code::Done);
    }
    let mut diagnoses = Vec::new();
    for patient in &patients {
        let found = runtime.block_on(patient.diagnose(&client, &prober, &config, Vec::new()));
        crate::findings::note(&found.findings);
        diagnoses.push(found);
    }
    show::print(&diagnoses, arguments.all, output);
    Ok(Code::Done)
}

/// A server, with what `serve` knows of its process.
pub(super) fn subject_of(name: &str, config: Option<PathBuf>) -> Result<host::Subject, Failure> {
    let client = context::client(config.clone())?;
    let (config, path) = context::load_or_default(config)?;
    let mut subject = patient::one(name, &config, &path)?.subject;
    let known = context::runtime()?.block_on(numbers::status(&client, name));
    subject.pid = known.and_then(|status| status.pid);
    Ok(subject)
}

impl Patient {
    /// Looks from all sides at once: the host, the server itself and what it needs, its log, and what `serve` knows.
    async fn diagnose(
        &self,
        client: &server::client::Client,
        prober: &Prober,
        config: &server::config::Config,
        more: Vec<Finding>,
    ) -> Diagnosis {
        let started = Instant::now();
        let known = numbers::status(client, &self.subject.name).await;
        let mut subject = self.subject.clone();
        if let Some(status) = &known {
            subject.pid = subject.pid.or(status.pid);
        }
        let look = tokio::task::spawn_blocking(move || {
            let (snapshot, mut found) = examine(&Roots::default(), &subject, now_ms(), thread::sleep);
            found.extend(runtimes::look(&snapshot, &subject.name));
            (snapshot, found)
        });
        let asked = async {
            let Some(target) = &self.target else { return Vec::new() };
            let deadline = config.probe.timeout.get();
            let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms()).unwrap_or_default());
            let names = Names::of_this_machine();
            // Who does not answer at all is not given more to do.
            let itself = async {
                let live = prober.check(target, CheckType::Liveness, deadline).await;
                let answers = live.health.is_well();
                let call = prober.call_for_real(target, self.reads.as_ref(), deadline);
                let called = if answers { call.await } else { Vec::new() };
                (live, called)
            };
            let ((live, called), needs, guard) = tokio::join!(
                itself,
                prober.dig(target, &names, now, deadline),
                prober.dig_guard(target, deadline)
            );
            let mut found = probe::findings(target, &live);
            found.extend(called);
            found.extend(guard);
            found.extend(needs);
            found
        };
        let (looked, asked) = tokio::join!(look, asked);
        let mut findings = more;
        let mut pid = None;
        let process = looked.as_ref().map(|(snapshot, _)| process_of(snapshot)).unwrap_or_default();
        if let Ok((snapshot, found)) = looked {
            findings.extend(self.tokens(&snapshot));
            pid = snapshot.target.map(|target| target.pid);
            findings.extend(found);
        }
        // What was found by asking the name service counts for more than what its configuration says.
        findings
            .splice(0..0, asked.iter().filter(|one| one.kind() == diagnosis::kind::RESOLVER.name).cloned());
        findings.extend(asked);
        if let Some(status) = &known {
            findings.extend(of_status(status, pid.is_some()));
            findings.extend(numbers::of_serve(client, &self.subject.name, process).await);
            if let Some(path) = self.log.as_deref() {
                let recovered = numbers::recovered(client, &self.subject.name).await;
                findings.extend(recovered.iter().filter_map(|one| log::stale(path, one)));
            }
        }
        findings.extend(unit::result(&self.subject).await);
        findings.extend(self.log.as_deref().and_then(|path| log::found(path, &self.subject.name, now_ms())));
        Diagnosis::of(&self.subject.name, pid, findings, started)
    }
}

impl Patient {
    /// What the tokens say of their own end with which the processes of this server were started.
    fn tokens(&self, snapshot: &Snapshot) -> Vec<Finding> {
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms()).unwrap_or_default());
        let tree: Vec<i32> =
            snapshot.target.iter().flat_map(|target| &target.tree).map(|details| details.id.pid).collect();
        let needs = self.target.iter().flat_map(|target| &target.dependencies);
        let found = needs.filter_map(|one| {
            let Check::Env { variable, .. } = &one.check else { return None };
            let value = tree.iter().find_map(|pid| host::variable_of(&Roots::default(), *pid, variable))?;
            probe::token(&one.name, &value, now)
        });
        found.collect()
    }
}

impl Diagnosis {
    fn of(server: &str, pid: Option<i32>, findings: Vec<Finding>, started: Instant) -> Self {
        let mut seen = std::collections::HashSet::new();
        // Of one thing the first that was said counts: it knows more.
        let mut findings: Vec<Finding> = findings
            .into_iter()
            .filter(|finding| seen.insert((finding.kind().to_owned(), finding.subject().to_owned())))
            .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity()));
        findings.truncate(FINDINGS_MAX);
        let causes = rank(&findings);
        let cause = named(&causes).map(|best| best.cause);
        Self {
            server: server.to_owned(),
            pid,
            cause: cause.map(diagnosis::Cause::name),
            means: cause.map(diagnosis::Cause::means),
            helps: cause.map(diagnosis::Cause::helps),
            findings,
            causes,
            took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What the samples of `serve` are read with.
fn process_of(snapshot: &Snapshot) -> numbers::Process {
    let group = snapshot.target.as_ref().and_then(|target| target.cgroup_memory.as_ref());
    let all = snapshot.memory.as_ref().and_then(|memory| memory.total_bytes);
    let limit_bytes = group.and_then(|group| group.limit_above_bytes).into_iter().chain(all).min();
    numbers::Process { age_ms: age_ms(snapshot), limit_bytes }
}

/// How long the process that was looked at has run.
fn age_ms(snapshot: &Snapshot) -> Option<i64> {
    let pid = snapshot.target.as_ref()?.pid;
    let id = snapshot.processes.iter().find(|process| process.id.pid == pid)?.id;
    let since_boot_ms = id.start_ticks.checked_mul(1000)? / rustix::param::clock_ticks_per_second();
    i64::try_from(snapshot.clock.uptime_ms?.checked_sub(since_boot_ms)?).ok()
}

/// What `serve` knows of how it ended last; of one that runs again only what is recent.
fn of_status(status: &server::api::wire::ServerStatus, runs: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(by) = &status.stopped_by {
        found.push(Finding::new(diagnosis::kind::OPERATOR_STOP, &status.name).with_value(by.as_str()));
    }
    let at_ms = status.last_exit_ms.unwrap_or_default();
    let recent = now_ms().saturating_sub(at_ms) < RECENT_MS;
    if let Some(reason) = status.last_exit.clone().filter(|_| recent || !runs) {
        let stderr = status.stderr.clone();
        let exit = ExitFacts { pid: None, reason, at_ms, uptime_ms: None, stderr, out_of_memory: None };
        found.extend(findings_of_exit(&status.name, &exit));
    }
    found
}
