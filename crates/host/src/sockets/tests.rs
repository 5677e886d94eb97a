//! Owns the tests of the socket tables: addresses, owners, strangers, and lines that are none.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;

use super::{Protocol, Socket, SocketState, Sockets, connection_uid};
use crate::Roots;

const HEADER: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

fn word(octets: [u8; 4]) -> String {
    format!("{:08X}", u32::from_ne_bytes(octets))
}

fn row(local: &str, remote: &str, state: &str, uid: u32, inode: u64) -> String {
    format!(
        "   0: {local} {remote} {state} 00000002:0000000A 00:00000000 00000000  {uid}        0 {inode} 1 0 100 0\n"
    )
}

fn tables(tcp: &str, tcp6: &str, unix: &str) -> (tempfile::TempDir, Roots) {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::below(root.path());
    for net in [roots.proc.join("net"), roots.process(9).join("net")] {
        fs::create_dir_all(&net).unwrap();
        fs::write(net.join("tcp"), format!("{HEADER}{tcp}")).unwrap();
        fs::write(net.join("tcp6"), format!("{HEADER}{tcp6}")).unwrap();
        fs::write(
            net.join("unix"),
            format!("Num       RefCount Protocol Flags    Type St Inode Path\n{unix}"),
        )
        .unwrap();
    }
    (root, roots)
}

#[test]
fn listeners_of_all_and_connections_of_the_tree() {
    let (local, other) = (word([127, 0, 0, 1]), word([10, 1, 2, 3]));
    let none = word([0, 0, 0, 0]);
    let tcp = [
        row(&format!("{local}:1F90"), &format!("{none}:0000"), "0A", 1000, 71),
        row(&format!("{local}:1F90"), &format!("{other}:C350"), "01", 1000, 72),
        row(&format!("{local}:1F90"), &format!("{other}:C351"), "01", 0, 73),
        row(&format!("{local}:1F90"), &format!("{other}:C352"), "06", 0, 0),
        "   4: garbage\n".to_owned(),
    ];
    let zeros = none.repeat(4);
    let tcp6 = row(&format!("{zeros}:0050"), &format!("{zeros}:0000"), "0A", 0, 74);
    let unix = "0000000058d51d93: 00000002 00000000 00010000 0001 01  75 /run/a b.sock\n\
                0000000058d51d93: 00000003 00000000 00000000 0001 03 76\n\
                0000000058d51d93: 00000003 00000000 00000000 0001 03 77 @x\nshort\n";
    let (_root, roots) = tables(&tcp.concat(), &tcp6, unix);
    let owners = HashMap::from([(71, 9), (72, 10), (77, 9)]);
    let mut sockets = Sockets::read(&roots, 9, &owners).unwrap();

    let shown = |socket: &Socket| (socket.inode, socket.local.clone().unwrap_or_default(), socket.pid);
    let listed: Vec<_> = sockets.listed.iter().map(shown).collect();
    let expect = [
        (71, "127.0.0.1:8080", Some(9)),
        (72, "127.0.0.1:8080", Some(10)),
        (74, "[::]:80", None),
        (75, "/run/a b.sock", None),
        (77, "@x", Some(9)),
    ];
    assert_eq!(listed, expect.map(|(inode, local, pid)| (inode, local.to_owned(), pid)));
    assert_eq!(sockets.listed[1].remote.as_deref(), Some("10.1.2.3:50000"));
    assert_eq!((sockets.listed[0].receive_queue, sockets.listed[0].send_queue), (Some(10), None));
    let count = |state| sockets.tcp_states.get(&state).copied();
    assert_eq!(count(SocketState::Established), Some(2));
    assert_eq!(count(SocketState::TimeWait), Some(1));
    assert_eq!(count(SocketState::Listen), Some(2));

    fs::create_dir_all(roots.process(20).join("fd")).unwrap();
    symlink("socket:[74]", roots.process(20).join("fd/3")).unwrap();
    sockets.find_strangers(&roots, &[19, 20]);
    assert_eq!((sockets.listed[2].protocol, sockets.listed[2].pid), (Protocol::Tcp6, Some(20)));
    assert_eq!(sockets.listed[3].pid, None);
}

#[test]
fn a_process_that_is_gone_has_no_sockets() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Sockets::read(&Roots::below(root.path()), 9, &HashMap::new()), None);
}

