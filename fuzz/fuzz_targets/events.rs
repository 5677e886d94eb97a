//! Owns throwing any bytes at the reader of server-sent events: in whatever pieces they come, the same events are read, and
//! they are those that the standard says.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// The data of all events that have ended, and the last id, read line by line.
fn by_the_book(text: &[u8]) -> (Vec<Option<Vec<u8>>>, Option<Vec<u8>>) {
    let (mut events, mut id) = (Vec::new(), None);
    let (mut data, mut has_data, mut inside) = (Vec::new(), false, false);
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = &rest[..end];
        let behind = end + if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[behind..];
        if line.is_empty() {
            if std::mem::take(&mut inside) {
                events.push(std::mem::take(&mut has_data).then(|| std::mem::take(&mut data)));
            }
            continue;
        }
        inside = true;
        let value = |name: &[u8]| line.strip_prefix(name).map(|value| value.strip_prefix(b" ").unwrap_or(value));
        if let Some(value) = value(b"data:") {
            if has_data {
                data.push(b'\n');
            }
            data.extend_from_slice(value);
            has_data = true;
        } else if let Some(value) = value(b"id:").filter(|value| value.len() <= 1024 && !value.contains(&0)) {
            id = (!value.is_empty()).then(|| value.to_vec());
        }
    }
    (events, id)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece_bytes, text) = input;
    let expect = by_the_book(text);
    assert_eq!(guard::fuzz::events([text].into_iter()), expect);
    assert_eq!(guard::fuzz::events(text.chunks(usize::from(piece_bytes).max(1))), expect);
});
