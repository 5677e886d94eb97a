//! Owns the neighbours of a network namespace, which the kernel tells in no file for IPv6: whose address is at which card. Asked
//! for in its own form (`rtnetlink`), by a thread that goes into the namespace for that.
//!
//! A request has 16 bytes of netlink (length, type, flags, number, sender) and 12 of `ndmsg`: family, interface, state, flags,
//! type. An answer is a row of the same with attributes behind: length, kind, and for kind 1 the address, for kind 2 the card.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Serialize;

const HEADER_BYTES: usize = 16;
const NDMSG_BYTES: usize = 12;
/// `RTM_GETNEIGH`, `RTM_NEWNEIGH`; a request for all (`NLM_F_REQUEST | NLM_F_DUMP`); the error and the end of an answer.
const GET: u16 = 30;
const NEW: u16 = 28;
const DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const ANSWER_BYTES: usize = 64 << 10;
/// A kernel keeps some thousands.
const NEIGHBOURS_MAX: usize = 100_000;
const WITHIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Somebody on the same wire.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Neighbour {
    address: IpAddr,
    /// Its card; none where it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<String>,
    /// The number of the interface.
    interface: i32,
    /// The state, as the kernel's bits: 2 reachable, 4 stale, 32 failed, 64 needs none, 128 permanent.
    state: u16,
}

/// Those of the namespace that this file of the kernel stands for. The thread that calls stays where it is.
pub(super) fn of(namespace: &Path) -> std::io::Result<Vec<Neighbour>> {
    let namespace = File::open(namespace)?;
    // A thread has a namespace of its own, for the kernel: nobody else in this process moves.
    let inside = || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        ask()
    };
    let asked = thread::scope(|scope| scope.spawn(inside).join());
    asked.unwrap_or_else(|_| Err(std::io::Error::other("the thread that asked failed")))
}

/// Those of the namespace of this thread.
fn ask() -> std::io::Result<Vec<Neighbour>> {
    let socket: OwnedFd = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut request = [0; HEADER_BYTES + NDMSG_BYTES];
    request[..4].copy_from_slice(&28_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&GET.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP.to_ne_bytes());
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; ANSWER_BYTES]);
    loop {
        if poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&WITHIN))? == 0 {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        let (_, n_bytes) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        match messages(&buffer[..n_bytes.min(ANSWER_BYTES)], &mut found) {
            None => return Err(std::io::Error::other("the kernel does not say")),
            Some(true) if found.len() < NEIGHBOURS_MAX => {}
            Some(_) => return Ok(found),
        }
    }
}

/// Reads one answer; whether more follow, and `None` where the kernel refuses or nothing is understood.
fn messages(bytes: &[u8], found: &mut Vec<Neighbour>) -> Option<bool> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
        let body = rest.get(HEADER_BYTES..length)?;
        match kind {
            DONE => return Some(false),
            ERROR => return None,
            NEW => found.extend(neighbour(body)),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(true)
}

fn neighbour(body: &[u8]) -> Option<Neighbour> {
    let interface = i32::from_ne_bytes(body.get(4..8)?.try_into().ok()?);
    let state = u16::from_ne_bytes(body.get(8..10)?.try_into().ok()?);
    let (mut address, mut card) = (None, None);
    let mut rest = body.get(NDMSG_BYTES..)?;
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        let value = rest.get(4..length)?;
        match u16::from_ne_bytes([rest[2], rest[3]]) {
            1 => {
                address = match value.len() {
                    4 => <[u8; 4]>::try_from(value).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
                    16 => <[u8; 16]>::try_from(value).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
                    _ => None,
                };
            }
            2 => {
                let digits = value.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
                card = Some(digits.join(":"));
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Neighbour { address: address?, card, interface, state })
}

#[cfg(test)]
mod tests {
    use super::{Neighbour, messages};

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + body.len()).unwrap();
        let head = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
        [head, body.to_vec()].concat()
    }

    #[test]
    fn an_answer_of_the_kernel() {
        let address = [0xfe_u8, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        let body = [
            &[10, 0, 0, 0][..],
            &3_i32.to_ne_bytes(),
            &[4, 0, 0, 1],
            &20_u16.to_ne_bytes(),
            &1_u16.to_ne_bytes(),
            &address,
            &10_u16.to_ne_bytes(),
            &2_u16.to_ne_bytes(),
            &[2, 0, 0, 0, 0, 7, 0, 0],
        ]
        .concat();
        let answer = [message(28, &body), message(3, &[0; 4])].concat();
        let mut found = Vec::new();
        assert_eq!(messages(&answer, &mut found), Some(false));
        let expected = Neighbour {
            address: "fe80::9".parse().unwrap(),
            card: Some("02:00:00:00:00:07".to_owned()),
            interface: 3,
            state: u16::from_ne_bytes([4, 0]),
        };
        assert_eq!(found, [expected]);
        assert_eq!(messages(&message(2, &[0; 4]), &mut found), None);
        // Cut off, or with lengths that are none, it ends.
        for length in 0..answer.len() {
            let _ = messages(&answer[..length], &mut Vec::new());
        }
        assert_eq!(messages(&[0; 64], &mut Vec::new()), None);
    }

    /// Whether there are any is this machine's; that the kernel answers is not.
    #[test]
    fn this_kernel_answers() {
        super::ask().unwrap();
    }
}
