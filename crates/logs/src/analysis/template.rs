//! Owns what messages have in common: what is left when numbers and ids are taken out.

use std::sync::LazyLock;

use regex::Regex;

/// What is told apart of a message, in bytes: what differs later is the same.
const BYTES_MAX: usize = 300;

/// UUIDs, addresses and hashes in hexadecimal, and numbers with their parts.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?-u)[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
        r"|\b0x[0-9a-fA-F]+",
        r"|\b[0-9a-fA-F]{8,}\b",
        r"|[0-9]+(?:[.:,][0-9]+)*",
    ))
    .expect("it is tested")
});

/// The message with `#` for all that varies.
pub(super) fn of(message: &str) -> String {
    VARIABLE.replace_all(clip(message), "#").into_owned()
}

/// The beginning of a message, at most 300 bytes.
pub(super) fn clip(message: &str) -> &str {
    &message[..message.floor_char_boundary(BYTES_MAX)]
}

#[cfg(test)]
mod tests {
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
