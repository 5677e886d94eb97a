//! Owns which headers go through, and what a media type says.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// What belongs to a connection, and not to a request. Like all of these a static, which is not made anew for each look.
static HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What the upstream gets from the guard itself. `Origin` was answered here, and an upstream that checks it would compare it
/// with its own address.
static OF_THE_WAY: [HeaderName; 4] = [header::HOST, header::CONTENT_LENGTH, header::ORIGIN, header::EXPECT];

/// The media type of a stream.
pub(super) const EVENTS: &str = "text/event-stream";

/// Whether a header belongs to a connection.
pub(super) fn is_of_connection(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// The headers of a client that go on to the upstream: what belongs to its connection, and where it went to, stays here.
pub(crate) fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let connection = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named = connection.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    let named: Vec<HeaderName> = named.collect();
    headers.iter().filter(move |(name, _)| {
        !is_of_connection(name) && !OF_THE_WAY.contains(name) && !named.contains(name)
    })
}

pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split_once(';').map_or(value, |(before, _)| before).trim_ascii()
}

pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case(EVENTS)
}
