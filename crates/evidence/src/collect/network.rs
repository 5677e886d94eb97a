//! Owns the network as evidence: of every namespace the kernel's tables as they are, and every socket with who has it open.

use std::sync::PoisonError;

use serde::Serialize;

use super::Scene;
use super::out::Out;
use super::reading::kernel;
use crate::bundle::Gathered;

/// About 100,000 connections.
const TABLE_BYTES_MAX: u64 = 16 << 20;
/// A container host has some hundreds.
const NAMESPACES_MAX: usize = 500;
/// The tables with sockets that have an address.
const INET: [&str; 6] = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"];
/// The others: local sockets, routes, neighbours, interfaces, counters.
const OTHERS: [&str; 11] = [
    "unix",
    "packet",
    "netlink",
    "route",
    "ipv6_route",
    "arp",
    "dev",
    "if_inet6",
    "fib_trie",
    "snmp",
    "netstat",
];

#[derive(Serialize)]
struct Socket<'a> {
    namespace: &'a str,
    protocol: &'a str,
    #[serde(flatten)]
    socket: host::InetSocket,
    pids: &'a [i32],
}

/// Somebody on the same wire, and in which namespace.
#[derive(Serialize)]
struct Near<'a> {
    namespace: &'a str,
    #[serde(flatten)]
    neighbour: super::neighbours::Neighbour,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    let found = scene.found.lock().unwrap_or_else(PoisonError::into_inner);
    let tree = tree(scene);
    let (owners, mut namespaces) = (found.owners.clone(), found.networks.clone());
    drop(found);
    if namespaces.is_empty() {
        // Not root, or no process could be read: our own is always ours to see.
        namespaces.insert("own".to_owned(), 0);
    }
    for (namespace, pid) in namespaces.iter().take(NAMESPACES_MAX) {
        if out.is_given_up() {
            return;
        }
        let folder = match pid {
            0 => scene.roots.proc.join("net"),
            pid => scene.roots.proc.join(pid.to_string()).join("net"),
        };
        let number = namespace.trim_start_matches("net:[").trim_end_matches(']');
        for table in INET.iter().chain(&OTHERS) {
            out.doing(format!("`{table}` of the network namespace {number}"));
            let name = format!("t0/network/{number}/{table}");
            match kernel(&folder.join(table), TABLE_BYTES_MAX) {
                Err(error) => out.give(Gathered::missing(name, error.to_string())),
                Ok(bytes) => {
                    if INET.contains(table) {
                        for socket in host::inet_sockets(&bytes) {
                            let pids = owners.get(&socket.inode).map_or(&[][..], Vec::as_slice);
                            let line = Socket { namespace: number, protocol: table, socket, pids };
                            out.line("t0/sockets.jsonl", &line);
                            let has_peer = !line.socket.remote.ip().is_unspecified();
                            if has_peer && pids.iter().any(|pid| tree.contains(pid)) {
                                out.line("t0/server/peers.jsonl", &line);
                            }
                        }
                    }
                    out.give(Gathered::whole(name, bytes));
                }
            }
        }
        near(scene, out, number, *pid);
    }
}

/// The neighbours of IPv4 and IPv6; a tree that is not this machine has none that could be asked for.
fn near(scene: &Scene, out: &Out, number: &str, pid: i32) {
    if scene.root != std::path::Path::new("/") {
        return;
    }
    out.doing(format!("the neighbours in the network namespace {number}"));
    let process = if pid == 0 { "self".to_owned() } else { pid.to_string() };
    match super::neighbours::of(&scene.roots.proc.join(process).join("ns/net")) {
        Ok(neighbours) => {
            for neighbour in neighbours {
                out.line("t0/neighbours.jsonl", &Near { namespace: number, neighbour });
            }
        }
        Err(error) => {
            out.give(Gathered::missing(format!("t0/network/{number}/neighbours"), error.to_string()))
        }
    }
}

/// The server's processes.
fn tree(scene: &Scene) -> Vec<i32> {
    let Some(pid) = scene.subject.pid else { return Vec::new() };
    let below = process::descendants(&scene.roots.proc, pid).into_iter().map(|id| id.pid);
    std::iter::once(pid).chain(below).collect()
}
