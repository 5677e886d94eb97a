//! Owns `paramedic maintenance`: windows in a file, with and without a running `serve`, which reads it before every change.

use std::path::PathBuf;

use incident::Window;
use server::config::Config;
use server::{MaintenanceFileError, change_maintenance, maintenance_path, now_ms, read_maintenance};

use crate::arguments::{MaintenanceCommand, Output, StartArguments, millis};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

pub(super) fn run(
    command: MaintenanceCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (config, _) = context::load_or_default(config)?;
    match command {
        MaintenanceCommand::Start(arguments) => start(&config, arguments)?,
        MaintenanceCommand::End { number } => {
            let ended = change_maintenance(&config, |all| all.end(number, now_ms()));
            let ended = ended.map_err(|error| failure(&config, error))?;
            anstream::eprintln!("ended: {} ({})", subject(&ended), ended.reason);
        }
        MaintenanceCommand::List => list(&config, output)?,
    }
    Ok(Code::Done)
}

fn start(config: &Config, arguments: StartArguments) -> Result<(), Failure> {
    let StartArguments { server, length, until, from, reason, .. } = arguments;
    let is_known = |name: &String| config.server.iter().any(|server| server.name == *name);
    if let Some(name) = server.as_ref().filter(|name| !is_known(name)) {
        let known: Vec<_> = config.server.iter().map(|server| server.name.as_str()).collect();
        return Err(Failure::usage(anyhow::anyhow!(
            "`{name}` is no server of the configuration; there are: {}",
            known.join(", ")
        )));
    }
    let now_ms = now_ms();
    let from_ms = from.unwrap_or(now_ms);
    let length_ms = length.map_or(0, millis);
    let until_ms = until.unwrap_or(from_ms.saturating_add(length_ms));
    let window = Window { number: 0, server, from_ms, until_ms, reason, by: actor() };
    let what = subject(&window);
    let number = change_maintenance(config, |all| all.start(window, now_ms));
    let number = number.map_err(|error| failure(config, error))?;
    show::line(&number.to_string());
    anstream::eprintln!(
        "{what}: changes wait from {} until {} (UTC); `paramedic maintenance end {number}` ends it early",
        show::time(from_ms),
        show::time(until_ms)
    );
    Ok(())
}

fn list(config: &Config, output: Output) -> Result<(), Failure> {
    let windows = read_maintenance(config).map_err(|error| failure(config, error))?;
    let windows: Vec<&Window> = windows.windows(now_ms()).collect();
    if windows.is_empty() && output == Output::Table {
        anstream::eprintln!("no maintenance");
        return Ok(());
    }
    let header = ["number", "server", "from (UTC)", "until (UTC)", "by", "reason"];
    show::rows(output, &windows, &header, |one| {
        vec![
            one.number.to_string(),
            subject(one),
            show::time(one.from_ms),
            show::time(one.until_ms),
            one.by.clone(),
            one.reason.clone(),
        ]
    });
    Ok(())
}

fn subject(window: &Window) -> String {
    window.server.clone().unwrap_or_else(|| "all servers".to_owned())
}

/// A change that is refused is an answer; a file that cannot be used is one over everything until somebody mends it.
fn failure(config: &Config, error: MaintenanceFileError) -> Failure {
    match error {
        MaintenanceFileError::Change(_) | MaintenanceFileError::Locked { .. } => Failure::no(error),
        MaintenanceFileError::Content { .. } | MaintenanceFileError::Io { .. } => {
            let path = maintenance_path(config);
            let advice =
                format!("mend or remove `{}`: until then every change waits for a person", path.display());
            Failure::usage(anyhow::Error::new(error).context(advice))
        }
    }
}
