//! Owns finding who speaks MCP on this machine: every listener is asked once, briefly, and nothing else.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use host::{Listener, Process, Roots};
use probe::{Introduction, Prober};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::fail::Failure;

/// How many ports are asked.
const PORTS_MAX: usize = 64;

/// How many of them at once.
const AT_ONCE_MAX: usize = 8;

/// How long one may take to answer at one path.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Where MCP is spoken, in the order of asking.
const PATHS: [&str; 2] = ["/mcp", "/"];

/// Ports of services that speak something else than HTTP, and may take a question for an attack: ssh, telnet, smtp,
/// dns, pop3, rpcbind, imap, ldap, smb, and the usual databases and queues.
const OTHER_PROTOCOLS: [u16; 29] = [
    21, 22, 23, 25, 53, 110, 111, 143, 389, 445, 465, 587, 636, 993, 995, 1433, 1521, 2049, 2181, 3306, 5432,
    5672, 6379, 6380, 6432, 9042, 9092, 11211, 27017,
];

/// A listener, and what came of asking it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) address: SocketAddr,
    pub(super) process: Option<Process>,
    /// Where it speaks MCP, and what it says of itself.
    pub(super) answer: Option<(String, Introduction)>,
}

/// Asks every listener, or those at `only`; by port. `own` is where `serve` itself listens.
///
/// # Errors
/// Where no HTTP client can be made.
pub(super) async fn find(
    roots: &Roots,
    only: &[u16],
    own: u16,
    notes: &mut Vec<String>,
) -> Result<Vec<Asked>, Failure> {
    let prober = Prober::for_strangers().context("cannot ask anybody").map_err(Failure::usage)?;
    let mut places = worth_asking(host::listeners(roots), only, own);
    if places.len() > PORTS_MAX {
        let text = format!("{} listeners were found; the first {PORTS_MAX} were asked", places.len());
        notes.push(format!("{text} (`--port` names others)"));
        places.truncate(PORTS_MAX);
    }
    let turns = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut asking = JoinSet::new();
    for listener in places {
        let (prober, turns) = (prober.clone(), Arc::clone(&turns));
        asking.spawn(async move {
            let _turn = turns.acquire().await;
            let answer = ask(&prober, listener.address).await;
            Asked { address: listener.address, process: listener.process, answer }
        });
    }
    let mut asked = asking.join_all().await;
    asked.sort_by_key(|one| (one.address.port(), one.address.ip()));
    Ok(asked)
}

// === impl Asked ===

impl Asked {
    /// What the server would be called: by its guard's own word, by its own, or by its program.
    pub(super) fn wanted_name(&self) -> String {
        let said = || self.answer.as_ref().and_then(|(_, introduction)| introduction.name.clone());
        let program = || self.process.as_ref().map(|process| process.comm.clone());
        self.guarded_name().or_else(said).or_else(program).unwrap_or_default()
    }

    /// The name that a guard was given, where this is one.
    pub(super) fn guarded_name(&self) -> Option<String> {
        let command = self.process.as_ref()?.cmdline.as_ref()?;
        let program = Path::new(command.first()?).file_name()?;
        if program != "paramedic" || command.get(1)? != "guard" {
            return None;
        }
        let mut words = command.iter().skip(2).take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            if word == "--name" {
                return words.next().cloned();
            }
            if let Some(name) = word.strip_prefix("--name=") {
                return Some(name.to_owned());
            }
        }
        None
    }

    /// The process, for people.
    pub(super) fn who(&self) -> String {
        match &self.process {
            Some(process) => format!("{} (process {})", process.comm, process.id.pid),
            None => "a process that is not ours to see".to_owned(),
        }
    }
}

/// The first path at which MCP is spoken.
async fn ask(prober: &Prober, address: SocketAddr) -> Option<(String, Introduction)> {
    for path in PATHS {
        let url = format!("http://{address}{path}");
        if let Some(introduction) = prober.introduce(&url, ANSWER_MAX).await {
            return Some((url, introduction));
        }
    }
    None
}

/// One address for each port of each process, at which it can be asked on this machine.
fn worth_asking(listeners: Vec<Listener>, only: &[u16], own: u16) -> Vec<Listener> {
    let mut places: BTreeMap<(u16, Option<i32>, bool), Listener> = BTreeMap::new();
    for listener in listeners {
        let port = listener.address.port();
        let wanted = if only.is_empty() { !OTHER_PROTOCOLS.contains(&port) } else { only.contains(&port) };
        let Some(ip) = reachable(listener.address.ip()).filter(|_| wanted && port != own) else { continue };
        let pid = listener.process.as_ref().map(|process| process.id.pid);
        // Whose it is cannot be seen: then IPv4 and IPv6 may be two.
        let version = pid.is_none() && ip.is_ipv6();
        let place = Listener { address: SocketAddr::new(ip, port), ..listener };
        let known = places.entry((port, pid, version)).or_insert_with(|| place.clone());
        if place.address.ip().is_loopback() && !known.address.ip().is_loopback() {
            *known = place;
        }
    }
    let mut places: Vec<Listener> = places.into_values().collect();
    places.sort_by_key(|listener| (listener.address.port(), listener.address.ip()));
    places
}

/// Where a listener is asked. An address that needs to be told its network card is none.
fn reachable(ip: IpAddr) -> Option<IpAddr> {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => None,
        ip => Some(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listeners: &[&str], only: &[u16], expect: &[&str]) {
        let listener = |address: &&str| Listener {
            address: address.parse().unwrap(),
            process: None,
            is_only_ipv6: None,
        };
        let found = worth_asking(listeners.iter().map(listener).collect(), only, 7477);
        let found: Vec<String> = found.iter().map(|one| one.address.to_string()).collect();
        assert_eq!(found, expect, "{listeners:?} {only:?}");
    }

    #[test]
    fn who_is_asked_and_where() {
        check(&["0.0.0.0:80", "127.0.0.1:8080"], &[], &["127.0.0.1:80", "127.0.0.1:8080"]);
        check(&["0.0.0.0:80", "127.0.0.1:8080"], &[80], &["127.0.0.1:80"]);
        check(&["[::]:3000", "[::1]:3001"], &[], &["[::1]:3000", "[::1]:3001"]);
        check(&["[::ffff:127.0.0.1]:3000"], &[], &["127.0.0.1:3000"]);
        check(&["10.0.0.1:3000", "127.0.0.1:3000"], &[], &["127.0.0.1:3000"]);
        check(&["10.0.0.1:3000"], &[], &["10.0.0.1:3000"]);
        check(&["127.0.0.1:5432", "127.0.0.1:22", "127.0.0.1:7477", "[fe80::1]:3000"], &[], &[]);
        // Whoever names a port means it.
        check(&["127.0.0.1:5432"], &[5432], &["127.0.0.1:5432"]);
    }
}
