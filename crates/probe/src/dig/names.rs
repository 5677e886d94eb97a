//! Owns asking the name service itself, for each family of addresses on its own.
//!
//! The system's resolver gives addresses or none, and says neither which question was not answered nor how long each took.
//! So the servers of `/etc/resolv.conf` are asked beside it. Of an answer only its code and the count of its records are
//! read; no address from it is used.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

/// A resolver that is well answers within this time, also from far away.
const TRY_WITHIN: Duration = Duration::from_millis(800);
/// Packets are lost now and then.
const TRIES: u8 = 2;
/// As many as the system's resolver uses.
const SERVERS_MAX: usize = 3;
const CONFIGURATION_BYTES_MAX: usize = 64 * 1024;

const A: u16 = 1;
const AAAA: u16 = 28;

/// Who knows names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The servers, in their order.
    pub servers: Vec<SocketAddr>,
}

/// What the name service says to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// So many records.
    Records(u16),
    /// There is no such name.
    NoSuchName,
    /// It could not find out; the number is the code of its answer.
    Failed(u8),
    /// Nothing.
    Silent,
}

// === impl Names ===

impl Names {
    /// Reads the text of a `resolv.conf`.
    pub fn of(text: &str) -> Self {
        let text = &text[..text.floor_char_boundary(CONFIGURATION_BYTES_MAX.min(text.len()))];
        let server = |line: &str| {
            let mut words = line.split_whitespace();
            let address = (words.next() == Some("nameserver")).then(|| words.next())??;
            // An address of a link names its interface behind a percent sign, which only the system understands.
            Some(SocketAddr::new(address.split('%').next()?.parse().ok()?, 53))
        };
        Self { servers: text.lines().filter_map(server).take(SERVERS_MAX).collect() }
    }

    /// The servers of this machine; none where its configuration cannot be read.
    pub fn of_this_machine() -> Self {
        Self::of(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
    }

    /// Asks for the addresses of a name of both families at once: of IPv4, then of IPv6. None where nobody is asked: an
    /// address needs no name service, and a name without a dot is mostly one of this machine.
    pub(super) async fn ask(&self, host: &str, until: Instant) -> Option<(Said, Said)> {
        let is_name = host.contains('.') && host.parse::<IpAddr>().is_err();
        if !is_name || self.servers.is_empty() {
            return None;
        }
        Some(tokio::join!(self.ask_for(host, A, until), self.ask_for(host, AAAA, until)))
    }

    async fn ask_for(&self, host: &str, kind: u16, until: Instant) -> Said {
        let mut said = Said::Silent;
        for server in &self.servers {
            for attempt in 0..TRIES {
                let left = until.saturating_duration_since(Instant::now()).min(TRY_WITHIN);
                // The number tells a late answer from that to another question; that somebody guesses it is no danger here.
                let number = kind.wrapping_mul(257) ^ u16::from(attempt) ^ server.port();
                match timeout(left, exchange(*server, host, kind, number)).await {
                    Ok(Some(answer @ (Said::Records(_) | Said::NoSuchName))) => return answer,
                    Ok(Some(answer)) => said = answer,
                    Ok(None) | Err(_) => {}
                }
            }
        }
        said
    }
}

// === impl Said ===

impl Said {
    pub(super) fn is_answer(self) -> bool {
        matches!(self, Self::Records(_) | Self::NoSuchName)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(count) => write!(f, "{count} record(s)"),
            Self::NoSuchName => f.write_str("no such name"),
            Self::Failed(code) => write!(f, "the name service fails (code {code})"),
            Self::Silent => f.write_str("no answer"),
        }
    }
}

/// The family for which the name service does not answer, while it does for the other one.
pub(super) fn missing_family(ipv4: Said, ipv6: Said) -> Option<&'static str> {
    match (ipv4.is_answer(), ipv6.is_answer()) {
        (true, false) => Some("ipv6"),
        (false, true) => Some("ipv4"),
        _ => None,
    }
}

async fn exchange(server: SocketAddr, host: &str, kind: u16, number: u16) -> Option<Said> {
    let any: SocketAddr =
        if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(&question(host, kind, number)?).await.ok()?;
    let mut answer = [0; 1500];
    loop {
        let length = socket.recv(&mut answer).await.ok()?;
        if let Some(said) = understand(&answer[..length], number) {
            return Some(said);
        }
    }
}

/// A header of twelve bytes, then the name in labels with their lengths, the kind, and the class `IN`.
fn question(host: &str, kind: u16, number: u16) -> Option<Vec<u8>> {
    const RECURSION_DESIRED: u16 = 0x0100;
    let mut bytes = Vec::with_capacity(host.len() + 18);
    for word in [number, RECURSION_DESIRED, 1, 0, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for label in host.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    // A name has at most 253 bytes.
    (host.len() <= 253).then_some(bytes)
}

/// What an answer says; none where it is no answer to this question.
fn understand(bytes: &[u8], number: u16) -> Option<Said> {
    const IS_ANSWER: u16 = 0x8000;
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (flags, records) = (word(2)?, word(6)?);
    if word(0)? != number || flags & IS_ANSWER == 0 {
        return None;
    }
    Some(match flags & 0x000f {
        0 => Said::Records(records),
        3 => Said::NoSuchName,
        code => Said::Failed(u8::try_from(code).unwrap_or(u8::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_a_configuration() {
        let text = "# x\nsearch example.org\nnameserver 127.0.0.1\n nameserver ::1\nnameserver fe80::1%eth0\nnameserver x\nnameserver 9.9.9.9\n";
        let servers: Vec<String> = Names::of(text).servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["127.0.0.1:53", "[::1]:53", "[fe80::1]:53"]);
        assert_eq!(Names::of(""), Names::default());
    }

    #[test]
    fn questions_are_names_that_can_be() {
        let bytes = question("a.bc", A, 7).unwrap();
        assert_eq!(bytes, [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1]);
        for odd in ["", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            assert_eq!(question(odd, A, 1), None, "{odd}");
        }
    }

    #[test]
    fn answers() {
        let answer = |number: u16, flags: u16, records: u16| {
            let words = [number, flags, 1, records, 0, 0];
            words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>()
        };
        for (bytes, expect) in [
            (answer(7, 0x8180, 2), Some(Said::Records(2))),
            (answer(7, 0x8183, 0), Some(Said::NoSuchName)),
            (answer(7, 0x8182, 0), Some(Said::Failed(2))),
            (answer(8, 0x8180, 2), None),
            (answer(7, 0x0100, 0), None),
            (vec![0, 7, 0x81], None),
            (Vec::new(), None),
        ] {
            assert_eq!(understand(&bytes, 7), expect, "{bytes:?}");
        }
    }

    /// A name service that answers for one family only.
    #[tokio::test]
    async fn a_family_that_is_not_answered() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let names = Names { servers: vec![socket.local_addr().unwrap()] };
        let serving = tokio::spawn(async move {
            let mut bytes = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
                let kind = u16::from_be_bytes([bytes[length - 4], bytes[length - 3]]);
                if kind == A {
                    let answer =
                        [&bytes[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &bytes[12..length]].concat();
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(20);
        let (ipv4, ipv6) = names.ask("api.example.org", until).await.unwrap();
        assert_eq!((ipv4, ipv6), (Said::Records(1), Said::Silent));
        assert_eq!(missing_family(ipv4, ipv6), Some("ipv6"));
        assert_eq!(missing_family(ipv6, ipv6), None);
        for nobody in ["127.0.0.1", "localhost", "::1"] {
            assert_eq!(names.ask(nobody, until).await, None);
        }
        serving.abort();
    }
}
