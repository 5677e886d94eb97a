//! Owns what is found about the network of the machine: a way out, and somebody who knows names.

use diagnosis::{Finding, kind};

use super::{MACHINE, warning_if};
use crate::roots::{FILE_BYTES_MAX, Roots, read};
use crate::text::{hex, lines, words};

/// The flag of a route that is in use, and the one of a route that rejects.
const UP: u64 = 0x1;
const REJECT: u64 = 0x200;

pub(super) fn found(roots: &Roots) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(has) = has_way_out(roots) {
        let word = if has { "present" } else { "missing" };
        found.push(
            Finding::new(kind::NETWORK_ROUTE, MACHINE).with_value(word).with_severity(warning_if(!has)),
        );
    }
    if let Some(bytes) = read(&roots.etc.join("resolv.conf"), FILE_BYTES_MAX) {
        let servers = lines(&bytes).filter(|line| words(line).next() == Some(b"nameserver")).count();
        let word = if servers > 0 { "ok" } else { "missing" };
        let message = format!("/etc/resolv.conf names {servers} server(s)");
        found.push(Finding::new(kind::RESOLVER, MACHINE).with_value(word).with_message(&message));
    }
    found
}

/// Whether a default route is in use, of either family; `None` where the kernel does not tell.
fn has_way_out(roots: &Roots) -> Option<bool> {
    let ipv4 = read(&roots.proc.join("net/route"), FILE_BYTES_MAX);
    let ipv6 = read(&roots.proc.join("net/ipv6_route"), FILE_BYTES_MAX);
    if ipv4.is_none() && ipv6.is_none() {
        return None;
    }
    let is_used = |flags: Option<u64>| flags.is_some_and(|flags| flags & UP != 0 && flags & REJECT == 0);
    // Interface, destination, gateway, flags, references, use, metric, mask: all zero is everywhere.
    let of_ipv4 = |line: &[u8]| {
        let fields: Vec<&[u8]> = words(line).take(8).collect();
        let everywhere = |n: usize| fields.get(n).copied().and_then(hex) == Some(0);
        everywhere(1) && everywhere(7) && is_used(fields.get(3).copied().and_then(hex))
    };
    // Destination, its length, source, its length, next, metric, references, use, flags, interface.
    let of_ipv6 = |line: &[u8]| {
        let fields: Vec<&[u8]> = words(line).take(10).collect();
        let everywhere = fields.get(1).copied().and_then(hex) == Some(0)
            && fields.first().is_some_and(|to| to.iter().all(|digit| *digit == b'0'));
        everywhere
            && fields.get(9) != Some(&b"lo".as_slice())
            && is_used(fields.get(8).copied().and_then(hex))
    };
    let (ipv4, ipv6) = (ipv4.unwrap_or_default(), ipv6.unwrap_or_default());
    Some(lines(&ipv4).skip(1).any(of_ipv4) || lines(&ipv6).any(of_ipv6))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn routes_and_name_servers() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        assert!(found(&roots).is_empty());
        fs::create_dir_all(roots.proc.join("net")).unwrap();
        fs::create_dir_all(&roots.etc).unwrap();
        let header = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";
        let check = |ipv4: &str, ipv6: &str, resolv: &str, expect: &[&str]| {
            fs::write(roots.proc.join("net/route"), format!("{header}{ipv4}")).unwrap();
            fs::write(roots.proc.join("net/ipv6_route"), ipv6).unwrap();
            fs::write(roots.etc.join("resolv.conf"), resolv).unwrap();
            let values: Vec<String> =
                found(&roots).iter().map(|one| one.value().unwrap().to_string()).collect();
            assert_eq!(values, expect, "{ipv4} {ipv6}");
        };
        let zeros = "00000000000000000000000000000000";
        check(
            "eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n",
            "",
            "nameserver ::1\n",
            &["present", "ok"],
        );
        check(
            "eth0 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
            "",
            "search x\n",
            &["missing", "missing"],
        );
        check(
            "",
            &format!("{zeros} 00 {zeros} 00 {zeros} 00000400 1 0 00000003 eth0\n"),
            "",
            &["present", "missing"],
        );
        // The kernel's own route that leads nowhere.
        check(
            "",
            &format!("{zeros} 00 {zeros} 00 {zeros} ffffffff 1 0 00200200 lo\n"),
            "",
            &["missing", "missing"],
        );
    }
}
