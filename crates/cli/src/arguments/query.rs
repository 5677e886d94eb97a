//! Owns the grammar of `paramedic query`.

use std::time::Duration;

use clap::Args;

use super::duration;
use super::hold::moment;

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// The query, in PromQL
    pub(crate) query: String,
    /// Ask as of this moment [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) at: Option<i64>,
    /// Ask over a stretch of time that began so long before its end, and draw it
    #[arg(long, value_name = "LENGTH", value_parser = duration, conflicts_with = "at")]
    pub(crate) since: Option<Duration>,
    /// The end of that stretch [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "since")]
    pub(crate) until: Option<i64>,
    /// The time between two values of that stretch [default: so that there are 72]
    #[arg(long, value_name = "LENGTH", value_parser = duration, requires = "since")]
    pub(crate) step: Option<Duration>,
    /// Ask the metrics backend of the configuration instead of `serve`
    #[arg(long)]
    pub(crate) backend: bool,
    #[command(flatten)]
    pub(crate) repeat: Repeat,
}

/// Whether to look again and again.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Repeat {
    /// Ask again and again, until Ctrl-C
    #[arg(long)]
    pub(crate) continuous: bool,
    /// The time between two of these
    #[arg(long, value_name = "LENGTH", value_parser = duration, default_value = "10s", requires = "continuous")]
    pub(crate) interval: Duration,
}
