//! Owns `paramedic maintenance`: windows in a file, with and without a running `serve`, which reads it before every change;
//! those of another machine by its API.

use std::path::PathBuf;

use std::time::Duration;

use incident::Window;
use server::api::wire::{By, StartMaintenance};
use server::client::Client;
use server::config::Config;
use server::{MaintenanceFileError, change_maintenance, maintenance_path, now_ms, read_maintenance};

use crate::arguments::{MaintenanceCommand, Output, StartArguments, millis};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long the API may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Where the windows are.
enum Place {
    Here(Box<Config>),
    Far(Client),
}

pub(super) fn run(
    command: MaintenanceCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let place = match context::far() {
        Some(client) => Place::Far(client),
        None => Place::Here(Box::new(context::load_or_default(config)?.0)),
    };
    match command {
        MaintenanceCommand::Start(arguments) => start(&place, arguments)?,
        MaintenanceCommand::End { number } => {
            let ended = place.end(number)?;
            anstream::eprintln!("ended: {} ({})", subject(&ended), show::harmless(&ended.reason));
        }
        MaintenanceCommand::List => list(&place.windows()?, output),
    }
    Ok(Code::Done)
}

// === impl Place ===

impl Place {
    fn windows(&self) -> Result<Vec<Window>, Failure> {
        match self {
            Self::Here(config) => {
                let all = read_maintenance(config).map_err(|error| failure(config, error))?;
                Ok(all.windows(now_ms()).cloned().collect())
            }
            Self::Far(client) => {
                let all = context::runtime()?.block_on(client.list("/api/v1/maintenance", usize::MAX));
                Ok(all?)
            }
        }
    }

    /// Begins a window; returns its number.
    fn begin(&self, window: Window) -> Result<u32, Failure> {
        match self {
            Self::Here(config) => {
                check_server(config, window.server.as_ref())?;
                let number = change_maintenance(config, |all| all.start(window, now_ms()));
                number.map_err(|error| failure(config, error))
            }
            Self::Far(client) => {
                let Window { server, from_ms, until_ms, reason, by, .. } = window;
                let start = StartMaintenance { server, from_ms, until_ms, reason, by };
                let begun = client.post::<Window>("/api/v1/maintenance", &start, ANSWER_MAX);
                Ok(context::runtime()?.block_on(begun)?.number)
            }
        }
    }

    fn end(&self, number: u32) -> Result<Window, Failure> {
        match self {
            Self::Here(config) => {
                let ended = change_maintenance(config, |all| all.end(number, now_ms()));
                ended.map_err(|error| failure(config, error))
            }
            Self::Far(client) => {
                let path = format!("/api/v1/maintenance/{number}/end");
                let by = By { by: actor() };
                Ok(context::runtime()?.block_on(client.post(&path, &by, ANSWER_MAX))?)
            }
        }
    }
}

fn check_server(config: &Config, server: Option<&String>) -> Result<(), Failure> {
    server.map_or(Ok(()), |name| context::server(config, name).map(drop))
}

fn start(place: &Place, arguments: StartArguments) -> Result<(), Failure> {
    let StartArguments { server, length, until, from, reason, .. } = arguments;
    let now_ms = now_ms();
    let from_ms = from.unwrap_or(now_ms);
    let length_ms = length.map_or(0, millis);
    let until_ms = until.unwrap_or(from_ms.saturating_add(length_ms));
    let window = Window { number: 0, server, from_ms, until_ms, reason, by: actor() };
    let what = subject(&window);
    let number = place.begin(window)?;
    show::line(&number.to_string());
    anstream::eprintln!(
        "{what}: changes wait from {} until {} (UTC); `paramedic maintenance end {number}` ends it early",
        show::time(from_ms),
        show::time(until_ms)
    );
    Ok(())
}

fn list(windows: &[Window], output: Output) {
    if windows.is_empty() && output == Output::Table {
        anstream::eprintln!("no maintenance");
        return;
    }
    let header = ["number", "server", "from (UTC)", "until (UTC)", "by", "reason"];
    show::rows(output, windows, &header, |one| {
        vec![
            one.number.to_string(),
            subject(one),
            show::time(one.from_ms),
            show::time(one.until_ms),
            one.by.clone(),
            one.reason.clone(),
        ]
    });
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
