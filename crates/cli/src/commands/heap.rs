//! Owns `paramedic server heap-dump` and `collect-garbage`: saying what would be done, and doing it where a person says so.

use std::path::PathBuf;

use anyhow::anyhow;
use host::runtime::Runtime;
use host::{Roots, Subject, snapshot};
use runtimes::heap::{HeapError, Way, collect, dump};
use serde::Serialize;
use server::now_ms;

use super::diagnose;
use crate::arguments::{HeapDumpArguments, Output, RuntimeArguments};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show::{self, size};

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    server: String,
    pid: i32,
    file: PathBuf,
    bytes: u64,
}

pub(super) fn heap_dump(
    arguments: &HeapDumpArguments,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let name = &arguments.of.name;
    let runtime = runtime_of(&arguments.of, config.clone())?;
    let (config, _) = context::load_or_default(config)?;
    let to = arguments.to.clone().unwrap_or_else(|| config.data_dir.join("heap-dumps"));
    let roots = Roots::default();
    let way = Way::of(&roots, &runtime).map_err(failed)?;
    if !arguments.of.apply {
        let how = match &way {
            Way::Jcmd(tool) => format!("by {}", tool.display()),
            Way::Signal { name, folder, .. } => format!("by {name}, into {} first", folder.display()),
        };
        let takes = host::tree_rss_bytes(&roots, runtime.pid).map_or_else(|| "?".to_owned(), size);
        show::line(&format!(
            "the heap of {name} (process {}, {}) would be dumped {how}, to {}: {takes} at most\n\
             it stands still meanwhile, and the dump holds every secret of it; nothing was done, that takes --apply",
            runtime.pid,
            runtime.kind.name(),
            to.display()
        ));
        return Ok(Code::Done);
    }
    let file = format!("{name}-{}-{}", runtime.pid, now_ms());
    let dumped = dump(&roots, &runtime, &way, &to, &file).map_err(failed)?;
    let written = Written { server: name.clone(), pid: runtime.pid, file: dumped.file, bytes: dumped.bytes };
    match output {
        Output::Table => show::line(&format!(
            "{} of heap of process {} are in {}, which only this user may read; delete it when it is of no more use",
            size(written.bytes),
            written.pid,
            written.file.display()
        )),
        Output::Json | Output::Jsonl => show::json_line(&written),
    }
    Ok(Code::Done)
}

pub(super) fn collect_garbage(
    arguments: &RuntimeArguments,
    config: Option<PathBuf>,
) -> Result<Code, Failure> {
    let runtime = runtime_of(arguments, config)?;
    let (name, pid) = (&arguments.name, runtime.pid);
    let roots = Roots::default();
    let held = || host::tree_rss_bytes(&roots, pid).map_or_else(|| "?".to_owned(), size);
    if !arguments.apply {
        // The same question as before a dump: who has no way has none for this either.
        if runtime.kind == host::runtime::Kind::Jvm {
            Way::of(&roots, &runtime).map_err(failed)?;
            show::line(&format!(
                "{name} (process {pid}) would collect its garbage, and stand still meanwhile; nothing was done, that takes --apply"
            ));
            return Ok(Code::Done);
        }
    }
    let before = held();
    collect(&runtime).map_err(failed)?;
    show::line(&format!(
        "{name} (process {pid}) has collected its garbage: {before} resident before, {} now",
        held()
    ));
    Ok(Code::Done)
}

/// The one process of a server that runs in a runtime, or the one that was named.
fn runtime_of(arguments: &RuntimeArguments, config: Option<PathBuf>) -> Result<Runtime, Failure> {
    let subject: Subject = diagnose::subject_of(&arguments.name, config)?;
    let roots = Roots::default();
    let top = subject.process_now(&roots).map(|id| id.pid);
    let top = top.ok_or_else(|| Failure::new(Code::No, anyhow!("`{}` has no process", arguments.name)))?;
    let found =
        snapshot(&roots, Some(top), now_ms()).target.map(|target| target.runtimes).unwrap_or_default();
    let wanted: Vec<&Runtime> =
        found.iter().filter(|one| arguments.pid.is_none_or(|pid| pid == one.pid)).collect();
    match wanted.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::new(
            Code::No,
            anyhow!(
                "no process of `{}` is one of Node, Python or a Java machine that may be looked at",
                arguments.name
            ),
        )),
        several => {
            let pids: Vec<String> =
                several.iter().map(|one| format!("{} ({})", one.pid, one.kind.name())).collect();
            Err(Failure::usage(anyhow!(
                "`{}` has several: name one with --pid: {}",
                arguments.name,
                pids.join(", ")
            )))
        }
    }
}

fn failed(error: HeapError) -> Failure {
    Failure::new(Code::No, anyhow::Error::new(error))
}
