//! Owns how a configured server and what it depends on are asked.

use std::net::SocketAddr;

use probe::{Check, Criticality, Endpoint, Password, Target};

use super::kept::Kept;
use crate::config::{Config, Dependency, Server};

/// Where an upstream listens on this machine; none where it is elsewhere.
pub(crate) fn upstream_address(url: &str) -> Option<SocketAddr> {
    let endpoint = Endpoint::Upstream { url: url.to_owned() };
    Target { name: String::new(), endpoint, dependencies: Vec::new() }.local_address()
}

/// How a configured server is asked.
pub fn target(config: &Config, server: &Server) -> Target {
    let endpoint = match &server.upstream {
        Some(url) if !server.guarded => Endpoint::Upstream { url: url.clone() },
        Some(_) | None => Endpoint::Guard { base_url: server.base_url(config.guard_address) },
    };
    let dependencies = server.dependency.iter().filter_map(|one| dependency(server, one)).collect();
    Target { name: server.name.clone(), endpoint, dependencies }
}

fn dependency(server: &Server, one: &Dependency) -> Option<probe::Dependency> {
    let check = match one {
        Dependency { http: Some(url), .. } => Check::Http { url: url.clone() },
        Dependency { tcp: Some(address), .. } => Check::Tcp { address: address.clone() },
        Dependency { postgres: Some(address), .. } => {
            let password = one.password.clone().map(|secret| Password::at(Kept(secret)));
            Check::Postgres { address: address.clone(), password }
        }
        Dependency { process: Some(name), .. } => Check::Process { name: name.clone() },
        Dependency { file: Some(path), .. } => Check::File { path: path.clone() },
        Dependency { env: Some(variable), .. } => {
            // A secret that is empty or cannot be read keeps its server from being started.
            let value = server.environment.get(variable).map(|text| text.plain().unwrap_or("a secret"));
            Check::Env { variable: variable.clone(), value: value.map(str::to_owned) }
        }
        Dependency { nagios: command, .. } if !command.is_empty() => {
            Check::Nagios { command: command.clone() }
        }
        _ => return None,
    };
    let critical = if one.critical { Criticality::Critical } else { Criticality::Optional };
    Some(probe::Dependency { name: one.name.clone(), check, critical })
}
