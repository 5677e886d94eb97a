//! Owns what a receiver of OTLP answers: that all was taken, that some was not, or why nothing was.
//!
//! ```text
//! ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
//! ExportTracePartialSuccess  { int64 rejected_spans = 1; string error_message = 2; }
//! google.rpc.Status          { int32 code = 1; string message = 2; }
//! ```

use serde_json::json;

use crate::Encoding;
use crate::wire::{Fields, put_bytes, put_message, put_number};

/// The answer to a message that was taken, of which so many spans were not. Nothing is said where that is none, as the
/// protocol wants it.
pub fn answer(encoding: Encoding, rejected: u64, reason: &str) -> Vec<u8> {
    match (encoding, rejected) {
        (Encoding::Protobuf, 0) => Vec::new(),
        (Encoding::Json, 0) => b"{}".to_vec(),
        (Encoding::Protobuf, _) => {
            let mut partial = Vec::new();
            put_number(&mut partial, 1, rejected);
            put_bytes(&mut partial, 2, reason.as_bytes());
            let mut message = Vec::new();
            put_message(&mut message, 1, &partial);
            message
        }
        (Encoding::Json, _) => {
            let partial = json!({ "rejectedSpans": rejected.to_string(), "errorMessage": reason });
            json!({ "partialSuccess": partial }).to_string().into_bytes()
        }
    }
}

/// The answer to a message of which nothing was taken.
pub fn refusal(encoding: Encoding, reason: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json => json!({ "message": reason }).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut message = Vec::new();
            put_bytes(&mut message, 2, reason.as_bytes());
            message
        }
    }
}

/// How many spans a receiver did not take, by its answer in protobuf; 0 where it is not understood.
pub fn rejected(answer: &[u8]) -> u64 {
    let partial = Fields::of(answer).find_map(|field| match field {
        Ok((1, field)) => field.bytes().ok(),
        _ => None,
    });
    let number = partial.and_then(|partial| {
        Fields::of(partial).find_map(|field| match field {
            Ok((1, field)) => field.number().ok(),
            _ => None,
        })
    });
    number.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_said() {
        let protobuf = answer(Encoding::Protobuf, 300, "no");
        assert_eq!(protobuf, [0x0a, 7, 0x08, 0xac, 0x02, 0x12, 2, b'n', b'o']);
        assert_eq!((rejected(&protobuf), rejected(b""), rejected(b"nonsense")), (300, 0, 0));
        let json = answer(Encoding::Json, 3, "no");
        assert_eq!(json, br#"{"partialSuccess":{"errorMessage":"no","rejectedSpans":"3"}}"#);
        assert_eq!(
            (answer(Encoding::Protobuf, 0, ""), answer(Encoding::Json, 0, "")),
            (vec![], b"{}".to_vec())
        );
        assert_eq!(refusal(Encoding::Protobuf, "no"), [0x12, 2, b'n', b'o']);
        assert_eq!(refusal(Encoding::Json, "no"), br#"{"message":"no"}"#);
    }
}
