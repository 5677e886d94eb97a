//! Owns the words of `paramedic trace`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;
use super::logs::{Since, since};

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// List the traces that are kept, the newest first; works with and without `serve`
    List(TraceListArguments),
    /// Show a trace as a waterfall: each span below the one that it was done for
    Show {
        /// Its id, or the first 4 digits of it at least: of `trace list`, or the `trace_id` of a line of a log
        trace: String,
    },
    /// Make a trace like those of a guarded server, send it to `serve`, and show it as it comes back
    Demo,
}

#[derive(Debug, Args)]
pub(crate) struct TraceListArguments {
    /// Traces with a span of this server
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Traces with a call of this tool
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
    /// Traces with a span that took so long, or longer
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) slow: Option<Duration>,
    /// Traces with a span that went wrong
    #[arg(long)]
    pub(crate) errors: bool,
    /// Nothing older: a duration before now, or a time such as 2026-11-24T06:00:00Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// At most so many traces, the newest
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}
