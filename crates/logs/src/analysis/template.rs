//! Owns what messages have in common: what is left when numbers and ids are taken out.

/// What is told apart of a message, in bytes: what differs later is the same.
const BYTES_MAX: usize = 300;

/// The message with `#` for all that varies: UUIDs, addresses and hashes in hexadecimal, and numbers with their parts. Every line
/// that is analysed comes by, so it is one pass without a regular expression; a test holds it to one.
pub(super) fn of(message: &str) -> String {
    let message = clip(message);
    let bytes = message.as_bytes();
    let mut template = String::with_capacity(bytes.len());
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        let length = if bytes[at].is_ascii_hexdigit() { variable(bytes, at) } else { 0 };
        if length == 0 {
            at += 1;
            continue;
        }
        template.push_str(&message[from..at]);
        template.push('#');
        at += length;
        from = at;
    }
    template.push_str(&message[from..]);
    template
}

/// How many bytes vary from here on; none where nothing does.
fn variable(bytes: &[u8], at: usize) -> usize {
    /// A hash has more digits than any word.
    const HASH_DIGITS_MIN: usize = 8;
    let rest = &bytes[at..];
    if is_uuid(rest) {
        return UUID_BYTES;
    }
    let run = |bytes: &[u8], is: fn(&u8) -> bool| bytes.iter().take_while(|byte| is(byte)).count();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let begins_word = at == 0 || !is_word(&bytes[at - 1]);
    if begins_word {
        if let Some(digits) = rest.strip_prefix(b"0x") {
            let length = run(digits, u8::is_ascii_hexdigit);
            if length > 0 {
                return 2 + length;
            }
        }
        let length = run(rest, u8::is_ascii_hexdigit);
        if length >= HASH_DIGITS_MIN && !rest.get(length).is_some_and(is_word) {
            return length;
        }
    }
    let mut length = run(rest, u8::is_ascii_digit);
    while length > 0 && rest.get(length).is_some_and(|byte| matches!(byte, b'.' | b':' | b',')) {
        match run(&rest[length + 1..], u8::is_ascii_digit) {
            0 => break,
            more => length += 1 + more,
        }
    }
    length
}

const UUID_BYTES: usize = 36;

fn is_uuid(bytes: &[u8]) -> bool {
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    bytes.get(8) == Some(&b'-')
        && bytes.get(..UUID_BYTES).is_some_and(|uuid| {
            uuid.iter().enumerate().all(
                |(at, byte)| {
                    if is_dash(at) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
                },
            )
        })
}

/// The beginning of a message, at most 300 bytes.
pub(super) fn clip(message: &str) -> &str {
    &message[..message.floor_char_boundary(BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn it_is_what_the_regular_expression_says(
            parts in proptest::collection::vec(
                "[0-9a-fx]{1,9}|[0-9]{1,3}[.:,]|0x|-|_|ä| |[a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{11,13}|[g-z]{1,3}", 0..12)
        ) {
            let text = parts.concat();
            let variable = regex::Regex::new(concat!(
                r"(?-u)[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
                r"|\b0x[0-9a-fA-F]+",
                r"|\b[0-9a-fA-F]{8,}\b",
                r"|[0-9]+(?:[.:,][0-9]+)*",
            )).unwrap();
            prop_assert_eq!(super::of(&text), variable.replace_all(super::clip(&text), "#"), "{}", text);
        }
    }

    #[test]
    fn what_varies_is_taken_out() {
        for (message, expect) in [
            ("ready after 12.5 ms", "ready after # ms"),
            ("job 019ab0d2-0000-7000-8000-00000000000a failed", "job # failed"),
            ("at 0xdeadbeef: 10.0.0.1:80", "at #: #"),
            ("commit 3f2a9bcd01 of x2", "commit # of x#"),
            ("nothing here, facade", "nothing here, facade"),
            ("", ""),
        ] {
            assert_eq!(super::of(message), expect);
        }
        assert_eq!(super::of(&"ä".repeat(1000)).len(), 300);
    }
}
