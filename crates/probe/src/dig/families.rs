//! Owns connecting to all addresses of a name at once, and which families of addresses are reached.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout_at};

use crate::reason;

/// A family that is well answers within this time of the other one.
const SECOND_FAMILY_WITHIN: Duration = Duration::from_secs(2);

/// How an address was reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// It takes connections.
    Yes,
    /// It says no at once: nobody there, or no way there. Nobody waits for that.
    No(String),
    /// It says nothing.
    Silent,
}

/// Which addresses of each family were reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// Of IPv4.
    pub ipv4: BTreeSet<Reached>,
    /// Of IPv6.
    pub ipv6: BTreeSet<Reached>,
}

// === impl Families ===

impl Families {
    /// Whether there was no address at all.
    pub fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    /// The family that says nothing while the other one is reached. One that says no at once keeps nobody waiting.
    pub fn missing(&self) -> Option<&'static str> {
        let works = |family: &BTreeSet<Reached>| family.contains(&Reached::Yes);
        let silent = |family: &BTreeSet<Reached>| {
            !family.is_empty() && family.iter().all(|one| *one == Reached::Silent)
        };
        match () {
            () if works(&self.ipv4) && silent(&self.ipv6) => Some("ipv6"),
            () if works(&self.ipv6) && silent(&self.ipv4) => Some("ipv4"),
            () => None,
        }
    }

    fn put(&mut self, address: SocketAddr, reached: Reached) {
        let family = if address.is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
        family.insert(reached);
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |family: &BTreeSet<Reached>| match family.iter().next() {
            None => "no address".to_owned(),
            Some(Reached::Yes) => "reached".to_owned(),
            Some(Reached::No(why)) => why.clone(),
            Some(Reached::Silent) => "no answer".to_owned(),
        };
        write!(f, "IPv4: {}; IPv6: {}", words(&self.ipv4), words(&self.ipv6))
    }
}

/// Connects to all of these at once, and returns the first connection; of the other family only how it went.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    until: Instant,
) -> (Families, Option<(TcpStream, Duration)>, Option<io::Error>) {
    let started = Instant::now();
    let mut families = Families::default();
    let mut first: Option<(TcpStream, Duration)> = None;
    let mut refused = None;
    let mut waiting: FuturesUnordered<_> = addresses
        .iter()
        .map(|address| async move { (*address, timeout_at(until, TcpStream::connect(*address)).await) })
        .collect();
    let mut patience = until;
    while let Ok(Some((address, connected))) = timeout_at(patience, waiting.next()).await {
        match connected {
            Ok(Ok(stream)) => {
                families.put(address, Reached::Yes);
                first.get_or_insert((stream, started.elapsed()));
                patience = until.min(Instant::now() + SECOND_FAMILY_WITHIN);
            }
            Ok(Err(error)) => {
                families.put(address, Reached::No(reason::of_error(&error)));
                refused = Some(error);
            }
            Err(_) => families.put(address, Reached::Silent),
        }
        // Where both families have said what they say, nobody waits for the rest.
        let decided =
            |family: &BTreeSet<Reached>, is_there: bool| !is_there || family.contains(&Reached::Yes);
        let has = |is: fn(&SocketAddr) -> bool| addresses.iter().any(is);
        if decided(&families.ipv4, has(SocketAddr::is_ipv4))
            && decided(&families.ipv6, has(SocketAddr::is_ipv6))
        {
            break;
        }
    }
    let answered = |address: &SocketAddr| {
        let family = if address.is_ipv4() { &families.ipv4 } else { &families.ipv6 };
        !family.is_empty()
    };
    let silent: Vec<SocketAddr> = addresses.iter().copied().filter(|address| !answered(address)).collect();
    silent.into_iter().for_each(|address| families.put(address, Reached::Silent));
    (families, first, refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_missing_where_it_is_silent_and_the_other_is_not() {
        let no = || Reached::No("network unreachable".to_owned());
        for (ipv4, ipv6, expect) in [
            (vec![Reached::Yes], vec![Reached::Silent], Some("ipv6")),
            (vec![Reached::Silent], vec![Reached::Yes], Some("ipv4")),
            (vec![Reached::Yes, Reached::Silent], vec![Reached::Yes], None),
            // A machine without IPv6 is no machine with a trouble.
            (vec![Reached::Yes], vec![no()], None),
            (vec![Reached::Yes], vec![no(), Reached::Silent], None),
            (vec![Reached::Yes], vec![], None),
            (vec![Reached::Silent], vec![Reached::Silent], None),
            (vec![], vec![], None),
        ] {
            let families = Families { ipv4: ipv4.into_iter().collect(), ipv6: ipv6.into_iter().collect() };
            assert_eq!(families.missing(), expect, "{families}");
        }
    }

    #[tokio::test]
    async fn the_first_connection_is_kept() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let (families, first, _) = connect(&[address], until).await;
        assert_eq!(families.to_string(), "IPv4: reached; IPv6: no address");
        assert_eq!(first.unwrap().0.peer_addr().unwrap(), address);
        drop(listener);
        let (families, first, refused) = connect(&[address], until).await;
        assert_eq!(
            (families.to_string().as_str(), first.is_none()),
            ("IPv4: connection refused; IPv6: no address", true)
        );
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }
}
