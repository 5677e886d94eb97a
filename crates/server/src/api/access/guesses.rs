//! Owns how many wrong words may come from one place: enough for a person who mistypes, and few for a program that tries.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Wrong words from one place in a window.
const WRONG_MAX: u32 = 20;
const WINDOW_MS: i64 = 60_000;
/// Places that are remembered; where there are more, the oldest are forgotten.
const PLACES_MAX: usize = 4096;

/// What was wrong lately: where it came from, since when, and how often.
#[derive(Default)]
pub(super) struct Guesses {
    places: Mutex<HashMap<IpAddr, (i64, u32)>>,
}

// === impl Guesses ===

impl Guesses {
    /// For how many seconds a place has to wait, where it has to.
    pub(super) fn wait(&self, peer: IpAddr, now_ms: i64) -> Option<u64> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let (since_ms, wrong) = *places.get(&place(peer))?;
        let left_ms = since_ms + WINDOW_MS - now_ms;
        (wrong >= WRONG_MAX && left_ms > 0).then(|| u64::try_from(left_ms).unwrap_or(0).div_ceil(1000))
    }

    /// A wrong word has come from there.
    pub(super) fn wrong(&self, peer: IpAddr, now_ms: i64) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES_MAX && !places.contains_key(&place(peer)) {
            places.retain(|_, (since_ms, _)| *since_ms + WINDOW_MS > now_ms);
            if places.len() >= PLACES_MAX {
                let oldest = places.iter().min_by_key(|(_, (since_ms, _))| *since_ms).map(|(peer, _)| *peer);
                oldest.map(|oldest| places.remove(&oldest));
            }
        }
        let entry = places.entry(place(peer)).or_insert((now_ms, 0));
        if entry.0 + WINDOW_MS <= now_ms {
            *entry = (now_ms, 0);
        }
        entry.1 = entry.1.saturating_add(1);
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

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::default();
        for number in 0..20_000_u32 {
            guesses.wrong(IpAddr::V4(number.into()), i64::from(number));
        }
        assert!(guesses.places.lock().unwrap().len() <= PLACES_MAX);
    }
}
