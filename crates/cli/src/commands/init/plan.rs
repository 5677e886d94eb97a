//! Owns what becomes of all that was found: one server each, its name, its owner, and whether it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::Serialize;
use systemd::UnitName;

use super::address::Address;
use super::clients::{How, Named};
use super::listeners::Asked;
use super::names;
use super::units::FoundUnit;

/// One line of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) source: String,
    pub(super) name: String,
    pub(super) address: String,
    /// Who starts it again.
    pub(super) restarts: String,
    /// Whether it is a server of the written configuration.
    pub(super) written: bool,
    /// Why not, or what to know.
    pub(super) note: String,
    /// The line that would have a client's server watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<String>,
    #[serde(skip)]
    pub(super) server: Option<Server>,
}

/// A server of the written configuration. Without a port it is written as a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) port: Option<u16>,
    pub(super) unit: Option<UnitName>,
    pub(super) upstream: Option<String>,
}

/// The rows, and what they have taken.
struct Plan {
    rows: Vec<Row>,
    names: BTreeSet<String>,
    /// The name of the server at each port.
    ports: BTreeMap<u16, String>,
}

/// Puts together what units, listeners and clients' files have said. `proc_root` is `/proc`; `own` the port of `serve`.
pub(super) fn plan(
    units: &[FoundUnit],
    asked: &[Asked],
    named: &[Named],
    proc_root: &Path,
    own: u16,
) -> Vec<Row> {
    let mut plan = Plan { rows: Vec::new(), names: BTreeSet::new(), ports: BTreeMap::new() };
    let mut listeners: Vec<&Asked> = asked.iter().filter(|one| one.answer.is_some()).collect();
    for unit in units {
        let below: BTreeSet<i32> = unit.main_pid.map_or_else(BTreeSet::new, |pid| {
            let tree = process::descendants(proc_root, pid).into_iter().map(|one| one.pid);
            tree.chain([pid]).collect()
        });
        let (its, others) = listeners.into_iter().partition(|one| belongs(one, unit, &below));
        listeners = others;
        plan.add_unit(unit, &its);
    }
    for listener in listeners {
        // What a client calls it says more than what it says of itself.
        let by_client = named.iter().find(|one| address_of(one).is_some_and(|url| is_at(&url, listener)));
        plan.add_listener(listener, by_client);
    }
    for one in named {
        match &one.how {
            How::Stdio(_) => plan.add_stdio(one),
            How::Http(url) => plan.add_http(one, url, own),
        }
    }
    plan.rows
}

/// A line about a listener that does not speak MCP.
pub(super) fn silent(asked: &Asked) -> Row {
    Row {
        source: format!("listener, {}", asked.who()),
        name: String::new(),
        address: asked.address.to_string(),
        restarts: String::new(),
        written: false,
        note: "does not speak MCP".to_owned(),
        change: None,
        server: None,
    }
}

// === impl Plan ===

impl Plan {
    fn add_unit(&mut self, unit: &FoundUnit, listeners: &[&Asked]) {
        let wanted = unit.name.server().unwrap_or_else(|| unit.name.to_string());
        let listener = listeners.first();
        let url = listener.and_then(|one| Some(one.answer.as_ref()?.0.clone()));
        let port = listener.map(|one| one.address.port());
        let (written, note) = match (listener, listeners.len()) {
            (None, _) => (false, "no port at which it speaks MCP; in the file as a comment".to_owned()),
            (Some(_), 1) => (true, String::new()),
            (Some(_), _) => {
                let more: Vec<String> = listeners.iter().skip(1).map(|one| one.address.to_string()).collect();
                (true, format!("it speaks MCP at {} as well", more.join(", ")))
            }
        };
        let name = names::unique(&wanted, port, &mut self.names);
        // A guard has health and metrics beside its endpoint, and is asked there.
        let guarded =
            listener.is_some_and(|one| one.guarded_name().is_some() && is_guards_place(one.address));
        let upstream = url.clone().filter(|_| !guarded);
        if let Some(port) = port {
            self.ports.insert(port, name.clone());
        }
        self.rows.push(Row {
            source: format!("unit {}", unit.name),
            name,
            address: url.unwrap_or_default(),
            restarts: "systemd".to_owned(),
            written,
            note,
            change: None,
            server: Some(Server { port, unit: Some(unit.name.clone()), upstream }),
        });
    }

