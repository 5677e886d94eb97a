//! Owns the grammar of `paramedic integrity`.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use server::config::Bytes;

use super::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum IntegrityCommand {
    /// Take data as they are for what they should be; refused where a file is broken or cannot be read
    Baseline(BaselineArguments),
    /// Compare data with what they were, and ask databases and documents whether they are whole; exit code 1 when
    /// something is damaged
    Check(CheckDataArguments),
    /// Go on checking: whenever something changes, and from time to time; ends with Ctrl-C
    Watch {
        /// A server of the configuration, or a folder
        subject: String,
        /// The time between two checks where nothing changes
        #[arg(long, value_name = "LENGTH", value_parser = duration, default_value = "5m")]
        interval: Duration,
    },
    /// Read all data of a server and show what of them is damaged, since when, which backup is from before that, and what
    /// it does not have; exit code 1 when something is damaged
    Scope {
        /// A server of the configuration
        server: String,
    },
    /// Write the sums of all files as `md5sum` and `sha256sum` do, or compare with such a list; exit code 1 when a file
    /// differs
    Sums(SumsArguments),
    /// Ask a file system whether it is whole, by its own program, which only looks: ext4, XFS or btrfs on a device that is
    /// not mounted, or on a snapshot; exit code 1 when it is not
    Filesystem {
        /// The device, or the file of an image
        device: PathBuf,
    },
    /// Show what the checks found, and since when there is damage; exit code 1 when there is
    History {
        /// A server of the configuration, or a folder
        subject: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BaselineArguments {
    /// A server of the configuration, or a folder (with a `/` in it), of which then nothing may change
    pub(crate) subject: String,
    /// Take what is broken or cannot be read as it is, too
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) pace: Pace,
}

#[derive(Debug, Args)]
pub(crate) struct CheckDataArguments {
    /// Servers of the configuration, or folders (with a `/` in them) [default: all servers that have data]
    pub(crate) subjects: Vec<String>,
    /// Read every file: what a disk has lost by itself is found in no other way
    #[arg(long)]
    pub(crate) deep: bool,
    /// Read only what was written to since the last check; this is what happens without either
    #[arg(long, conflicts_with = "deep")]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) pace: Pace,
}

#[derive(Debug, Args)]
pub(crate) struct SumsArguments {
    /// A server of the configuration with one folder of data, or a folder (with a `/` in it)
    pub(crate) subject: String,
    /// The list to compare with, such as `checksums.md5`; without it a list is written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["format", "to"])]
    pub(crate) check: Option<PathBuf>,
    /// Which sums are written
    #[arg(long, value_enum, default_value_t = SumFormat::Sha256)]
    pub(crate) format: SumFormat,
    /// Where to [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

/// Kinds of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SumFormat {
    Md5,
    Sha256,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Pace {
    /// Read so much in a second at most, such as 64MiB [default: as fast as it goes]
    #[arg(long, value_name = "SIZE")]
    pub(crate) rate: Option<Bytes>,
    /// So many threads [default: one for each processor]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) threads: Option<NonZero<usize>>,
}