#[test]
fn the_user_of_a_connection() {
    let local = word([127, 0, 0, 1]);
    let mapped = format!("{}{}{}{local}", word([0; 4]), word([0; 4]), word([0, 0, 255, 255]));
    let tcp = [
        // What is in its last wait shows root and no inode: not root's connection.
        row(&format!("{local}:C350"), &format!("{local}:1F90"), "06", 0, 0),
        row(&format!("{local}:1F90"), &format!("{local}:C350"), "01", 0, 81),
    ];
    let tcp6 = row(&format!("{mapped}:C350"), &format!("{mapped}:1F90"), "01", 1000, 82);
    let (_root, roots) = tables(&tcp.concat(), &tcp6, "");
    let uid = |client: &str, server: &str| {
        connection_uid(&roots, client.parse::<SocketAddr>().unwrap(), server.parse::<SocketAddr>().unwrap())
    };
    assert_eq!(uid("127.0.0.1:50000", "127.0.0.1:8080"), Some(1000));
    assert_eq!(uid("[::ffff:127.0.0.1]:50000", "127.0.0.1:8080"), Some(1000));
    assert_eq!(uid("127.0.0.1:50001", "127.0.0.1:8080"), None);
}

#[test]
fn a_real_connection_belongs_to_this_user() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let uid = connection_uid(&Roots::default(), client.local_addr().unwrap(), client.peer_addr().unwrap());
    assert_eq!(uid, Some(rustix::process::geteuid().as_raw()));
}

/// Opens many connections, in a namespace of its own: 9000 in each child, because a process may not have many more files.
const MANY: &str = "
import os, socket, sys
n = int(sys.argv[1])
held = [socket.create_server(('127.0.0.100', 8080))]
ends = []
for nth in range(0, n, 9000):
    said, says = os.pipe()
    if os.fork() == 0:
        listener = socket.create_server((f'127.0.0.{1 + nth // 9000}', 8080))
        for _ in range(min(9000, n - nth)):
            held.append(socket.create_connection(listener.getsockname()))
            held.append(listener.accept()[0])
        os.write(says, b'x')
        sys.stdin.read()
        os._exit(0)
    ends.append(said)
for said in ends:
    os.read(said, 1)
print('ready', flush=True)
sys.stdin.read()
";

/// 6,000 sockets, and 100,000 where time does not matter.
#[test]
fn many_sockets_in_another_network_namespace() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    if !rustix::process::getuid().is_root() {
        println!("SKIPPED: a network namespace takes root");
        return;
    }
    let connections = if std::env::var_os("PARAMEDIC_TEST_ALL").is_some() { 50_000 } else { 3000 };
    let script = format!("ip link set lo up && exec python3 -c \"$0\" {connections}");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", &script, MANY]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    if line != "ready\n" {
        println!("SKIPPED: no namespace, no `ip`, no Python, or too few descriptors: {line}");
        child.kill().unwrap();
        child.wait().unwrap();
        return;
    }
    let pid = i32::try_from(child.id()).unwrap();
    let roots = Roots::default();
    let owners = |pid: i32| {
        let id = process::ProcessId { pid, start_ticks: 0 };
        let details = crate::Details::read(&roots, id);
        details.descriptors.unwrap().socket_inodes().map(|inode| (inode, pid)).collect::<HashMap<_, _>>()
    };
    let told = Sockets::read(&roots, pid, &owners(pid)).unwrap();
    let mut text = Sockets::default();
    text.read_text(&roots.process(pid).join("net"), &owners(pid));
    let elsewhere = Sockets::read(&roots, 1, &HashMap::new()).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();

    assert_eq!(told.tcp_states.get(&SocketState::Established), Some(&(2 * connections)));
    assert!(told.listed.len() <= 2000);
    if connections < 50_000 {
        // A text of 16 megabytes and more is cut.
        assert_eq!(told.tcp_states, text.tcp_states);
        let of = |sockets: &Sockets| {
            let tcp = sockets.listed.iter().filter(|one| one.state == SocketState::Listen).cloned();
            tcp.map(|one| (one.local, one.uid, one.inode, one.pid)).collect::<Vec<_>>()
        };
        assert_eq!(of(&told), of(&text));
    }
    let is_there = |socket: &Socket| socket.state == SocketState::Listen && socket.pid == Some(pid);
    assert!(told.listed.iter().any(is_there), "{:?}", told.listed.first());
    assert_ne!(elsewhere.tcp_states.get(&SocketState::Established), Some(&(2 * connections)));
}

#[test]
fn how_much_went_over_a_connection() {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(&[1; 5000]).unwrap();
    server.read_exact(&mut [0; 5000]).unwrap();
    server.write_all(&[1; 300]).unwrap();
    client.read_exact(&mut [0; 300]).unwrap();
    let roots = Roots::default();
    let me = i32::try_from(std::process::id()).unwrap();
    let link = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&client)));
    let inode = crate::details::socket_inode(link.unwrap().to_str().unwrap()).unwrap();
    let [found] = crate::connections(&roots, me, &[inode].into()).unwrap().try_into().unwrap();
    assert_eq!((found.local, found.remote), (client.local_addr().unwrap(), listener.local_addr().unwrap()));
    // Of what was sent last the other end may not have confirmed all yet.
    assert!((1..=5001).contains(&found.sent_bytes) && found.received_bytes == 300, "{found:?}");
    assert_eq!(crate::connections(&roots, me, &[].into()), Some(Vec::new()));
}
