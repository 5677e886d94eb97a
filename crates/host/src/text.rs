//! Owns cutting the kernel's text into lines, words and numbers, byte by byte.

/// The lines, without their ends.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The runs between white space.
pub(crate) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// What stands before and after the first `separator`.
pub(crate) fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// A decimal number without a sign; `None` for anything else and when it does not fit.
pub(crate) fn number(word: &[u8]) -> Option<u64> {
    digits(word, 10)
}

/// A hexadecimal number; `None` for anything else and when it does not fit.
pub(crate) fn hex(word: &[u8]) -> Option<u64> {
    digits(word, 16)
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn digits(word: &[u8], radix: u32) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        value.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::{hex, lines, number, split_once, words};

    #[test]
    fn numbers_are_whole_words_that_fit() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(hex(b"1f90"), Some(8080));
        for odd in [b"".as_slice(), b"-1", b"1 ", b"1.0", b"a", "\u{661}".as_bytes()] {
            assert_eq!(number(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn white_space_of_any_length_parts_words() {
        assert_eq!(words(b"  a\t b  ").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(lines(b"a\n\nb").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(split_once(b"a:b:c", b':'), Some((b"a".as_slice(), b"b:c".as_slice())));
        assert_eq!(split_once(b"a", b':'), None);
    }
}
