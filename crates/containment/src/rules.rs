//! Owns the orders that put the packet filter of one server into the table `inet paramedic`, and take it away again.
//!
//! Each server has chains and sets of its own, so that none depends on another's: `in-NAME`, `out-NAME` and
//! `forward-NAME` are asked before any chain of somebody else, drop what is in the sets, and leave all other packets to
//! the chains of others. What is in a set has a timeout, which the kernel keeps: it ends whoever is gone by then.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::attribute::Attributes;
use crate::filter::Filter;
use crate::network::Network;
use crate::wire::Order;

/// The table of the product, of both families.
pub const TABLE: &str = "paramedic";
/// `NFPROTO_INET`.
pub(crate) const INET: u8 = 1;

/// Before everybody who has a usual place (-300 is the first that has a name).
const PRIORITY: i32 = -350;

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const DELETE_SET: u16 = 11;
const NEW_ELEMENTS: u16 = 12;
pub(crate) const GET_ELEMENTS: u16 = 13;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// Not with all that is in it.
const ALONE: u16 = 0x100;

const ACCEPT: u32 = 1;
const DROP: u32 = 0;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const TCP: u8 = 6;
/// Keys of what is known of a packet.
const IN_KIND: u32 = 8;
const OUT_KIND: u32 = 9;
const USER: u32 = 10;
const FAMILY: u32 = 15;
const TRANSPORT: u32 = 16;
/// The kind of the interface of a machine to itself.
const LOOPBACK: u16 = 772;
const GROUP_OF_SOCKET: u32 = 3;

const HAS_INTERVALS: u32 = 4;
const HAS_TIMEOUTS: u32 = 0x10;
const INTERVAL_END: u32 = 1;
/// Set in what `nft` writes beside a set: how its keys are to be shown, in the order of this machine.
const SHOWN_IN_OWN_ORDER: [u8; 2] = [0, 4];

/// A set of a server: what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    /// Addresses that are never shut out.
    Own4,
    Own6,
    /// Addresses that are.
    Blocked4,
    Blocked6,
    /// Ports of this machine that nobody from elsewhere reaches.
    Ports,
    /// Control groups whose processes reach nobody elsewhere.
    Groups,
    /// Users whose processes reach nobody elsewhere.
    Users,
}

/// Where packets are looked at.
#[derive(Clone, Copy, Debug)]
enum Hook {
    In,
    Forward,
    Out,
}

/// An element of a set: its key, and whether it is the end of an interval.
pub(crate) type Element = (Vec<u8>, bool);

// === impl Set, Hook ===

impl Set {
    pub(crate) const ALL: [Self; 7] =
        [Self::Own4, Self::Own6, Self::Blocked4, Self::Blocked6, Self::Ports, Self::Groups, Self::Users];

    pub(crate) fn name(self, server: &str) -> String {
        let what = match self {
            Self::Own4 => "own4",
            Self::Own6 => "own6",
            Self::Blocked4 => "blocked4",
            Self::Blocked6 => "blocked6",
            Self::Ports => "ports",
            Self::Groups => "groups",
            Self::Users => "users",
        };
        format!("{what}-{server}")
    }

    /// The number of its type, as `nft` has it, and the length of a key.
    fn key(self) -> (u32, u32) {
        match self {
            Self::Own4 | Self::Blocked4 => (7, 4),
            Self::Own6 | Self::Blocked6 => (8, 16),
            Self::Ports => (13, 2),
            Self::Users => (24, 4),
            Self::Groups => (46, 8),
        }
    }

    fn flags(self) -> u32 {
        match self {
            Self::Own4 | Self::Own6 => HAS_INTERVALS,
            Self::Blocked4 | Self::Blocked6 => HAS_INTERVALS | HAS_TIMEOUTS,
            Self::Ports | Self::Groups | Self::Users => HAS_TIMEOUTS,
        }
    }

    fn made(self, server: &str) -> Order {
        let (kind, length) = self.key();
        let number = Self::ALL.iter().position(|set| *set == self).unwrap_or_default() + 1;
        let mut body = named(2, &self.name(server))
            .number(3, self.flags())
            .number(4, kind)
            .number(5, length)
            .number(10, u32::try_from(number).unwrap_or(1));
        if matches!(self, Self::Groups | Self::Users) {
            body = body.bytes(13, &[SHOWN_IN_OWN_ORDER.as_slice(), &1_u32.to_ne_bytes()].concat());
        }
        order(NEW_SET, CREATE, body)
    }

