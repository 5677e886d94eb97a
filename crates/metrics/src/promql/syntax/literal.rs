//! Owns what numbers, durations and quoted texts mean.

/// No retention reaches further; larger numbers would overflow on the way.
pub(in crate::promql) const DURATION_SECONDS_MAX: f64 = 100.0 * 365.0 * 86_400.0;

/// Units of time, longest first, as they must follow one another in `1h30m`; in milliseconds.
const UNITS: [(&str, f64); 7] = [
    ("y", 365.0 * 86_400_000.0),
    ("w", 7.0 * 86_400_000.0),
    ("d", 86_400_000.0),
    ("h", 3_600_000.0),
    ("m", 60_000.0),
    ("s", 1_000.0),
    ("ms", 1.0),
];

/// Reads a number or a duration; a duration is its number of seconds.
pub(in crate::promql) fn number(text: &str) -> Option<f64> {
    if let Some(seconds) = duration_seconds(text) {
        return Some(seconds);
    }
    let digits = without_separators(text)?;
    let lower = digits.to_ascii_lowercase();
    let in_base = |prefix: &str, base: u32| {
        let digits = lower.strip_prefix(prefix)?;
        u64::from_str_radix(digits, base).ok().map(|number| number as f64)
    };
    let based = in_base("0x", 16).or_else(|| in_base("0b", 2)).or_else(|| in_base("0o", 8));
    // As in C, a whole number with a leading zero is octal if it can be.
    let octal = || if lower.len() > 1 && !lower.contains('.') { in_base("0", 8) } else { None };
    based.or_else(octal).or_else(|| lower.parse().ok())
}

/// Takes out the underscores between digits; there may be none elsewhere.
fn without_separators(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let between = |index: usize| {
        let before = index.checked_sub(1).and_then(|before| bytes.get(before));
        before.is_some_and(u8::is_ascii_hexdigit) && bytes.get(index + 1).is_some_and(u8::is_ascii_hexdigit)
    };
    let misplaced = bytes.iter().enumerate().any(|(index, byte)| *byte == b'_' && !between(index));
    (!misplaced).then(|| text.replace('_', ""))
}

/// Reads `1h30m`: whole numbers with units, the longer unit first, none twice.
fn duration_seconds(text: &str) -> Option<f64> {
    let (mut rest, mut total_ms, mut units) = (text, 0.0, &UNITS[..]);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let index = units.iter().position(|(unit, _)| *unit == &rest[..end])?;
        total_ms += number * units[index].1;
        units = &units[index + 1..];
        rest = &rest[end..];
    }
    Some(total_ms / 1000.0)
}

/// What a quoted text stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unquoted {
    Text(String),
    /// Bytes that are no text, as they are shown: no label has them as its name or value.
    Bytes(String),
}

/// Takes a text out of its quotes and resolves its escapes, which are those of Go.
pub(super) fn unquoted(quoted: &str) -> Option<Unquoted> {
    let quote = quoted.chars().next()?;
    let inside = quoted.get(1..quoted.len().checked_sub(1)?)?;
    if quote == '`' {
        return Some(Unquoted::Text(inside.replace('\r', "")));
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let kind = escape.chars().next()?;
        rest = escape.get(kind.len_utf8()..)?;
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='7' => {
                let octal = escape.get(..3)?;
                bytes.push(u8::try_from(u32::from_str_radix(octal, 8).ok()?).ok()?);
                rest = &escape[3..];
                continue;
            }
            _ => {
                bytes.push(simple_escape(kind, quote)?);
                continue;
            }
        };
        let code = rest.get(..digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(code, 16).ok()?;
        rest = &rest[digits..];
        match kind {
            'x' => bytes.push(u8::try_from(code).ok()?),
            _ => bytes.extend(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes.extend(rest.as_bytes());
    Some(match String::from_utf8(bytes) {
        Ok(text) => Unquoted::Text(text),
        Err(error) => Unquoted::Bytes(shown(error.as_bytes())),
    })
}

/// Returns bytes as a quoted text, with escapes for those that are none.
fn shown(bytes: &[u8]) -> String {
    let mut shown = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        shown.extend(chunk.valid().chars().flat_map(char::escape_debug));
        chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
    }
    shown + "\""
}

fn simple_escape(kind: char, quote: char) -> Option<u8> {
    Some(match kind {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '\'' | '"' if kind == quote => quote as u8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations() {
        for (text, value) in [
            ("1", 1.0),
            ("1_000", 1000.0),
            ("0x1F", 31.0),
            ("010", 8.0),
            ("08", 8.0),
            ("0.10", 0.1),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("2E-1", 0.2),
            ("Inf", f64::INFINITY),
            ("5m", 300.0),
            ("1h30m", 5400.0),
            ("1m30s20ms", 90.02),
            ("1y", 31_536_000.0),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert!(number("nan").is_some_and(f64::is_nan));
        for text in ["1x", "5m1h", "5m5m", "m", "1__0", "_1", "1_", "0x", "1e", "1.5h", "5mm"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn texts() {
        for (quoted, text) in [
            (r#""plain""#, Some("plain")),
            (r#""a\n\t\\\"b""#, Some("a\n\t\\\"b")),
            (r#"'it\'s "so"'"#, Some("it's \"so\"")),
            (r#"`raw\n"`"#, Some("raw\\n\"")),
            (r#""\x41\u00e9\U0001F600\101""#, Some("Aé😀A")),
            (r#""\xc3\xa9""#, Some("é")),
            (r#""\'""#, None),
            (r#""\q""#, None),
            (r#""\u12""#, None),
            (r#""\ud800""#, None),
        ] {
            let expected = text.map(|text| Unquoted::Text(text.to_owned()));
            assert_eq!(unquoted(quoted), expected, "{quoted}");
        }
        assert_eq!(unquoted(r#""a\xc5z""#), Some(Unquoted::Bytes(r#""a\xc5z""#.to_owned())));
    }
}
