//! Owns the words of `paramedic security`.

use clap::{Args, Subcommand};

use super::{LookArguments, TimelineArguments};

#[derive(Debug, Subcommand)]
pub(crate) enum SecurityCommand {
    /// Approve the tools of a server as they are now: what they become later is told, and refused where the guard's
    /// settings say so (`block = ["rug_pull"]` of its table `security`)
    Baseline(ApproveArguments),
    /// Compare a server and its machine with its baseline: sign-ins, processes, connections, files, what leaves. Exit 1 where
    /// something does not belong
    Check(LookArguments),
    /// Show what all sources tell of an intrusion in the order of time, which attacks that comes to and how sure, and what is
    /// not known
    Timeline(TimelineArguments),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ApproveArguments {
    /// The server
    pub(crate) name: String,
    /// Why
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Put back what the last change of the server's controls has changed; in a step of `incident undo`, the change that
    /// it is about
    #[arg(long, conflicts_with = "reason")]
    pub(crate) undo: bool,
}
