//! Owns packets as evidence: those of one peer or of the server's ports, for a time, as every analyser reads them.
//!
//! A capture is a file of pcap: a header of 24 bytes (the magic number, version 2.4, the longest packet, 101 for packets that begin
//! with IP), then for each packet 16 bytes (seconds, microseconds, how much of it is there, how long it was) and itself.
//! Numbers are little-endian. On the loopback interface each packet is there twice, as it was sent and as it was received.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::Scene;
use super::out::Out;
use super::processes::folder;
use super::reading::kernel;
use crate::bundle::Gathered;

const ITEM: &str = "t2/packets.pcap";
/// One packet; what is longer was put together by a card, and is cut.
const PACKET_BYTES_MAX: usize = 64 << 10;
const TABLE_BYTES_MAX: u64 = 16 << 20;
/// All of them, so that they are an item.
const CAPTURE_BYTES_MAX: usize = 48 << 20;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Which packets are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those from or to this address.
    pub peer: Option<IpAddr>,
    /// Only those from or to this port; with none, and no peer, those of the ports of the server.
    pub port: Option<u16>,
}

/// Who sent a packet to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    from: IpAddr,
    to: IpAddr,
    /// Of TCP and UDP.
    ports: Option<(u16, u16)>,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    if scene.deep.packets.is_zero() {
        out.give(Gathered::missing(ITEM, "none were wanted"));
        return;
    }
    let mut ports: BTreeSet<u16> = scene.deep.filter.port.into_iter().collect();
    if ports.is_empty() && scene.deep.filter.peer.is_none() {
        ports = ports_of(scene);
        if ports.is_empty() {
            let problem = "it is not said which: the server has no port, and none and no peer was named";
            out.give(Gathered::missing(ITEM, problem));
            return;
        }
    }
    out.doing("opening a socket for packets");
    let socket = match open(scene) {
        Ok(socket) => socket,
        Err(error) => {
            out.give(Gathered::missing(ITEM, format!("packets may not be read: {error}")));
            return;
        }
    };
    let wanted =
        |packet: &[u8]| ends(packet).is_some_and(|ends| is_wanted(ends, scene.deep.filter.peer, &ports));
    out.doing("packets");
    let began = Instant::now();
    let (mut capture, mut buffer) = (header(), vec![0; PACKET_BYTES_MAX]);
    let mut problem = None;
    let (mut seen, mut kept) = (0_u64, 0_u64);
    while began.elapsed() < scene.deep.packets && !out.is_given_up() {
        match next(&socket, &mut buffer) {
            Ok(None) => {}
            Ok(Some((n_bytes, length))) => {
                seen += 1;
                let packet = &buffer[..n_bytes];
                if !wanted(packet) {
                    continue;
                }
                if capture.len() + n_bytes + 16 > CAPTURE_BYTES_MAX {
                    problem = Some(format!("it was full after {:?}", began.elapsed()));
                    break;
                }
                kept += 1;
                capture.extend(record(scene.now(), n_bytes, length));
                capture.extend_from_slice(packet);
            }
            Err(error) => {
                problem = Some(error.to_string());
                break;
            }
        }
    }
    let about = serde_json::json!({
        "peer": scene.deep.filter.peer, "ports": ports, "seconds": scene.deep.packets.as_secs_f64(), "seen": seen, "kept": kept,
    });
    out.line("t2/packets.json", &about);
    out.give(Gathered { keeps_length: true, problem, ..Gathered::whole(ITEM, capture) });
}

