//! Owns what an operator wants contained: checked before anything is done, and put into the state of the server.

use std::net::IpAddr;
use std::path::Path;

use ::server::config::{Config, Server};
use containment::{Hold, Network, State};
use guard::{BlockKind, EVERYBODY};
use host::{Listener, Roots};
use process::ProcessId;

use crate::arguments::ContainArguments;
use crate::fail::{Code, Failure};

/// The largest file of settings that is read, in bytes.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// What is to be contained.
pub(super) struct Wanted {
    name: String,
    /// What the guard is to refuse.
    pub(super) refused: Vec<(BlockKind, String)>,
    blocked: Vec<Network>,
    isolate: bool,
    freeze: bool,
}

// === impl Wanted ===

impl Wanted {
    /// Reads what is named; nothing is everybody and the network.
    ///
    /// # Errors
    /// Where there is no such server, or an address may not be shut out.
    pub(super) fn of(
        config: &Config,
        arguments: &ContainArguments,
        before: Option<&State>,
    ) -> Result<Self, Failure> {
        let server = config.server.iter().find(|server| server.name == arguments.name);
        if server.is_none() && !::server::control_socket(config, &arguments.name).exists() && before.is_none()
        {
            let known: Vec<_> = config.server.iter().map(|server| server.name.as_str()).collect();
            let words = format!(
                "`{}` is no server of the configuration; there are: {}",
                arguments.name,
                known.join(", ")
            );
            return Err(Failure::usage(anyhow::anyhow!(words)));
        }
        let here = containment::here(Path::new("/"));
        let mut blocked = Vec::new();
        for text in &arguments.address {
            let network: Network = text.parse().map_err(Failure::usage)?;
            network
                .check(&here, &config.containment.responders)
                .map_err(|error| Failure::new(Code::Refused, error))?;
            blocked.push(network);
        }
        let named = |kind: BlockKind, names: &[String]| -> Vec<(BlockKind, String)> {
            names.iter().map(|name| (kind, name.clone())).collect()
        };
        let mut refused = [
            named(BlockKind::Client, &arguments.client),
            named(BlockKind::Token, &arguments.token),
            named(BlockKind::Tool, &arguments.tool),
        ]
        .concat();
        refused.extend(blocked.iter().map(|network| (BlockKind::Address, network.to_string())));
        if arguments.revoke_tokens || !arguments.token.is_empty() {
            let tokens = tokens(server)?;
            if let Some(name) = arguments.token.iter().find(|name| !tokens.contains(name)) {
                let words = format!(
                    "the guard of `{}` knows no token `{name}`; there are: {}",
                    arguments.name,
                    tokens.join(", ")
                );
                return Err(Failure::usage(anyhow::anyhow!(words)));
            }
            if arguments.revoke_tokens {
                let rest = tokens.into_iter().filter(|name| !arguments.token.contains(name));
                refused.extend(rest.map(|name| (BlockKind::Token, name)));
            }
        }
        let is_all =
            refused.is_empty() && !arguments.isolate && !arguments.freeze && !arguments.revoke_tokens;
        if is_all {
            refused.push((BlockKind::Everybody, EVERYBODY.to_owned()));
        }
        let name = arguments.name.clone();
        Ok(Self { name, refused, blocked, isolate: arguments.isolate || is_all, freeze: arguments.freeze })
    }

