//! Owns the grammar of `paramedic diagnose`.

use std::time::Duration;

use clap::Args;

use super::duration;

#[derive(Debug, Args)]
pub(crate) struct DiagnoseArguments {
    /// The server [default: all of the configuration; without any, the machine]
    pub(crate) server: Option<String>,
    /// Look at this process and all below it; with SERVER, in place of its own
    #[arg(long)]
    pub(crate) pid: Option<i32>,
    /// Look at the processes of this unit of systemd
    #[arg(long, value_name = "UNIT", conflicts_with_all = ["pid", "server"])]
    pub(crate) unit: Option<String>,
    /// Show what is as it should be as well
    #[arg(long)]
    pub(crate) all: bool,
    /// Go on looking at memory, processors, descriptors, disks and network, and say which process grows
    #[arg(long)]
    pub(crate) watch: bool,
    /// The time between two looks
    #[arg(long, value_name = "LENGTH", value_parser = duration, default_value = "5s", requires = "watch")]
    pub(crate) interval: Duration,
    /// End after this time, with a whole diagnosis [default: go on until Ctrl-C]
    #[arg(long = "for", value_name = "LENGTH", value_parser = duration, requires = "watch")]
    pub(crate) length: Option<Duration>,
}
