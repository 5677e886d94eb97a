//! Owns the tags of what is read: who has it already is told so, and who decides can say what they have read.

use axum::body::HttpBody as _;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use checksum::Digest;
use incident::Incident;

/// The longest answer whose tag is made of its bytes.
const BYTES_MAX: usize = 4 << 20;

/// The tag of an incident: what happened in it is only added to.
pub(super) fn tag_of(incident: &Incident) -> String {
    format!("\"{}-{}\"", incident.id, incident.timeline.len())
}

/// Whether a tag is among those of `If-Match` or `If-None-Match`.
pub(super) fn is_one_of(wanted: &HeaderValue, tag: &str) -> bool {
    let Ok(wanted) = wanted.to_str() else { return false };
    let plain = |one: &str| one.trim().trim_start_matches("W/").to_owned();
    wanted.trim() == "*" || wanted.split(',').any(|one| plain(one) == tag)
}

/// Gives a tag to an answer that has none, and says 304 where it is known.
pub(super) async fn tagged(request: Request, next: Next) -> Response {
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let is_short = body.size_hint().exact().is_some_and(|bytes| bytes <= BYTES_MAX as u64);
    let (tag, body) = match head.headers.get(ETAG).cloned() {
        Some(tag) => (tag, body),
        None if is_short => {
            let bytes = to_bytes(body, BYTES_MAX).await.unwrap_or_default();
            let tag = format!("\"{}\"", Digest::of(&bytes));
            let tag = HeaderValue::try_from(tag).expect("digits are a header");
            (tag, Body::from(bytes))
        }
        None => return Response::from_parts(head, body),
    };
    let is_known = known.is_some_and(|known| tag.to_str().is_ok_and(|tag| is_one_of(&known, tag)));
    head.headers.insert(ETAG, tag);
    if !is_known {
        return Response::from_parts(head, body);
    }
    head.status = StatusCode::NOT_MODIFIED;
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(CONTENT_TYPE);
    Response::from_parts(head, Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others() {
        let check = |wanted: &'static str, expect: bool| {
            assert_eq!(is_one_of(&HeaderValue::from_static(wanted), "\"a-1\""), expect, "{wanted}");
        };
        check("\"a-1\"", true);
        check("W/\"a-1\"", true);
        check("\"x\", \"a-1\"", true);
        check("*", true);
        check("\"a-10\"", false);
        check("a-1", false);
        check("", false);
    }
}
