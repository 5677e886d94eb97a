//! Owns what of an upstream's answers is given again without it, and to whom.
//!
//! An upstream may answer by who asks: by a token, a cookie, or what a client has said of itself at `initialize`. So what
//! is kept is given only to whoever would be the same to it: the same user of the guard, the same headers (but for those
//! that say nothing of a client), the same greeting. And only where the operator says for how long: the guard does not hear
//! every announcement, because each goes to one session and not all listen. Those that it hears end what is kept.

use std::time::Instant;

use http::{HeaderMap, HeaderName, header};
use sha2::{Digest, Sha256};

use super::Upstream;
use super::message::Message;
use super::running::Request;
use super::seen::Session;
use crate::cache::{CacheSettings, Wanted};
use crate::envelope::{self, Outcome};
use crate::inflight::{Who, narrowed};
use crate::state::Guard;

/// What differs between requests of one client, and by which nobody is answered otherwise.
static OF_REQUEST: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::USER_AGENT,
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// A mark of what a client has said of itself at `initialize`.
pub(super) type Greeting = [u8; 32];

/// The mark of these parameters.
pub(super) fn greeting(params: &str) -> Greeting {
    Sha256::digest(params).into()
}

/// What a request asks for, if its answer may be kept.
pub(super) fn wanted(
    guard: &Guard,
    upstream: &Upstream,
    settings: &CacheSettings,
    (session, headers): (&Session, &HeaderMap),
    message: &Message<'_>,
) -> Option<Wanted> {
    // Nearly nothing is: so that is asked first.
    let wanted =
        guard.cache.wanted(settings, upstream.own.generation(), "", &message.method, message.params)?;
    Some(wanted.within(context(session, headers)?))
}

/// In whose name something is asked; none where that is not known.
fn context(session: &Session, headers: &HeaderMap) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    // Each part with its length, so that no two of them can be read as others.
    let mut add = |part: &[u8]| {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    };
    add(&session.greeting?);
    add(session.user.get().map_or(b"", |user| user.as_bytes()));
    for (name, value) in headers.iter().filter(|(name, _)| !OF_REQUEST.contains(name)) {
        add(name.as_str().as_bytes());
        add(value.as_bytes());
    }
    Some(hash.finalize().into())
}

/// The answer to a request, where it is kept.
pub(super) fn answer(guard: &Guard, session: &Session, request: &mut Request) -> Option<Vec<u8>> {
    let wanted = request.wanted.as_ref()?;
    let kept = guard.cache.find(wanted, Instant::now());
    guard.metrics.cached(wanted.kind(), kept.is_some());
    let kept = kept?;
    let outcome = Outcome::Result(&kept);
    request.wanted = None;
    if let Some(error) = request.held_back(outcome) {
        request.answered(Outcome::Error(&error));
        return Some(envelope::response(&request.id, Outcome::Error(&error)));
    }
    request.answered(outcome);
    let who = Who { client: &session.client, place: session.place };
    Some(match narrowed(guard, request.method, who, outcome) {
        None => envelope::response(&request.id, outcome),
        Some(Ok(result)) => envelope::response(&request.id, Outcome::Result(&result)),
        Some(Err(error)) => envelope::response(&request.id, Outcome::Error(&error)),
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::super::seen::Seen;
    use super::context;

    #[test]
    fn who_asks_is_told_apart() {
        let (seen, now) = (Seen::default(), std::time::Instant::now());
        let here = "127.0.0.1".parse().unwrap();
        seen.opened("one", ("c", "{\"a\":1}"), here, now);
        seen.opened("same", ("c", "{\"a\":1}"), here, now);
        seen.opened("other", ("c", "{\"a\":2}"), here, now);
        let of = |id: &str, headers: &[(&'static str, &'static str)]| {
            let all = headers.iter();
            let all =
                all.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            context(&seen.of(Some(id), here, now), &HeaderMap::from_iter(all))
        };
        let one = of("one", &[("authorization", "Bearer a")]);
        assert!(one.is_some());
        assert_eq!(one, of("same", &[("authorization", "Bearer a"), ("accept", "x"), ("user-agent", "y")]));
        assert_ne!(one, of("same", &[("authorization", "Bearer b")]));
        assert_ne!(one, of("same", &[("authorization", "Bearer a"), ("cookie", "c")]));
        assert_ne!(one, of("same", &[]));
        assert_ne!(one, of("other", &[("authorization", "Bearer a")]));
        assert_eq!(of("never seen to begin", &[]), None);
    }
}
