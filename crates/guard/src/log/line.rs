//! Owns how the parts of a line are written: at the end of a text, without a copy.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use traces::TraceId;

use crate::clock;

/// What can be the value of a field.
pub(crate) trait Written {
    /// Writes it as JSON at the end of a line.
    fn write(&self, line: &mut Vec<u8>);
}

/// The value of a field that is in nearly every line, written without a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    /// A word of the guard's own, in which nothing has to be escaped.
    Word(&'static str),
    Count(u64),
    /// In milliseconds, with up to three places.
    Millis(Duration),
    Address(IpAddr),
    Trace(TraceId),
}

// === impl Field, Value ===

impl Written for Field<'_> {
    fn write(&self, line: &mut Vec<u8>) {
        match self {
            Self::Text(text) => push_text(line, text),
            Self::Count(count) => push_number(line, *count),
            Self::Millis(time) => push_millis(line, *time),
            Self::Word(word) => push_word(line, word),
            Self::Address(IpAddr::V4(address)) => {
                for (octet, before) in address.octets().into_iter().zip(*b"\"...") {
                    line.push(before);
                    push_number(line, octet.into());
                }
                line.push(b'"');
            }
            Self::Address(address) => write!(line, "\"{address}\"").expect(TAKES),
            Self::Trace(trace) => write!(line, "\"{trace}\"").expect(TAKES),
        }
    }
}

impl Written for Value {
    fn write(&self, line: &mut Vec<u8>) {
        serde_json::to_writer(line, self).expect(TAKES);
    }
}

const TAKES: &str = "a vector takes everything";

/// Within one second only the milliseconds are another.
pub(super) fn push_moment(line: &mut Vec<u8>, (second, written): &mut (i64, Vec<u8>), now_ms: i64) {
    let (this, millis) = (now_ms.div_euclid(1000), now_ms.rem_euclid(1000));
    if *second != this || written.is_empty() {
        written.clear();
        clock::push_rfc3339(written, this * 1000);
        written.truncate(written.len() - "000Z".len());
        *second = this;
    }
    line.extend_from_slice(written);
    let digit = |number: i64| b'0' + u8::try_from(number % 10).unwrap_or_default();
    line.extend([digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
}

pub(super) fn push_field(line: &mut Vec<u8>, name: &str, value: &impl Written) {
    line.push(b',');
    // Names are the guard's own words.
    push_word(line, name);
    line.push(b':');
    value.write(line);
}

pub(super) fn push_text(line: &mut Vec<u8>, text: &str) {
    // Nearly no text has anything that has to be escaped.
    if text.bytes().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        serde_json::to_writer(line, text).expect(TAKES);
    } else {
        push_word(line, text);
    }
}

fn push_word(line: &mut Vec<u8>, word: &str) {
    line.reserve(word.len() + 2);
    line.push(b'"');
    line.extend_from_slice(word.as_bytes());
    line.push(b'"');
}

/// Writes a number at the end of a text.
pub(crate) fn push_number(line: &mut Vec<u8>, number: u64) {
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number);
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            return line.extend_from_slice(&digits[at..]);
        }
    }
}

fn push_millis(line: &mut Vec<u8>, time: Duration) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    push_number(line, micros / 1000);
    line.push(b'.');
    let rest = micros % 1000;
    let (places, digits) = if rest % 100 == 0 {
        (1, rest / 100)
    } else if rest % 10 == 0 {
        (2, rest / 10)
    } else {
        (3, rest)
    };
    for place in (0..places).rev() {
        line.push(b'0' + u8::try_from(digits / 10_u64.pow(place) % 10).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::{Field, Written, push_moment};

    #[test]
    fn values_are_written_as_json_has_them() {
        let shown = |value: Field<'_>| {
            let mut line = Vec::new();
            value.write(&mut line);
            String::from_utf8(line).unwrap()
        };
        for text in ["", "a", "ä\u{7f}", "a\"b", "back\\slash", "new\nline", "\u{1}\u{1f} "] {
            assert_eq!(shown(Field::Text(text)), Value::from(text).to_string());
        }
        assert_eq!(shown(Field::Word("tools/call")), "\"tools/call\"");
        for micros in [0, 1, 10, 999, 1000, 1010, 1_234_567, 12_300_000, 86_400_000_000] {
            let float = micros as f64 / 1000.0;
            assert_eq!(shown(Field::Millis(Duration::from_micros(micros))), Value::from(float).to_string());
        }
        for count in [0, 7, 10, 1234, u64::MAX] {
            assert_eq!(shown(Field::Count(count)), count.to_string());
        }
        for address in ["192.0.2.7", "::1", "2001:db8::7"] {
            assert_eq!(shown(Field::Address(address.parse().unwrap())), format!("\"{address}\""));
        }
        let (mut line, mut second) = (Vec::new(), (0, Vec::new()));
        for at_ms in [0, 7, 999, 1000, 1_795_459_200_012, 1_795_459_200_999, -1] {
            line.clear();
            push_moment(&mut line, &mut second, at_ms);
            assert_eq!(String::from_utf8_lossy(&line), crate::clock::rfc3339(at_ms));
        }
    }
}
