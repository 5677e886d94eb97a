//! Owns asking the kernel for the TCP sockets of a network namespace in its own form (`sock_diag`), in place of its text.
//!
//! The text of 100,000 sockets is 15 megabytes, which the kernel writes line by line; here it sends what is asked for, and only
//! the states that are wanted. A request has 16 bytes of netlink (length, type, flags, number, sender) and 56 of `inet_diag`
//! (family, protocol, which states as bits, and an address that is all zeros for every socket). An answer is a row of such
//! messages, each with 72 bytes: family, state, ports and addresses in the order of the network, and in the order of this
//! machine five words, of which the second and third are the queues, the fourth the user, the fifth the inode. Attributes follow;
//! how much was sent is in one of them (`INET_DIAG_INFO`, the `tcp_info` of linux/tcp.h).

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Protocol, Row, SocketState};
use crate::roots::{Roots, read_link};

const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = HEADER_BYTES + 56;
const MESSAGE_BYTES: usize = 72;
/// `SOCK_DIAG_BY_FAMILY`, a request for all of them (`NLM_F_REQUEST | NLM_F_DUMP`), the error and the end of an answer.
const BY_FAMILY: u16 = 20;
const DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// What the kernel fills at once at most.
const ANSWER_BYTES: usize = 64 << 10;
/// A machine with more is beyond what anybody reads here; the kernel needs some seconds for a million.
const SOCKETS_MAX: usize = 1_000_000;
const WITHIN_SECONDS: i64 = 2;

/// Which states are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum States {
    All,
    Listening,
    /// Those over which something may go, and how much has.
    Connected,
}

/// Hands every TCP socket of the namespace of `pid` to `each`; `None` where the kernel does not tell, or we may not look there.
/// The protocol is that of the family that the socket was made for.
pub(super) fn tcp(
    roots: &Roots,
    pid: Option<i32>,
    states: States,
    each: impl FnMut(Row, Protocol) + Send,
) -> Option<()> {
    // A fixture tree has no kernel to be asked.
    if *roots != Roots::default() {
        return None;
    }
    let Some(pid) = pid else { return ask(&socket()?, states, each) };
    let there = roots.process(pid).join("ns/net");
    if read_link(&there)? == read_link(&roots.proc.join("thread-self/ns/net"))? {
        return ask(&socket()?, states, each);
    }
    let namespace = File::open(there).ok()?;
    // A thread has a namespace of its own, for the kernel: nobody else in this process moves. The socket stays there.
    let moved = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).ok()?;
        socket()
    };
    let socket = thread::scope(|scope| scope.spawn(moved).join().ok().flatten())?;
    ask(&socket, states, each)
}

fn socket() -> Option<OwnedFd> {
    let protocol = Some(netlink::SOCK_DIAG);
    socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, protocol).ok()
}

fn ask(socket: &OwnedFd, states: States, mut each: impl FnMut(Row, Protocol)) -> Option<()> {
    let families = [(AddressFamily::INET, Protocol::Tcp), (AddressFamily::INET6, Protocol::Tcp6)];
    let mut buffer = vec![0; ANSWER_BYTES];
    let mut left = SOCKETS_MAX;
    for (family, protocol) in families {
        let request = request(u8::try_from(family.as_raw()).ok()?, states);
        sendto(socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
        loop {
            let within = Timespec { tv_sec: WITHIN_SECONDS, tv_nsec: 0 };
            if poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&within)).ok()? == 0 {
                return None;
            }
            let (_, n_bytes) = recv(socket, buffer.as_mut_slice(), RecvFlags::empty()).ok()?;
            let is_more = messages(buffer.get(..n_bytes)?, |row| {
                left = left.saturating_sub(1);
                each(row, protocol);
            })?;
            if !is_more {
                break;
            }
            if left == 0 {
                return Some(());
            }
        }
    }
    Some(())
}

