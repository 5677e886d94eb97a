//! Owns the words of `paramedic security`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum SecurityCommand {
    /// Approve the tools of a server as they are now: what they become later is told, and refused where the guard's
    /// settings say so (`block = ["rug_pull"]` of its table `security`)
    Baseline(ApproveArguments),
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
