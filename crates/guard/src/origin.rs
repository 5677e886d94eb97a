//! Owns where a request may come from: a page that has rebound its name to this machine gives itself away by `Origin` or `Host`.

use std::net::{IpAddr, SocketAddr};

use http::header;
use http::request::Parts;

/// Whether a request comes from where it may; otherwise the reason why not.
pub(crate) fn admitted(head: &Parts, listen: SocketAddr) -> Result<(), String> {
    for origin in head.headers.get_all(header::ORIGIN) {
        let host = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        if !host.is_some_and(|(_, authority)| is_local(authority, listen)) {
            return Err(format!("origin {origin:?} is not allowed"));
        }
    }
    // Only HTTP/1.0 knows no host, and no browser speaks it.
    let hosts = head.headers.get_all(header::HOST).iter().map(|host| host.to_str().map_err(|_| ()));
    for host in head.uri.authority().map(|authority| Ok(authority.as_str())).into_iter().chain(hosts) {
        match host {
            Ok(host) if listen.ip().is_loopback() && !is_local(host, listen) => {
                return Err(format!("host {host:?} is not allowed on a loopback address"));
            }
            Ok(_) => {}
            Err(()) => return Err("the host is not text".to_owned()),
        }
    }
    Ok(())
}

/// Whether `HOST` or `HOST:PORT` means this machine, or the address that the guard listens on.
fn is_local(authority: &str, listen: SocketAddr) -> bool {
    let (host, port) = match authority.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((host, rest))) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
        Some(None) => return false,
        None => authority.split_once(':').map_or((authority, Some("")), |(host, port)| (host, Some(port))),
    };
    // Whatever else stands there, others may read as another host.
    if !port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())) {
        return false;
    }
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback() || address == listen.ip())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::admitted;

    #[track_caller]
    fn check(listen: &str, host: Option<&str>, origin: Option<&str>, expect: bool) {
        let mut request = Request::builder();
        for (name, value) in [("host", host), ("origin", origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(admitted(&head, listen.parse().unwrap()).is_ok(), expect, "{host:?} {origin:?}");
    }

    #[test]
    fn only_this_machine_is_admitted_on_loopback() {
        let listen = "127.0.0.1:8101";
        for host in
            ["localhost", "localhost:8101", "LOCALHOST:1", "127.0.0.1:8101", "127.1.2.3", "[::1]:8101"]
        {
            check(listen, Some(host), None, true);
        }
        check(listen, None, None, true);
        for host in [
            "evil.example",
            "evil.example:8101",
            "localhost.evil.example",
            "localhost:80@evil.example",
            "localhost:80/evil",
            "[::1]evil.example",
            "192.0.2.1",
            "",
            "[::1",
        ] {
            check(listen, Some(host), None, false);
        }
        for origin in ["http://localhost:5173", "http://127.0.0.1", "https://[::1]:3"] {
            check(listen, Some("localhost"), Some(origin), true);
        }
        for origin in ["null", "http://evil.example", "http://localhost.evil.example", "", "file://"] {
            check(listen, Some("localhost"), Some(origin), false);
        }
    }

    #[test]
    fn other_addresses_have_other_names() {
        check("192.0.2.7:80", Some("mcp.example"), None, true);
        check("192.0.2.7:80", Some("mcp.example"), Some("http://192.0.2.7"), true);
        check("192.0.2.7:80", Some("mcp.example"), Some("http://mcp.example"), false);
    }
}
