//! Owns the words of `paramedic security` that look for an intruder.

use clap::Args;

use super::logs::{Since, since};

#[derive(Debug, Clone, Args)]
pub(crate) struct LookArguments {
    /// The server
    pub(crate) name: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct TimelineArguments {
    /// The server
    pub(crate) name: String,
    /// Nothing older: a duration before now, or a time such as 2026-11-24T06:00:00Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = since, default_value = "24h")]
    pub(crate) since: Since,
    /// What people and Paramedic did in this incident belongs to it
    #[arg(long, value_name = "ID")]
    pub(crate) incident: Option<String>,
}
