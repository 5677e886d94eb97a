//! Owns how attributes of netlink are written and read: a length and a kind in two bytes each, in the order of this
//! machine, then what they say, up to a multiple of four. Attributes may be made of attributes, which a bit of the kind says.

/// The bit of a kind that is made of attributes.
const NESTED: u16 = 0x8000;
const HEAD_BYTES: usize = 4;

/// Attributes that are being written. None of them has more than 65,531 bytes, which all of a server's are far below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<u8>);

// === impl Attributes ===

impl Attributes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value)
    }

    /// A name, which ends with a zero.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// A number of 32 bits, in the order of the network.
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// A number of 64 bits, in the order of the network.
    pub(crate) fn long(self, kind: u16, value: u64) -> Self {
        self.put(kind, &value.to_be_bytes())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "whoever writes attributes makes the inner ones for this"
    )]
    pub(crate) fn nested(self, kind: u16, inner: Self) -> Self {
        self.put(kind | NESTED, &inner.0)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn put(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(HEAD_BYTES + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

/// The attributes in these bytes, each with its kind, up to the first that is none.
pub(crate) fn read(bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let (mut found, mut rest) = (Vec::new(), bytes);
    while let Some((kind, value, length)) = first(rest) {
        found.push((kind, value));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The value of the first attribute of this kind.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    read(bytes).into_iter().find(|(found, _)| *found == kind).map(|(_, value)| value)
}

fn first(bytes: &[u8]) -> Option<(u16, &[u8], usize)> {
    let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(bytes.get(2..HEAD_BYTES)?.try_into().ok()?);
    Some((kind & !NESTED, bytes.get(HEAD_BYTES..length)?, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Attributes::new().text(1, "abc").number(2, 7);
        let bytes = Attributes::new().bytes(3, &[9]).nested(4, inner.clone()).long(5, 1).into_bytes();
        assert_eq!(bytes.len(), 8 + (4 + 8 + 8) + 12);
        assert_eq!(find(&bytes, 3), Some([9].as_slice()));
        let nested = find(&bytes, 4).unwrap();
        assert_eq!(nested, inner.into_bytes());
        assert_eq!(find(nested, 1), Some(b"abc\0".as_slice()));
        assert_eq!(find(nested, 2), Some([0, 0, 0, 7].as_slice()));
        assert_eq!(find(&bytes, 6), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read = read(&bytes);
            prop_assert!(read.iter().map(|(_, value)| value.len() + HEAD_BYTES).sum::<usize>() <= bytes.len());
        }
    }
}
