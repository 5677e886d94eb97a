//! Owns the words of `paramedic alert`.

use std::time::Duration;

use clap::{Args, Subcommand};
use metrics::Matcher;

use super::duration;
use super::hold::moment;

#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// List the alerts that are pending, fire, or were resolved within 15 minutes, with what keeps them quiet
    List,
    /// Keep alerts quiet for a time: they are shown, and open no incident
    #[command(subcommand)]
    Silence(SilenceCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// Silence the alerts that all of these matchers match. Prints its number
    Add(AddArguments),
    /// List the silences that are not over
    List {
        /// Those too that were over within five days
        #[arg(long)]
        all: bool,
    },
    /// End a silence before its time
    Expire {
        /// Its number, as `list` shows it
        number: u32,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX, as Alertmanager reads them; alertname is the alert
    #[arg(required = true, value_name = "MATCHER", value_parser = matcher)]
    pub(crate) matchers: Vec<Matcher>,
    /// How long
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present = "until", conflicts_with = "until")]
    pub(crate) length: Option<Duration>,
    /// Until when, for example 2026-11-24T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<i64>,
    /// From when on [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) from: Option<i64>,
    /// Who says so [default: the user]
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Why
    #[arg(long)]
    pub(crate) comment: String,
    /// Even if it silences nearly everything
    #[arg(long)]
    pub(crate) force: bool,
}

fn matcher(text: &str) -> Result<Matcher, String> {
    text.parse().map_err(|error: metrics::MatcherError| error.to_string())
}
