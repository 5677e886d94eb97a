//! Owns who listens for TCP on this machine: the addresses, and the process behind each.

use std::collections::HashMap;
use std::net::SocketAddr;

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
            Some(Listener { address, process: socket.pid.and_then(|pid| processes.get(&pid).cloned()) })
        })
        .collect();
    found.sort_by_key(|listener| (listener.address.port(), listener.address.ip()));
    found.dedup_by_key(|listener| listener.address);
    found
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::listeners;
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
