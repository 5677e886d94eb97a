//! Owns one address or network that is shut out, and which of them never are: those that nobody means, and those of the
//! people who respond.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The shortest prefixes that are shut out: what is larger is the internet, and no attacker.
const BITS_MIN_V4: u8 = 8;
const BITS_MIN_V6: u8 = 16;

/// An address, or a network: all bits behind its prefix are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why one is not shut out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// It is none.
    #[error("`{0}` is no address; write it as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
    Text(String),
    /// It has bits behind its prefix.
    #[error("`{0}` is no network: there are bits behind its prefix; `{1}` is one")]
    Bits(String, Network),
    /// It is too large.
    #[error("`{0}` is too large to be shut out: at least {BITS_MIN_V4} bits, of IPv6 {BITS_MIN_V6}")]
    Large(Network),
    /// Nobody comes from there.
    #[error("`{0}` is no address of a client: {1}")]
    Nobody(Network, &'static str),
    /// It is of this machine.
    #[error("`{0}` is this machine itself, which is never shut out")]
    Here(Network),
    /// Somebody who responds comes from there.
    #[error("`{0}` overlaps with `{1}`, which is of the people who respond and is never shut out")]
    Responder(Network, Network),
}

// === impl Network ===

impl Network {
    /// The network of so many bits around an address; of all bits where there are more than it has.
    pub fn around(address: IpAddr, bits: u8) -> Self {
        let address = address.to_canonical();
        let bits = bits.min(all_bits(address));
        let address = match address {
            IpAddr::V4(own) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(own.to_bits() & mask))
            }
            IpAddr::V6(own) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(own.to_bits() & mask))
            }
        };
        Self { address, bits }
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits it has in common with all in it.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// Whether it is of IPv4.
    pub fn is_v4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether an address is in it.
    pub fn has(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.is_v4() && Self::around(address, self.bits).address == self.address
    }

    /// Whether all of another one is in it.
    pub fn covers(self, other: Self) -> bool {
        self.bits <= other.bits && self.has(other.address)
    }

    fn touches(self, other: Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Its first address in the order of the network, and the one behind its last, where there is one.
    pub(crate) fn ends(self) -> (Vec<u8>, Option<Vec<u8>>) {
        match self.address {
            IpAddr::V4(own) => {
                let size = 1_u32.checked_shl(32 - u32::from(self.bits));
                let behind = size.and_then(|size| own.to_bits().checked_add(size));
                (own.octets().to_vec(), behind.map(|behind| behind.to_be_bytes().to_vec()))
            }
            IpAddr::V6(own) => {
                let size = 1_u128.checked_shl(128 - u32::from(self.bits));
                let behind = size.and_then(|size| own.to_bits().checked_add(size));
                (own.octets().to_vec(), behind.map(|behind| behind.to_be_bytes().to_vec()))
            }
        }
    }

    /// Whether it may be shut out.
    ///
    /// # Errors
    /// Where it is too large, nobody's, of this machine, or has somebody in it who responds. `here` are the addresses of
    /// this machine.
    pub fn check(self, here: &[IpAddr], responders: &[Self]) -> Result<(), BadNetwork> {
        let least = if self.is_v4() { BITS_MIN_V4 } else { BITS_MIN_V6 };
        let nobody = |address: IpAddr| match address {
            _ if address.is_unspecified() => Some("it stands for all addresses"),
            _ if address.is_multicast() => Some("it is of a group"),
            IpAddr::V4(own) if own.is_broadcast() => Some("it is everybody"),
            _ => None,
        };
        let local =
            [Self::around(Ipv4Addr::LOCALHOST.into(), 8), Self::around(Ipv6Addr::LOCALHOST.into(), 128)];
        if self.bits < least {
            return Err(BadNetwork::Large(self));
        }
        if local.iter().any(|local| local.touches(self)) || here.iter().any(|here| self.has(*here)) {
            return Err(BadNetwork::Here(self));
        }
        if let Some(why) = nobody(self.address) {
            return Err(BadNetwork::Nobody(self, why));
        }
        match responders.iter().find(|one| one.touches(self)) {
            Some(one) => Err(BadNetwork::Responder(self, *one)),
            None => Ok(()),
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let wrong = || BadNetwork::Text(text.chars().take(64).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| wrong())?;
        let bits = match bits {
            // An IPv4 address in the clothes of IPv6 has no prefix that would fit both.
            Some(bits) if address == address.to_canonical() => bits.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
            None => u8::MAX,
        };
        if bits != u8::MAX && bits > all_bits(address) {
            return Err(wrong());
        }
        let network = Self::around(address, bits);
        if network.address != address.to_canonical() {
            return Err(BadNetwork::Bits(text.to_owned(), network));
        }
        Ok(network)
    }
}

impl TryFrom<String> for Network {
    type Error = BadNetwork;

    fn try_from(text: String) -> Result<Self, BadNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == all_bits(self.address) {
            return write!(f, "{}", self.address);
        }
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The addresses of this machine, as its kernel tells them; `root` is `/`, but for tests.
pub fn here(root: &Path) -> Vec<IpAddr> {
    let read = |name: &str| fs::read_to_string(root.join("proc/self/net").join(name)).unwrap_or_default();
    let mut found = Vec::new();
    let mut last = None;
    // An address, and in the line below what it is.
    for line in read("fib_trie").lines() {
        match line.trim().strip_prefix("|-- ") {
            Some(address) => last = address.parse::<IpAddr>().ok(),
            None if line.trim() == "/32 host LOCAL" => found.extend(last),
            None => {}
        }
    }
    for line in read("if_inet6").lines() {
        let digits = line.split_whitespace().next().unwrap_or_default();
        if let Ok(number) = u128::from_str_radix(digits, 16) {
            found.push(IpAddr::V6(Ipv6Addr::from_bits(number)));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn all_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_shut_out() {
        let responders: Vec<Network> =
            ["198.51.100.9", "2001:db8:9::/48"].map(|text| text.parse().unwrap()).to_vec();
        let here: Vec<IpAddr> = ["192.0.2.1", "2001:db8:1::1"].map(|text| text.parse().unwrap()).to_vec();
        let judge = |text: &str| match text.parse::<Network>() {
            Ok(network) => network.check(&here, &responders).err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        for (text, words) in [
            ("203.0.113.7", None),
            ("203.0.113.0/24", None),
            ("2001:db8:2::/48", None),
            ("::ffff:203.0.113.7", None),
            ("0.0.0.0/0", Some("too large")),
            ("::/0", Some("too large")),
            ("12.0.0.0/7", Some("too large")),
            ("2001::/15", Some("there are bits behind")),
            ("203.0.113.7/24", Some("`203.0.113.0/24` is one")),
            ("203.0.113.7/33", Some("is no address")),
            ("::ffff:203.0.113.0/120", Some("is no address")),
            ("0.0.0.0", Some("stands for all")),
            ("::", Some("stands for all")),
            ("127.0.0.1", Some("this machine itself")),
            ("::1", Some("this machine itself")),
            ("192.0.2.0/24", Some("this machine itself")),
            ("2001:db8:1::1", Some("this machine itself")),
            ("224.0.0.1", Some("of a group")),
            ("ff02::1", Some("of a group")),
            ("255.255.255.255", Some("everybody")),
            ("198.51.100.0/24", Some("overlaps with `198.51.100.9`")),
            ("2001:db8:9:1::5", Some("people who respond")),
            ("", Some("is no address")),
            ("; drop", Some("is no address")),
            ("203.0.113.7\n", Some("is no address")),
            ("203.0.113.7/-1", Some("is no address")),
            ("$(id)", Some("is no address")),
        ] {
            let found = judge(text);
            assert_eq!(found.is_some(), words.is_some(), "{text}: {found:?}");
            assert!(words.is_none_or(|words| found.as_ref().unwrap().contains(words)), "{text}: {found:?}");
        }
    }

    #[test]
    fn the_addresses_of_a_machine() {
        let root = tempfile::tempdir().unwrap();
        let net = root.path().join("proc/self/net");
        fs::create_dir_all(&net).unwrap();
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.77.0.0\n        /24 link UNICAST\n     |-- 10.77.0.1\n        /32 host LOCAL\n     |-- 10.77.0.255\n        /32 link BROADCAST\nLocal:\n     |-- 10.77.0.1\n        /32 host LOCAL\n";
        fs::write(net.join("fib_trie"), trie).unwrap();
        fs::write(net.join("if_inet6"), "fd770000000000000000000000000001 02 40 00 80     eth0\n").unwrap();
        let wanted: [IpAddr; 2] = ["10.77.0.1".parse().unwrap(), "fd77::1".parse().unwrap()];
        assert_eq!(here(root.path()), wanted);
        assert!(here(Path::new("/")).contains(&"127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn ends_of_a_network() {
        let ends = |text: &str| text.parse::<Network>().unwrap().ends();
        assert_eq!(ends("10.9.0.7"), (vec![10, 9, 0, 7], Some(vec![10, 9, 0, 8])));
        assert_eq!(ends("10.9.0.0/16"), (vec![10, 9, 0, 0], Some(vec![10, 10, 0, 0])));
        assert_eq!(ends("255.0.0.0/8"), (vec![255, 0, 0, 0], None));
        let (first, behind) = ends("2001:db8::/32");
        assert_eq!((first[3], behind.unwrap()[3]), (0xb8, 0xb9));
        assert_eq!("::ffff:10.1.2.3".parse::<Network>().unwrap().to_string(), "10.1.2.3");
    }
}
