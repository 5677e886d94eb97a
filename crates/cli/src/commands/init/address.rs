//! Owns reading the address of a server that a client's file names: is it on this machine, at which port.

use std::net::IpAddr;

/// An http or https address, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The host, in small letters, without brackets.
    host: String,
    /// The port, also where the address does not name it.
    pub(super) port: u16,
    /// The address without user, query and fragment, which may hold secrets.
    pub(super) shown: String,
    /// Whether it had any of those.
    pub(super) has_more: bool,
}

// === impl Address ===

impl Address {
    /// `None` for what is no http or https address.
    pub(super) fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let path = &tail[..tail.find(['?', '#']).unwrap_or(tail.len())];
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => default,
            Some("") => default,
            Some(port) => port.parse().ok()?,
            None => return None,
        };
        let strange = |letter: char| letter.is_control() || letter.is_whitespace() || letter == '\\';
        if host.is_empty() || port == 0 || place.contains(strange) || path.contains(strange) {
            return None;
        }
        let shown = format!("{scheme}://{place}{path}");
        let has_more = place.len() < authority.len() || path.len() < tail.len();
        Some(Self { host: host.to_ascii_lowercase(), port, shown, has_more })
    }

    /// Whether it can only be a server of this machine.
    pub(super) fn is_here(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn ports_are_exact_and_hosts_are_here_or_not() {
        for (url, expect) in [
            ("http://127.0.0.1:3000/mcp", Some((3000, true))),
            ("http://localhost/mcp", Some((80, true))),
            ("http://localhost:8080", Some((8080, true))),
            ("http://LocalHost:80/", Some((80, true))),
            ("https://[::1]/mcp", Some((443, true))),
            ("http://[::1]:9/mcp", Some((9, true))),
            ("http://127.8.8.8:1/", Some((1, true))),
            ("https://example.org/mcp", Some((443, false))),
            ("http://localhost.example.org:80/", Some((80, false))),
            ("http://127.0.0.1.example.org/", Some((80, false))),
            ("http://localhost:1@example.org/", Some((80, false))),
            ("http://10.0.0.1:3000/", Some((3000, false))),
            ("http://localhost:0/", None),
            ("http://localhost:65536/", None),
            ("http://localhost:x/", None),
            ("http://[::1]x/", None),
            ("http:///mcp", None),
            ("ws://localhost/", None),
            ("localhost:80", None),
            ("http://local host/", None),
            ("", None),
        ] {
            let found = Address::parse(url).map(|address| (address.port, address.is_here()));
            assert_eq!(found, expect, "{url}");
        }
    }

    #[test]
    fn what_may_be_secret_is_left_out() {
        for (url, shown, has_more) in [
            ("http://localhost:1/mcp?key=s3cret", "http://localhost:1/mcp", true),
            ("http://me:s3cret@localhost:1/mcp", "http://localhost:1/mcp", true),
            ("http://localhost:1#s3cret", "http://localhost:1", true),
            ("HTTP://localhost:1/mcp", "http://localhost:1/mcp", false),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.shown.as_str(), address.has_more), (shown, has_more), "{url}");
        }
    }
}
