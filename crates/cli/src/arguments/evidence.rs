//! Owns the words of `paramedic evidence`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::server::config::Bytes;
use clap::{Args, Subcommand, ValueEnum};

use super::logs::{Since, since};

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Collect what would be lost, the most volatile first, and seal it. It only looks; exit code 1 when it was cut short
    Collect {
        /// The server that it is about [default: the machine alone]
        server: Option<String>,
        /// The incident that it belongs to
        #[arg(long, value_name = "INCIDENT")]
        incident: Option<String>,
        /// How deep to look
        #[arg(long, visible_alias = "tier", value_enum, default_value_t = Depth::T1)]
        depth: Depth,
        /// From when on the journal, and what changed on the disk, is taken, for example 6h or 2026-11-27T06:00:00Z [default: the
        /// journal of the machine for half an hour, all else for a day]
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<Since>,
        #[command(flatten)]
        deep: DeepArguments,
    },
    /// Show the bundles that there are
    List {
        /// Only those of this incident
        #[arg(long, value_name = "INCIDENT")]
        incident: Option<String>,
        /// Only those about this server
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
        /// Only those that were collected since, for example 1d or 2026-11-27T06:00:00Z
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<Since>,
    },
    /// Check that bundles are as they were sealed, and name what is not; exit code 1 then. Needs only the bundle and a key
    Verify {
        /// A bundle, its folder, or an incident for all of its bundles [default: all bundles]
        bundle: Option<String>,
        /// The public key to check with [default: that of this machine]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Check bundles and copy them elsewhere, with lists to read beside them
    Export {
        /// A bundle, its folder, or an incident for all of its bundles
        bundle: String,
        /// The folder to copy to [default: `export_dir` of the configuration]
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
    /// Send bundles to where the configuration says (`[evidence.stream]`), such as those that did not arrive; exit code 1 if
    /// one does not
    Send {
        /// A bundle, its folder, or an incident for all of its bundles
        bundle: String,
    },
    /// Print the public key of this machine, which is made if there is none. Keep it elsewhere before you need it
    Key,
}

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Depth {
    /// What the next change ends: processes, sockets, mounts, the server's tools and sessions. Takes less than a second
    #[value(alias = "0")]
    T0,
    /// Also files: logs, units, deleted files that are open, sums of executables and packages. Takes up to a minute
    #[value(alias = "1")]
    T1,
    /// Also the memory of the server's processes, and packets: they hold what is nobody's business. In a runbook a person is asked
    #[value(alias = "2")]
    T2,
}

/// What `--depth t2` takes.
#[derive(Debug, Args)]
pub(crate) struct DeepArguments {
    /// With `--depth t2`: the most memory of all of the server's processes together
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub(crate) memory_max: Bytes,
    /// With `--depth t2`: how long packets are captured, at most 5m; 0s captures none
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::duration)]
    pub(crate) packets: Duration,
    /// With `--depth t2`: only packets from or to this address [default: those of the server's ports]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) peer: Option<IpAddr>,
    /// With `--depth t2`: only packets from or to this port [default: those of the server's ports]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
}
