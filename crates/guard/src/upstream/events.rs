//! Owns reading along a stream of server-sent events: where each ends, and what data it carries.
//!
//! Lines end with `\n`, `\r\n` or `\r`; an event ends with an empty line; its data are the values of its `data:` lines,
//! joined by line feeds. What is too long is passed on as well, and not read.

/// What an answer may have, as on a child's pipe.
const DATA_BYTES_MAX: usize = 16 << 20;
/// A longer id is none that anybody would send back.
const ID_BYTES_MAX: usize = 1 << 10;

/// Reads along.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// Whether anything of an event was seen since the last one ended.
    inside: bool,
    /// Whether the last byte was a carriage return, whose line feed may follow.
    after_return: bool,
    too_long: bool,
    last_id: Vec<u8>,
}

/// One event that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Behind its last byte, in the part that was fed.
    pub(crate) end: usize,
    /// Its data; none where it has none, or too much.
    pub(crate) data: Option<Vec<u8>>,
}

// === impl Events ===

impl Events {
    /// Whether nothing of an event is under way.
    pub(crate) fn is_between(&self) -> bool {
        !self.inside
    }

    /// The id of the last event that had one, which is where the stream can be resumed.
    pub(crate) fn last_id(&self) -> Option<&[u8]> {
        (!self.last_id.is_empty()).then_some(&*self.last_id)
    }

    /// Begins anew with a stream that goes on after the last event.
    pub(crate) fn resumed(self) -> Self {
        Self { last_id: self.last_id, ..Self::default() }
    }

    /// Reads the next part. Returns the events that end in it, in order.
    pub(crate) fn feed(&mut self, part: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for (at, byte) in part.iter().enumerate() {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {
                    // It belongs to the line before; an event that ended there ends here.
                    if let Some(last) = events.last_mut()
                        && !self.inside
                    {
                        let last: &mut Event = last;
                        last.end = at + 1;
                    }
                }
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    if let Some(data) = self.ended() {
                        events.push(Event { end: at + 1, data });
                    }
                }
                byte => {
                    self.inside = true;
                    if self.line.len() + self.data.len() < DATA_BYTES_MAX {
                        self.line.push(*byte);
                    } else {
                        self.too_long = true;
                    }
                }
            }
        }
        events
    }

    /// A line has ended; and with an empty one the event.
    fn ended(&mut self) -> Option<Option<Vec<u8>>> {
        if self.line.is_empty() {
            if !std::mem::take(&mut self.inside) {
                return None;
            }
            let (has_data, too_long) =
                (std::mem::take(&mut self.has_data), std::mem::take(&mut self.too_long));
            let data = std::mem::take(&mut self.data);
            return Some((has_data && !too_long).then_some(data));
        }
        if let Some(value) = self.line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            self.has_data = true;
        } else if let Some(value) = self.line.strip_prefix(b"id:") {
            let id = value.strip_prefix(b" ").unwrap_or(value);
            if id.len() <= ID_BYTES_MAX && !id.contains(&0) {
                self.last_id = id.to_vec();
            }
        }
        self.line.clear();
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Events;

    fn read(text: &str, pieces: &[usize]) -> Vec<Option<String>> {
        let (mut events, mut rest, mut found) = (Events::default(), text.as_bytes(), Vec::new());
        let mut pieces = pieces.iter().copied().cycle();
        while !rest.is_empty() {
            let (part, more) = rest.split_at(pieces.next().unwrap_or(1).clamp(1, rest.len()));
            let ended = events.feed(part);
            found.extend(
                ended.into_iter().map(|event| event.data.map(|data| String::from_utf8(data).unwrap())),
            );
            rest = more;
        }
        found
    }

    #[test]
    fn events_are_found_in_whatever_parts_they_come() {
        let text = "id: 1\nevent: message\ndata: {\"a\":\ndata: 1}\n\n: comment\n\ndata:x\r\n\r\ndata\r\rid: 9\n\n\n\ndata: cut";
        for pieces in [&[1000][..], &[1], &[3, 1], &[2]] {
            let found = read(text, pieces);
            let expect = [Some("{\"a\":\n1}".to_owned()), None, Some("x".to_owned()), None, None];
            assert_eq!(found, expect, "{pieces:?}");
        }
        let mut events = Events::default();
        assert_eq!(events.feed(b"data: 1\r\n\r\ndata: 2").first().unwrap().end, 11);
        assert!(!events.is_between());
        events.feed(b"\n\n");
        assert!(events.is_between());
        assert_eq!(events.last_id(), None);
        events.feed(b"id: a\0b\nid: 7-1\ndata: x\n\ndata: half");
        let events = events.resumed();
        assert_eq!((events.last_id(), events.is_between()), (Some(b"7-1".as_slice()), true));
    }

    proptest! {
        /// However the stream is cut, the same events are read.
        #[test]
        fn cuts_do_not_matter(text in "(data: ?[ab]{0,3}|x|:|\r|\n|\r\n){0,30}", pieces in proptest::collection::vec(1_usize..7, 1..8)) {
            prop_assert_eq!(read(&text, &pieces), read(&text, &[4096]));
        }
    }
}
