//! Owns the words of `paramedic maintenance` and `paramedic kill-switch`: how people hold the machine back.

use std::time::Duration;

use chrono::DateTime;
use clap::{Args, Subcommand};

use super::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceCommand {
    /// Begin a window: incidents are opened and looked at, and every change waits for its end or a person's yes
    Start(StartArguments),
    /// End a window early
    End {
        /// Its number, as `list` shows it
        number: u32,
    },
    /// List the windows that are not over
    List,
}

#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// The server
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) server: Option<String>,
    /// All servers
    #[arg(long)]
    pub(crate) all: bool,
    /// How long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present = "until", conflicts_with = "until")]
    pub(crate) length: Option<Duration>,
    /// Until when, for example 2026-11-24T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<i64>,
    /// From when on [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<i64>,
    /// What is done there; it stands in every question
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KillSwitchCommand {
    /// Stop every change from now on, approved or not; looking goes on
    On {
        /// Why
        #[arg(long, default_value = "no reason given")]
        reason: String,
    },
    /// Let changes happen again, as the policy says
    Off,
    /// Say whether it is on
    Status,
}

/// A moment in milliseconds since the Unix epoch.
pub(super) fn moment(text: &str) -> Result<i64, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .map_err(|_| format!("`{text}` is no time; write it as 2026-11-24T06:00:00Z"))
}
