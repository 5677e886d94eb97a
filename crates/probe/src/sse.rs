//! Owns cutting a stream of server-sent events into the data of its events.
//!
//! Lines end with LF, CRLF or CR; the `data:` lines of an event belong together; an empty line ends it. A CRLF
//! that two chunks share must not look like two ends: nothing is taken from a CR until the next byte is there.

/// Collects chunks and gives out events. Whoever feeds it limits how much that is.
#[derive(Debug, Default)]
pub(crate) struct Events {
    unread: Vec<u8>,
    data: Option<Vec<u8>>,
}

// === impl Events ===

impl Events {
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        self.unread.extend_from_slice(chunk);
    }

    /// The data of the next event that is complete; events without data are skipped.
    pub(crate) fn next_event(&mut self) -> Option<Vec<u8>> {
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Some(data);
                }
            } else if let Some(value) = data_of(&line) {
                match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_vec()),
                }
            }
        }
        None
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
        let length = match self.unread[end..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r'] => return None,
            _ => 1,
        };
        let mut line: Vec<_> = self.unread.drain(..end + length).collect();
        line.truncate(end);
        Some(line)
    }
}

fn data_of(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data")?;
    match value {
        [] => Some(value),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Events;

    #[track_caller]
    fn check(stream: &str, expect: &[&str]) {
        for size in 1..=stream.len().max(1) {
            let mut events = Events::default();
            let mut found = Vec::new();
            for chunk in stream.as_bytes().chunks(size) {
                events.feed(chunk);
                while let Some(data) = events.next_event() {
                    found.push(String::from_utf8(data).unwrap());
                }
            }
            assert_eq!(found, expect, "in chunks of {size}");
        }
    }

    #[test]
    fn events_are_the_same_however_they_arrive() {
        check(
            "event: message\ndata: {\"a\":1}\n\n: comment\n\ndata:x\ndata: y\nid: 7\n\n",
            &["{\"a\":1}", "x\ny"],
        );
        check("data: a\r\n\r\ndata: b\r\n\r\n.", &["a", "b"]);
        check("data: a\r\rdata: b\r\r.", &["a", "b"]);
        check("id: 1\ndata: \n\ndatabase: x\n\ndata\n\ndata: cut off", &["", ""]);
        check("", &[]);
    }
}
