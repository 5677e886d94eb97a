//! Owns the grammar of `paramedic backup`.

use clap::{Args, Subcommand};

use super::hold::moment;

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Back up the data of a server while it works, and prove the backup by reading it again
    Create {
        /// The server
        server: String,
    },
    /// Show the backups of a server, newest first; exit code 1 when there is none of that kind
    List {
        /// The server
        server: String,
        /// Only those that were read again and found whole
        #[arg(long)]
        verified: bool,
        /// Only those that were begun before this time, such as 2026-11-24T06:00:00Z
        #[arg(long, value_name = "TIME", value_parser = moment)]
        before: Option<i64>,
    },
    /// Read a backup to its end, unpack it and ask whether it is whole; exit code 1 when it is not
    Verify(VerifyArguments),
    /// Put a backup in the place of the data, at one stroke; what was there is kept under another name. Nobody may have
    /// the data open to write
    Restore(RestoreArguments),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The server
    pub(crate) server: String,
    /// The backup, by its name in the list
    #[arg(required_unless_present_any = ["latest", "all"])]
    pub(crate) id: Option<String>,
    /// The newest
    #[arg(long, conflicts_with = "id")]
    pub(crate) latest: bool,
    /// Every one
    #[arg(long, conflicts_with_all = ["id", "latest"])]
    pub(crate) all: bool,
    /// Of those that were begun before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) before: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The server
    pub(crate) server: String,
    /// The backup, by its name in the list
    #[arg(required_unless_present = "latest")]
    pub(crate) id: Option<String>,
    /// The newest that was read again and found whole
    #[arg(long, conflicts_with = "id")]
    pub(crate) latest: bool,
    /// Of those that were begun before this time, such as 2026-11-24T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "id")]
    pub(crate) before: Option<i64>,
}
