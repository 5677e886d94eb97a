//! Owns the grammar of `paramedic metrics`.

use clap::Args;

use super::query::Repeat;

#[derive(Debug, Args)]
pub(crate) struct MetricsArguments {
    /// The server [default: all that `serve` watches]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) repeat: Repeat,
}