/// A socket that sees every packet of the network namespace that the server is in. A step has a thread of its own, which goes
/// there and does not come back.
fn open(scene: &Scene) -> std::io::Result<OwnedFd> {
    /// Every protocol (`ETH_P_ALL`), in the order of the network.
    const EVERY: u16 = 3_u16.to_be();
    if let Some(pid) = scene.subject.pid {
        let own = std::fs::read_link(scene.roots.proc.join("thread-self/ns/net")).ok();
        let theirs = folder(scene, pid).join("ns/net");
        if own != std::fs::read_link(&theirs).ok() {
            move_into_link_name_space(File::open(theirs)?.as_fd(), Some(LinkNameSpaceType::Network))?;
        }
    }
    let every = NonZeroU32::new(u32::from(EVERY)).map(Protocol::from_raw);
    // Without the headers of cards: those differ, and say nothing of peers.
    Ok(socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, every)?)
}

/// The next packet: how much of it was read, and how long it is.
fn next(socket: &OwnedFd, buffer: &mut Vec<u8>) -> std::io::Result<Option<(usize, usize)>> {
    const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    if poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&WAIT))? == 0 {
        return Ok(None);
    }
    let (read, length) = recv(socket, buffer.as_mut_slice(), RecvFlags::TRUNC)?;
    Ok(Some((read.min(PACKET_BYTES_MAX), length)))
}

fn is_wanted(ends: Ends, peer: Option<IpAddr>, ports: &BTreeSet<u16>) -> bool {
    let has_peer = peer.is_none_or(|peer| ends.from == peer || ends.to == peer);
    let has_port =
        ports.is_empty() || ends.ports.is_some_and(|(from, to)| ports.contains(&from) || ports.contains(&to));
    has_peer && has_port
}

/// Reads the heads of a packet; `None` for what is no IP.
fn ends(packet: &[u8]) -> Option<Ends> {
    let (from, to, protocol, rest) = match packet.first()? >> 4 {
        4 => {
            let from: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            let length = usize::from(packet[0] & 15) * 4;
            // Only the first fragment has ports.
            let is_first = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff == 0;
            let rest = is_first.then(|| packet.get(length.max(20)..)).flatten();
            (IpAddr::V4(Ipv4Addr::from(from)), IpAddr::V4(Ipv4Addr::from(to)), packet[9], rest)
        }
        6 => {
            let from: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            let (protocol, rest) = behind(packet[6], packet.get(40..)?);
            (IpAddr::V6(Ipv6Addr::from(from)), IpAddr::V6(Ipv6Addr::from(to)), protocol, rest)
        }
        _ => return None,
    };
    let ports = rest.filter(|_| protocol == TCP || protocol == UDP).and_then(|rest| {
        let ports: &[u8; 4] = rest.first_chunk()?;
        Some((u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])))
    });
    Some(Ends { from, to, ports })
}

/// Passes over the headers that IPv6 may have before the protocol.
fn behind(mut protocol: u8, mut rest: &[u8]) -> (u8, Option<&[u8]>) {
    const HEADERS_MAX: usize = 8;
    for _ in 0..HEADERS_MAX {
        let length = match (protocol, rest) {
            // Hop by hop, routing, destination: so many times eight bytes, the first not counted.
            (0 | 43 | 60, [_, length, ..]) => (usize::from(*length) + 1) * 8,
            // A fragment, and only the first has ports.
            (44, [_, _, high, low, ..]) if u16::from_be_bytes([*high, *low]) >> 3 == 0 => 8,
            (0 | 43 | 44 | 60, _) => return (protocol, None),
            _ => return (protocol, Some(rest)),
        };
        protocol = rest[0];
        match rest.get(length..) {
            Some(more) => rest = more,
            None => return (protocol, None),
        }
    }
    (protocol, None)
}

/// The ports that the server has sockets on.
fn ports_of(scene: &Scene) -> BTreeSet<u16> {
    let Some(pid) = scene.subject.pid else { return BTreeSet::new() };
    let tree: Vec<i32> = std::iter::once(pid)
        .chain(process::descendants(&scene.roots.proc, pid).into_iter().map(|id| id.pid))
        .collect();
    let owners = scene.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).owners.clone();
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        let bytes = kernel(&folder(scene, pid).join("net").join(table), TABLE_BYTES_MAX).unwrap_or_default();
        for socket in host::inet_sockets(&bytes) {
            let is_theirs =
                owners.get(&socket.inode).is_some_and(|pids| pids.iter().any(|pid| tree.contains(pid)));
            if is_theirs && socket.local.port() != 0 {
                ports.insert(socket.local.port());
            }
        }
    }
    ports
}

