//! Owns the configuration: every key of `paramedic.toml`, its default and its meaning.

mod alertmanager;
mod api;
mod backend;
mod backup;
mod bytes;
mod contact;
mod containment;
mod data;
mod dependency;
mod error;
mod evidence;
mod inbound;
mod intrusion;
mod load;
mod place;
mod policy;
mod probing;
mod remote;
mod rules;
mod samples;
mod schema;
mod scrape;
mod secret;
mod span;
mod test_read;
mod traces;
mod triage;
mod unit;
mod verify;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use incident::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use systemd::UnitName;

pub use alertmanager::Alertmanager;
pub use api::Api;
pub use backend::{Backend, RemoteWrite};
pub use backup::{Backups, Target};
pub use bytes::Bytes;
pub(crate) use contact::escalating;
pub use contact::{Contact, ContactKind, Escalation, EscalationLevel};
pub use containment::Containment;
pub use data::{Data, Database, Integrity};
pub use dependency::Dependency;
pub use error::{ConfigError, Problem};
pub use evidence::{Evidence, Stream};
pub use inbound::{Fields, Inbound};
pub use intrusion::Intrusion;
pub(crate) use load::effect_of;
pub use load::{load, parse};
pub use place::{Place, default_config_path, empty};
pub use policy::Policy;
pub use probing::Probe;
pub(crate) use remote::Remote;
pub use rules::Rules;
pub use samples::Metrics;
pub use schema::schema;
pub use scrape::ScrapeTarget;
pub use secret::{Secret, Text, is_secret_name};
pub use span::Span;
pub use test_read::TestRead;
pub use traces::{TraceExport, Traces};
pub use triage::Triage;
pub use verify::Verify;

/// The whole of `paramedic.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the journal, the evidence and the outputs are kept. As root `/var/lib/paramedic`.
    #[serde(default)]
    pub data_dir: PathBuf,
    /// Where the sockets live. As root `/run/paramedic`, otherwise `run` in the data directory.
    #[serde(default)]
    pub run_dir: PathBuf,
    /// Where the servers' logs go. As root `/var/log/mcp-servers`, otherwise `log` in the data directory.
    #[serde(default)]
    pub log_dir: PathBuf,
    /// Where is kept what operators lay down for servers while they run (`server readonly`, `server block`). As root
    /// `/var/lib/paramedic-controls`, otherwise `controls` in the data directory.
    #[serde(default)]
    pub controls_dir: PathBuf,
    /// Where `serve` answers `/health`, `/metrics`, and whoever has a token.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The address on which the guards listen.
    #[serde(default = "default_guard_address")]
    pub guard_address: IpAddr,
    /// Runbooks, in the order in which they are asked for an alert. Empty: the shipped one.
    #[serde(default)]
    pub runbooks: Vec<PathBuf>,
    /// A user who may write runbooks, beside root and the one who runs `serve`: a name of this machine, or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_owner: Option<String>,
    /// How servers are asked how they are.
    #[serde(default)]
    pub probe: Probe,
    /// How samples are kept and rules evaluated.
    #[serde(default)]
    pub metrics: Metrics,
    /// Further pages of metrics that are read.
    #[serde(default)]
    pub scrape: Vec<ScrapeTarget>,
    /// Where backups of servers' data go.
    #[serde(default)]
    pub backup: Backups,
    /// How data of servers are checked.
    #[serde(default)]
    pub integrity: Integrity,
    /// How servers and their machine are looked at for an intruder.
    #[serde(default)]
    pub intrusion: Intrusion,
    /// What counts as recovered.
    #[serde(default)]
    pub verify: Verify,
    /// How much is kept of what is over.
    #[serde(default)]
    pub retention: Retention,
    /// Who may use the API over the network.
    #[serde(default)]
    pub api: Api,
    /// What is kept before a change, and where.
    #[serde(default)]
    pub evidence: Evidence,
    /// Who is never shut out, and for how long a server is contained.
    #[serde(default)]
    pub containment: Containment,
    /// What is kept of traces, and where they are sent on.
    #[serde(default)]
    pub traces: Traces,
    /// What may be done without asking.
    #[serde(default)]
    pub policy: Policy,
    /// Rules beside the alerts of the runbooks.
    #[serde(default)]
    pub rules: Rules,
    /// Changes to the alerts of the runbooks, by the alert's name.
    #[serde(default)]
    pub alerts: BTreeMap<String, Alert>,
    /// The servers.
    #[serde(default)]
    pub server: Vec<Server>,
    /// Who can be told.
    #[serde(default)]
    pub contact: Vec<Contact>,
    /// Who is called, and when.
    #[serde(default)]
    pub escalation: Escalation,
    /// When an incident is opened again, and when that is too often.
    #[serde(default)]
    pub triage: Triage,
    /// Who may tell of alerts over the network.
    #[serde(default)]
    pub inbound: Inbound,
    /// The Alertmanager that is asked, and silenced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<Alertmanager>,
}

