//! Owns reading a request to `/mcp`: its body, and what its headers say.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::problem::Problem;
use crate::envelope::{INVALID_REQUEST, PARSE_ERROR};

/// A file as an argument, and no more: larger ones belong in resources.
const BODY_BYTES_MAX: u64 = 4 << 20;
/// Up to this length a body that is too long is read to its end: a client that is still writing would not see why
/// it was refused.
const BODY_BYTES_SKIPPED_MAX: u64 = 4 * BODY_BYTES_MAX;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What a client accepts as the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    Json,
    Both,
    Events,
}

// === impl Accepts ===

impl Accepts {
    /// Who says nothing gets JSON, which everybody can read.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (mut json, mut events) = (false, false);
        let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        for part in values.flat_map(|value| value.split(',')) {
            match part.split(';').next().unwrap_or_default().trim() {
                "application/json" | "application/*" | "*/*" => json = true,
                "text/event-stream" | "text/*" => events = true,
                _ => {}
            }
        }
        match (json, events) {
            (_, false) => Self::Json,
            (true, true) => Self::Both,
            (false, true) => Self::Events,
        }
    }
}

/// Reads the whole body, at most 4 MiB in at most 30 s.
pub(crate) async fn body<B: Body<Data = Bytes>>(headers: &HeaderMap, body: B) -> Result<Bytes, Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        let reason = "the content type must be application/json";
        return Err(Problem::protocol(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, reason));
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(body)).await {
        Ok(Collected::Whole(body)) => Ok(body),
        Ok(Collected::TooLong) => {
            let reason = "the body is longer than 4 MiB";
            Err(Problem::protocol(StatusCode::PAYLOAD_TOO_LARGE, INVALID_REQUEST, reason))
        }
        Ok(Collected::CutOff) => {
            Err(Problem::protocol(StatusCode::BAD_REQUEST, PARSE_ERROR, "the body is cut off"))
        }
        Err(_) => {
            Err(Problem::protocol(StatusCode::REQUEST_TIMEOUT, INVALID_REQUEST, "the body takes too long"))
        }
    }
}

enum Collected {
    Whole(Bytes),
    TooLong,
    CutOff,
}

async fn collect<B: Body<Data = Bytes>>(body: B) -> Collected {
    let announced = body.size_hint().lower();
    if announced > BODY_BYTES_SKIPPED_MAX {
        return Collected::TooLong;
    }
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Collected::CutOff };
        let Ok(part) = frame.into_data() else { continue };
        bytes += part.len() as u64;
        if bytes > BODY_BYTES_SKIPPED_MAX {
            return Collected::TooLong;
        }
        if bytes > BODY_BYTES_MAX {
            continue;
        }
        // Nearly every body comes in one part, which is then not copied.
        if first.is_empty() && whole.is_empty() {
            first = part;
        } else {
            if whole.is_empty() {
                whole.reserve_exact(usize::try_from(announced.min(BODY_BYTES_MAX)).unwrap_or_default());
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&part);
        }
    }
    match (bytes > BODY_BYTES_MAX, whole.is_empty()) {
        (true, _) => Collected::TooLong,
        (false, true) => Collected::Whole(first),
        (false, false) => Collected::Whole(whole.into()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, header};
    use http_body_util::Full;

    use super::{Accepts, BODY_BYTES_MAX, BODY_BYTES_SKIPPED_MAX, body};

    #[test]
    fn what_is_accepted_is_read() {
        for (value, expect) in [
            ("application/json, text/event-stream", Accepts::Both),
            ("text/event-stream;q=0.5,application/json", Accepts::Both),
            ("text/event-stream", Accepts::Events),
            ("*/*", Accepts::Json),
            ("text/html", Accepts::Json),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(value))]);
            assert_eq!(Accepts::of(&headers), expect, "{value}");
        }
        assert_eq!(Accepts::of(&HeaderMap::new()), Accepts::Json);
    }

    #[tokio::test]
    async fn bodies_are_json_and_bounded() {
        let status = async |media_type: &'static str, bytes: u64| {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))]);
            let result =
                body(&headers, Full::new(Bytes::from(vec![b' '; usize::try_from(bytes).unwrap()]))).await;
            result.map_or_else(|problem| problem.status.as_u16(), |_| 200)
        };
        assert_eq!(status("application/json; charset=utf-8", BODY_BYTES_MAX).await, 200);
        assert_eq!(status("Application/JSON", BODY_BYTES_MAX + 1).await, 413);
        assert_eq!(status("application/json", BODY_BYTES_SKIPPED_MAX + 1).await, 413);
        assert_eq!(status("text/plain", 1).await, 415);
    }
}
