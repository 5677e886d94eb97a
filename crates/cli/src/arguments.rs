//! Owns the grammar of the command line: noun, then verb.

mod alert;
mod backup;
mod compat;
mod controls;
mod diagnose;
mod evidence;
mod guard;
mod heap;
mod hold;
mod incident;
mod init;
mod integrity;
mod intrusion;
mod journal;
mod logs;
mod metrics;
mod query;
mod rule;
mod security;
mod server;
mod token;
mod trace;
mod tune;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use probe::CheckType;

pub(crate) use alert::{AddArguments, AlertCommand, SilenceCommand};
pub(crate) use backup::{BackupCommand, Before, CreateArguments, RestoreArguments, VerifyArguments};
pub(crate) use compat::CompatCommand;
pub(crate) use controls::{BlockArguments, ReadonlyArguments, UnblockArguments, What, WritesArguments};
pub(crate) use diagnose::DiagnoseArguments;
pub(crate) use evidence::{DeepArguments, Depth, EvidenceCommand};
pub(crate) use guard::GuardArguments;
pub(crate) use heap::{HeapDumpArguments, RuntimeArguments};
pub(crate) use hold::{KillSwitchCommand, MaintenanceCommand, StartArguments};
pub(crate) use incident::{Format, IncidentCommand, IncidentListArguments, ReportArguments};
pub(crate) use init::{InitArguments, UninstallArguments};
pub(crate) use integrity::{
    BaselineArguments, CheckDataArguments, IntegrityCommand, Pace, SumFormat, SumsArguments,
};
pub(crate) use intrusion::{LookArguments, TimelineArguments};
pub(crate) use journal::{JournalCommand, JournalListArguments};
pub(crate) use logs::{LogsArguments, SearchArguments};
pub(crate) use metrics::MetricsArguments;
pub(crate) use query::{QueryArguments, Repeat};
pub(crate) use rule::{ExportFormat, RuleCommand, RuleTestArguments};
pub(crate) use security::{
    ApproveArguments, ConfirmArguments, ContainArguments, HardenArguments, PatchesArguments,
    ReleaseArguments, RotateArguments, SecurityCommand, WatchArguments,
};
pub(crate) use server::ServerCommand;
pub(crate) use token::TokenCommand;
pub(crate) use trace::{TraceCommand, TraceListArguments};
pub(crate) use tune::{HostCommand, ReclaimArguments, TuneArguments};

/// First responder for MCP servers: the Markdown runbook is the program.
///
/// Exit codes: 0 done or healthy, 1 the answer is no, 2 usage or configuration, 3 not reachable, 4 refused by policy.
#[derive(Debug, Parser)]
#[command(name = "paramedic", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The configuration [default: /etc/paramedic/paramedic.toml as root, otherwise
    /// ~/.config/paramedic/paramedic.toml]
    #[arg(long, global = true, env = "PARAMEDIC_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The `serve` of another place, for example http://127.0.0.1:7477: for what needs nothing but its API, which docs/api.md
    /// lists
    #[arg(long, global = true, env = "PARAMEDIC_SERVER_URL", value_name = "URL", requires = "token_file")]
    pub(crate) server_url: Option<String>,
    /// The file with the word of a token for it, which nobody else may read
    #[arg(long, global = true, env = "PARAMEDIC_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How to print what was found
    #[arg(short, long, global = true, value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
}

/// What `--output` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    #[value(alias = "summary")]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// The page that Prometheus reads; only of `metrics`.
    Prometheus,
    /// One line and the exit code of a plugin of Nagios; only of `check`.
    Nagios,
}

/// How to print what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole thing: two servers go down, Paramedic brings them back (under 20 seconds)
    Demo {
        /// Go on serving afterwards, and keep the files
        #[arg(long)]
        keep: bool,
    },
    /// Find what there is to watch (units, listeners that speak MCP, files of clients), and write a configuration that
    /// only watches
    Init(InitArguments),
    /// Take back what Paramedic has changed on this machine; alone it only shows that
    Uninstall(UninstallArguments),
    /// Watch the configured servers and answer their incidents
    Serve,
    /// Stand in front of one MCP server on standard input and output, and give it HTTP, health and metrics; or, with
    /// `--stdio`, between a client and the server that it starts
    Guard(GuardArguments),
    /// Ask servers how they are
    Check(CheckArguments),
    /// Say what is wrong with a server and its machine, and which cause that points to; works with and without `serve`
    Diagnose(DiagnoseArguments),
    /// Show how the servers do in numbers; `-o prometheus` prints the page of a server's guard, or of `serve`
    Metrics(MetricsArguments),
    /// Ask `serve` for numbers, in PromQL; exit code 1 when it has none
    Query(QueryArguments),
    /// Search logs of servers and other files, sum them up, and say what stands out; works with and without `serve`
    Logs(SearchArguments),
    /// See where the time of calls goes: traces of guarded servers, and of whoever sends some
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Say whether the data of servers are what they should be; works with and without `serve`
    #[command(subcommand)]
    Integrity(IntegrityCommand),
    /// Back up the data of a server, prove backups, and put one back
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Stand in for the scripts that older runbooks call
    #[command(subcommand)]
    Compat(CompatCommand),
    /// Read the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say what this machine and these privileges allow
    Doctor,
    /// Read and follow runbooks
    #[command(subcommand)]
    Runbook(RunbookCommand),
    /// Check and test rules, and take the alerts of runbooks to other systems
    #[command(subcommand)]
    Rule(RuleCommand),
    /// See and answer incidents
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// See alerts, and silence them
    #[command(subcommand)]
    Alert(AlertCommand),
    /// See and control servers, through their owner
    #[command(subcommand)]
    Server(ServerCommand),
    /// Say what is right for a server, so that an attack shows; cut one off that is attacked
    #[command(subcommand)]
    Security(SecurityCommand),
    /// Say where people are at work, so that every change waits
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),
    /// Stop every change, or let them happen again
    #[command(subcommand)]
    KillSwitch(KillSwitchCommand),
    /// Let people and programs in over the network, and end that
    #[command(subcommand)]
    Token(TokenCommand),
    /// Keep evidence, sealed so that anybody can check it later; works with and without `serve`
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// See how much the journal and its evidence take, and copy it
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Change this machine, and keep the value before; and give back space
    #[command(subcommand)]
    Host(HostCommand),
    /// Do what takes root for those who may ask, as typed verbs; systemd starts it, by `paramedic-helper.socket`
    Helper,
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a command, or write all of them
    Man {
        /// The command, for example `incident approve`; none is `paramedic` itself
        command: Vec<String>,
        /// Write all pages into this folder, which has to be there
        #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
        all: Option<PathBuf>,
    },
    /// Print the reference of all commands as Markdown
    #[command(hide = true)]
    Reference,
    /// Be one of the demonstration's MCP servers
    #[command(hide = true)]
    DemoServer {
        /// `notes` or `sums`
        kind: drill::servers::Kind,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The server [default: all]
    pub(crate) server: Option<String>,
    /// What to ask
    #[arg(long = "type", value_enum, default_value_t = Check::Readiness)]
    pub(crate) check: Check,
    #[command(flatten)]
    pub(crate) repeat: Repeat,
}

