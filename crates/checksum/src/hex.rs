//! Owns bytes as hexadecimal digits, two for each, in lower case: one value has one text.

/// Writes bytes as digits.
pub fn write(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads digits as bytes; none where they are odd in number, or others than lower-case hexadecimal ones.
pub fn read(digits: &str) -> Option<Vec<u8>> {
    let half = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(half(high)? << 4 | half(low)?),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(read(&write(&all)), Some(all));
        assert_eq!(write(&[0, 1, 0xab]), "0001ab");
        for odd in ["0", "0g", "AB", "é", " 0", "+1"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
