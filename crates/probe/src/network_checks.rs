//! Owns the checks over the network: an HTTP status, and a TCP connection.

use std::net::SocketAddr;

use futures_util::future;
use tokio::net::{TcpStream, lookup_host};

use crate::liveness::failed;
use crate::reason;
use crate::report::Verdict;

/// A name with more addresses than this is asked at the first ones.
const ADDRESSES_MAX: usize = 16;

/// Healthy below 400. The body is not read: the status is the whole answer.
pub(crate) async fn http(client: &reqwest::Client, url: &str) -> Verdict {
    match client.get(url).send().await {
        Ok(response) if response.status().as_u16() < 400 => {
            Verdict::healthy(format!("HTTP {}", response.status().as_u16()))
        }
        Ok(response) => Verdict::unhealthy(format!("HTTP {}", response.status().as_u16())),
        Err(error) => failed(error),
    }
}

/// Healthy when one of the addresses accepts. All are tried at once, or one that never answers would use up the
/// time of the others.
pub(crate) async fn tcp(address: &str) -> Verdict {
    let Some((host, port)) = host_and_port(address) else {
        return Verdict::unknown(format!("`{address}` is not HOST:PORT"));
    };
    let addresses: Vec<SocketAddr> = match lookup_host((host, port)).await {
        Ok(addresses) => addresses.take(ADDRESSES_MAX).collect(),
        Err(error) => {
            return Verdict::unhealthy(format!("`{host}` has no address: {}", reason::of_error(&error)));
        }
    };
    let connections = addresses.into_iter().map(|address| {
        Box::pin(async move {
            let connected = TcpStream::connect(address).await;
            connected.map(|_| address).map_err(|error| format!("{address}: {}", reason::of_error(&error)))
        })
    });
    let connections: Vec<_> = connections.collect();
    if connections.is_empty() {
        return Verdict::unhealthy(format!("`{host}` has no address"));
    }
    match future::select_ok(connections).await {
        Ok((address, _)) => Verdict::healthy(format!("{address} accepts connections")),
        Err(last) => Verdict::unhealthy(last),
    }
}

/// `HOST:PORT` or `[IPV6]:PORT`; an IPv6 address without brackets would be ambiguous.
pub(crate) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|inner| inner.contains(':'))?,
        None => Some(host).filter(|host| !host.contains([':', ']']))?,
    };
    let port = Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?;
    (!host.is_empty() && port != 0).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn addresses() {
        assert_eq!(host_and_port("db.example:5432"), Some(("db.example", 5432)));
        assert_eq!(host_and_port("[::1]:80"), Some(("::1", 80)));
        for odd in [
            "", ":", "db", "db:", ":80", "::1:80", "[::1]", "[::1:80", "::1]:80", "[db]:80", "db:+80",
            "db:0", "db:99999",
        ] {
            assert_eq!(host_and_port(odd), None, "{odd}");
        }
    }
}
