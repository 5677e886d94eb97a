//! Owns the words of `paramedic init` and `paramedic uninstall`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Where the configuration is written; `-` is standard output [default: where --config says]
    #[arg(long, value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// Where there is a configuration already, write beside it, as FILE.new
    #[arg(long)]
    pub(crate) force: bool,
    /// Ask only at these ports [default: at every port on which this machine listens]
    #[arg(long = "port", value_name = "PORT")]
    pub(crate) ports: Vec<u16>,
    /// Show too what was asked and does not speak MCP
    #[arg(long)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UninstallArguments {
    /// Do it; without this it is only shown
    #[arg(long)]
    pub(crate) yes: bool,
    /// In place of / (for tests)
    #[arg(long, hide = true, default_value = "/")]
    pub(crate) root: PathBuf,
}