    /// What of a filter is in it.
    pub(crate) fn elements(self, filter: &Filter, own: &[Network]) -> BTreeSet<Element> {
        let single = |key: Vec<u8>| BTreeSet::from([(key, false)]);
        match self {
            Self::Own4 => intervals(own, true),
            Self::Own6 => intervals(own, false),
            Self::Blocked4 => intervals(&filter.blocked, true),
            Self::Blocked6 => intervals(&filter.blocked, false),
            Self::Ports => filter.ports.iter().map(|port| (port.to_be_bytes().to_vec(), false)).collect(),
            Self::Groups => {
                filter.group.map(|group| single(group.id.to_ne_bytes().to_vec())).unwrap_or_default()
            }
            Self::Users => filter.user.map(|user| single(user.to_ne_bytes().to_vec())).unwrap_or_default(),
        }
    }
}

impl Hook {
    const ALL: [Self; 3] = [Self::In, Self::Forward, Self::Out];

    fn name(self, server: &str) -> String {
        let what = match self {
            Self::In => "in",
            Self::Forward => "forward",
            Self::Out => "out",
        };
        format!("{what}-{server}")
    }

    fn made(self, server: &str) -> Order {
        let number: u32 = match self {
            Self::In => 1,
            Self::Forward => 2,
            Self::Out => 3,
        };
        let hook = Attributes::new().number(1, number).number(2, PRIORITY.cast_unsigned());
        let body = named(3, &self.name(server)).nested(4, hook).number(5, ACCEPT).text(7, "filter");
        order(NEW_CHAIN, CREATE, body)
    }

    fn gone(self, server: &str) -> Order {
        order(DELETE_CHAIN, 0, named(3, &self.name(server)))
    }

    /// The rules of its chain, in their order.
    fn rules(self, server: &str, filter: &Filter) -> Vec<Vec<Attributes>> {
        let (source, target) = (Side::Source, Side::Target);
        let mut rules = Vec::new();
        let mut own =
            |kind: u32| rules.push([known(kind, &LOOPBACK.to_ne_bytes()), vec![verdict(ACCEPT)]].concat());
        match self {
            Self::In => own(IN_KIND),
            Self::Out => own(OUT_KIND),
            Self::Forward => {}
        }
        let sides: &[Side] = match self {
            Self::In => &[source],
            Self::Out => &[target],
            Self::Forward => &[source, target],
        };
        for (sets, code) in [([Set::Own4, Set::Own6], ACCEPT), ([Set::Blocked4, Set::Blocked6], DROP)] {
            for (set, side) in sets.into_iter().flat_map(|set| sides.iter().map(move |side| (set, *side))) {
                rules.push(address_in(set, side, server, code));
            }
        }
        match self {
            Self::In => rules.push(port_in(target, server)),
            Self::Out => {
                rules.push(port_in(source, server));
                if let Some(group) = filter.group {
                    let read =
                        Attributes::new().number(1, GROUP_OF_SOCKET).number(2, 1).number(3, group.level);
                    rules.push(vec![expression("socket", read), lookup(Set::Groups, server), verdict(DROP)]);
                }
                rules.push(vec![meta(USER), lookup(Set::Users, server), verdict(DROP)]);
            }
            Self::Forward => {}
        }
        rules
    }
}

/// Which address or port of a packet.
#[derive(Clone, Copy)]
enum Side {
    Source,
    Target,
}

/// Puts the filter of a server in the place of the one that it has, if it has one.
pub(crate) fn put(server: &str, filter: &Filter, own: &[Network], timeout: Option<Duration>) -> Vec<Order> {
    let mut orders = gone(server);
    orders.extend(Set::ALL.map(|set| set.made(server)));
    for set in Set::ALL {
        let timeout = timeout.filter(|_| set.flags() & HAS_TIMEOUTS != 0);
        let elements = set.elements(filter, own);
        if !elements.is_empty() {
            orders.push(filled(set, server, &elements, timeout));
        }
    }
    for hook in Hook::ALL {
        orders.push(hook.made(server));
        for rule in hook.rules(server, filter) {
            let rule = rule.into_iter().fold(Attributes::new(), |all, one| all.nested(1, one));
            orders.push(order(NEW_RULE, CREATE | APPEND, named(2, &hook.name(server)).nested(4, rule)));
        }
    }
    orders
}

