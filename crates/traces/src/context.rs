//! Owns the W3C trace context: `traceparent`, `00-TRACE-SPAN-FLAGS`, and whether its sender keeps the trace.
//!
//! Source: <https://www.w3.org/TR/trace-context/>; the names in MCP's `_meta` are those of SEP-414.

use std::fmt;

use crate::{SpanId, TraceId};

/// The flag that says that the sender keeps the trace.
const SAMPLED: u8 = 1;

/// What a call is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace: TraceId,
    /// The span that is the parent of whatever is made of this.
    pub span: SpanId,
    /// Whether its sender keeps the trace.
    pub sampled: bool,
}

// === impl Context ===

impl Context {
    /// Reads a `traceparent`. A version that is not known is read as far as version 00 goes, as W3C wants it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let (head, rest) = bytes.split_at_checked(55)?;
        let (version, flags) = (&head[..2], &head[53..]);
        let dashes = [head[2], head[35], head[52]] == [b'-'; 3];
        let fits = rest.is_empty() || (version != b"00" && rest[0] == b'-');
        let digits = [version, &head[3..35], &head[36..52], flags].into_iter().all(is_hex);
        if !dashes || !fits || !digits || version == b"ff" {
            return None;
        }
        // All of them are ASCII.
        let flags = u8::from_str_radix(&text[53..55], 16).ok()?;
        Some(Self {
            trace: text[3..35].parse().ok()?,
            span: text[36..52].parse().ok()?,
            sampled: flags & SAMPLED != 0,
        })
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.sampled { SAMPLED } else { 0 };
        write!(f, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[track_caller]
    fn check(text: &str, expect: Option<bool>) {
        assert_eq!(Context::parse(text).map(|context| context.sampled), expect, "{text}");
    }

    #[test]
    fn parents_are_read_and_written() {
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(Context::parse(&text).unwrap().to_string(), text);
        check(&text, Some(true));
        check(&format!("00-{TRACE}-00f067aa0ba902b7-00"), Some(false));
        check(&format!("00-{TRACE}-00f067aa0ba902b7-03"), Some(true));
        check(&format!("cc-{TRACE}-00f067aa0ba902b7-01-what-comes"), Some(true));
        for wrong in [
            String::new(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-x"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7-0g"),
            format!("00_{TRACE}-00f067aa0ba902b7-01"),
            "é".repeat(40),
        ] {
            check(&wrong, None);
        }
    }
}
