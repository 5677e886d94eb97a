//! Owns the words of `paramedic incident`.

use clap::{Args, Subcommand, ValueEnum};

use incident::State;
use server::api::wire::{IncidentQuestion, Severity};

use super::assignment;
use super::logs::{Since, since};

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// List incidents
    List(IncidentListArguments),
    /// Show one incident with its timeline
    Show {
        /// Its name, or enough of it
        id: String,
    },
    /// Open an incident; the machine carries it out. Prints its name
    Open {
        /// The server
        #[arg(long)]
        server: String,
        /// The procedure: its alert, title or id
        #[arg(long)]
        procedure: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Take notice of an incident
    Ack {
        /// Its name, or enough of it
        id: String,
    },
    /// Add to the timeline what only people know
    Note {
        /// Its name, or enough of it
        id: String,
        /// What
        text: String,
        /// The number of the documentation duty that this meets
        #[arg(long, value_name = "NUMBER")]
        duty: Option<u32>,
        /// The follow-up that has to be done before it does
        #[arg(long, value_name = "NUMBER", requires = "duty")]
        follow_up: Option<u32>,
    },
    /// Take over: the machine looks, and changes nothing until `resume`
    Hold {
        /// Its name, or enough of it
        id: String,
        /// Why
        #[arg(long, default_value = "a person takes over")]
        reason: String,
    },
    /// Hand back to the machine, after `hold` or `abort`, or where it counts as flapping
    Resume {
        /// Its name, or enough of it
        id: String,
    },
    /// End the machine's part for good
    Abort {
        /// Its name, or enough of it
        id: String,
        /// Why
        #[arg(long, default_value = "a person goes on by hand")]
        reason: String,
    },
    /// Call for more people
    Escalate {
        /// Its name, or enough of it
        id: String,
        /// Whom: a contact of the runbook
        #[arg(long, default_value = "primary")]
        contact: String,
        /// Why
        #[arg(long, default_value = "more people are needed")]
        reason: String,
    },
    /// Say what has to be done when it is over, or that it is done
    FollowUp {
        /// Its name, or enough of it
        id: String,
        /// What has to be done; with --done, what was done
        text: String,
        /// The number of the one that is done
        #[arg(long, value_name = "NUMBER")]
        done: Option<u32>,
    },
    /// Say that the trouble is over; the server is asked whether that is so
    Resolve {
        /// Its name, or enough of it
        id: String,
    },
    /// End an incident; its follow-ups have to be done
    Close {
        /// Its name, or enough of it
        id: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Say yes to what waits
    Approve {
        /// Its name, or enough of it
        id: String,
        /// What waits, for example 6.1
        unit: String,
        /// The question that was read, as `incident show` prints it: a yes to another one is refused. Without it nothing is
        /// approved, and the question is printed
        #[arg(long, value_name = "QUESTION")]
        question: Option<String>,
        /// A parameter that was missing
        #[arg(short, long = "parameter", value_name = "NAME=VALUE", value_parser = assignment)]
        parameters: Vec<(String, String)>,
    },
    /// Say no to what waits
    Reject {
        /// Its name, or enough of it
        id: String,
        /// What waits, for example 6.1
        unit: String,
        /// Why
        #[arg(long, default_value = "no reason given")]
        reason: String,
    },
    /// Take back what a unit or a change did, or all that was done; `show` says what can be
    Undo {
        /// Its name, or enough of it
        id: String,
        /// What: a unit, for example 6.1, or a change, for example c1
        #[arg(required_unless_present = "all")]
        what: Option<String>,
        /// Everything that can be, the last first; says what stays, and why
        #[arg(long, conflicts_with = "what")]
        all: bool,
    },
    /// Print the report, whether its duties are met, or what would have been done
    Report(ReportArguments),
    /// Show an incident live, until it ends; exit code 0 when it was resolved
    Watch {
        /// Its name, or enough of it [default: the newest that is open, or the next]
        id: Option<String>,
    },
    /// Check that nothing in the journal and its blobs was changed; works without `serve`, and beside it
    Verify,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentListArguments {
    /// Those that are over too
    #[arg(long)]
    pub(crate) all: bool,
    /// Only those about this server
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Only those that stand so; those that are over are found by it too
    #[arg(long, value_enum)]
    pub(crate) state: Option<StateName>,
    /// Only those that are this bad; without `serve` known only where an alert has fired
    #[arg(long, value_enum)]
    pub(crate) severity: Option<SeverityName>,
    /// Only those that were opened since, for example 1d or 2026-11-27T06:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(crate) since: Option<Since>,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateName {
    /// Nobody has taken notice.
    Triggered,
    /// Somebody has.
    Acknowledged,
    /// Service is back; the alert may still fire.
    Mitigated,
    /// The alert is over too.
    Resolved,
    /// Nothing is left to do.
    Closed,
}

/// How bad an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SeverityName {
    /// Someone has to act now.
    Critical,
    /// Someone should look during the day.
    Warning,
    /// For the record.
    Info,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Its name, or enough of it
    #[arg(required_unless_present = "would")]
    pub(crate) id: Option<String>,
    /// The form [default: markdown; json with -o json]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Say which documentation duties of the runbook are met; exit code 1 when one is not
    #[arg(long, conflicts_with_all = ["would", "format"])]
    pub(crate) check: bool,
    /// List what would have been done, had the mode not been `observe`; without a name, of all incidents
    #[arg(long, conflicts_with = "format")]
    pub(crate) would: bool,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, as text.
    Markdown,
    /// For people, as one self-contained page.
    Html,
    /// For programs.
    Json,
}

// === impl IncidentListArguments ===

impl IncidentListArguments {
    /// The question for the API.
    pub(crate) fn question(&self, now_ms: i64) -> IncidentQuestion {
        let state = self.state.map(|name| match name {
            StateName::Triggered => State::Triggered,
            StateName::Acknowledged => State::Acknowledged,
            StateName::Mitigated => State::Mitigated,
            StateName::Resolved => State::Resolved,
            StateName::Closed => State::Closed,
        });
        let severity = self.severity.map(|name| match name {
            SeverityName::Critical => Severity::Critical,
            SeverityName::Warning => Severity::Warning,
            SeverityName::Info => Severity::Info,
        });
        IncidentQuestion {
            server: self.server.clone(),
            state,
            open: (!self.all && state.is_none()).then_some(true),
            severity,
            since_ms: self.since.map(|since| since.at_ms(now_ms)),
            ..IncidentQuestion::default()
        }
    }
}
