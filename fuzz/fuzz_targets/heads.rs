//! Owns throwing any headers at the guard: whom it admits a browser would call this machine as well, and whatever else they
//! say is understood or not.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

const NAMES: [&str; 13] = [
    "origin",
    "host",
    "accept",
    "authorization",
    "mcp-session-id",
    "mcp-protocol-version",
    "last-event-id",
    "traceparent",
    "x-forwarded-for",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
];

/// Whether a browser takes this for another machine.
fn is_elsewhere(url: &str, listen: IpAddr) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name != "localhost",
        Some(Host::Ipv4(address)) => !address.is_loopback() && IpAddr::V4(address) != listen,
        Some(Host::Ipv6(address)) => !address.is_loopback() && IpAddr::V6(address) != listen,
        // It would not go anywhere.
        None => false,
    }
}

fuzz_target!(|input: (bool, &str, Vec<(u8, &[u8])>)| {
    let (is_public, path, headers) = input;
    let listen: SocketAddr = if is_public { "192.0.2.7:80" } else { "127.0.0.1:8101" }.parse().expect("an address");
    let name = |number: u8| HeaderName::from_static(NAMES[usize::from(number) % NAMES.len()]);
    let headers: Vec<(HeaderName, &[u8])> = headers.into_iter().map(|(which, value)| (name(which), value)).collect();
    guard::fuzz::headers(path, &headers);
    if guard::fuzz::admitted(listen, &headers) {
        for (name, value) in &headers {
            // What no header can hold did not come.
            let Ok(value) = http::HeaderValue::from_bytes(value) else { continue };
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            match name.as_str() {
                "origin" => assert!(!is_elsewhere(&text, listen.ip()), "{text}"),
                "host" if !is_public => assert!(!is_elsewhere(&format!("http://{text}/"), listen.ip()), "{text}"),
                _ => {}
            }
        }
    }
});
