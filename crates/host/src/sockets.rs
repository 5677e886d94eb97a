//! Owns the sockets of a network namespace: who listens, who is connected, and whose a connection is.

mod diag;
mod every;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use serde::Serialize;

pub use every::{TcpConnection, tcp_connections};

use crate::details::socket_inode;
use crate::roots::{Roots, read, read_link};
use crate::text::{hex, lines, lossy, number, split_once, words};

/// About 100,000 connections; the kernel needs a tenth of a second to write that many.
const TABLE_BYTES_MAX: u64 = 16 << 20;
const SOCKETS_MAX: usize = 2000;
/// Descriptors looked at in search of who holds a port: about 20 ms.
const STRANGER_LINKS_MAX: usize = 10_000;

/// The sockets of one network namespace, as far as they matter to one tree of processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sockets {
    /// Every listening one, and the connections of the tree; at most 2000.
    pub listed: Vec<Socket>,
    /// How many TCP sockets of everybody are in each state.
    pub tcp_states: BTreeMap<SocketState, usize>,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// Its kind.
    pub protocol: Protocol,
    /// Listening or connected.
    pub state: SocketState,
    /// Its address, or the path of a Unix socket; `None` for a Unix socket without a name.
    pub local: Option<String>,
    /// Who is at the other end.
    pub remote: Option<String>,
    /// Bytes not yet read; for a listening one, connections that nobody has accepted yet.
    pub receive_queue: Option<u64>,
    /// Bytes that the other end has not confirmed; for a listening one, nothing.
    pub send_queue: Option<u64>,
    /// The user who opened it.
    pub uid: Option<u32>,
    /// Its number in the kernel.
    pub inode: u64,
    /// A process that has it open, as far as that can be seen.
    pub pid: Option<i32>,
    /// Whether one of IPv6 leaves IPv4 to others; `None` where nobody says.
    #[serde(skip)]
    pub is_only_ipv6: Option<bool>,
}

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP over IPv4.
    Tcp,
    /// TCP over IPv6, and over IPv4 for a socket that takes both.
    Tcp6,
    /// Within this machine.
    Unix,
}

/// The state of a TCP connection; a Unix socket is listening or established.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of RFC 9293")]
pub enum SocketState {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Closed,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    Unknown,
}

/// A socket, as the kernel tells of it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) state: SocketState,
    pub(crate) send_queue: Option<u64>,
    pub(crate) receive_queue: Option<u64>,
    pub(crate) uid: Option<u32>,
    pub(crate) inode: u64,
    pub(crate) is_only_ipv6: Option<bool>,
    pub(crate) moved: Option<(u64, u64)>,
}

/// A TCP connection of a tree of processes, and how much has gone over it since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Its end here.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// Its number in the kernel.
    pub inode: u64,
    /// Bytes that the other end has confirmed.
    pub sent_bytes: u64,
    /// Bytes that came from there.
    pub received_bytes: u64,
}

// === impl Sockets ===

impl Sockets {
    /// Reads the namespace of `pid`; `owners` says which process of its tree has which socket open. `None` when
    /// the process is gone.
    pub(crate) fn read(roots: &Roots, pid: i32, owners: &HashMap<u64, i32>) -> Option<Self> {
        let net = roots.process(pid).join("net");
        let mut sockets = Self::default();
        let told = diag::tcp(roots, Some(pid), diag::States::All, |row, protocol| {
            sockets.take(&row, protocol, owners)
        });
        let mut found = told.is_some();
        if !found {
            // What was told before it broke off is in the text as well.
            sockets = Self::default();
            found = sockets.read_text(&net, owners);
        }
        if let Some(bytes) = read(&net.join("unix"), TABLE_BYTES_MAX) {
            found = true;
            lines(&bytes)
                .filter_map(|line| unix_socket(line, owners))
                .for_each(|socket| sockets.list(socket));
        }
        found.then_some(sockets)
    }

