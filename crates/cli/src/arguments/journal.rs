//! Owns the words of `paramedic journal`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Say what the data directory takes, and what would be given up by its budget
    Status,
    /// Copy the journal as it is at this moment to a new file, also while `serve` runs, and check the copy
    Backup {
        /// The file; its folder has to be there
        file: PathBuf,
    },
    /// List what `serve` has written down, the newest first
    List(JournalListArguments),
    /// Let `serve` check the whole chain; exit code 1 where it is broken. `incident verify` does it without `serve`
    Verify,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct JournalListArguments {
    /// Only of this incident
    #[arg(long, value_name = "INCIDENT")]
    pub(crate) incident: Option<String>,
    /// Only of incidents about this server
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Only of this kind, such as opened
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// At most so many entries
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
}
