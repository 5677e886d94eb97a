//! Owns with whom a server in a unit has to be able to talk: this machine, what the configuration declares, and whom an operator
//! names. All else is shut off by `paramedic security harden`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ::server::config::{Config, Dependency, Server};
use containment::Network;
use host::Roots;

/// How long a name may take to be found.
const LOOKUP_MAX: Duration = Duration::from_secs(5);
/// As many addresses as a drop-in has at most, but for this machine itself.
const NETWORKS_MAX: usize = 63;
/// Where the servers that know names stand, and how much of it is read, in bytes.
const RESOLVERS: &str = "/etc/resolv.conf";
const RESOLVERS_BYTES_MAX: usize = 64 << 10;

/// With whom a server talks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Beside this machine with these only.
    Only(Vec<Network>),
    /// With whomever it likes, for this reason.
    Anybody(String),
}

/// Finds out with whom a server has to talk. `allow` is whom an operator names.
pub(super) async fn reach(config: &Config, server: &Server, allow: &[Network]) -> Reach {
    let listeners = host::listeners(&Roots::default());
    let own: Vec<IpAddr> = listeners
        .iter()
        .filter(|one| one.address.port() == server.port)
        .map(|one| one.address.ip())
        .collect();
    if let Some(why) = foreign(server.port, &own, allow) {
        return Reach::Anybody(why);
    }
    let mut networks: BTreeSet<Network> =
        allow.iter().chain(&config.containment.responders).copied().collect();
    let mut has_names = false;
    for host in hosts(server) {
        let (addresses, is_name) = match find(&host).await {
            Ok(found) => found,
            Err(why) => return Reach::Anybody(why),
        };
        has_names |= is_name;
        networks.extend(addresses.into_iter().map(|address| Network::around(address, 128)));
    }
    if has_names {
        let text = std::fs::read(RESOLVERS).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..text.len().min(RESOLVERS_BYTES_MAX)]).into_owned();
        networks.extend(resolvers(&text).map(|address| Network::around(address, 128)));
    }
    networks.retain(|network| !network.address().is_loopback());
    if networks.len() > NETWORKS_MAX {
        return Reach::Anybody(format!("{} addresses are more than {NETWORKS_MAX}", networks.len()));
    }
    Reach::Only(networks.into_iter().collect())
}

/// Why nobody may be shut off: clients come from elsewhere, and nobody says from where.
fn foreign(port: u16, listens: &[IpAddr], allow: &[Network]) -> Option<String> {
    if !allow.is_empty() {
        return None;
    }
    match listens.iter().find(|address| !address.to_canonical().is_loopback()) {
        Some(address) => Some(format!(
            "its clients come to {address}, port {port}, from elsewhere, and nobody says from where: name them with --allow"
        )),
        None if listens.is_empty() => Some(format!(
            "nothing listens at port {port} now, so nobody knows whether its clients come from elsewhere: start it, or name \
             them with --allow"
        )),
        None => None,
    }
}

/// The hosts on which a server depends.
fn hosts(server: &Server) -> Vec<String> {
    let of = |one: &Dependency| {
        [&one.http, &one.tcp, &one.postgres]
            .into_iter()
            .flatten()
            .filter_map(|text| host_of(text))
            .collect::<Vec<_>>()
    };
    let databases = server.database.iter().filter_map(|one| host_of(&one.postgres));
    server.dependency.iter().flat_map(of).chain(databases).collect()
}

/// The host of a URL, or of `[USER@]HOST:PORT[/DATABASE]`; none where there is none, as for a local socket.
fn host_of(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(inner) => inner.split(']').next()?,
        None => place.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_owned())
}

/// The addresses of a host, and whether it had to be looked up.
async fn find(host: &str) -> Result<(Vec<IpAddr>, bool), String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((vec![address], false));
    }
    let looked = tokio::time::timeout(LOOKUP_MAX, tokio::net::lookup_host((host, 0))).await;
    match looked {
        Ok(Ok(found)) => Ok((found.map(|address| address.ip()).collect(), host != "localhost")),
        Ok(Err(error)) => Err(format!("the address of `{host}`, on which it depends, is not found: {error}")),
        Err(_) => {
            Err(format!("the address of `{host}`, on which it depends, is not found within {LOOKUP_MAX:?}"))
        }
    }
}

/// The servers that know names.
fn resolvers(text: &str) -> impl Iterator<Item = IpAddr> {
    text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_what_is_declared() {
        for (text, expect) in [
            ("https://api.example.org/v1?x=@y", Some("api.example.org")),
            ("http://user:word@[2001:db8::7]:80/", Some("2001:db8::7")),
            ("192.0.2.7:5432", Some("192.0.2.7")),
            ("me@db.example.org:5432/people", Some("db.example.org")),
            ("postgres://me@db:5432/people?sslmode=require", Some("db")),
            ("[::1]:80", Some("::1")),
            (":5432", None),
            ("", None),
        ] {
            assert_eq!(host_of(text).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn where_clients_come_from_elsewhere_they_are_named_or_nobody_is_shut_off() {
        let check = |listens: &[&str], allow: &[&str], expect: Option<&str>| {
            let listens: Vec<IpAddr> = listens.iter().map(|one| one.parse().unwrap()).collect();
            let allow: Vec<Network> = allow.iter().map(|one| one.parse().unwrap()).collect();
            let why = foreign(7801, &listens, &allow);
            assert_eq!(why.is_some(), expect.is_some(), "{why:?}");
            assert!(expect.is_none_or(|words| why.unwrap().contains(words)));
        };
        check(&["127.0.0.1", "::1", "::ffff:127.0.0.1"], &[], None);
        check(&["0.0.0.0"], &[], Some("--allow"));
        check(&["127.0.0.1", "192.0.2.1"], &[], Some("192.0.2.1"));
        check(&["0.0.0.0"], &["198.51.100.0/24"], None);
        check(&[], &[], Some("nothing listens"));
        let found: Vec<IpAddr> =
            resolvers("# x\nnameserver 192.0.2.53\nsearch a\n nameserver\t2001:db8::53\nnameserver x\n")
                .collect();
        assert_eq!(found, ["192.0.2.53".parse::<IpAddr>().unwrap(), "2001:db8::53".parse().unwrap()]);
    }
}