    fn add_listener(&mut self, listener: &Asked, by_client: Option<&Named>) {
        let Some((url, _)) = &listener.answer else { return };
        let port = listener.address.port();
        let wanted = by_client.map_or_else(|| listener.wanted_name(), |one| one.name.clone());
        let source = format!("listener, {}", listener.who());
        self.add_upstream(source, &wanted, url, port, String::new());
    }

    fn add_http(&mut self, one: &Named, url: &str, own: u16) {
        let source = source_of(one);
        let skip = |address: &str, note: &str| Row {
            source: source.clone(),
            name: one.name.clone(),
            address: address.to_owned(),
            restarts: String::new(),
            written: false,
            note: note.to_owned(),
            change: None,
            server: None,
        };
        let row = match Address::parse(url) {
            None => skip("", "its address is not understood"),
            Some(address) if !address.is_here() => skip(&address.shown, "not on this machine"),
            Some(address) if address.port == own => skip(&address.shown, "that port is `serve`'s own"),
            Some(address) => match self.ports.get(&address.port) {
                Some(name) => skip(&address.shown, &format!("the same as `{name}`")),
                None if address.has_more => {
                    let note = "what else is in its address may be secret: write it yourself";
                    skip(&address.shown, note)
                }
                None => {
                    let note = "not seen to speak MCP just now".to_owned();
                    return self.add_upstream(source, &one.name, &address.shown, address.port, note);
                }
            },
        };
        self.rows.push(row);
    }

    fn add_stdio(&mut self, one: &Named) {
        let change = one.change();
        let note = if change.is_some() { "not watched; see the change below" } else { "watched already" };
        self.rows.push(Row {
            source: source_of(one),
            name: one.name.clone(),
            address: "stdio".to_owned(),
            restarts: format!("its client, {}", one.client),
            written: false,
            note: note.to_owned(),
            change,
            server: None,
        });
    }

    fn add_upstream(&mut self, source: String, wanted: &str, url: &str, port: u16, note: String) {
        // Servers are told apart by their ports in the configuration.
        let taken = self.ports.get(&port).map(|name| format!("`{name}` has the same port"));
        let name = names::unique(wanted, Some(port), &mut self.names);
        self.ports.entry(port).or_insert_with(|| name.clone());
        let server = Server { port: Some(port), unit: None, upstream: Some(url.to_owned()) };
        self.rows.push(Row {
            source,
            name,
            address: url.to_owned(),
            restarts: "whoever started it".to_owned(),
            written: taken.is_none(),
            server: Some(server).filter(|_| taken.is_none()),
            note: taken.unwrap_or(note),
            change: None,
        });
    }
}

fn source_of(one: &Named) -> String {
    format!("{}, {}", one.client, one.file.display())
}

fn address_of(one: &Named) -> Option<Address> {
    match &one.how {
        How::Http(url) => Address::parse(url).filter(Address::is_here),
        How::Stdio(_) => None,
    }
}

fn is_at(address: &Address, listener: &Asked) -> bool {
    address.port == listener.address.port()
}

/// By its control group, or by its place below the unit's main process.
fn belongs(listener: &Asked, unit: &FoundUnit, below: &BTreeSet<i32>) -> bool {
    listener.process.as_ref().is_some_and(|process| {
        let groups = process.cgroup.as_deref().unwrap_or_default();
        groups.split('/').any(|group| group == unit.name.as_str()) || below.contains(&process.id.pid)
    })
}

/// Where the configuration has guards, unless it says otherwise.
fn is_guards_place(address: SocketAddr) -> bool {
    address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST)
}
