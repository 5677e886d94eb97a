//! Owns the quick reading of numbers as pages write most of them: some digits, perhaps with a point in between.

/// Whole numbers up to here are exact in a float.
const MANTISSA_MAX: u64 = 1 << 53;
/// As many digits cannot overflow.
const DIGITS_MAX: usize = 18;
/// Powers of ten that are exact in a float, as far as digits reach.
const POWERS: [f64; DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// Reads a short decimal number. Gives up on whatever is not one: an exponent, many digits, `NaN`, blanks.
///
/// Both the digits and the power of ten are exact floats, so that their quotient is rounded once and thereby right.
#[inline]
pub(super) fn decimal(text: &[u8]) -> Option<f64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let (mut mantissa, mut point) = (0u64, None);
    for (index, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && digits.len() > 1 => point = Some(index),
            _ => return None,
        }
    }
    if mantissa > MANTISSA_MAX {
        return None;
    }
    let places = point.map_or(0, |index| digits.len() - 1 - index);
    let value = if places == 0 { mantissa as f64 } else { mantissa as f64 / POWERS[places] };
    Some(if digits.len() < text.len() { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str) {
        if let Some(value) = decimal(text.as_bytes()) {
            assert_eq!(text.parse().map(f64::to_bits), Ok(value.to_bits()), "{text}");
        }
    }

    #[test]
    fn reads_what_is_short() {
        for text in
            ["0", "-0", "7", "1.5", ".5", "5.", "-3.25", "123456789012345678", "0.1", "9007199254740993"]
        {
            check(text);
        }
        for text in
            ["", "-", ".", "-.", "+1", "1e3", "NaN", "1 ", "1.2.3", "1_0", "0x1", "1234567890123456789"]
        {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decimal(b"0.25"), Some(0.25));
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "-?[0-9]{0,17}\\.?[0-9]{0,17}") {
            check(&text);
        }
    }
}
