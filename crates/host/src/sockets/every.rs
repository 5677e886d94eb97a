//! Owns which connections of TCP there are in our network namespace, as whoever ends one has to name it.

use std::net::SocketAddr;

use super::{Protocol, SocketState, diag};
use crate::roots::Roots;

/// A connection of TCP, or one that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpConnection {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Whether its socket was made for IPv6, which may speak IPv4.
    pub is_ipv6: bool,
    /// Its number in the kernel.
    pub inode: u64,
}

/// The connections of our network namespace, up to a million; none where the kernel does not tell.
pub fn tcp_connections(roots: &Roots) -> Vec<TcpConnection> {
    let mut found = Vec::new();
    // What was told before it broke off is true as well.
    let _ = diag::tcp(roots, None, diag::States::All, |row, protocol| {
        if !matches!(row.state, SocketState::Listen | SocketState::Closed | SocketState::TimeWait) {
            let is_ipv6 = protocol == Protocol::Tcp6;
            found.push(TcpConnection { local: row.local, remote: row.remote, is_ipv6, inode: row.inode });
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let found = tcp_connections(&Roots::default());
        for stream in [&client, &server] {
            let ends = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            assert!(found.iter().any(|one| (one.local, one.remote) == ends && !one.is_ipv6), "{ends:?}");
        }
    }
}
