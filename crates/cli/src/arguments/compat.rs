//! Owns the grammar of `paramedic compat`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Subcommand;

use crate::commands::compat::Script;

#[derive(Debug, Subcommand)]
pub(crate) enum CompatCommand {
    /// Write stand-ins for the scripts that older runbooks call by path, such as `mcp_health_checks.py`; each hands over
    /// to this program. Nothing of anybody else is overwritten
    Install {
        /// The folder, such as /monitoring; it is made if it is not there
        folder: PathBuf,
    },
    /// Remove exactly what `install` wrote; what somebody has changed since stays, and is named
    Uninstall {
        /// The folder
        folder: PathBuf,
    },
    /// Do what a script was asked for, in its own words
    #[command(hide = true, disable_help_flag = true)]
    Run {
        /// The script
        script: Script,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}
