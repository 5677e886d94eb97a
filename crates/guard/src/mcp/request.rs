//! Owns reading a request to `/mcp`: its body, and what its headers say.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body;

use super::problem::Problem;
use crate::envelope::{INVALID_REQUEST, PARSE_ERROR};

/// Up to so many times the length that it may have, a body that is too long is read to its end: a client that is still writing would not see why
/// it was refused.
const SKIPPED: u64 = 4;
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
        let mut all = headers.get_all(header::ACCEPT).into_iter();
        // What nearly every client says.
        if let (Some(only), None) = (all.next(), all.next())
            && only == "application/json, text/event-stream"
        {
            return Self::Both;
        }
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

/// Reads the whole body, so many bytes of it at most, in at most 30 s.
pub(crate) async fn body<B: Body<Data = Bytes>>(
    headers: &HeaderMap,
    body: B,
    bytes_max: u64,
) -> Result<Bytes, Problem> {
    let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = value.iter().position(|byte| *byte == b';').map_or(value, |end| &value[..end]);
    if !media_type.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        let reason = "the content type must be application/json";
        return Err(Problem::protocol(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_REQUEST, reason));
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(body, bytes_max)).await {
        Ok(Collected::Whole(body)) => Ok(body),
        Ok(Collected::TooLong) => {
            let reason = format!("the body is longer than {bytes_max} bytes (request_bytes)");
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

async fn collect<B: Body<Data = Bytes>>(body: B, bytes_max: u64) -> Collected {
    let skipped_max = SKIPPED * bytes_max;
    let announced = body.size_hint().lower();
    if announced > skipped_max {
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
        if bytes > skipped_max {
            return Collected::TooLong;
        }
        if bytes > bytes_max {
            continue;
        }
        // Nearly every body comes in one part, which is then not copied.
        if first.is_empty() && whole.is_empty() {
            first = part;
        } else {
            if whole.is_empty() {
                whole.reserve_exact(usize::try_from(announced.min(bytes_max)).unwrap_or_default());
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&part);
        }
    }
    match (bytes > bytes_max, whole.is_empty()) {
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

    use super::{Accepts, SKIPPED, body};
    use crate::limits::REQUEST_BYTES;

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
            let result = body(
                &headers,
                Full::new(Bytes::from(vec![b' '; usize::try_from(bytes).unwrap()])),
                REQUEST_BYTES,
            )
            .await;
            result.map_or_else(|problem| problem.status.as_u16(), |_| 200)
        };
        assert_eq!(status("application/json; charset=utf-8", REQUEST_BYTES).await, 200);
        assert_eq!(status("Application/JSON", REQUEST_BYTES + 1).await, 413);
        assert_eq!(status("application/json", SKIPPED * REQUEST_BYTES + 1).await, 413);
        assert_eq!(status("text/plain", 1).await, 415);
    }
}
