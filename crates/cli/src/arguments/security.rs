//! Owns the words of `paramedic security`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use containment::Network;

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
    /// Make new tokens for the clients of a server, in the files that the settings of its guard name: those before are refused,
    /// at once or after `--overlap`, and what `contain` refuses of them is lifted. No word is shown, and none comes back
    Rotate(RotateArguments),
    /// Say whether the package that a server runs is the newest, what is known to be wrong with it, and which command would
    /// install the newest; runs none. Exit 1 where there is a newer one or an advisory, 3 where that is not known
    Patches(PatchesArguments),
    /// Look at a server more closely for a while: probes, looks for intruders and checks of its data four times as often, and
    /// the arguments of every call in its log. It ends by itself
    Watch(WatchArguments),
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
    /// Take back all else that was done in the incident as well, the last first: limits, blocks, watching, hardening. Tokens
    /// that were made anew stay
    #[arg(long, conflicts_with = "undo")]
    pub(crate) all: bool,
    /// The incident whose changes `--all` takes back [default: that of the containment, or the newest open one of the server]
    #[arg(long, value_name = "ID", requires = "all")]
    pub(crate) incident: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct HardenArguments {
    /// The server
    pub(crate) name: String,
    /// Restart it, so that it holds. Where it is not ready again within a minute, all of it is taken back and it is started as before
    #[arg(long)]
    pub(crate) restart: bool,
    /// An address or network with which it talks beside this machine and what the configuration declares as its dependencies;
    /// where clients come from elsewhere, theirs
    #[arg(long, value_name = "NETWORK", conflicts_with_all = ["undo", "keep_network"])]
    pub(crate) allow: Vec<Network>,
    /// Leave it the network as it is
    #[arg(long, conflicts_with = "undo")]
    pub(crate) keep_network: bool,
    /// Put back what the last of these commands has changed; in a step of `incident undo`, the change that it is about
    #[arg(long)]
    pub(crate) undo: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RotateArguments {
    /// The server
    pub(crate) name: String,
    /// The client, by its name in the settings of the guard; several may be named [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Vec<String>,
    /// For how long the token before is taken as well; not for one that was revoked. At most a day
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) overlap: Option<Duration>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArguments {
    /// The server
    pub(crate) name: String,
    /// For how long from now on, at most 30 days
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "24h")]
    pub(crate) duration: Duration,
    /// Why
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Look at it as always
    #[arg(long, conflicts_with_all = ["duration", "reason"])]
    pub(crate) undo: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PatchesArguments {
    /// The server, which has to run
    pub(crate) name: String,
    /// Ask nobody over the network; `--advisories` and the lists of apt are looked at
    #[arg(long)]
    pub(crate) offline: bool,
    /// A folder with advisories as OSV has them, a file of JSON each
    #[arg(long, value_name = "FOLDER")]
    pub(crate) advisories: Option<PathBuf>,
    /// The registry of npm
    #[arg(long, value_name = "URL", env = "npm_config_registry", default_value = patches::NPM)]
    pub(crate) npm: String,
    /// The index of Python
    #[arg(long, value_name = "URL", env = "PIP_INDEX_URL", default_value = patches::PYPI)]
    pub(crate) pypi: String,
}
