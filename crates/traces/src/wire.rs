//! Owns the wire of protobuf: fields with numbers, as variable-length numbers, as 4 or 8 bytes, or as counted bytes.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Groups, which nobody writes any more, are refused.

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order. After the first that is broken there are none.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// It is no protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

// === impl Field ===

impl<'a> Field<'a> {
    /// As counted bytes.
    pub(crate) fn bytes(self) -> Result<&'a [u8], Broken> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Broken) }
    }

    /// As a number that is written in either way.
    pub(crate) fn number(self) -> Result<u64, Broken> {
        match self {
            Self::Number(number) | Self::Fixed64(number) => Ok(number),
            Self::Fixed32(number) => Ok(number.into()),
            Self::Bytes(_) => Err(Broken),
        }
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The bytes that were not read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn read(&mut self) -> Result<(u64, Field<'a>), Broken> {
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Broken)?)),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| Broken)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Broken)?)),
            _ => return Err(Broken),
        };
        match key >> 3 {
            0 => Err(Broken),
            number => Ok((number, field)),
        }
    }

    fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Broken)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Broken)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            // Or whoever looks for one field, and passes over what is broken, would look for ever.
            self.rest = &[];
        }
        Some(read)
    }
}

/// Writes a field of counted bytes; nothing where it is empty, which is what a missing field means.
pub(crate) fn put_bytes(into: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_message(into, number, bytes);
    }
}

/// Writes a field of counted bytes, also where it is empty.
pub(crate) fn put_message(into: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put(into, number << 3 | 2);
    put(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// Writes a number, also where it is 0.
pub(crate) fn put_number(into: &mut Vec<u8>, number: u64, value: u64) {
    put(into, number << 3);
    put(into, value);
}

/// Writes 8 bytes, also where they are 0.
pub(crate) fn put_fixed64(into: &mut Vec<u8>, number: u64, value: u64) {
    put(into, number << 3 | 1);
    into.extend_from_slice(&value.to_le_bytes());
}

fn put(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_and_read() {
        let mut message = Vec::new();
        put_number(&mut message, 1, u64::MAX);
        put_fixed64(&mut message, 2, 7);
        message.extend_from_slice(&[0x85, 0x01, 9, 0, 0, 0]);
        put_bytes(&mut message, 3, b"abc");
        put_bytes(&mut message, 3, b"");
        let read: Result<Vec<_>, _> = Fields::of(&message).collect();
        let expect = vec![
            (1, Field::Number(u64::MAX)),
            (2, Field::Fixed64(7)),
            (16, Field::Fixed32(9)),
            (3, Field::Bytes(b"abc")),
        ];
        assert_eq!(read, Ok(expect));
    }

    #[test]
    fn what_is_broken_is_told() {
        for broken in [
            &[0x0a][..],
            &[0x0a, 5, b'a'],
            &[0x0b],
            &[0x00, 1],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0x09, 1, 2],
        ] {
            let read: Result<Vec<_>, _> = Fields::of(broken).collect();
            assert_eq!(read, Err(Broken), "{broken:?}");
            assert!(Fields::of(broken).count() <= 2, "it ends: {broken:?}");
        }
    }
}
