//! Owns the commands: one file each, thin over the crates that do the work.

mod alert;
mod backup;
mod check;
pub(crate) mod compat;
mod config;
mod controls;
mod demo;
mod diagnose;
mod doctor;
mod evidence;
mod guard;
mod heap;
mod helper;
mod incident;
mod init;
mod integrity;
mod intrusion;
mod journal;
mod kill_switch;
mod logs;
mod looks;
mod maintenance;
mod manual;
mod metrics;
mod patches;
mod query;
mod reclaim;
mod repeat;
pub(crate) mod roles;
mod rule;
mod runbook;
mod scope;
mod serve;
mod server;
mod sums;
mod text;
mod token;
mod trace;
mod tune;
mod uninstall;

use crate::arguments::{Arguments, Command, Output, OutputFormat, SecurityCommand};
use crate::context;
use crate::fail::{Code, Failure};

/// Runs one command.
pub(crate) fn run(arguments: Arguments) -> Result<Code, Failure> {
    let Arguments { command, config, server_url, token_file, output } = arguments;
    let rows = output.of_rows();
    let fits = match output {
        OutputFormat::Prometheus => matches!(command, Command::Metrics(_)),
        OutputFormat::Nagios => matches!(command, Command::Check(_)),
        _ => true,
    };
    if !fits {
        let words = "`-o prometheus` is for `paramedic metrics`, and `-o nagios` for `paramedic check`";
        return Err(Failure::usage(anyhow::anyhow!(words)));
    }
    if let (Some(url), Some(file)) = (server_url, token_file) {
        if !is_of_api(&command) {
            let words = "this is about the machine that it runs on: leave `--server-url` (`$PARAMEDIC_SERVER_URL`) out";
            return Err(Failure::usage(anyhow::anyhow!(words)));
        }
        context::go_far(&url, file)?;
    }
    let output = rows.unwrap_or(Output::Table);
    match command {
        Command::Demo { keep } => demo::run(keep),
        Command::Init(arguments) => init::run(&arguments, config, output),
        Command::Uninstall(arguments) => uninstall::run(&arguments, config, output),
        Command::Serve => serve::run(config),
        Command::Guard(arguments) => guard::run(arguments, config),
        Command::Check(arguments) => check::run(&arguments, config, rows),
        Command::Diagnose(arguments) => diagnose::run(&arguments, config, output),
        Command::Metrics(arguments) => metrics::run(&arguments, config, rows),
        Command::Query(arguments) => query::run(&arguments, config, output),
        Command::Backup(command) => backup::run(&command, config, output),
        Command::Integrity(command) => integrity::run(&command, config, output),
        Command::Logs(arguments) => logs::run(&arguments, config, output),
        Command::Compat(command) => compat::run(command, config, output),
        Command::Trace(command) => trace::run(command, config, output),
        Command::Config(command) => config::run(&command, config, output),
        Command::Doctor => doctor::run(config, output),
        Command::Rule(command) => rule::run(command, output),
        Command::Runbook(command) => runbook::run(command, config, output),
        Command::Incident(command) => incident::run(command, config, output),
        Command::Alert(command) => alert::run(command, config, output),
        Command::Server(command) => server::run(command, config, output),
        Command::Security(command) => security(command, config, output),
        Command::Maintenance(command) => maintenance::run(command, config, output),
        Command::KillSwitch(command) => kill_switch::run(&command, config, output),
        Command::Token(command) => token::run(command, config, output),
        Command::Evidence(command) => evidence::run(command, config, output),
        Command::Journal(command) => journal::run(&command, config, output),
        Command::Host(command) => tune::host(command, config, output),
        Command::Helper => helper::run(),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { command, all } => manual::man(&command, all.as_deref()),
        Command::Reference => manual::reference(),
        Command::DemoServer { kind } => roles::demo_server(kind),
    }
}

/// Runs one of the commands about attacks.
fn security(
    command: SecurityCommand,
    config: Option<std::path::PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    match command {
        SecurityCommand::Baseline(arguments) => {
            // Where nobody stands between a server and its clients there are no tools to approve.
            let code = if intrusion::is_without_guard(&arguments.name, config.clone())? {
                Code::Done
            } else {
                controls::baseline(&arguments, config.clone(), output)?
            };
            intrusion::learn(&arguments.name, arguments.undo, config, output)?;
            Ok(code)
        }
        SecurityCommand::Check(arguments) => intrusion::check(&arguments, config, output),
        SecurityCommand::Timeline(arguments) => intrusion::timeline(&arguments, config, output),
        SecurityCommand::Contain(arguments) => controls::contain(&arguments, config, output),
        SecurityCommand::Confirm(arguments) => controls::confirm(&arguments, config, output),
        SecurityCommand::Harden(arguments) => tune::harden(&arguments, config, output),
        SecurityCommand::Release(arguments) => controls::release(&arguments, config, output),
        SecurityCommand::Patches(arguments) => patches::run(&arguments, config, output),
        SecurityCommand::Rotate(arguments) => controls::rotate(&arguments, config, output),
        SecurityCommand::Watch(arguments) => controls::watch(&arguments, config, output),
    }
}

/// Whether a command needs nothing but the API of a `serve`.
fn is_of_api(command: &Command) -> bool {
    use crate::arguments::{
        ConfigCommand, IncidentCommand, JournalCommand, RunbookCommand, ServerCommand, TraceCommand,
    };
    match command {
        Command::Query(_) | Command::Token(_) | Command::KillSwitch(_) | Command::Maintenance(_) => true,
        Command::Incident(command) => !matches!(command, IncidentCommand::Verify),
        Command::Integrity(_) | Command::Backup(_) => true,
        Command::Security(command) => {
            matches!(
                command,
                SecurityCommand::Check(_) | SecurityCommand::Timeline(_) | SecurityCommand::Watch(_)
            )
        }
        Command::Alert(_) | Command::Diagnose(_) | Command::Evidence(_) | Command::Logs(_) => true,
        Command::Journal(command) => matches!(command, JournalCommand::List(_) | JournalCommand::Verify),
        Command::Runbook(command) => matches!(command, RunbookCommand::List),
        Command::Config(command) => matches!(command, ConfigCommand::Show),
        Command::Trace(command) => matches!(command, TraceCommand::List(_) | TraceCommand::Show { .. }),
        Command::Server(command) => matches!(
            command,
            ServerCommand::List
                | ServerCommand::Status { .. }
                | ServerCommand::Restart { .. }
                | ServerCommand::Start { .. }
                | ServerCommand::Stop { .. }
                | ServerCommand::Readonly(_)
                | ServerCommand::Writes(_)
                | ServerCommand::Block(_)
                | ServerCommand::Unblock(_)
                | ServerCommand::ClearCache { .. }
                | ServerCommand::Drain { .. }
                | ServerCommand::Limit { .. }
                | ServerCommand::Unlimit { .. }
                | ServerCommand::Undrain { .. }
                | ServerCommand::TestRead { .. }
                | ServerCommand::Tune(_)
        ),
        _ => false,
    }
}