/// `[retention]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// What the journal, the evidence, the outputs and the reports may take together. Above it the incidents that have
    /// been over for longest are given up; never one that is open.
    pub budget: Bytes,
    /// How long an incident is kept after it is over, whatever it takes.
    pub keep: Span,
}

/// `[alerts.NAME]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// How long the condition must hold before the alert fires, instead of what the runbook says.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub for_: Option<Span>,
    /// How long the alert goes on firing after the condition was last seen, instead of what the runbook says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<Span>,
    /// `observe`, `suggest` or `auto`, for the procedure that answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::mode")]
    pub mode: Option<Mode>,
}

/// `[[server]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name: letters, digits, `-`, `_` and `.`, at most 63.
    pub name: String,
    /// The port of its operational surface: where its guard listens, or where the upstream does.
    pub port: u16,
    /// The command of a stdio server, run under a guard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stdio: Vec<String>,
    /// The URL of a server that speaks Streamable HTTP itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Whether `serve` starts a guard in front of the `upstream`, which listens at `port`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
    /// The unit of systemd that it lives in: then systemd restarts it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "unit")]
    #[schemars(with = "Option<String>")]
    pub unit: Option<UnitName>,
    /// Its environment, beside that of `serve`: texts, and where secrets are, which are read when its guard is started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Text>,
    /// Its working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The settings of its guard: a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard_settings: Option<PathBuf>,
    /// What a diagnosis reads of an upstream, to see whether it does its work; a guard has this in its own settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_read: Option<TestRead>,
    /// How long it may take until it answers for the first time; what a package manager works for it does not count.
    #[serde(default = "default_start_timeout")]
    pub start_timeout: Span,
    /// How long a package manager may work for it when it starts.
    #[serde(default = "default_install_timeout")]
    pub install_timeout: Span,
    /// `observe`, `suggest` or `auto`, instead of what `[policy]` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::mode")]
    pub mode: Option<Mode>,
    /// The same for single procedures, by the name of the alert that they answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::modes")]
    pub modes: BTreeMap<String, Mode>,
    /// Parameters for runbooks, beside those that every server has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// What it depends on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependency: Vec<Dependency>,
    /// The data that it keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Data>,
    /// Its databases of PostgreSQL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub database: Vec<Database>,
}

fn default_listen() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7477)
}

fn default_guard_address() -> IpAddr {
    IpAddr::V4(Ipv4Addr::LOCALHOST)
}

fn default_start_timeout() -> Span {
    Span::seconds(60)
}

fn default_install_timeout() -> Span {
    Span::seconds(15 * 60)
}

// === impl Retention ===

impl Default for Retention {
    fn default() -> Self {
        Self { budget: Bytes(8 << 30), keep: Span::seconds(30 * 24 * 60 * 60) }
    }
}

// === impl Server ===

impl Server {
    /// What stands for the configuration of a server that a client has started: nothing but its name and its mode.
    pub(crate) fn of_client(name: &str, mode: Mode) -> Self {
        Self {
            name: name.to_owned(),
            port: 0,
            stdio: Vec::new(),
            upstream: None,
            test_read: None,
            guarded: false,
            unit: None,
            environment: BTreeMap::new(),
            directory: None,
            guard_settings: None,
            start_timeout: default_start_timeout(),
            install_timeout: default_install_timeout(),
            mode: Some(mode),
            modes: BTreeMap::new(),
            parameters: BTreeMap::new(),
            dependency: Vec::new(),
            data: Vec::new(),
            database: Vec::new(),
        }
    }

    /// Whether it stands behind a guard at its port.
    pub fn has_guard(&self) -> bool {
        self.upstream.is_none() || self.guarded
    }

    /// The `/mcp` endpoint that clients use.
    pub fn endpoint(&self, guard_address: IpAddr) -> String {
        match &self.upstream {
            Some(url) if !self.guarded => url.clone(),
            Some(_) | None => format!("{}/mcp", self.base_url(guard_address)),
        }
    }

    /// The base of the guard's operational surface.
    pub fn base_url(&self, guard_address: IpAddr) -> String {
        format!("http://{}", SocketAddr::new(guard_address, self.port))
    }
}
