//! Owns the flags of the scripts that older runbooks call, and which command of this program each call is.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// A script that has a stand-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Script {
    /// `mcp_health_checks.py`.
    HealthChecks,
    /// `mcp_metrics_collector.py`.
    MetricsCollector,
    /// `mcp_logging.py`.
    Logging,
    /// `mcp_tracing.py`.
    Tracing,
    /// `data_integrity_monitor.py`.
    IntegrityMonitor,
    /// `data_integrity_check.sh`.
    IntegrityCheck,
}

/// What a call of a script comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Task {
    /// A command of this program.
    Command(Vec<OsString>),
    /// A page of metrics on a port of loopback, until it is ended.
    Page {
        /// The port.
        port: u16,
        /// The configuration.
        config: Option<PathBuf>,
    },
    /// Lines as a log has them.
    LogDemo,
}

/// Words of a command line as they are added.
#[derive(Default)]
struct Words(Vec<OsString>);

/// Ask servers how they are.
#[derive(Parser)]
#[command(name = "mcp_health_checks.py")]
struct HealthChecks {
    /// The configuration of Paramedic
    #[arg(long)]
    config: Option<PathBuf>,
    /// What to ask
    #[arg(long, value_enum, default_value_t = CheckType::Readiness)]
    check_type: CheckType,
    /// The server [default: all]
    #[arg(long)]
    server: Option<String>,
    /// Ask again and again
    #[arg(long)]
    continuous: bool,
    /// Seconds between two of these
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,
    /// How to print
    #[arg(long, value_enum, default_value_t = HealthOutput::Text)]
    output: HealthOutput,
}

#[derive(Clone, Copy, ValueEnum)]
enum CheckType {
    Liveness,
    Readiness,
    Dependency,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum HealthOutput {
    Json,
    Text,
}

/// Show how servers do in numbers.
#[derive(Parser)]
#[command(name = "mcp_metrics_collector.py")]
struct MetricsCollector {
    /// The configuration of Paramedic
    #[arg(long)]
    config: Option<PathBuf>,
    /// The server [default: all]
    #[arg(long)]
    server: Option<String>,
    /// Ask again and again
    #[arg(long)]
    continuous: bool,
    /// Seconds between two of these
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,
    /// How to print
    #[arg(long, value_enum, default_value_t = MetricsOutput::Summary)]
    output: MetricsOutput,
    /// Serve the page that Prometheus reads, on 127.0.0.1
    #[arg(long)]
    metrics_server: bool,
    /// The port of that page
    #[arg(long, default_value_t = 9090)]
    port: u16,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum MetricsOutput {
    Json,
    Summary,
}

/// Search the logs of servers.
#[derive(Parser)]
#[command(name = "mcp_logging.py", arg_required_else_help = true)]
struct Logging {
    /// The configuration of Paramedic
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print a line of each kind
    #[arg(long)]
    demo: bool,
    /// Say what stands out
    #[arg(long)]
    analyze: bool,
    /// Lines that have this text; they are printed as JSON where nobody reads along
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// The log of this server [default: all]
    #[arg(long)]
    server: Option<String>,
    /// Lines of this level, and more serious ones
    #[arg(long)]
    level: Option<String>,
    /// Count levels, kinds and messages
    #[arg(long)]
    summary: bool,
}

/// See traces.
#[derive(Parser)]
#[command(name = "mcp_tracing.py", arg_required_else_help = true)]
struct Tracing {
    /// The configuration of Paramedic
    #[arg(long)]
    config: Option<PathBuf>,
    /// Make a trace, and show it
    #[arg(long)]
    demo: bool,
    /// List the traces that are kept
    #[arg(long)]
    metrics: bool,
}

/// Go on checking the data of a server.
#[derive(Parser)]
#[command(name = "data_integrity_monitor.py")]
struct IntegrityMonitor {
    /// The configuration of Paramedic
    #[arg(long)]
    config: Option<PathBuf>,
    /// The server
    #[arg(long)]
    server: String,
    /// Seconds between two checks where nothing changes
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    interval: u32,
}

/// Check the data of servers once, every byte.
#[derive(Parser)]
#[command(name = "data_integrity_check.sh")]
struct IntegrityCheck {
    /// The servers [default: all that have data]
    servers: Vec<String>,
}

/// Reads the arguments of a script. `is_read` says whether a person reads along.
///
/// # Errors
/// Help, or what is wrong with them, in the words of the script.
pub(super) fn read(script: Script, words: Vec<OsString>, is_read: bool) -> Result<Task, clap::Error> {
    let words = std::iter::once(OsString::new()).chain(words);
    Ok(match script {
        Script::HealthChecks => HealthChecks::try_parse_from(words)?.task(),
        Script::MetricsCollector => MetricsCollector::try_parse_from(words)?.task(),
        Script::Logging => Logging::try_parse_from(words)?.task(is_read),
        Script::Tracing => Tracing::try_parse_from(words)?.task(),
        Script::IntegrityMonitor => IntegrityMonitor::try_parse_from(words)?.task(),
        Script::IntegrityCheck => IntegrityCheck::try_parse_from(words)?.task(),
    })
}

// === impl Words ===

impl Words {
    /// A command with the configuration that was named.
    fn of(command: &[&str], config: Option<PathBuf>) -> Self {
        let mut words = Self::default();
        if let Some(config) = config {
            words = words.option("--config", config);
        }
        words.0.extend(command.iter().map(OsString::from));
        words
    }

    /// An option whose value may begin with a dash.
    fn option(mut self, name: &str, value: impl Into<OsString>) -> Self {
        let mut word = OsString::from(name);
        word.push("=");
        word.push(value.into());
        self.0.push(word);
        self
    }

