//! Owns talking with the kernel over netlink: a batch of orders that happens as a whole or not at all, and questions.
//!
//! A message has 16 bytes (length, kind, flags, number, sender), in the order of this machine, and then what it says.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

pub(crate) const HEAD_BYTES: usize = 16;
pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const DUMP: u16 = 0x300;
/// The beginning and the end of a batch, which are of the subsystem that is named in them.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;
/// What the kernel fills at once at most.
const ANSWER_BYTES: usize = 64 << 10;
/// The kernel answers at once; it may be busy with another batch.
const WITHIN_SECONDS: i64 = 5;
/// A set of ours has some hundred elements; whoever made it larger is not followed.
const ANSWERS_MAX: usize = 100;

/// A message of an answer: its kind, its number, and what it says.
type Message<'a> = (u16, u32, &'a [u8]);

/// One order of a batch: its kind, its flags, and what it says behind the family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: Vec<u8>,
}

/// Why the kernel does not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// It says so.
    #[error("the kernel refuses order {order}: {errno}")]
    Refused { order: usize, errno: Errno },
    /// It cannot be asked.
    #[error("the kernel cannot be asked: {0}")]
    Unasked(#[from] Errno),
}

impl WireError {
    pub(crate) fn errno(self) -> Errno {
        match self {
            Self::Refused { errno, .. } | Self::Unasked(errno) => errno,
        }
    }
}

/// Has the kernel carry out all of them, or none.
pub(crate) fn batch(family: u8, orders: &[Order]) -> Result<(), WireError> {
    let mut bytes = message(BATCH_BEGIN, REQUEST, 0, &general(0, NFTABLES, &[]));
    for (idx, order) in orders.iter().enumerate() {
        let number = u32::try_from(idx + 1).unwrap_or(u32::MAX);
        let kind = NFTABLES << 8 | order.kind;
        bytes.extend(message(kind, REQUEST | ACK | order.flags, number, &general(family, 0, &order.body)));
    }
    bytes.extend(message(BATCH_END, REQUEST, 0, &general(0, NFTABLES, &[])));
    let socket = open(netlink::NETFILTER)?;
    send(&socket, &bytes)?;
    let mut buffer = vec![0; ANSWER_BYTES];
    let mut left = orders.len();
    while left > 0 {
        let answer = receive(&socket, &mut buffer)?;
        for (kind, number, body) in messages(answer) {
            let (ERROR, Some(errno)) = (kind, errno(body)) else { continue };
            match errno {
                None => left = left.saturating_sub(1),
                Some(errno) => return Err(WireError::Refused { order: number as usize, errno }),
            }
        }
    }
    Ok(())
}

/// Asks for all of something of nftables; what each answer says is handed to `each`.
pub(crate) fn ask(family: u8, kind: u16, body: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), WireError> {
    let socket = open(netlink::NETFILTER)?;
    send(&socket, &message(NFTABLES << 8 | kind, REQUEST | DUMP, 1, &general(family, 0, body)))?;
    let mut buffer = vec![0; ANSWER_BYTES];
    for _ in 0..ANSWERS_MAX {
        let answer = receive(&socket, &mut buffer)?;
        for (kind, _, body) in messages(answer) {
            match kind {
                DONE => return Ok(()),
                ERROR => match errno(body).flatten() {
                    Some(errno) => return Err(WireError::Refused { order: 1, errno }),
                    None => return Ok(()),
                },
                // The four bytes of the family.
                _ => each(body.get(4..).unwrap_or_default()),
            }
        }
    }
    Err(WireError::Unasked(Errno::MSGSIZE))
}

/// Sends one message, and waits for the word that it is done.
pub(crate) fn tell(socket: &OwnedFd, kind: u16, body: &[u8]) -> Result<(), WireError> {
    send(socket, &message(kind, REQUEST | ACK, 1, body))?;
    let mut buffer = vec![0; ANSWER_BYTES];
    loop {
        let answer = receive(socket, &mut buffer)?;
        for (kind, _, body) in messages(answer) {
            if let (ERROR, Some(errno)) = (kind, errno(body)) {
                return errno.map_or(Ok(()), |errno| Err(WireError::Refused { order: 1, errno }));
            }
        }
    }
}

pub(crate) fn open(protocol: Protocol) -> Result<OwnedFd, WireError> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?)
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<(), WireError> {
    sendto(socket, bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    Ok(())
}

fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> Result<&'a [u8], WireError> {
    let within = Timespec { tv_sec: WITHIN_SECONDS, tv_nsec: 0 };
    if poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&within))? == 0 {
        return Err(WireError::Unasked(Errno::TIMEDOUT));
    }
    let (_, n_bytes) = recv(socket, &mut *buffer, RecvFlags::empty())?;
    Ok(buffer.get(..n_bytes).unwrap_or_default())
}

/// What begins every message of netfilter: the family, version 0, and a number in the order of the network.
fn general(family: u8, resource: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![family, 0];
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn message(kind: u16, flags: u16, number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEAD_BYTES + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The messages of one answer.
fn messages(bytes: &[u8]) -> Vec<Message<'_>> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while let Some((message, length)) = first(rest) {
        found.push(message);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The first message, and how long it is.
fn first(bytes: &[u8]) -> Option<(Message<'_>, usize)> {
    let length = usize::try_from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let number = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
    Some(((kind, number, bytes.get(HEAD_BYTES..length)?), length))
}

/// What a message of an error says: none in it is the word that it is done.
fn errno(body: &[u8]) -> Option<Option<Errno>> {
    let code = i32::from_ne_bytes(body.get(..4)?.try_into().ok()?);
    Some((code != 0).then(|| Errno::from_raw_os_error(code.saturating_neg())))
}
