//! Owns how much leaves a server, to whom: counted over its connections as long as they are seen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use host::Connection;

use crate::sign::{Attack, Sign};

/// Peers that are kept apart at once.
const PEERS_MAX: usize = 10_000;

/// What has left, to whom, since this was made.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    sent_bytes: BTreeMap<IpAddr, u64>,
    /// What the connections that are open had sent at the last look.
    last: HashMap<(u64, std::net::SocketAddr), u64>,
}

// === impl Traffic ===

impl Traffic {
    /// Counts what has gone since the last look. Connections to the `ports` of the server itself are its clients': what they are
    /// answered does not leave. What a connection sends between the last look and its end is not seen.
    pub fn take(&mut self, connections: &[Connection], ports: &HashSet<u16>) {
        let mut now = HashMap::new();
        for flow in connections.iter().filter(|flow| !ports.contains(&flow.local.port())) {
            let key = (flow.inode, flow.remote);
            let before = self.last.get(&key).copied().unwrap_or(0);
            now.insert(key, flow.sent_bytes);
            let ip = flow.remote.ip().to_canonical();
            if self.sent_bytes.len() < PEERS_MAX || self.sent_bytes.contains_key(&ip) {
                *self.sent_bytes.entry(ip).or_default() += flow.sent_bytes.saturating_sub(before);
            }
        }
        self.last = now;
    }

    /// What is too much for a peer that is not `known`. A sign names the step that was passed, which doubles each time.
    pub fn judge(&self, known: &BTreeSet<IpAddr>, bytes_max: u64, now_ms: i64) -> Vec<Sign> {
        let bytes_max = bytes_max.max(1);
        let too_much =
            self.sent_bytes.iter().filter(|(peer, sent)| **sent >= bytes_max && !known.contains(peer));
        let sign = |(peer, sent): (&IpAddr, &u64)| {
            let passed = bytes_max.saturating_mul(1 << (sent / bytes_max).ilog2());
            let what =
                format!("more than {passed} bytes have left to {peer}, to which it never was connected");
            let sign = Sign::new(now_ms, "traffic", "data_to_a_new_peer", Attack::DataLeaving, what);
            let sign = sign.with_raw(format!("{sent} bytes to {peer}, confirmed by it"));
            Sign { peer: Some(*peer), bytes: Some(*sent), ..sign }
        };
        too_much.map(sign).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(inode: u64, local: u16, remote: &str, sent_bytes: u64) -> Connection {
        let local = std::net::SocketAddr::from(([10, 0, 0, 1], local));
        Connection { local, remote: remote.parse().unwrap(), inode, sent_bytes, received_bytes: 0 }
    }

    #[test]
    fn what_leaves_to_somebody_new_is_a_sign_and_another_when_it_has_doubled() {
        let mut traffic = Traffic::default();
        let (ports, known) = (HashSet::from([8080]), BTreeSet::from(["10.0.0.9".parse().unwrap()]));
        let mut step = |connections: &[Connection]| {
            traffic.take(connections, &ports);
            traffic.judge(&known, 1000, 5).iter().map(|sign| sign.what.clone()).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        // To a client, to somebody known, and little to somebody new.
        let first = [
            flow(1, 8080, "192.0.2.1:4000", 9_000_000),
            flow(2, 5000, "10.0.0.9:443", 9_000_000),
            flow(3, 5001, "203.0.113.7:443", 600),
        ];
        assert_eq!(step(&first), none);
        assert_eq!(step(&first), none, "the same bytes count once");
        // Another connection to the same one.
        let second = [flow(3, 5001, "203.0.113.7:443", 700), flow(4, 5002, "203.0.113.7:443", 300)];
        let passed = |bytes: u64| {
            [format!("more than {bytes} bytes have left to 203.0.113.7, to which it never was connected")]
        };
        assert_eq!(step(&second), passed(1000));
        assert_eq!(step(&[flow(5, 5003, "203.0.113.7:443", 900)]), passed(1000));
        assert_eq!(step(&[flow(5, 5003, "203.0.113.7:443", 1000)]), passed(2000));
        assert_eq!(step(&[]), passed(2000), "what has left does not come back");
    }
}
