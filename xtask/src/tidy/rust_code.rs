//! Owns telling Rust code from what is written in it: comments and literals become blanks, lines stay lines.

/// Where a scan is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    LineComment,
    /// Nested this deep.
    BlockComment(usize),
    Text,
    /// With this many number signs.
    RawText(usize),
}

/// The same text with every character of comments, strings and character literals as a blank.
pub(super) fn code(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut shown = String::with_capacity(text.len());
    let mut place = Place::Code;
    let mut at = 0;
    while at < characters.len() {
        let (next, length) =
            step(place, &characters[at..], at.checked_sub(1).map(|before| characters[before]));
        for character in &characters[at..at + length] {
            let keep = *character == '\n' || place == Place::Code && next == Place::Code && length == 1;
            shown.push(if keep { *character } else { ' ' });
        }
        place = next;
        at += length;
    }
    shown
}

/// The place after the next token of `rest`, and how many characters that has. A token of code with more than
/// one character is a literal, or begins a comment.
fn step(place: Place, rest: &[char], before: Option<char>) -> (Place, usize) {
    match (place, rest) {
        (Place::LineComment, ['\n', ..]) | (Place::Text, ['"', ..]) => (Place::Code, 1),
        (Place::BlockComment(1), ['*', '/', ..]) => (Place::Code, 2),
        (Place::BlockComment(depth), ['*', '/', ..]) => (Place::BlockComment(depth - 1), 2),
        (Place::BlockComment(depth), ['/', '*', ..]) => (Place::BlockComment(depth + 1), 2),
        (Place::Text, ['\\', _, ..]) => (Place::Text, 2),
        (Place::RawText(signs), ['"', after @ ..]) if number_signs(after) >= signs => {
            (Place::Code, 1 + signs)
        }
        (Place::Code, ['/', '/', ..]) => (Place::LineComment, 2),
        (Place::Code, ['/', '*', ..]) => (Place::BlockComment(1), 2),
        (Place::Code, ['"', ..]) => (Place::Text, 1),
        (Place::Code, ['r', after @ ..]) if !before.is_some_and(is_name_but_prefix) => {
            let signs = number_signs(after);
            if after.get(signs) == Some(&'"') { (Place::RawText(signs), signs + 2) } else { (Place::Code, 1) }
        }
        // A character: escaped, or a single one; otherwise it is a lifetime.
        (Place::Code, ['\'', '\\', _, tail @ ..]) => {
            (Place::Code, tail.iter().position(|c| *c == '\'').map_or(1, |end| end + 4))
        }
        (Place::Code, ['\'', _, '\'', ..]) => (Place::Code, 3),
        _ => (place, 1),
    }
}

fn number_signs(rest: &[char]) -> usize {
    rest.iter().take_while(|c| **c == '#').count()
}

/// The `r` of `attr"` begins nothing, the one of `br"` does.
fn is_name_but_prefix(before: char) -> bool {
    (before.is_alphanumeric() || before == '_') && before != 'b'
}

#[cfg(test)]
mod tests {
    use super::code;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let shown = code(text);
        assert_eq!(words(&shown), words(expect), "{shown}");
        assert_eq!(shown.lines().count(), text.lines().count());
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        check("a // b\nc", "a c");
        check("a /* b /* c */\n d */ e", "a e");
        check("a(\"b \\\" c\", d)", "a( , d)");
        check("r#\"a \"b\"# c br\"d\" e", "c b e");
        check("attr r#type x", "attr r#type x");
        check("'a' '\\'' '\\u{1f}' \"'\" b<'c> 'd: loop", "b<'c> 'd: loop");
        check("let x = \"never closed", "let x =");
        check("", "");
    }
}
