//! Owns reading a message of OTLP, in whichever form it comes: protobuf or JSON, packed with gzip or not.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/#otlphttp>, version 1.10 of the protocol; unknown fields are left out,
//! as it wants.

use std::io::Read as _;

use crate::{Span, json, protobuf};

/// Why spans are rejected.
pub(crate) const TOO_MANY: &str = "a message has at most 50000 spans";
pub(crate) const NO_ID: &str = "a span has an id of 8 bytes and a trace with one of 16, not all of them 0";
pub(crate) const NO_TIME: &str = "a span has a time when it began";

/// The forms of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

/// What a message holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// Its spans, in their order.
    pub spans: Vec<Span>,
    /// How many were not taken.
    pub rejected: u64,
    /// Why the first of them was not; empty where all were.
    pub reason: &'static str,
}

/// Why a message can not be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// It is no protobuf.
    #[error("this is no ExportTraceServiceRequest in protobuf")]
    Protobuf,
    /// It is no JSON, or not that of OTLP.
    #[error("this is no ExportTraceServiceRequest in JSON")]
    Json(#[source] serde_json::Error),
    /// It is not packed with gzip.
    #[error("this can not be unpacked with gzip")]
    Gzip(#[source] std::io::Error),
    /// It is longer than it may be when it is unpacked.
    #[error("a message has at most {0} bytes when it is unpacked")]
    TooLarge(usize),
}

// === impl Encoding ===

impl Encoding {
    /// The form that the header `Content-Type` names.
    pub fn of(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        if is("application/x-protobuf") {
            Some(Self::Protobuf)
        } else {
            is("application/json").then_some(Self::Json)
        }
    }
}

// === impl Decoded ===

impl Decoded {
    /// Takes note of spans that are not taken.
    pub(crate) fn reject(&mut self, count: u64, reason: &'static str) {
        if count > 0 && self.rejected == 0 {
            self.reason = reason;
        }
        self.rejected += count;
    }

    /// Takes a span in, if it is one and there is room.
    pub(crate) fn take(&mut self, span: Result<Span, &'static str>) {
        match span {
            Ok(_) if self.spans.len() >= crate::SPANS_MAX => {
                self.reject(1, TOO_MANY);
            }
            Ok(span) => self.spans.push(span),
            Err(reason) => self.reject(1, reason),
        }
    }
}

/// Reads a message. What is in it and can not be a span is counted as rejected.
///
/// # Errors
/// When it can not be read at all.
pub fn decode(encoding: Encoding, message: &[u8]) -> Result<Decoded, Malformed> {
    match encoding {
        Encoding::Protobuf => protobuf::decode(message).map_err(|_| Malformed::Protobuf),
        Encoding::Json => json::decode(message).map_err(Malformed::Json),
    }
}

/// Unpacks a message.
///
/// # Errors
/// When it is not packed with gzip, or has more than `bytes_max` bytes; it is not unpacked further than that.
pub fn gunzip(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, Malformed> {
    let mut message = Vec::new();
    let limit = (bytes_max as u64).saturating_add(1);
    let mut reader = flate2::read::MultiGzDecoder::new(packed).take(limit);
    reader.read_to_end(&mut message).map_err(Malformed::Gzip)?;
    if message.len() > bytes_max { Err(Malformed::TooLarge(bytes_max)) } else { Ok(message) }
}
