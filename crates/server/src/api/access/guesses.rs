//! Owns how many wrong words may come from one place: enough for a person who mistypes, and few for a program that tries.

use std::net::{IpAddr, Ipv6Addr};

use super::windows::Windows;

/// Wrong words from one place in a minute.
const WRONG_MAX: u32 = 20;

/// What was wrong lately, by where it came from.
#[derive(Default)]
pub(super) struct Guesses {
    places: Windows<IpAddr>,
}

// === impl Guesses ===

impl Guesses {
    /// For how many seconds a place has to wait, where it has to.
    pub(super) fn wait(&self, peer: IpAddr, now_ms: i64) -> Option<u64> {
        self.places.wait(&place(peer), WRONG_MAX, now_ms)
    }

    /// A wrong word has come from there.
    pub(super) fn wrong(&self, peer: IpAddr, now_ms: i64) {
        self.places.count(place(peer), now_ms);
    }
}

/// Whoever has an address of IPv6 has a whole network of them.
fn place(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(peer) => Ipv6Addr::from_bits(peer.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_and_nobody_else_does() {
        let guesses = Guesses::default();
        let [one, other]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        for _ in 0..WRONG_MAX {
            assert_eq!(guesses.wait(one, 1000), None);
            guesses.wrong(one, 1000);
        }
        assert_eq!((guesses.wait(one, 1000), guesses.wait(other, 1000)), (Some(60), None));
        assert_eq!((guesses.wait(one, 60_999), guesses.wait(one, 61_000)), (Some(1), None));
        guesses.wrong(one, 61_000);
        assert_eq!(guesses.wait(one, 61_000), None, "a new window");
        let [six, same, else_where]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"].map(|ip| ip.parse().unwrap());
        (0..WRONG_MAX).for_each(|_| guesses.wrong(six, 0));
        assert!(guesses.wait(same, 0).is_some() && guesses.wait(else_where, 0).is_none());
    }
}
