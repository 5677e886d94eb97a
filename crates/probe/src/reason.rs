//! Owns the words for what went wrong: short, in one line, without the address that everybody knows already.

use std::error::Error;

use crate::body::BodyError;

/// A reason is one line of a table.
const REASON_CHARS_MAX: usize = 200;

/// The innermost cause, which is what an operator can act on: `connection refused` and not `error sending request`.
pub(crate) fn of_error(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = tidy(&cause.to_string());
    // The number repeats what the words say.
    text.split(" (os error ").next().unwrap_or_default().to_lowercase()
}

pub(crate) fn of_request(error: reqwest::Error) -> String {
    of_error(&error.without_url())
}

pub(crate) fn of_body(error: BodyError) -> String {
    match error {
        BodyError::TooLong(bytes_max) => format!("an answer of more than {bytes_max} bytes"),
        BodyError::Broken(error) => format!("the answer broke off: {}", of_request(error)),
    }
}

/// Text from outside: one line, no control characters, not too long.
pub(crate) fn tidy(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = line.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    if line.chars().count() > REASON_CHARS_MAX {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{of_error, tidy};

    #[test]
    fn text_from_outside_is_one_short_line() {
        assert_eq!(tidy(" a\n\tb\u{1b}[31m\r"), "a b[31m");
        assert_eq!(tidy(&"x".repeat(999)).chars().count(), 201);
    }

    #[test]
    fn an_error_is_its_innermost_cause() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(of_error(&io::Error::other(refused)), "connection refused");
    }
}
