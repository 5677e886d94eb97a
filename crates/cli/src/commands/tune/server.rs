//! Owns `paramedic server tune`: what is asked for, held against what the machine has and what is in use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::server::api::wire::ServerStatus;
use ::server::client::Client;
use ::server::config::Server;
use host::Roots;
use incident::change::{Change, What, read_place};
use process::tuning::{Heap, MemoryGroup, Runtime, Tuning};

use super::{Hand, Subject, failure, nonsense, unit};
use crate::arguments::{Output, TuneArguments};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// No runtime does anything with a smaller heap, in bytes.
const HEAP_MIN: u64 = 16 << 20;

/// No program starts with fewer descriptors.
const OPEN_FILES_MIN: u64 = 64;

/// How the server is now, as far as is known.
#[derive(Default)]
pub(super) struct Facts {
    total_bytes: Option<u64>,
    used_bytes: Option<u64>,
    /// The descriptors that its first process has open.
    open_files: Option<u64>,
    /// The most that the kernel gives anybody.
    open_files_max: Option<u64>,
    guard: Option<i32>,
    /// The programs of its processes, or of its command where none runs.
    programs: Vec<String>,
}

pub(in crate::commands) fn server(
    arguments: &TuneArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        return super::far::run(&client, arguments, output);
    }
    let client = context::client(named.clone())?;
    let (config, _) = context::load(named)?;
    let server = context::server(&config, &arguments.name)?;
    if let Some(name) = &server.unit {
        return unit::run(&config, &client, server, name, arguments, output);
    }
    if server.upstream.is_some() {
        let message = format!("`{}` is an upstream: whoever started it tunes it", server.name);
        return Err(Failure::new(Code::Refused, anyhow::anyhow!(message)));
    }
    if arguments.memory_high.is_some() || arguments.cpu_quota.is_some() || arguments.tasks.is_some() {
        let message = "--memory-high, --cpu-quota and --tasks are for servers that live in a unit of systemd";
        return Err(nonsense(message.to_owned()));
    }
    let path = ::server::tuning_path(&config, &server.name);
    let (name, places) = (server.name.as_str(), vec![path.clone()]);
    let hand = Hand::Files;
    let subject = Subject { config: &config, client: &client, server: Some(name), name, places, hand };
    let changed = context::runtime()?.block_on(tune(&subject, server, arguments, &path, output))?;
    if !changed {
        return Ok(Code::Done);
    }
    if arguments.restart {
        return context::runtime()?
            .block_on(crate::commands::server::order(&client, name, "restart", output));
    }
    anstream::eprintln!("it holds from the next start on: `paramedic server restart {name}`");
    Ok(Code::Done)
}

/// Returns whether something was changed.
async fn tune(
    subject: &Subject<'_>,
    server: &Server,
    arguments: &TuneArguments,
    path: &Path,
    output: Output,
) -> Result<bool, Failure> {
    if arguments.undo {
        return subject.undo(output).await.map(|back| back.is_some());
    }
    let text = read_place(path).map_err(failure)?;
    let now = text.as_deref().map_or_else(|| Ok(Tuning::default()), Tuning::parse).map_err(|error| {
        let message = format!("`{}` is not understood: {error}; mend or remove it", path.display());
        Failure::usage(anyhow::anyhow!(message))
    })?;
    if !asks_for_something(arguments) {
        match output {
            Output::Table => show::line(now.to_text().as_deref().unwrap_or("nothing is tuned").trim_end()),
            _ => show::json(&now),
        }
        return Ok(false);
    }
    let facts = facts(subject.client, server).await;
    let next = next(now, arguments, &facts)?;
    check(&next, arguments, &facts, &server.name)?;
    if arguments.memory_limit.is_some() {
        check_group(&facts, &server.name)?;
    }
    let wanted = [(path.to_owned(), next.to_text())];
    match Change::plan(What::ServerTuning, &server.name, wanted).map_err(failure)? {
        None => {
            show::line(&format!("{}: nothing to do, it is tuned so already", server.name));
            Ok(false)
        }
        Some(change) => subject.carry_out(&change, output).await.map(|()| true),
    }
}

pub(super) fn asks_for_something(arguments: &TuneArguments) -> bool {
    let TuneArguments { heap, memory_limit, memory_high, open_files, environment, unset, .. } = arguments;
    let more = &arguments.arguments;
    heap.or(*memory_limit).or(*memory_high).or(*open_files).is_some()
        || arguments.cpu_quota.or(arguments.tasks).is_some()
        || !(environment.is_empty() && more.is_empty() && unset.is_empty())
}

/// The tuning with what is asked for in it.
pub(super) fn next(mut tuning: Tuning, arguments: &TuneArguments, facts: &Facts) -> Result<Tuning, Failure> {
    for what in &arguments.unset {
        match what.as_str() {
            "heap" => tuning.heap = None,
            "memory-limit" => tuning.memory_limit_bytes = None,
            "open-files" => tuning.open_files = None,
            "arguments" => tuning.arguments.clear(),
            name if tuning.environment.remove(name).is_some() => {}
            name => return Err(nonsense(format!("`{name}` is not tuned, so it cannot be taken out"))),
        }
    }
    if let Some(bytes) = arguments.heap {
        tuning.heap = Some(Heap { runtime: runtime(facts, &arguments.name)?, bytes });
    }
    tuning.memory_limit_bytes = arguments.memory_limit.or(tuning.memory_limit_bytes);
    tuning.open_files = arguments.open_files.or(tuning.open_files);
    for (name, value) in &arguments.environment {
        let owned = [Runtime::Node, Runtime::Jvm].iter().any(|runtime| runtime.variable() == name);
        if owned || name.starts_with("LD_") || name.starts_with("PARAMEDIC_") || name == "PATH" {
            return Err(nonsense(format!(
                "`{name}` decides what the server runs: it belongs into its configuration, and a heap to --heap"
            )));
        }
        if ::server::config::is_secret_name(name) {
            return Err(nonsense(format!(
                "by its name `{name}` is a secret, and what is tuned is shown and written down: the configuration names \
                 where it is"
            )));
        }
        tuning.environment.insert(name.clone(), value.clone());
    }
    for argument in &arguments.arguments {
        if !tuning.arguments.contains(argument) {
            tuning.arguments.push(argument.clone());
        }
    }
    Ok(tuning)
}