    /// Puts what the kernel is to do into the state of the server.
    ///
    /// # Errors
    /// Where its processes are to be stopped, and nobody knows which they are.
    pub(super) fn fill(
        &self,
        config: &Config,
        state: &mut State,
        child: Option<ProcessId>,
    ) -> Result<(), Failure> {
        for network in &self.blocked {
            if !state.blocked.contains(network) {
                state.blocked.push(*network);
            }
        }
        if !self.isolate && !self.freeze {
            return Ok(());
        }
        let server = config.server.iter().find(|server| server.name == self.name);
        let listeners = host::listeners(&Roots::default());
        let process = child.or_else(|| owner(server?, &listeners));
        if self.isolate {
            state.ports = ports(state, server, process, &listeners);
        }
        let Some(process) = process else {
            if self.freeze {
                return Err(Failure::no(anyhow::anyhow!(
                    "nobody knows its process, so it cannot be stopped"
                )));
            }
            anstream::eprintln!("paramedic: its process is not known, so it is only cut off by its ports");
            return Ok(());
        };
        state.process = Some(process);
        self.hold(state, process);
        Ok(())
    }

    fn hold(&self, state: &mut State, process: ProcessId) {
        let frozen = self.freeze || state.hold.as_ref().is_some_and(Hold::is_frozen);
        match Hold::plan(Path::new("/"), &self.name, process, frozen) {
            Ok(hold) => {
                let is_group = matches!(hold, Hold::Group { .. });
                state.isolated |= self.isolate && is_group;
                state.hold = Some(hold);
                if self.isolate && !is_group {
                    self.by_user(state, process);
                }
            }
            // Not to be stopped, and no group: by its user, if that is its alone.
            Err(error) => {
                anstream::eprintln!("paramedic: {error}");
                self.by_user(state, process);
            }
        }
    }

    fn by_user(&self, state: &mut State, process: ProcessId) {
        let uid = std::fs::metadata(format!("/proc/{}", process.pid));
        let uid = uid.ok().map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata));
        match uid.filter(|uid| *uid != 0 && *uid != rustix::process::geteuid().as_raw()) {
            Some(uid) => state.user = Some(uid),
            None => anstream::eprintln!(
                "paramedic: its processes cannot be told from others of their user, so what they connect to is not held back"
            ),
        }
    }
}

/// The names of the tokens that the guard of a server knows.
fn tokens(server: Option<&Server>) -> Result<Vec<String>, Failure> {
    let Some(path) = server.and_then(|server| server.guard_settings.as_ref()) else { return Ok(Vec::new()) };
    let failed = |why: String| Failure::usage(anyhow::anyhow!("`{}`: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > SETTINGS_BYTES_MAX {
        return Err(failed(format!("it has more than {SETTINGS_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| failed(error.message().to_owned()))?;
    let clients = table.get("clients").and_then(toml::Value::as_table);
    Ok(clients.map(|clients| clients.keys().cloned().collect()).unwrap_or_default())
}

/// The port at which an upstream of this machine listens.
fn upstream_port(server: &Server) -> Option<u16> {
    let rest = server.upstream.as_ref()?.split_once("://")?.1;
    let authority = rest.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

/// The process that listens for a server that no guard has started.
fn owner(server: &Server, listeners: &[Listener]) -> Option<ProcessId> {
    let port = upstream_port(server).unwrap_or(server.port);
    let found = listeners.iter().find(|listener| listener.address.port() == port)?;
    found.process.as_ref().map(|process| process.id)
}

/// Where its clients come in, and where its processes listen.
fn ports(
    state: &State,
    server: Option<&Server>,
    process: Option<ProcessId>,
    listeners: &[Listener],
) -> Vec<u16> {
    let tree: Vec<i32> = process
        .map(|process| {
            let below = process::descendants(Path::new("/proc"), process.pid);
            below.into_iter().chain([process]).map(|one| one.pid).collect()
        })
        .unwrap_or_default();
    let theirs = listeners.iter().filter(|listener| {
        listener.process.as_ref().is_some_and(|process| tree.contains(&process.id.pid))
            && !is_loopback(listener.address.ip())
    });
    let mut all = state.ports.clone();
    all.extend(theirs.map(|listener| listener.address.port()));
    all.extend(server.map(|server| server.port));
    all.extend(server.and_then(upstream_port));
    all.sort_unstable();
    all.dedup();
    all.truncate(containment::PORTS_MAX);
    all
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