/// Takes the filter of a server away, whether there is one or not; the table stays.
pub(crate) fn gone(server: &str) -> Vec<Order> {
    // What is there already is not made; so what is taken away is there.
    let mut orders = vec![order(NEW_TABLE, CREATE, Attributes::new().text(1, TABLE))];
    orders.extend(Set::ALL.map(|set| set.made(server)));
    orders.extend(Hook::ALL.map(|hook| hook.made(server)));
    orders.extend(Hook::ALL.map(|hook| hook.gone(server)));
    orders.extend(Set::ALL.map(|set| order(DELETE_SET, 0, named(2, &set.name(server)))));
    orders
}

/// Takes the table away, which is refused as long as something is in it.
pub(crate) fn table_gone() -> Order {
    order(DELETE_TABLE, ALONE, Attributes::new().text(1, TABLE))
}

/// Asks for what is in a set.
pub(crate) fn question(set: Set, server: &str) -> Vec<u8> {
    named(2, &set.name(server)).into_bytes()
}

fn order(kind: u16, flags: u16, body: Attributes) -> Order {
    Order { kind, flags, body: body.into_bytes() }
}

fn named(kind: u16, name: &str) -> Attributes {
    Attributes::new().text(1, TABLE).text(kind, name)
}

fn filled(set: Set, server: &str, elements: &BTreeSet<Element>, timeout: Option<Duration>) -> Order {
    let mut all = Attributes::new();
    for (key, is_end) in elements {
        let mut element = Attributes::new().nested(1, Attributes::new().bytes(1, key));
        if *is_end {
            element = element.number(3, INTERVAL_END);
        }
        // An end goes with its beginning.
        if let Some(timeout) = timeout.filter(|_| !is_end) {
            let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            element = element.long(4, millis.max(1));
        }
        all = all.nested(1, element);
    }
    order(NEW_ELEMENTS, CREATE, named(2, &set.name(server)).nested(3, all))
}

/// The ends of these networks, those that are in others left out.
fn intervals(networks: &[Network], is_v4: bool) -> BTreeSet<Element> {
    let of_family: BTreeSet<Network> = networks.iter().copied().filter(|one| one.is_v4() == is_v4).collect();
    let is_alone = |one: &&Network| !of_family.iter().any(|other| other != *one && other.covers(**one));
    let mut elements = BTreeSet::new();
    for network in of_family.iter().filter(is_alone) {
        let (first, behind) = network.ends();
        elements.insert((first, false));
        elements.extend(behind.map(|behind| (behind, true)));
    }
    elements
}

// --- expressions: what a rule looks at goes into register 1, and a verdict into register 0 ---

fn expression(name: &str, data: Attributes) -> Attributes {
    Attributes::new().text(1, name).nested(2, data)
}

fn meta(key: u32) -> Attributes {
    expression("meta", Attributes::new().number(2, key).number(1, 1))
}

fn is(data: &[u8]) -> Attributes {
    let data = Attributes::new().bytes(1, data);
    expression("cmp", Attributes::new().number(1, 1).number(2, 0).nested(3, data))
}

fn known(key: u32, value: &[u8]) -> Vec<Attributes> {
    vec![meta(key), is(value)]
}

/// Bytes of the header of the network (1) or of the transport (2).
fn bytes_of(base: u32, offset: u32, length: u32) -> Attributes {
    expression("payload", Attributes::new().number(1, 1).number(2, base).number(3, offset).number(4, length))
}

fn lookup(set: Set, server: &str) -> Attributes {
    expression("lookup", Attributes::new().number(2, 1).text(1, &set.name(server)))
}

fn verdict(code: u32) -> Attributes {
    let data = Attributes::new().nested(2, Attributes::new().number(1, code));
    expression("immediate", Attributes::new().number(1, 0).nested(2, data))
}

fn address_in(set: Set, side: Side, server: &str, code: u32) -> Vec<Attributes> {
    let is_v4 = set.key().1 == 4;
    let offset = match (is_v4, side) {
        (true, Side::Source) => 12,
        (true, Side::Target) => 16,
        (false, Side::Source) => 8,
        (false, Side::Target) => 24,
    };
    let mut rule = known(FAMILY, &[if is_v4 { IPV4 } else { IPV6 }]);
    rule.extend([bytes_of(1, offset, set.key().1), lookup(set, server), verdict(code)]);
    rule
}

fn port_in(side: Side, server: &str) -> Vec<Attributes> {
    let offset = match side {
        Side::Source => 0,
        Side::Target => 2,
    };
    let mut rule = known(TRANSPORT, &[TCP]);
    rule.extend([bytes_of(2, offset, 2), lookup(Set::Ports, server), verdict(DROP)]);
    rule
}
