//! Owns who listens for TCP on this machine: the addresses, and the process behind each.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::processes::{Process, pids, read_processes};
use crate::roots::Roots;
use crate::sockets::Sockets;

/// A TCP socket of our network namespace that takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: SocketAddr,
    /// A process that has it open; `None` where that is not ours to see.
    pub process: Option<Process>,
    /// Whether it leaves IPv4 to others, where it listens over IPv6; `None` where nobody says.
    pub is_only_ipv6: Option<bool>,
}

// === impl Listener ===

impl Listener {
    /// Whether nobody can listen at `ip`, and its port, beside it.
    pub fn takes(&self, ip: IpAddr) -> bool {
        match (self.address.ip().to_canonical(), ip.to_canonical()) {
            (IpAddr::V4(has), IpAddr::V4(wants)) => {
                has == wants || has.is_unspecified() || wants.is_unspecified()
            }
            (IpAddr::V6(has), IpAddr::V6(wants)) => {
                has == wants || has.is_unspecified() || wants.is_unspecified()
            }
            // One for every address of IPv6 is for those of IPv4 too, where it does not say otherwise.
            (IpAddr::V6(has), IpAddr::V4(_)) => has.is_unspecified() && self.is_only_ipv6 != Some(true),
            (IpAddr::V4(_), IpAddr::V6(wants)) => wants.is_unspecified(),
        }
    }
}

/// The listeners of our network namespace, by port, then address; at most 2000.
pub fn listeners(roots: &Roots) -> Vec<Listener> {
    let present = pids(roots).unwrap_or_default();
    let mut sockets = Sockets::listening(roots);
    sockets.find_strangers(roots, &present);
    let wanted: Vec<i32> = sockets.listed.iter().filter_map(|socket| socket.pid).collect();
    let processes: HashMap<i32, Process> =
        read_processes(roots, &wanted).into_iter().map(|process| (process.id.pid, process)).collect();
    let mut found: Vec<Listener> = sockets
        .listed
        .iter()
        .filter_map(|socket| {
            let address = socket.local.as_ref()?.parse().ok()?;
            let process = socket.pid.and_then(|pid| processes.get(&pid).cloned());
            Some(Listener { address, process, is_only_ipv6: socket.is_only_ipv6 })
        })
        .collect();
    found.sort_by_key(|listener| (listener.address.port(), listener.address.ip()));
    found.dedup_by_key(|listener| listener.address);
    found
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{Listener, listeners};
    use crate::Roots;

    #[test]
    fn our_own_listeners_are_found_by_their_exact_address() {
        let sockets = ["127.0.0.1:0", "[::1]:0"].map(|address| TcpListener::bind(address).unwrap());
        let found = listeners(&Roots::default());
        for socket in sockets {
            let address = socket.local_addr().unwrap();
            let listener = found.iter().find(|one| one.address == address).unwrap();
            let process = listener.process.as_ref().unwrap();
            assert_eq!(process.id.pid, i32::try_from(std::process::id()).unwrap());
        }
    }

    #[test]
    fn who_keeps_others_out() {
        let takes = |address: &str, is_only_ipv6, ip: &str| {
            let listener = Listener { address: address.parse().unwrap(), process: None, is_only_ipv6 };
            listener.takes(ip.parse().unwrap())
        };
        for (address, is_only_ipv6, ip, expect) in [
            ("127.0.0.1:1", None, "127.0.0.1", true),
            ("127.0.0.2:1", None, "127.0.0.1", false),
            ("0.0.0.0:1", None, "127.0.0.1", true),
            ("127.0.0.1:1", None, "0.0.0.0", true),
            ("[::1]:1", Some(false), "127.0.0.1", false),
            ("[::]:1", Some(true), "127.0.0.1", false),
            ("[::]:1", Some(false), "127.0.0.1", true),
            ("[::]:1", None, "127.0.0.1", true),
            ("[::]:1", Some(true), "::1", true),
            ("127.0.0.1:1", None, "::", true),
            ("127.0.0.1:1", None, "::1", false),
            ("[::ffff:127.0.0.1]:1", Some(false), "127.0.0.1", true),
        ] {
            assert_eq!(takes(address, is_only_ipv6, ip), expect, "{address} {is_only_ipv6:?} {ip}");
        }
    }

    #[test]
    fn the_kernel_says_who_leaves_ipv4_to_others() {
        let open = |only| {
            let family = rustix::net::AddressFamily::INET6;
            let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None).unwrap();
            rustix::net::sockopt::set_ipv6_v6only(&socket, only).unwrap();
            let any: std::net::SocketAddrV6 = "[::]:0".parse().unwrap();
            rustix::net::bind(&socket, &any).unwrap();
            rustix::net::listen(&socket, 1).unwrap();
            TcpListener::from(socket)
        };
        for only in [true, false] {
            let socket = open(only);
            let address = socket.local_addr().unwrap();
            let found = listeners(&Roots::default());
            let listener = found.iter().find(|one| one.address == address).unwrap();
            assert_eq!(listener.is_only_ipv6, Some(only));
        }
    }

    #[test]
    fn ports_are_told_apart_and_connections_are_none() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        std::fs::create_dir_all(roots.proc.join("net")).unwrap();
        let local = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        let row = |port: &str, state: &str| {
            format!(
                "   0: {local}:{port} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  0        0 7 1 0 100 0\n"
            )
        };
        let table = format!("header\n{}{}{}", row("1F90", "0A"), row("0050", "0A"), row("1F91", "01"));
        std::fs::write(roots.proc.join("net/tcp"), table).unwrap();
        let found: Vec<String> =
            listeners(&roots).iter().map(|listener| listener.address.to_string()).collect();
        assert_eq!(found, ["127.0.0.1:80", "127.0.0.1:8080"]);
    }
}
