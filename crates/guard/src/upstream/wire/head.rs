//! Owns reading the head of an upstream's answer: its status, the headers that go on, and how its body ends.
//!
//! Two readers that disagree about where a body ends are how one client gets what was meant for another. So what may be
//! read in two ways is refused: a length beside a transfer coding, several lengths, any coding but `chunked`. What belongs
//! to the connection does not go on.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use httparse::{Header, ParserConfig, Status};

use super::framing::Framing;
use crate::upstream::headers::is_of_connection;

/// Heads have some hundred bytes; a cookie may have 4 KiB.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;
/// As many as hyper reads.
const HEADERS_MAX: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// Whether the connection takes another request once the body is over.
    pub(crate) stays: bool,
}

/// Why a head or a body is none, in words that follow its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// What the headers say of the connection and the body.
#[derive(Default)]
struct Said {
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    /// What `Connection` names.
    named: Vec<HeaderName>,
}

/// Takes a head off the beginning of the buffer; none where it has not come as a whole.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Head>, Malformed> {
    let mut response = httparse::Response::new(&mut []);
    let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, buffer, &mut room);
    let bytes = match parsed {
        Ok(Status::Complete(bytes)) if bytes <= HEAD_BYTES_MAX => bytes,
        Ok(Status::Partial) if buffer.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) => return Err(Malformed("its head is longer than 64 KiB")),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("its head has more than 100 headers")),
        Err(_) => return Err(Malformed("its head is not HTTP")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Malformed("its status is none"))?;
    let is_old = response.version == Some(0);
    let said = Said::of(response.headers)?;
    let framing = said.framing(status, is_old)?;
    let places: Vec<(HeaderName, Range<usize>)> = places(buffer, response.headers, &said.named)?;
    let text = buffer.split_to(bytes).freeze();
    let stays = !said.closes && !is_old && framing != Framing::UntilClose;
    Ok(Some(Head { status, headers: headers(&text, places)?, framing, stays }))
}

/// Where the values of those headers are that go on.
fn places(
    text: &[u8],
    headers: &[Header<'_>],
    named: &[HeaderName],
) -> Result<Vec<(HeaderName, Range<usize>)>, Malformed> {
    let mut places = Vec::with_capacity(headers.len());
    for header in headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let name = name.map_err(|_| Malformed("the name of a header is none"))?;
        if !is_of_connection(&name) && !named.contains(&name) {
            let start = header.value.as_ptr().addr() - text.as_ptr().addr();
            places.push((name, start..start + header.value.len()));
        }
    }
    Ok(places)
}

fn headers(text: &Bytes, places: Vec<(HeaderName, Range<usize>)>) -> Result<HeaderMap, Malformed> {
    // One more than there are: `X-Accel-Buffering`.
    let mut headers = HeaderMap::with_capacity(places.len() + 1);
    for (name, place) in places {
        let value = HeaderValue::from_maybe_shared(text.slice(place));
        headers.append(name, value.map_err(|_| Malformed("the value of a header is none"))?);
    }
    Ok(headers)
}

// === impl Said ===

impl Said {
    fn of(headers: &[Header<'_>]) -> Result<Self, Malformed> {
        let mut said = Self::default();
        for Header { name, value } in headers {
            if name.eq_ignore_ascii_case(header::CONTENT_LENGTH.as_str()) {
                if said.length.replace(length(value)?).is_some() {
                    return Err(Malformed("it says its length twice"));
                }
            } else if name.eq_ignore_ascii_case(header::TRANSFER_ENCODING.as_str()) {
                if !value.eq_ignore_ascii_case(b"chunked") || said.is_chunked {
                    return Err(Malformed("its transfer coding is not `chunked` alone"));
                }
                said.is_chunked = true;
            } else if name.eq_ignore_ascii_case(header::CONNECTION.as_str()) {
                for word in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    said.closes |= word.eq_ignore_ascii_case(b"close");
                    said.named.extend(HeaderName::from_bytes(word));
                }
            }
        }
        Ok(said)
    }

    fn framing(&self, status: StatusCode, is_old: bool) -> Result<Framing, Malformed> {
        if self.is_chunked && (self.length.is_some() || is_old) {
            return Err(Malformed("it says a transfer coding where it may not"));
        }
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed("it changes the protocol, which nobody has asked for"));
        }
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok(Framing::Length(0));
        }
        Ok(match self.length {
            _ if self.is_chunked => Framing::chunked(),
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }
}

/// Digits and nothing else.
fn length(value: &[u8]) -> Result<u64, Malformed> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or(Malformed("its length is no number"))
}