fn header() -> Vec<u8> {
    /// Packets that begin with the header of IPv4 or IPv6 (`LINKTYPE_RAW`).
    const IP: u32 = 101;
    let longest = u32::try_from(PACKET_BYTES_MAX).unwrap_or(u32::MAX);
    let mut header = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    header.extend([2_u16, 4].iter().flat_map(|number| number.to_le_bytes()));
    header.extend([0, 0, longest, IP].iter().flat_map(|number: &u32| number.to_le_bytes()));
    header
}

fn record(since_epoch: Duration, n_bytes: usize, length: usize) -> [u8; 16] {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let mut record = [0; 16];
    // The format ends with 32 bits of seconds.
    record[..4].copy_from_slice(&(since_epoch.as_secs() as u32).to_le_bytes());
    record[4..8].copy_from_slice(&since_epoch.subsec_micros().to_le_bytes());
    record[8..12].copy_from_slice(&number(n_bytes));
    record[12..].copy_from_slice(&number(length));
    record
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::{Ends, ends, is_wanted};

    fn v4(ports: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(ports);
        packet
    }

    fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        packet.extend([0; 15]);
        packet.push(1);
        packet.extend([0; 15]);
        packet.push(2);
        packet.extend(rest);
        packet
    }

    #[test]
    fn ends_of_packets() {
        let of = |packet: &[u8]| {
            ends(packet).map(|Ends { from, to, ports }| (from.to_string(), to.to_string(), ports))
        };
        let two = |from: &str, to: &str, ports| Some((from.to_owned(), to.to_owned(), ports));
        assert_eq!(of(&v4([0x1f, 0x90, 0, 80])), two("10.0.0.1", "10.0.0.2", Some((8080, 80))));
        assert_eq!(of(&v6(17, &[0, 53, 0, 54])), two("::1", "::2", Some((53, 54))));
        // Behind a header of options; and a fragment that is not the first.
        assert_eq!(of(&v6(0, &[6, 0, 0, 0, 0, 0, 0, 0, 0, 80, 0, 81])), two("::1", "::2", Some((80, 81))));
        assert_eq!(of(&v6(44, &[6, 0, 0, 8, 0, 0, 0, 0, 0, 80, 0, 81])), two("::1", "::2", None));
        let mut fragment = v4([0, 1, 0, 2]);
        fragment[7] = 9;
        assert_eq!(of(&fragment), two("10.0.0.1", "10.0.0.2", None));
        assert_eq!(of(&[0, 1, 8, 0]), None, "ARP");
        for packet in [v4([0; 4]), v6(0, &[60, 200, 0, 0]), v6(43, &[43, 0, 0, 0, 0, 0, 0, 0].repeat(20))] {
            (0..=packet.len()).for_each(|length| {
                let _ = ends(&packet[..length]);
            });
        }
    }

    #[test]
    fn what_is_wanted() {
        let ends = ends(&v4([0x1f, 0x90, 0, 80])).unwrap();
        let check = |peer: Option<&str>, ports: &[u16], expect| {
            let peer = peer.map(|peer| peer.parse::<IpAddr>().unwrap());
            assert_eq!(is_wanted(ends, peer, &ports.iter().copied().collect::<BTreeSet<_>>()), expect);
        };
        check(None, &[80], true);
        check(None, &[8080], true);
        check(None, &[81], false);
        check(Some("10.0.0.2"), &[], true);
        check(Some("10.0.0.3"), &[80], false);
        check(Some("10.0.0.1"), &[81], false);
    }
}
