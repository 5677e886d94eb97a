//! Owns what evidence reads of the kernel's tables as a whole: every socket of a table, and arguments with secrets hidden.

use std::net::SocketAddr;

use serde::Serialize;

use crate::processes::arguments;
use crate::redact::is_secret;
use crate::sockets::{Row, SocketState};
use crate::text::lines;

/// A line of `/proc/net/tcp`, `udp`, `raw` and their like for version 6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InetSocket {
    /// Its own end.
    pub local: SocketAddr,
    /// The other end; all zeros where there is none.
    pub remote: SocketAddr,
    /// What TCP calls its state. UDP says `established` for one that is connected, and `closed` for the others.
    pub state: SocketState,
    /// The user who opened it.
    pub uid: Option<u32>,
    /// Its number in the kernel; 0 for one that nobody holds any more.
    pub inode: u64,
}

/// Every socket of a table, whoever has it and whatever its state.
pub fn inet_sockets(table: &[u8]) -> Vec<InetSocket> {
    let socket = |row: Row| InetSocket {
        local: row.local,
        remote: row.remote,
        state: row.state,
        uid: row.uid,
        inode: row.inode,
    };
    lines(table).filter_map(Row::parse).map(socket).collect()
}

/// The arguments in `/proc/PID/cmdline`, secrets hidden.
pub fn arguments_of(cmdline: &[u8]) -> Vec<String> {
    arguments(cmdline)
}

/// Whether a name says that what it names is a secret.
pub fn signs_of_secret(name: &str) -> bool {
    is_secret(name)
}

#[cfg(test)]
mod tests {
    use super::{SocketState, arguments_of, inet_sockets};

    #[test]
    fn every_socket_of_a_table() {
        let table = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100\n\
            1: 0100007F:1F90 0200A8C0:C350 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 100\n\
            garbage\n";
        let found = inet_sockets(table);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].local.to_string().as_str(), found[0].inode), ("127.0.0.1:8080", 4711));
        assert_eq!((found[1].remote.port(), found[1].state), (50_000, SocketState::TimeWait));
    }

    #[test]
    fn arguments_without_their_secrets() {
        assert_eq!(arguments_of(b"x\0--token\0hunter2\0"), ["x", "--token", "[REDACTED]"]);
    }
}
