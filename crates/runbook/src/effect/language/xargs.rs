//! Owns `xargs`: operands of the command behind it come from a text that nobody has seen.

use std::borrow::Cow;

use crate::bash::{Part, Quoting, Word};
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

const FLAGS: &str = "0rtx";
const VALUED: &str = "nPLsdEI";
const LONG: [&str; 5] = ["--null", "--no-run-if-empty", "--verbose", "--exit", "--show-limits"];
const LONG_VALUED: [&str; 4] = ["--max-args", "--max-procs", "--max-chars", "--delimiter"];

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    let mut words = arguments;
    let mut replaced = None;
    while let Some((word, rest)) = words.split_first() {
        let (text, expansions) = word.literal_prefix();
        if !text.starts_with('-') || text == "--" {
            if text == "--" {
                words = rest;
            }
            break;
        }
        words = rest;
        judge.guard("xargs", word, Position::Open);
        let mut value = |judge: &mut Judge<'_>| {
            let (value, rest) = words.split_first()?;
            judge.guard("xargs", value, Position::Closed);
            words = rest;
            value.literal().map(Cow::into_owned)
        };
        match text.as_ref() {
            "--help" | "--version" => return judge.looks("xargs"),
            name if LONG.contains(&name) => {}
            name if LONG_VALUED.contains(&name) && expansions.is_empty() => _ = value(judge),
            name if LONG_VALUED.contains(&name.split('=').next().unwrap_or_default())
                && name.contains('=') => {}
            _ => {
                let letters = &text[1..];
                let at = letters.find(|letter| !FLAGS.contains(letter)).unwrap_or(letters.len());
                let (letter, attached) =
                    (letters[at..].chars().next(), letters.get(at + 1..).unwrap_or_default());
                match letter {
                    None if expansions.is_empty() => {}
                    Some('I') if expansions.is_empty() => {
                        let text = if attached.is_empty() { value(judge) } else { Some(attached.to_owned()) };
                        match text.filter(|text| !text.is_empty() && replaced.is_none()) {
                            Some(text) => replaced = Some(text),
                            None => return judge.unknown("what `xargs -I` replaces is not written out"),
                        }
                    }
                    Some(letter) if VALUED.contains(letter) && letter != 'I' => {
                        if attached.is_empty() && expansions.is_empty() {
                            value(judge);
                        }
                    }
                    _ => return judge.unknown(format!("`xargs {text}` is not known")),
                }
            }
        }
    }
    if words.is_empty() {
        return judge.looks("xargs");
    }
    let words: Vec<Word> = match &replaced {
        Some(name) => words.iter().map(|word| with_unseen(word, name)).collect(),
        None => {
            let unseen = Part::Substitution { items: Vec::new(), quoting: Quoting::Unquoted };
            let mut words = words.to_vec();
            words.push(Word { parts: vec![unseen], span: 0..0 });
            words
        }
    };
    judge.looks("xargs");
    judge.wrapped("xargs", &words[0], &words[1..], Effect::Observe, "");
}

/// The word with an unseen text, which stays in one word, wherever `name` stands.
fn with_unseen(word: &Word, name: &str) -> Word {
    let mut parts = Vec::with_capacity(word.parts.len());
    for part in &word.parts {
        let Part::Literal { text, quoting } = part else {
            parts.push(part.clone());
            continue;
        };
        for (idx, piece) in text.split(name).enumerate() {
            if idx > 0 {
                parts.push(Part::Substitution { items: Vec::new(), quoting: Quoting::Quoted });
            }
            if !piece.is_empty() || text.is_empty() {
                parts.push(Part::Literal { text: piece.to_owned(), quoting: *quoting });
            }
        }
    }
    Word { parts, span: word.span.clone() }
}
