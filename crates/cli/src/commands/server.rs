//! Owns `paramedic server`, over the local socket of `serve`.

pub(super) mod logs;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use server::Control;
use server::api::wire::{Done, Order, ServerStatus};
use server::client::{Client, ClientError};

use super::controls;
use crate::arguments::{Output, ServerCommand};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long an order may take: an installation, a start time-out, and more.
const ORDER_MAX: Duration = Duration::from_secs(30 * 60);

/// How long a step of a runbook goes on looking for a `serve` that is gone: it may just be coming back.
const COMING_BACK_MAX: Duration = Duration::from_secs(60);

/// The time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) fn run(command: ServerCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let command = match command {
        ServerCommand::Tune(arguments) => return super::tune::server(&arguments, config, output),
        ServerCommand::Readonly(arguments) => return controls::readonly(&arguments, config, output),
        ServerCommand::Writes(arguments) => return controls::writes(&arguments, config, output),
        ServerCommand::Block(arguments) => return controls::block(&arguments, config, output),
        ServerCommand::Unblock(arguments) => return controls::unblock(&arguments, config, output),
        ServerCommand::TestRead { name } => return controls::test_read(&name, config),
        ServerCommand::Drain { name, wait } => {
            let order = controls::DrainOrder::Begin { wait };
            return controls::drain(&name, order, config, output);
        }
        ServerCommand::Limit { name, per_second, at_once, reason } => {
            let order = Control::Limit { per_second, at_once };
            return controls::order(&name, reason.as_deref(), order, config, output);
        }
        ServerCommand::Unlimit { name } => {
            return controls::order(&name, None, Control::Unlimit, config, output);
        }
        ServerCommand::Undrain { name } => {
            return controls::drain(&name, controls::DrainOrder::End, config, output);
        }
        ServerCommand::ClearCache { name } => return controls::clear_cache(&name, config, output),
        ServerCommand::HeapDump(arguments) => return super::heap::heap_dump(&arguments, config, output),
        ServerCommand::CollectGarbage(arguments) => return super::heap::collect_garbage(&arguments, config),
        ServerCommand::Logs(arguments) => return logs::run(&arguments, config, output),
        other => other,
    };
    let client = context::client(config)?;
    context::runtime()?.block_on(answer(&client, command, output))
}

async fn answer(client: &Client, command: ServerCommand, output: Output) -> Result<Code, Failure> {
    match command {
        ServerCommand::List => {
            let servers: Vec<ServerStatus> = client.list("/api/v1/servers", usize::MAX).await?;
            show::rows(
                output,
                &servers,
                &["server", "phase", "health", "pid", "endpoint", "reason"],
                |one| {
                    let pid = one.pid.map(|pid| pid.to_string()).unwrap_or_default();
                    let (name, phase, health) = (one.name.clone(), one.phase.clone(), one.health.clone());
                    vec![name, phase, health, pid, one.endpoint.clone(), one.reason.clone()]
                },
            );
            Ok(Code::Done)
        }
        ServerCommand::Status { name } => {
            let status: ServerStatus = client.get(&format!("/api/v1/servers/{name}")).await?;
            show_status(&status, output);
            let ready = status.phase == "ready" || (status.phase == "upstream" && status.health == "healthy");
            Ok(if ready { Code::Done } else { Code::No })
        }
        ServerCommand::Restart { name } => order(client, &name, "restart", output).await,
        ServerCommand::Start { name } => order(client, &name, "start", output).await,
        ServerCommand::Stop { name } => order(client, &name, "stop", output).await,
        _ => Err(Failure::usage(anyhow::anyhow!("this needs no `serve`"))),
    }
}

/// Gives an order until somebody takes it. The key makes that safe: what was carried out once is not again.
pub(super) async fn order(client: &Client, name: &str, verb: &str, output: Output) -> Result<Code, Failure> {
    let in_runbook = std::env::var("PARAMEDIC_KEY").ok().filter(|key| !key.is_empty());
    // Only a step that `serve` itself has started may count on its coming back.
    let under_serve = in_runbook.is_some() && std::env::var_os("PARAMEDIC_SOCKET").is_some();
    let patience = if under_serve { COMING_BACK_MAX } else { Duration::ZERO };
    let key = in_runbook.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let order = Order { key, by: actor() };
    let path = format!("/api/v1/servers/{name}/{verb}");
    let began = Instant::now();
    let done: Done = loop {
        match client.post(&path, &order, ORDER_MAX).await {
            Ok(done) => break done,
            Err(ClientError::NotReachable { .. } | ClientError::Answer(_)) if began.elapsed() < patience => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    if output == Output::Table {
        let pid = done.server.pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
        let phase = &done.server.phase;
        if done.anew {
            show::line(&format!("{name}: {verb} done in {} ms; {phase}{pid}", done.took_ms));
        } else {
            let owner = &done.server.restart_owner;
            show::line(&format!(
                "{name}: {owner} has done it by itself since the incident began; {phase}{pid}"
            ));
        }
    } else {
        show::json(&done);
    }
    Ok(Code::Done)
}

/// What to do about a guard that goes on with what it was started with.
const OUTDATED: &str =
    "it runs with other arguments than the configuration has; `paramedic guard --take-over` replaces it";

fn show_status(status: &ServerStatus, output: Output) {
    if output != Output::Table {
        show::json(status);
        return;
    }
    let number = |n: Option<i32>| n.map(|n| n.to_string());
    let rows = [
        ("server", Some(status.name.clone())),
        ("phase", Some(status.phase.clone())),
        ("health", Some(format!("{}: {}", status.health, status.reason))),
        ("endpoint", Some(status.endpoint.clone())),
        ("restarts by", Some(status.restart_owner.clone())),
        ("package", status.package.as_ref().map(|one| format!("{} {}", one.name, one.version))),
        ("process", number(status.pid)),
        (
            "guard",
            number(status.guard_pid)
                .map(|pid| if status.outdated { format!("{pid}: {OUTDATED}") } else { pid }),
        ),
        ("starts", status.starts.map(|n| n.to_string())),
        ("restricted", status.restriction.clone()),
        ("watched", status.watched.clone()),
        ("stopped by", status.stopped_by.clone()),
        (
            "last exit",
            status.last_exit.as_ref().map(|reason| {
                let at = status.last_exit_ms.map(show::time).unwrap_or_default();
                format!("{at} UTC {reason}")
            }),
        ),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            show::line(&format!("{name:<11} {value}"));
        }
    }
    for words in &status.stderr {
        show::line(&format!("{:<11} {words}", "its stderr"));
    }
}