    /// The TCP sockets in the text of the kernel; whether there is any.
    fn read_text(&mut self, net: &Path, owners: &HashMap<u64, i32>) -> bool {
        let mut found = false;
        for (name, protocol) in [("tcp", Protocol::Tcp), ("tcp6", Protocol::Tcp6)] {
            let Some(bytes) = read(&net.join(name), TABLE_BYTES_MAX) else { continue };
            found = true;
            lines(&bytes).filter_map(Row::parse).for_each(|row| self.take(&row, protocol, owners));
        }
        found
    }

    fn take(&mut self, row: &Row, protocol: Protocol, owners: &HashMap<u64, i32>) {
        *self.tcp_states.entry(row.state).or_default() += 1;
        self.list(row.socket(protocol, owners));
    }

    /// The TCP sockets of our own namespace that listen; whose they are is not known yet.
    pub(crate) fn listening(roots: &Roots) -> Self {
        let mut sockets = Self::default();
        let nobody = HashMap::new();
        let list = |row: Row, protocol| sockets.list(row.socket(protocol, &nobody));
        if diag::tcp(roots, None, diag::States::Listening, list).is_some() {
            return sockets;
        }
        sockets = Self::default();
        for (name, protocol) in [("tcp", Protocol::Tcp), ("tcp6", Protocol::Tcp6)] {
            let bytes = read(&roots.proc.join("net").join(name), TABLE_BYTES_MAX).unwrap_or_default();
            let rows = lines(&bytes).filter_map(Row::parse).filter(|row| row.state == SocketState::Listen);
            rows.for_each(|row| sockets.list(row.socket(protocol, &HashMap::new())));
        }
        sockets
    }

    /// Looks among `pids` for who holds a port that nobody of the tree holds: the reason why a restart fails.
    pub(crate) fn find_strangers(&mut self, roots: &Roots, pids: &[i32]) {
        let tcp_listener = |socket: &&mut Socket| {
            socket.pid.is_none() && socket.state == SocketState::Listen && socket.protocol != Protocol::Unix
        };
        let listeners = self.listed.iter_mut().filter(tcp_listener);
        let mut wanted: HashMap<u64, &mut Socket> = listeners.map(|socket| (socket.inode, socket)).collect();
        let mut links_left = STRANGER_LINKS_MAX;
        for pid in pids {
            let Ok(entries) = fs::read_dir(roots.process(*pid).join("fd")) else { continue };
            for entry in entries.flatten() {
                if wanted.is_empty() || links_left == 0 {
                    return;
                }
                links_left -= 1;
                let inode = read_link(&entry.path()).and_then(|target| socket_inode(&target));
                if let Some(socket) = inode.and_then(|inode| wanted.remove(&inode)) {
                    socket.pid = Some(*pid);
                }
            }
        }
    }

    fn list(&mut self, socket: Socket) {
        let listens = socket.state == SocketState::Listen;
        let connected = socket.state == SocketState::Established && socket.pid.is_some();
        if (listens || connected) && self.listed.len() < SOCKETS_MAX {
            self.listed.push(socket);
        }
    }
}

// === impl SocketState ===

impl SocketState {
    fn of_tcp(number: u64) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => Self::Unknown,
        }
    }
}

// === impl Row ===

impl Row {
    /// The fields: number, local, remote, state, send:receive, timer, retransmits, uid, timeout, inode.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let fields: Vec<_> = words(line).take(10).collect();
        let [_, local, remote, state, queues, _, _, uid, _, inode] = fields[..] else { return None };
        let (send, receive) = split_once(queues, b':').unzip();
        Some(Self {
            local: address(local)?,
            remote: address(remote)?,
            state: SocketState::of_tcp(hex(state)?),
            send_queue: send.and_then(hex),
            receive_queue: receive.and_then(hex),
            uid: number(uid).and_then(|uid| u32::try_from(uid).ok()),
            inode: number(inode)?,
            is_only_ipv6: None,
            moved: None,
        })
    }

    fn socket(&self, protocol: Protocol, owners: &HashMap<u64, i32>) -> Socket {
        let listens = self.state == SocketState::Listen;
        Socket {
            protocol,
            state: self.state,
            local: Some(self.local.to_string()),
            remote: (!listens).then(|| self.remote.to_string()),
            receive_queue: self.receive_queue,
            send_queue: self.send_queue.filter(|_| !listens),
            uid: self.uid,
            inode: self.inode,
            pid: owners.get(&self.inode).copied(),
            is_only_ipv6: self.is_only_ipv6,
        }
    }
}

