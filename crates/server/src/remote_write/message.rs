//! Owns the message of remote write: four kinds of protobuf records, written by hand, packed with Snappy.
//!
//! ```text
//! WriteRequest { repeated TimeSeries timeseries = 1; }
//! TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; }
//! Label        { string name = 1; string value = 2; }
//! Sample       { double value = 1; int64 timestamp = 2; }
//! ```

use metrics::{Labels, Stretch};

use super::More;

/// The tags of fields: their numbers with how they are written.
const FIRST_BYTES: u8 = 1 << 3 | 2;
const SECOND_BYTES: u8 = 2 << 3 | 2;
const FIRST_DOUBLE: u8 = 1 << 3 | 1;
const SECOND_NUMBER: u8 = 2 << 3;

/// Returns the message, packed. `more` are labels of all series that have none of that name.
pub(super) fn packed(series: &[Stretch], more: &More) -> Vec<u8> {
    let message = message(series, more);
    // Only more than 4 GiB can not be packed, and a message has a bound.
    snap::raw::Encoder::new().compress_vec(&message).unwrap_or_default()
}

fn message(series: &[Stretch], more: &More) -> Vec<u8> {
    let mut message = Vec::new();
    for one in series {
        let record = of_series(one, more);
        put_bytes(&mut message, FIRST_BYTES, &record);
    }
    message
}

fn of_series(series: &Stretch, more: &More) -> Vec<u8> {
    let mut record = Vec::new();
    let missing = more.iter().filter(|(name, _)| series.labels.get(name).is_none());
    let own = series.labels.iter();
    // In the order of their names, as they have to be.
    let labels: Labels = own.chain(missing.map(|(name, value)| (name.as_str(), value.as_str()))).collect();
    for (name, value) in labels.iter() {
        let mut label = Vec::with_capacity(name.len() + value.len() + 8);
        put_bytes(&mut label, FIRST_BYTES, name.as_bytes());
        put_bytes(&mut label, SECOND_BYTES, value.as_bytes());
        put_bytes(&mut record, FIRST_BYTES, &label);
    }
    for (at_ms, value) in &series.samples {
        let mut sample = vec![FIRST_DOUBLE];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(SECOND_NUMBER);
        put_number(&mut sample, at_ms.cast_unsigned());
        put_bytes(&mut record, SECOND_BYTES, &sample);
    }
    record
}

fn put_bytes(into: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    into.push(tag);
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_number(into: &mut Vec<u8>, mut number: u64) {
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
    fn the_bytes_are_those_of_protobuf() {
        let labels = Labels::metric("up", &[("job", "a")]);
        let series = Stretch { labels, samples: vec![(300, 1.0)] };
        let more = More::from([("job".to_owned(), "b".to_owned()), ("zone".to_owned(), "z".to_owned())]);
        let expect: &[u8] = &[
            0x0a, 51, // a series
            0x0a, 14, 0x0a, 8, b'_', b'_', b'n', b'a', b'm', b'e', b'_', b'_', 0x12, 2, b'u',
            b'p', // its name
            0x0a, 8, 0x0a, 3, b'j', b'o', b'b', 0x12, 1, b'a', // its label, which it has
            0x0a, 9, 0x0a, 4, b'z', b'o', b'n', b'e', 0x12, 1, b'z', // the one that it has not
            0x12, 12, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xac, 0x02, // 1 at 300 ms
        ];
        assert_eq!(message(std::slice::from_ref(&series), &more), expect);
        let packed = packed(&[series], &more);
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&packed).unwrap(), expect);
    }
}