fn request(family: u8, states: States) -> [u8; REQUEST_BYTES] {
    const TCP: u8 = 6;
    const TIME_WAIT: u32 = 6;
    const LISTEN: u32 = 10;
    const WITH_INFO: u8 = 1 << 1;
    let (states, with): (u32, u8) = match states {
        States::All => (u32::MAX, 0),
        States::Listening => (1 << LISTEN, 0),
        // Those that only wait for their time to be over know nothing any more.
        States::Connected => (!(1 << LISTEN | 1 << TIME_WAIT), WITH_INFO),
    };
    let mut request = [0; REQUEST_BYTES];
    request[..4].copy_from_slice(&(REQUEST_BYTES as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    request[HEADER_BYTES] = family;
    request[HEADER_BYTES + 1] = TCP;
    request[HEADER_BYTES + 2] = with;
    request[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&states.to_ne_bytes());
    request
}

/// Reads the messages of one answer; whether more answers follow, and `None` where the kernel refuses or nothing is understood.
pub(super) fn messages(bytes: &[u8], mut each: impl FnMut(Row)) -> Option<bool> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let body = rest.get(HEADER_BYTES..length)?;
        match kind {
            DONE => return Some(false),
            ERROR => return None,
            BY_FAMILY => each(row(body)?),
            _ => {}
        }
        // Each begins at a multiple of four.
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(true)
}

/// One that listens over IPv6 says whether it leaves IPv4 to others (`INET_DIAG_SKV6ONLY`).
fn is_only_ipv6(attributes: &[u8]) -> Option<bool> {
    attribute(attributes, 11)?.first().map(|value| *value != 0)
}

/// Bytes that the other end has confirmed, and bytes that came from there.
fn moved(attributes: &[u8]) -> Option<(u64, u64)> {
    const INFO: u16 = 2;
    const ACKED: usize = 120;
    let info = attribute(attributes, INFO)?;
    let number = |at: usize| Some(u64::from_ne_bytes(info.get(at..at + 8)?.try_into().ok()?));
    Some((number(ACKED)?, number(ACKED + 8)?))
}

/// Attributes follow a message: length and kind in two bytes each, then what they say.
fn attribute(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    loop {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn row(message: &[u8]) -> Option<Row> {
    let (body, attributes) = message.split_first_chunk::<MESSAGE_BYTES>()?;
    let word = |at: usize| {
        let bytes = [body[at], body[at + 1], body[at + 2], body[at + 3]];
        u32::from_ne_bytes(bytes)
    };
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let ip = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&body[at..at + 16]);
        if i32::from(body[0]) == i32::from(AddressFamily::INET.as_raw()) {
            IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(octets))
        }
    };
    Some(Row {
        local: SocketAddr::new(ip(8), port(4)),
        remote: SocketAddr::new(ip(24), port(6)),
        state: SocketState::of_tcp(u64::from(body[1])),
        receive_queue: Some(u64::from(word(56))),
        send_queue: Some(u64::from(word(60))),
        uid: Some(word(64)),
        inode: u64::from(word(68)),
        is_only_ipv6: is_only_ipv6(attributes),
        moved: moved(attributes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn answers_are_read_to_their_end() {
        let mut body = [0; MESSAGE_BYTES];
        (body[0], body[1]) = (2, 1);
        body[4..8].copy_from_slice(&[0x1f, 0x90, 0xc3, 0x50]);
        body[8..12].copy_from_slice(&[127, 0, 0, 1]);
        body[24..28].copy_from_slice(&[10, 1, 2, 3]);
        body[64..68].copy_from_slice(&1000_u32.to_ne_bytes());
        body[68..].copy_from_slice(&72_u32.to_ne_bytes());
        let mut rows = Vec::new();
        let both = [message(BY_FAMILY, &body), message(DONE, &[0; 4]), message(BY_FAMILY, &body)].concat();
        assert_eq!(messages(&both, |row| rows.push(row)), Some(false));
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].local.to_string().as_str(), rows[0].inode), ("127.0.0.1:8080", 72));
        assert_eq!((rows[0].remote.to_string().as_str(), rows[0].uid), ("10.1.2.3:50000", Some(1000)));
        assert_eq!(messages(&message(BY_FAMILY, &body), |_| {}), Some(true));
        assert_eq!(messages(&message(ERROR, &[0; 4]), |_| {}), None);
    }

    #[test]
    fn attributes_behind_a_message() {
        let other = [5, 0, 8, 0, 1, 0, 0, 0];
        assert_eq!(is_only_ipv6(&[&other[..], &[5, 0, 11, 0, 1, 0, 0, 0]].concat()), Some(true));
        assert_eq!(is_only_ipv6(&[5, 0, 11, 0, 0]), Some(false));
        for none in [&[][..], &[0; 8], &[255; 8], &other, &[4, 0, 11, 0]] {
            assert_eq!(is_only_ipv6(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for bytes in [&[1, 2][..], &[0; 16], &[255; 32], &message(BY_FAMILY, &[0; 8])] {
            assert_eq!(messages(bytes, |_| {}), None, "{bytes:?}");
        }
    }
}