/// The user at the `client` end of a TCP connection of this machine to `server`; `None` when it comes from
/// elsewhere, or has ended meanwhile.
pub fn connection_uid(roots: &Roots, client: SocketAddr, server: SocketAddr) -> Option<u32> {
    let ends = (canonical(client), canonical(server));
    ["net/tcp", "net/tcp6"].iter().find_map(|name| {
        let bytes = read(&roots.proc.join(name), TABLE_BYTES_MAX)?;
        let mut rows = lines(&bytes).filter_map(Row::parse);
        // A socket that nobody holds any more has no inode, and the kernel shows root as its user.
        rows.find(|row| row.inode != 0 && (canonical(row.local), canonical(row.remote)) == ends)?.uid
    })
}

/// The TCP connections with one of these inodes in the network namespace of `pid`, and how much went over each; `None` where the
/// kernel does not tell, or the process is gone.
pub fn connections(roots: &Roots, pid: i32, inodes: &HashSet<u64>) -> Option<Vec<Connection>> {
    let mut found = Vec::new();
    diag::tcp(roots, Some(pid), diag::States::Connected, |row, _| {
        if let Some((sent_bytes, received_bytes)) = row.moved
            && inodes.contains(&row.inode)
        {
            let (local, remote) = (canonical(row.local), canonical(row.remote));
            found.push(Connection { local, remote, inode: row.inode, sent_bytes, received_bytes });
        }
    })?;
    Some(found)
}

/// A socket that takes both versions shows an IPv4 address in its IPv6 form.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The address is written as 32-bit words in the byte order of the machine, the port as a number.
fn address(word: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = split_once(word, b':')?;
    let part = |digits| Some(u32::try_from(hex(digits)?).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(part(ip)?)),
        32 => {
            let mut bytes = [0; 16];
            for (to, digits) in bytes.chunks_exact_mut(4).zip(ip.chunks_exact(8)) {
                to.copy_from_slice(&part(digits)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::try_from(hex(port)?).ok()?))
}

/// The fields: address, references, protocol, flags, type, state, inode, and a path that may hold blanks.
fn unix_socket(line: &[u8], owners: &HashMap<u64, i32>) -> Option<Socket> {
    /// `__SO_ACCEPTCON`: the socket listens.
    const LISTENS: u64 = 0x1_0000;
    const CONNECTED: u64 = 3;
    let mut rest = line;
    let mut fields = [b"".as_slice(); 7];
    for field in &mut fields {
        (*field, rest) = next_word(rest)?;
    }
    let [_, _, _, flags, _, state, inode] = fields;
    let state = match (hex(flags)? & LISTENS, hex(state)?) {
        (LISTENS, _) => SocketState::Listen,
        (_, CONNECTED) => SocketState::Established,
        _ => SocketState::Unknown,
    };
    let inode = number(inode)?;
    let path = rest.trim_ascii();
    Some(Socket {
        protocol: Protocol::Unix,
        state,
        local: (!path.is_empty()).then(|| lossy(path)),
        remote: None,
        receive_queue: None,
        send_queue: None,
        uid: None,
        inode,
        pid: owners.get(&inode).copied(),
        is_only_ipv6: None,
    })
}

fn next_word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    (end > 0).then(|| line.split_at(end))
}

#[cfg(test)]
mod tests;
