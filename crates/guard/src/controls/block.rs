//! Owns one thing that is blocked: an address or a network, a client by what it calls itself or by its token, a tool, or
//! everybody.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{ControlsError, Set, TEXT_BYTES_MAX};
use crate::clock;

/// The one name of everybody.
pub const EVERYBODY: &str = "everybody";

/// Something that is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// What kind of thing.
    pub kind: BlockKind,
    /// Which one: an address (`192.0.2.7`, `2001:db8::/32`), what a client calls itself,
    /// whose token it is, or the name of a tool. Of everybody [`EVERYBODY`].
    pub name: String,
    /// Until when, in milliseconds since 1970; none is for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Who has said so.
    pub set: Set,
}

/// What can be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Where a client comes from.
    Address,
    /// A client, by the name that it gives itself at `initialize`.
    Client,
    /// A tool of the server.
    Tool,
    /// A client, by the name that the guard's settings have for its token.
    Token,
    /// Every client, but root and the guard's user on this machine: the server is contained.
    Everybody,
}

// === impl Block ===

impl Block {
    pub(super) fn check(&self) -> Result<(), ControlsError> {
        check_name(&self.name)?;
        match self.kind {
            BlockKind::Address if network(&self.name).is_none() => {
                Err(ControlsError::Address(self.name.clone()))
            }
            BlockKind::Everybody if self.name != EVERYBODY => Err(ControlsError::Name(self.name.clone())),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_over(&self, now_ms: i64) -> bool {
        self.until_ms.is_some_and(|until| now_ms >= until)
    }

    pub(super) fn is_same(&self, kind: BlockKind, name: &str) -> bool {
        let same_network = || network(&self.name).is_some_and(|own| network(name) == Some(own));
        self.kind == kind && (self.name == name || (kind == BlockKind::Address && same_network()))
    }

    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        let same = |(network, bits): (IpAddr, u32)| {
            let ((network, length), (address, other_length)) = (number(network), number(address));
            // A shift by all bits is none, and leaves nothing to differ.
            length == other_length && (network ^ address).checked_shr(length - bits).unwrap_or(0) == 0
        };
        self.kind == BlockKind::Address && network(&self.name).is_some_and(same)
    }
}

impl BlockKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Client => "client",
            Self::Tool => "tool",
            Self::Token => "token",
            Self::Everybody => EVERYBODY,
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            BlockKind::Everybody => f.write_str("the server is contained, and serves nobody")?,
            kind => write!(f, "{} `{}` is blocked", kind.name(), self.name)?,
        }
        if let Some(until) = self.until_ms {
            write!(f, " until {}", clock::rfc3339(until))?;
        }
        write!(f, ": {}", self.set)
    }
}

pub(super) fn check_name(name: &str) -> Result<(), ControlsError> {
    let is_one = !name.is_empty() && name.len() <= TEXT_BYTES_MAX && !name.contains(char::is_control);
    if is_one { Ok(()) } else { Err(ControlsError::Name(name.to_owned())) }
}

/// An address and how many of its bits count.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address = address.parse::<IpAddr>().ok()?.to_canonical();
    let most = number(address).1;
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((address, bits))
}

/// An address as a number, and how many bits it has.
fn number(address: IpAddr) -> (u128, u32) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}
