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
mod journal;
mod kill_switch;
mod logs;
mod maintenance;
mod manual;
mod metrics;
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
mod trace;
mod tune;
mod uninstall;

use crate::arguments::{Arguments, Command, Output, OutputFormat};
use crate::fail::{Code, Failure};

/// Runs one command.
pub(crate) fn run(arguments: Arguments) -> Result<Code, Failure> {
    let Arguments { command, config, output } = arguments;
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
        Command::Maintenance(command) => maintenance::run(command, config, output),
        Command::KillSwitch(command) => kill_switch::run(command, config, output),
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
