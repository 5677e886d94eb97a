//! Owns the shapes of `test`, `[` and `[[` that only look: others evaluate subscripts, and with them code.

use super::token::Word;

const UNARY: [&str; 21] = [
    "-L", "-N", "-O", "-S", "-b", "-c", "-d", "-e", "-f", "-g", "-G", "-h", "-k", "-n", "-p", "-r", "-s",
    "-u", "-w", "-x", "-z",
];
const BINARY: [&str; 12] = ["=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef"];
/// In `[[`, the arithmetic operators evaluate both sides: a value such as `a[$(reboot)]` would be run.
const BINARY_IN_BRACKETS: [&str; 3] = ["=", "==", "!="];

/// Checks the arguments of `test`, `[` or `[[`.
///
/// # Errors
///
/// Returns why the expression is not known to look only.
pub(super) fn check(name: &str, arguments: &[Word]) -> Result<(), String> {
    let double = name == "[[";
    let words = match (name, arguments.split_last()) {
        ("test", _) => arguments,
        ("[", Some((last, words))) if last.plain() == Some("]") => words,
        ("[[", Some((last, words))) if last.plain() == Some("]]") => words,
        _ => return Err(format!("`{name}` does not close")),
    };
    // How many arguments there are decides what they mean, so each word has to stay one word.
    if !double && !words.iter().all(Word::is_one_word) {
        return Err(format!("a word in `{name}` is not quoted"));
    }
    let words = match words.split_first() {
        Some((first, rest)) if first.plain() == Some("!") => rest,
        _ => words,
    };
    let binary: &[&str] = if double { &BINARY_IN_BRACKETS } else { &BINARY };
    let looks = match words {
        [operator, _] => operator.plain().is_some_and(|operator| UNARY.contains(&operator)),
        [_, operator, _] => operator.plain().is_some_and(|operator| binary.contains(&operator)),
        _ => false,
    };
    if looks { Ok(()) } else { Err(format!("the expression in `{name}` may run code")) }
}
