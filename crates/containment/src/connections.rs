//! Owns ending connections of TCP that stand already: the kernel resets them at both ends (`SOCK_DESTROY`).

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};

use host::{Roots, TcpConnection};
use rustix::io::Errno;
use rustix::net::netlink;

use crate::filter::{Filter, FilterError};
use crate::network::Network;
use crate::wire;

const DESTROY: u16 = 21;
const TCP: u8 = 6;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// Descriptors that one process is looked at for.
const DESCRIPTORS_MAX: usize = 65_536;

/// Ends the connections that a filter lets through no more, and those of these processes to other machines. Returns
/// how many there were.
///
/// # Errors
/// Where it takes root, or the kernel cannot end connections.
pub fn cut(filter: &Filter, pids: &[i32], own: &[Network]) -> Result<usize, FilterError> {
    let inodes: HashSet<u64> = pids.iter().flat_map(|pid| inodes(*pid)).collect();
    let is_meant = |one: &TcpConnection| {
        let remote = one.remote.ip().to_canonical();
        if remote.is_loopback() || remote.is_unspecified() || own.iter().any(|own| own.has(remote)) {
            return false;
        }
        filter.blocked.iter().any(|network| network.has(remote))
            || filter.ports.contains(&one.local.port())
            || inodes.contains(&one.inode)
    };
    let found = host::tcp_connections(&Roots::default());
    let mut n_cut = 0;
    let socket = wire::open(netlink::SOCK_DIAG).map_err(FilterError::from)?;
    for connection in found.iter().filter(|one| is_meant(one)) {
        match wire::tell(&socket, DESTROY, &request(connection)) {
            Ok(()) => n_cut += 1,
            // It ended by itself.
            Err(error) if error.errno() == Errno::NOENT => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(n_cut)
}

/// The connection as the kernel knows it: family, protocol, then ports, addresses, and no interface and no mark.
fn request(one: &TcpConnection) -> Vec<u8> {
    let mut bytes = vec![if one.is_ipv6 { IPV6 } else { IPV4 }, TCP, 0, 0];
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(one.local.port().to_be_bytes());
    bytes.extend(one.remote.port().to_be_bytes());
    for end in [one.local, one.remote] {
        bytes.extend(address(end, one.is_ipv6));
    }
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([u32::MAX.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat());
    bytes
}

fn address(end: SocketAddr, is_ipv6: bool) -> [u8; 16] {
    let mut bytes = [0; 16];
    match end.ip() {
        IpAddr::V4(own) if is_ipv6 => bytes.copy_from_slice(&own.to_ipv6_mapped().octets()),
        IpAddr::V4(own) => bytes[..4].copy_from_slice(&own.octets()),
        IpAddr::V6(own) => bytes.copy_from_slice(&own.octets()),
    }
    bytes
}

/// The sockets that a process has open, by their numbers.
fn inodes(pid: i32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.take(DESCRIPTORS_MAX).flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let number =
        |link: std::path::PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    links.filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_connection_is_named() {
        let one = TcpConnection {
            local: "10.0.0.1:8000".parse().unwrap(),
            remote: "10.0.0.2:4000".parse().unwrap(),
            is_ipv6: true,
            inode: 1,
        };
        let bytes = request(&one);
        assert_eq!(bytes.len(), 56);
        assert_eq!(bytes[..4], [IPV6, TCP, 0, 0]);
        assert_eq!(bytes[8..12], [0x1f, 0x40, 0x0f, 0xa0]);
        assert_eq!(bytes[22..28], [0xff, 0xff, 10, 0, 0, 1], "IPv4 on a socket of IPv6");
        let v4 = request(&TcpConnection { is_ipv6: false, ..one });
        assert_eq!((v4[0], &v4[12..16], &v4[16..28]), (IPV4, [10, 0, 0, 1].as_slice(), [0; 12].as_slice()));
    }
}
