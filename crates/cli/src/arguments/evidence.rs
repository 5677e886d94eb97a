//! Owns the words of `paramedic evidence`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

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
        #[arg(long, value_enum, default_value_t = Depth::T1)]
        depth: Depth,
    },
    /// Show the bundles that there are
    List {
        /// Only those of this incident
        #[arg(long, value_name = "INCIDENT")]
        incident: Option<String>,
        /// Only those about this server
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
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
    /// Print the public key of this machine, which is made if there is none. Keep it elsewhere before you need it
    Key,
}

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Depth {
    /// What the next change ends: processes, sockets, mounts, the server's tools and sessions. Takes less than a second
    T0,
    /// Also files: logs, units, deleted files that are open, sums of executables and packages. Takes up to a minute
    T1,
}
