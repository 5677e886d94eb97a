//! Owns the words of `paramedic security`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{LookArguments, TimelineArguments, duration};

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
    /// Cut a server off, with an end, once its evidence is sealed: from everybody and from the network, or only what is
    /// named. Its process goes on running, unless it is to freeze
    Contain(ContainArguments),
    /// Keep a server contained that would be released by itself
    Confirm(ConfirmArguments),
    /// Take back all that `contain` has done, and nothing else, in reverse order
    Release(ReleaseArguments),
    /// Shut a server in a unit of systemd off further than its file says: no more rights, no devices, no homes, a system that
    /// it cannot write
    Harden(HardenArguments),
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

#[derive(Debug, Clone, Args)]
pub(crate) struct ContainArguments {
    /// The server
    pub(crate) name: String,
    /// Refuse the client that calls itself so
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Vec<String>,
    /// Refuse the client whose token has this name in the settings of the guard
    #[arg(long, value_name = "NAME")]
    pub(crate) token: Vec<String>,
    /// Refuse every token that the settings of the guard name
    #[arg(long)]
    pub(crate) revoke_tokens: bool,
    /// Refuse the tool of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Vec<String>,
    /// Let nothing come from this address or network, or go to it: at the guard, and in the kernel, where connections that
    /// stand are ended
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Vec<String>,
    /// Stop its processes, and keep them as they are
    #[arg(long)]
    pub(crate) freeze: bool,
    /// Keep its processes from the network, and everybody elsewhere from its ports
    #[arg(long)]
    pub(crate) isolate: bool,
    /// Until when it holds, unless somebody confirms it [default: `confirm_within` of the table `containment`, 30m]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, conflicts_with = "confirmed")]
    pub(crate) duration: Option<Duration>,
    /// Hold it until somebody releases it
    #[arg(long)]
    pub(crate) confirmed: bool,
    /// The incident whose evidence has to be sealed before [default: that of the step, or the newest bundle of the server]
    #[arg(long, value_name = "ID")]
    pub(crate) incident: Option<String>,
    /// Do not wait for evidence; that is written down
    #[arg(long)]
    pub(crate) without_evidence: bool,
    /// Why, for whoever is refused
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ConfirmArguments {
    /// The server
    pub(crate) name: String,
    /// For how long from now on [default: until `release`]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ReleaseArguments {
    /// The server
    pub(crate) name: String,
    /// Put back what the last change of how it is contained has changed; in a step of `incident undo`, the change that it
    /// is about
    #[arg(long)]
    pub(crate) undo: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct HardenArguments {
    /// The server
    pub(crate) name: String,
    /// Restart it, so that it holds
    #[arg(long)]
    pub(crate) restart: bool,
    /// Put back what the last of these commands has changed; in a step of `incident undo`, the change that it is about
    #[arg(long)]
    pub(crate) undo: bool,
}
