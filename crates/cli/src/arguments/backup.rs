//! Owns the grammar of `paramedic backup`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::duration;
use super::hold::moment;

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Back up the data of a server while it works, and prove the backup by reading it again
    Create(CreateArguments),
    /// Show the backups of a server, newest first; exit code 1 when there is none of that kind
    List {
        /// The server
        server: String,
        /// Only those that were read again and found whole
        #[arg(long)]
        verified: bool,
        /// Those at the target, and not those here
        #[arg(long)]
        target: bool,
        #[command(flatten)]
        before: Before,
    },
    /// Read a backup to its end, unpack it and ask whether it is whole; exit code 1 when it is not
    Verify(VerifyArguments),
    /// Put a backup in the place of the data, at one stroke; what was there is kept under another name. Nobody may have
    /// the data open to write
    Restore(RestoreArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The server
    pub(crate) server: String,
    /// Let nobody write through its guard while the data are copied, so that all files are of one moment
    #[arg(long)]
    pub(crate) read_only: bool,
    /// After this time the guard lets everybody write again by itself
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, requires = "read_only")]
    pub(crate) read_only_most: Duration,
    /// Read the data of a folder somewhere else, such as in a snapshot of it
    #[arg(long, value_name = "FOLDER=WHERE", value_parser = place)]
    pub(crate) read_at: Vec<(PathBuf, PathBuf)>,
}

/// `FOLDER=WHERE`
fn place(text: &str) -> Result<(PathBuf, PathBuf), String> {
    let places = text.split_once('=').filter(|(folder, at)| !folder.is_empty() && !at.is_empty());
    places
        .map(|(folder, at)| (PathBuf::from(folder), PathBuf::from(at)))
        .ok_or_else(|| "this is not FOLDER=WHERE".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The server
    #[arg(required_unless_present = "bundle")]
    pub(crate) server: Option<String>,
    /// The backup, by its name in the list, or an archive alone: `*.tar.gz` or `*.tar.zst` in the folder, or its path
    #[arg(required_unless_present_any = ["latest", "all", "bundle"])]
    pub(crate) id: Option<String>,
    /// A backup wherever it is, by its archive, with or without the files beside it: no configuration is asked for
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["server", "id", "latest", "all"])]
    pub(crate) bundle: Option<PathBuf>,
    /// The public key of the host that has made it, as `paramedic evidence key` prints it
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub(crate) key: Option<PathBuf>,
    /// The newest
    #[arg(long, conflicts_with = "id")]
    pub(crate) latest: bool,
    /// Every one
    #[arg(long, conflicts_with_all = ["id", "latest"])]
    pub(crate) all: bool,
    /// Those at the target, and not those here
    #[arg(long)]
    pub(crate) target: bool,
    #[command(flatten)]
    pub(crate) before: Before,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The server
    pub(crate) server: String,
    /// The backup, by its name in the list, or an archive alone: `*.tar.gz` or `*.tar.zst` in the folder, or its path
    #[arg(required_unless_present = "latest", conflicts_with = "Before")]
    pub(crate) id: Option<String>,
    /// The newest that was read again and found whole
    #[arg(long, conflicts_with = "id")]
    pub(crate) latest: bool,
    /// Also one that this host has not sealed, such as of a host that is lost: what is in it is still compared with its
    /// manifest, and nobody stands for that
    #[arg(long)]
    pub(crate) unsealed: bool,
    /// One at the target, and not here
    #[arg(long)]
    pub(crate) target: bool,
    /// Only the files that are damaged now; all others stay as they are
    #[arg(long)]
    pub(crate) damaged: bool,
    #[command(flatten)]
    pub(crate) before: Before,
}

/// Which backups count.
#[derive(Debug, Clone, Copy, Args)]
#[group(multiple = false)]
pub(crate) struct Before {
    /// Only those that were begun before this time, such as 2026-11-24T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) before: Option<i64>,
    /// Only those that were begun before the damage that the checks have found, as far as that is known
    #[arg(long)]
    pub(crate) before_damage: bool,
}
