//! Owns the grammar of `paramedic rule`.

use std::path::PathBuf;
use std::time::Duration;

use ::metrics::Engine;
use clap::{Args, Subcommand, ValueEnum};

use super::duration;
use super::hold::moment;

#[derive(Debug, Subcommand)]
pub(crate) enum RuleCommand {
    /// Say what is wrong in rule files of Prometheus, and with the alerts of runbooks
    Check {
        /// Rule files and runbooks (`.md`)
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Count warnings too
        #[arg(long)]
        strict: bool,
    },
    /// Run tests of rules in promtool's format; or say what rules would have fired in the past
    Test(RuleTestArguments),
    /// Print the alerts of runbooks as a rule file of Prometheus, or a configuration of Alertmanager
    Export {
        /// The runbooks
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// For whom
        #[arg(long, value_enum, default_value_t = ExportFormat::Prometheus)]
        format: ExportFormat,
        /// The engine that evaluates the rules: where it would miss what an alert is for, the query is written otherwise
        #[arg(long, value_parser = engine, default_value = "prometheus")]
        engine: Engine,
        /// What the address of a runbook begins with [default: its file]
        #[arg(long, value_name = "URL")]
        runbook_url: Option<String>,
        /// The name of Alertmanager's receiver
        #[arg(long, default_value = "paramedic")]
        receiver: String,
    },
}

/// What `rule test` tests, and over what.
#[derive(Debug, Args)]
pub(crate) struct RuleTestArguments {
    /// Files of tests; with `--history` or `--from-file`: rule files and runbooks (`.md`)
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Take samples of the past from this Prometheus, or whoever speaks as it does
    #[arg(long, value_name = "URL", conflicts_with = "from_file")]
    pub(crate) history: Option<String>,
    /// Take samples of the past from a file: an exposition with times, or what `promtool tsdb dump` writes
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// Begin so long before the end [default: 24h, or the first sample of the file]
    #[arg(long, value_name = "LENGTH", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// End at this moment [default: now, or the last sample of the file]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<i64>,
    /// How long all of it may take
    #[arg(long, value_name = "LENGTH", value_parser = duration, default_value = "10m")]
    pub(crate) timeout: Duration,
    /// A file with the value of the header `Authorization`
    #[arg(long, value_name = "FILE", requires = "history")]
    pub(crate) authorization_file: Option<PathBuf>,
    /// The tenant, where the other side has some (`X-Scope-OrgID`)
    #[arg(long, value_name = "NAME", requires = "history")]
    pub(crate) tenant: Option<String>,
}

fn engine(name: &str) -> Result<Engine, String> {
    let known = Engine::ALL;
    let found = known.into_iter().find(|engine| engine.name() == name);
    found.ok_or_else(|| format!("known are {}", known.map(Engine::name).join(", ")))
}

/// For whom rules are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A rule file.
    Prometheus,
    /// Routes and inhibitions.
    Alertmanager,
}
