//! Owns bytes as hexadecimal digits, two for each, in lower case: one value has one text.

/// Writes bytes as digits.
pub fn write(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads digits as bytes; none where they are odd in number, or others than lower-case hexadecimal ones.
pub fn read(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks() else { return None };
    pairs.iter().map(byte).collect()
}

/// Reads exactly so many bytes, without a place on the heap: a manifest has a digest on every line.
pub fn read_array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let (pairs, []) = digits.as_bytes().as_chunks() else { return None };
    if pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (place, pair) in bytes.iter_mut().zip(pairs) {
        *place = byte(pair)?;
    }
    Some(bytes)
}

fn byte([high, low]: &[u8; 2]) -> Option<u8> {
    let half = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    Some(half(*high)? << 4 | half(*low)?)
}

#[cfg(test)]
mod tests {
    use super::{read, read_array, write};

    #[test]
    fn there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(read(&write(&all)), Some(all));
        assert_eq!(write(&[0, 1, 0xab]), "0001ab");
        assert_eq!((read_array("0001ab"), read_array::<2>("0001ab")), (Some([0, 1, 0xab]), None));
        for odd in ["0", "0g", "AB", "é", " 0", "+1"] {
            assert_eq!((read(odd), read_array::<1>(odd)), (None, None), "{odd}");
        }
    }
}
