//! Owns what of one server does not get through the kernel any more: addresses, ports and processes, for so long, and
//! whether that is still so when it is taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::attribute;
use crate::network::Network;
use crate::rules::{self, Element, GET_ELEMENTS, INET, Set, TABLE};
use crate::wire::{self, WireError};

/// How many addresses and networks one server shuts out at most.
pub const BLOCKED_MAX: usize = 200;
/// How many ports one server has at most.
pub const PORTS_MAX: usize = 100;

/// What does not get through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Nothing comes from these, or goes to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<Network>,
    /// Nobody from elsewhere reaches these ports of TCP.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The processes in this control group reach nobody elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupMatch>,
    /// The processes of this user reach nobody elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
}

/// A control group, as the kernel's filter knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupMatch {
    /// Its number, which is that of its folder.
    pub id: u64,
    /// How many folders it is below the top.
    pub level: u32,
}

/// Why the kernel's filter is not as it was to be.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It takes root.
    #[error("the packet filter of the kernel takes root (CAP_NET_ADMIN)")]
    Permission,
    /// The kernel has none.
    #[error("this kernel has no nftables, or lacks a part of it: {0}")]
    Missing(Errno),
    /// There is too much.
    #[error("{what} are at most {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// It says no.
    #[error("the table `inet {TABLE}` cannot be changed: {0}")]
    Refused(Errno),
}

// === impl Filter ===

impl Filter {
    /// Whether everything gets through.
    pub fn is_empty(&self) -> bool {
        self.blocked.is_empty() && self.ports.is_empty() && self.group.is_none() && self.user.is_none()
    }

    /// Holds back what it names, in this network namespace, in place of what was held back for this server before; after
    /// `timeout` nothing any more. `own` gets through always.
    ///
    /// # Errors
    /// Where it takes root, the kernel lacks something, or there is too much; then it is as it was.
    pub fn put(&self, server: &str, own: &[Network], timeout: Option<Duration>) -> Result<(), FilterError> {
        for (what, most, found) in [
            ("addresses that are shut out", BLOCKED_MAX, self.blocked.len()),
            ("ports of a server", PORTS_MAX, self.ports.len()),
            ("addresses of people who respond", BLOCKED_MAX, own.len()),
        ] {
            if found > most {
                return Err(FilterError::TooMany { what, most });
            }
        }
        Ok(wire::batch(INET, &rules::put(server, self, own, timeout))?)
    }

    /// Lets everything of this server through again. Says what somebody else has changed, or the kernel has let through
    /// by itself, since it was put there.
    ///
    /// # Errors
    /// Where it takes root, or the kernel refuses.
    pub fn take_back(&self, server: &str) -> Result<Vec<String>, FilterError> {
        let told = self.differences(server);
        remove(server)?;
        Ok(told)
    }

    /// What is another than it was put there.
    fn differences(&self, server: &str) -> Vec<String> {
        let mut told = Vec::new();
        let sets = Set::ALL.into_iter().filter(|set| !matches!(set, Set::Own4 | Set::Own6));
        for set in sets {
            let (wanted, name) = (set.elements(self, &[]), set.name(server));
            match elements(set, server) {
                Ok(found) => {
                    let gone = wanted.difference(&found).filter(|(_, is_end)| !is_end).count();
                    let new = found.difference(&wanted).filter(|(_, is_end)| !is_end).count();
                    if gone > 0 {
                        told.push(format!(
                            "`{name}` of `inet {TABLE}`: {gone} had timed out or were taken out"
                        ));
                    }
                    if new > 0 {
                        told.push(format!("`{name}` of `inet {TABLE}`: {new} were put in by somebody else, and are gone with it"));
                    }
                }
                Err(_) if wanted.is_empty() => {}
                Err(_) => told.push(format!("`{name}` of `inet {TABLE}` was taken away by somebody else")),
            }
        }
        told
    }
}

/// Takes all away that there is of a server in the table, and the table where it was the last.
///
/// # Errors
/// Where it takes root, or the kernel refuses.
pub fn remove(server: &str) -> Result<(), FilterError> {
    wire::batch(INET, &rules::gone(server))?;
    match wire::batch(INET, &[rules::table_gone()]) {
        // Of another server, or of somebody else.
        Err(error) if matches!(error.errno(), Errno::BUSY | Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

fn elements(set: Set, server: &str) -> Result<BTreeSet<Element>, WireError> {
    let mut found = BTreeSet::new();
    wire::ask(INET, GET_ELEMENTS, &rules::question(set, server), |body| {
        let list = attribute::find(body, 3).unwrap_or_default();
        for (_, element) in attribute::read(list) {
            let key = attribute::find(element, 1).and_then(|key| attribute::find(key, 1));
            let is_end = attribute::find(element, 3).is_some_and(|flags| flags.last() == Some(&1));
            found.extend(key.map(|key| (key.to_vec(), is_end)));
        }
    })?;
    Ok(found)
}

impl From<WireError> for FilterError {
    fn from(error: WireError) -> Self {
        match error.errno() {
            Errno::PERM | Errno::ACCESS => Self::Permission,
            errno @ (Errno::PROTONOSUPPORT | Errno::OPNOTSUPP | Errno::NOENT | Errno::PROTOTYPE) => {
                Self::Missing(errno)
            }
            errno => Self::Refused(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_sets() {
        let networks =
            ["10.0.0.0/8", "10.9.0.7", "192.0.2.7", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let filter = Filter { blocked: networks.to_vec(), ports: vec![8000], ..Filter::default() };
        let of = |set: Set| set.elements(&filter, &[]).into_iter().collect::<Vec<_>>();
        assert_eq!(
            of(Set::Blocked4),
            [
                (vec![10, 0, 0, 0], false),
                (vec![11, 0, 0, 0], true),
                (vec![192, 0, 2, 7], false),
                (vec![192, 0, 2, 8], true)
            ],
            "what is in another one is left out"
        );
        assert_eq!(of(Set::Blocked6).len(), 2);
        assert_eq!(of(Set::Ports), [(vec![0x1f, 0x40], false)]);
        assert!(of(Set::Groups).is_empty() && of(Set::Users).is_empty());
        let many = Filter { ports: (1..=200).collect(), ..Filter::default() };
        assert!(matches!(many.put("x", &[], None), Err(FilterError::TooMany { most: PORTS_MAX, .. })));
    }
}
