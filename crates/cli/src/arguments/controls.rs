//! Owns the words of `paramedic server readonly`, `writes`, `block` and `unblock`.

use std::time::Duration;

use clap::Args;

use super::duration;

#[derive(Debug, Clone, Args)]
pub(crate) struct ReadonlyArguments {
    /// The server
    pub(crate) name: String,
    /// Why, for whoever is refused
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// How long to wait for writes that run
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) wait: Duration,
    /// Put back what the last of these commands has changed; in a step of `incident undo`, the change that it is about
    #[arg(long, conflicts_with = "reason")]
    pub(crate) undo: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WritesArguments {
    /// The server
    pub(crate) name: String,
    /// How many of the sessions, in percent; a higher one only adds sessions
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) percent: u8,
    /// Only those of the client that calls itself so
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<String>,
    /// A part at a time, such as 10,50,100: after each the server, its test read and its data are looked at, and at the
    /// first bad sign no client writes any more; exit code 1 then
    #[arg(long, value_name = "PERCENTS", value_delimiter = ',', conflicts_with_all = ["percent", "client"],
          value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) steps: Vec<u8>,
    /// How long all has to be well after each of the steps
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, requires = "steps")]
    pub(crate) hold: Duration,
    /// Why
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Put back what the last of these commands has changed; in a step of `incident undo`, the change that it is about
    #[arg(long, conflicts_with_all = ["percent", "client", "reason", "steps"])]
    pub(crate) undo: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BlockArguments {
    /// The server
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) what: What,
    /// For how long [default: until `unblock`]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Why, for whoever is refused
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct UnblockArguments {
    /// The server
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) what: What,
}

/// What is blocked: one of these.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// A tool, by its name
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
    /// A client, by what it calls itself
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<String>,
    /// An address or a network, for example 192.0.2.7 or 192.0.2.0/24
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
}