fn runtime(facts: &Facts, server: &str) -> Result<Runtime, Failure> {
    let known = facts.programs.iter().find_map(|program| Runtime::of_program(program));
    known.ok_or_else(|| {
        nonsense(format!(
            "`{server}` runs {}, of which no heap can be set: only Node.js and Java machines have one",
            facts.programs.join(", ")
        ))
    })
}

/// Refuses what makes no sense here.
pub(super) fn check(
    next: &Tuning,
    arguments: &TuneArguments,
    facts: &Facts,
    server: &str,
) -> Result<(), Failure> {
    let refuse = |message: String| Err(nonsense(format!("`{server}`: {message}")));
    let above = |wanted: u64, most: Option<u64>| most.filter(|most| wanted > *most);
    if let Some(heap) = next.heap {
        if heap.bytes < HEAP_MIN {
            return refuse(format!("no runtime lives in a heap of {}", size(heap.bytes)));
        }
        if let Some(total) = above(heap.bytes, facts.total_bytes) {
            return refuse(format!(
                "a heap of {} is more than the machine has, {}",
                size(heap.bytes),
                size(total)
            ));
        }
        if let Some(limit) = above(heap.bytes, next.memory_limit_bytes) {
            return refuse(format!(
                "a heap of {} is above its memory limit, {}",
                size(heap.bytes),
                size(limit)
            ));
        }
    }
    if let Some(limit) = arguments.memory_limit {
        if let Some(total) = above(limit, facts.total_bytes) {
            return refuse(format!(
                "a limit of {} is more than the machine has, {}",
                size(limit),
                size(total)
            ));
        }
        if let Some(used) = facts.used_bytes.filter(|used| limit < *used) {
            return refuse(format!("a limit of {} is less than what is in use, {}", size(limit), size(used)));
        }
    }
    if let Some(count) = arguments.open_files {
        if count < OPEN_FILES_MIN {
            return refuse(format!("nothing starts with {count} descriptors; {OPEN_FILES_MIN} is the least"));
        }
        if let Some(most) = above(count, facts.open_files_max) {
            return refuse(format!("{count} descriptors are more than the kernel gives anybody, {most}"));
        }
        if let Some(used) = facts.open_files.filter(|used| count < *used) {
            return refuse(format!("{count} descriptors are fewer than it has open, {used}"));
        }
    }
    Ok(())
}

/// Refuses a limit of memory that this machine cannot give to a server of `serve`.
fn check_group(facts: &Facts, server: &str) -> Result<(), Failure> {
    let refuse = |message: String| Err(nonsense(format!("`{server}`: {message}")));
    let Some(guard) = facts.guard else {
        return refuse("whether its memory can be limited is only known while `serve` runs".to_owned());
    };
    let group = MemoryGroup::find(Path::new("/"), server, guard);
    if let Err(error) = group.and_then(|group| group.try_out()) {
        let error = anyhow::Error::new(error);
        return refuse(format!("its memory cannot be limited on this machine: {error:#}"));
    }
    Ok(())
}

async fn facts(client: &Client, server: &Server) -> Facts {
    let status = client.get::<ServerStatus>(&format!("/api/v1/servers/{}", server.name)).await.ok();
    let mut facts = facts_of(status.as_ref().and_then(|status| status.pid));
    facts.guard = status.and_then(|status| status.guard_pid);
    if facts.programs.is_empty() {
        facts.programs =
            server.stdio.first().map(|command| base_name(Path::new(command))).into_iter().collect();
    }
    facts
}

/// How a server is whose first process this is.
pub(super) fn facts_of(pid: Option<i32>) -> Facts {
    let roots = Roots::default();
    let memory = host::snapshot(&roots, None, ::server::now_ms()).memory;
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
    Facts {
        total_bytes: memory.and_then(|memory| memory.total_bytes),
        used_bytes: pid.and_then(|pid| host::tree_rss_bytes(&roots, pid)),
        open_files: pid.and_then(|pid| {
            std::fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|entries| entries.count() as u64)
        }),
        open_files_max: number("/proc/sys/fs/nr_open"),
        guard: None,
        programs: pid.map(programs).unwrap_or_default(),
    }
}

/// The programs of a process and of all below it, each once.
fn programs(pid: i32) -> Vec<String> {
    let below = process::descendants(Path::new("/proc"), pid).into_iter().map(|one| one.pid);
    let exe = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let names = std::iter::once(pid).chain(below).filter_map(exe).map(|path| (base_name(&path), ()));
    names.collect::<BTreeMap<_, _>>().into_keys().collect()
}

fn base_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.trim_end_matches(" (deleted)").to_owned()
}

/// A number of bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{bytes} bytes"),
        _ => format!("{} MiB", bytes >> 20),
    }
}