    fn flag_if(mut self, is_wanted: bool, name: &str) -> Self {
        self.0.extend(is_wanted.then(|| name.into()));
        self
    }

    fn every(self, continuous: bool, seconds: u32) -> Self {
        if continuous {
            self.flag_if(true, "--continuous").option("--interval", format!("{seconds}s"))
        } else {
            self
        }
    }

    /// What is named comes last, and is no option whatever it looks like.
    fn named(mut self, names: impl IntoIterator<Item = String>) -> Task {
        let mut names = names.into_iter().map(OsString::from).peekable();
        if names.peek().is_some() {
            self.0.push("--".into());
        }
        self.0.extend(names);
        Task::Command(self.0)
    }
}

// === impl HealthChecks ===

impl HealthChecks {
    fn task(self) -> Task {
        let check = match self.check_type {
            CheckType::Liveness => "liveness",
            CheckType::Readiness => "readiness",
            CheckType::Dependency => "dependency",
        };
        Words::of(&["check"], self.config)
            .option("--type", check)
            .flag_if(self.output == HealthOutput::Json, "--output=json")
            .every(self.continuous, self.interval)
            .named(self.server)
    }
}

// === impl MetricsCollector ===

impl MetricsCollector {
    fn task(self) -> Task {
        if self.metrics_server {
            return Task::Page { port: self.port, config: self.config };
        }
        Words::of(&["metrics"], self.config)
            .flag_if(self.output == MetricsOutput::Json, "--output=json")
            .every(self.continuous, self.interval)
            .named(self.server)
    }
}

// === impl Logging ===

impl Logging {
    fn task(self, is_read: bool) -> Task {
        if self.demo {
            return Task::LogDemo;
        }
        let counts = self.analyze || self.summary;
        let mut words = Words::of(&["logs"], self.config);
        for (name, value) in [("--search", self.search), ("--server", self.server)] {
            if let Some(value) = value {
                words = words.option(name, value);
            }
        }
        if let Some(level) = self.level {
            words = words.option("--level", level.to_lowercase());
        }
        words
            .flag_if(self.analyze, "--analyze")
            .flag_if(self.summary && !self.analyze, "--summary")
            .flag_if(!is_read && !counts, "--output=json")
            .named(None)
    }
}

// === impl Tracing ===

impl Tracing {
    fn task(self) -> Task {
        Words::of(&["trace", if self.demo { "demo" } else { "list" }], self.config).named(None)
    }
}

// === impl IntegrityMonitor ===

impl IntegrityMonitor {
    fn task(self) -> Task {
        Words::of(&["integrity", "watch"], self.config)
            .option("--interval", format!("{}s", self.interval))
            .named([self.server])
    }
}

// === impl IntegrityCheck ===

impl IntegrityCheck {
    fn task(self) -> Task {
        Words::of(&["integrity", "check", "--deep"], None).named(self.servers)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{Script, Task, read};
    use crate::arguments::Arguments;

    #[track_caller]
    fn check(script: Script, words: &str, is_read: bool, expect: &str) {
        let words = words.split_whitespace().map(Into::into).collect();
        let said = match read(script, words, is_read) {
            Ok(Task::Command(words)) => {
                let whole = std::iter::once("paramedic".into()).chain(words.clone());
                Arguments::try_parse_from(whole).expect("it is a command of this program");
                words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
            }
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        assert_eq!(said, expect);
    }

    #[test]
    fn each_call_is_a_command() {
        use Script::{HealthChecks, IntegrityCheck, IntegrityMonitor, Logging, MetricsCollector, Tracing};
        for (script, words, expect) in [
            (HealthChecks, "", "check --type=readiness"),
            (HealthChecks, "--server a --check-type dependency", "check --type=dependency -- a"),
            (HealthChecks, "--server=-a --output json", "check --type=readiness --output=json -- -a"),
            (
                HealthChecks,
                "--continuous --interval 10",
                "check --type=readiness --continuous --interval=10s",
            ),
            (HealthChecks, "--config c.toml", "--config=c.toml check --type=readiness"),
            (
                HealthChecks,
                "--interval 0",
                "error: invalid value '0' for '--interval <INTERVAL>': 0 is not in 1..=4294967295",
            ),
            (MetricsCollector, "", "metrics"),
            (MetricsCollector, "--server a --output summary", "metrics -- a"),
            (
                MetricsCollector,
                "--server a --continuous --interval 10",
                "metrics --continuous --interval=10s -- a",
            ),
            (MetricsCollector, "--output json", "metrics --output=json"),
            (MetricsCollector, "--metrics-server --port 1", "Page { port: 1, config: None }"),
            (Logging, "--search -x --server a", "error: unexpected argument '-x' found"),
            (Logging, "--search=-x --server a", "logs --search=-x --server=a"),
            (Logging, "--analyze --summary", "logs --analyze"),
            (Logging, "--demo", "LogDemo"),
            (Tracing, "--demo", "trace demo"),
            (Tracing, "--metrics", "trace list"),
            (IntegrityMonitor, "--server a", "integrity watch --interval=300s -- a"),
            (IntegrityMonitor, "", "error: the following required arguments were not provided:"),
            (IntegrityCheck, "a", "integrity check --deep -- a"),
            (IntegrityCheck, "", "integrity check --deep"),
        ] {
            check(script, words, true, expect);
        }
        check(
            Logging,
            "--search security --level ERROR",
            false,
            "logs --search=security --level=error --output=json",
        );
        check(Logging, "--summary", false, "logs --summary");
    }
}