/// What to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Check {
    /// Whether the server itself answers.
    Liveness,
    /// That, and whether what it needs is there.
    Readiness,
    /// Only whether what it needs is there.
    Dependency,
    /// All of them.
    All,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say what is wrong with the configuration
    Check,
    /// Show the configuration with all defaults
    Show,
    /// Print the JSON Schema of the configuration, for editors
    Schema,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunbookCommand {
    /// List the runbooks that `serve` uses, and how many findings the linter has in each
    List,
    /// Show what a runbook says: procedures, phases, steps, statements and their effects
    Show {
        /// The runbook
        file: PathBuf,
        /// As a tree, with alerts, windows and parameters
        #[arg(long)]
        tree: bool,
    },
    /// Say what is wrong with runbooks, and what to do about it; exit code 1 when there is something
    Lint(LintArguments),
    /// Show what would be done, without doing it: statements, effects, values, approvals, time
    Plan {
        /// The runbook
        file: PathBuf,
        /// The procedure: its alert, title or id [default: all]
        #[arg(long)]
        procedure: Option<String>,
        /// The server, as the configuration names it
        #[arg(long)]
        server: Option<String>,
        /// A parameter
        #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = assignment)]
        parameters: Vec<(String, String)>,
    },
    /// Write a new runbook to start from
    New {
        /// Where to; it must not be there yet
        file: PathBuf,
    },
    /// Say what each statement of a shell script does to the world, and why
    Effects {
        /// The script; `-` is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Commands of your own, in the form that docs/effects.md describes
        #[arg(long, value_name = "FILE")]
        table: Option<PathBuf>,
    },
    /// Follow a procedure by hand: each statement is shown, asked about if it changes anything, run and recorded
    Run {
        /// The runbook
        file: PathBuf,
        /// The procedure: its alert, title or id
        #[arg(long)]
        procedure: String,
        /// A parameter
        #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = assignment)]
        parameters: Vec<(String, String)>,
        /// Say yes to every question
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct LintArguments {
    /// The runbooks; `-` is standard input
    #[arg(required_unless_present_any = ["explain", "list"])]
    pub(crate) files: Vec<PathBuf>,
    /// Mend what can be mended for certain
    #[arg(long)]
    pub(crate) fix: bool,
    /// Count every finding, not only warnings and errors
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print SARIF 2.1.0
    #[arg(long)]
    pub(crate) sarif: bool,
    /// Levels and allowances [default: .paramedic-lint.toml beside the file or above it]
    #[arg(long = "rules", value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Explain one rule, for example RB020
    #[arg(long, value_name = "CODE")]
    pub(crate) explain: Option<String>,
    /// List the rules
    #[arg(long)]
    pub(crate) list: bool,
    /// Lint again whenever a file changes, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
}

// === impl OutputFormat ===

impl OutputFormat {
    /// How to print rows; none where a page is wanted.
    pub(crate) fn of_rows(self) -> Option<Output> {
        match self {
            Self::Table => Some(Output::Table),
            Self::Json => Some(Output::Json),
            Self::Jsonl => Some(Output::Jsonl),
            Self::Prometheus | Self::Nagios => None,
        }
    }
}

// === impl Check ===

impl Check {
    pub(crate) fn types(self) -> &'static [CheckType] {
        match self {
            Self::Liveness => &[CheckType::Liveness],
            Self::Readiness => &[CheckType::Readiness],
            Self::Dependency => &[CheckType::Dependency],
            Self::All => &[CheckType::Liveness, CheckType::Readiness, CheckType::Dependency],
        }
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, _)) if runbook::is_reserved_variable(name) => {
            Err(format!("`{name}` belongs to the shell; it is no parameter"))
        }
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("`{text}` is not NAME=VALUE, with both of them there")),
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    runbook::parse_duration(text)
        .ok_or_else(|| format!("`{text}` is no duration; write it as 500ms, 5s or 1h30m"))
}

/// A length of time in milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
