//! Owns whose exit code is the exit code of a statement.

use crate::bash::{Command, Ending, Item, Kind, Word};

/// Returns the program whose exit code a statement has, with its subcommands where exit codes depend on them.
///
/// `None` where several programs could have ended it (`a && b`, `if`), or none (`! a`, `a &`).
pub(crate) fn of_item(item: &Item) -> Option<String> {
    if !item.rest.is_empty() || item.ending == Ending::Background || item.first.negated {
        return None;
    }
    of_command(item.first.stages.last()?)
}

fn of_command(command: &Command) -> Option<String> {
    match &command.kind {
        Kind::Test(_) => Some("[[".to_owned()),
        Kind::Simple { words, .. } => of_words(words),
        _ => None,
    }
}

fn of_words(words: &[Word]) -> Option<String> {
    let (name, arguments) = words.split_first()?;
    let name = name.plain()?;
    let is_plain = |word: &str| {
        matches!(word, "[") || word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let base = name.rsplit('/').next().filter(|base| is_plain(base))?;
    let subcommands = match base {
        "paramedic" => 2,
        "systemctl" => 1,
        _ => 0,
    };
    let words = arguments.iter().map_while(|word| word.plain().or_else(|| word.literal_start()));
    let words =
        words.filter(|word| !word.starts_with('-')).take_while(|word| is_plain(word)).take(subcommands);
    Some(std::iter::once(base).chain(words).collect::<Vec<_>>().join(" "))
}

impl Word {
    /// The unquoted text at its beginning, so that an option with a quoted value is still known for an option.
    fn literal_start(&self) -> Option<&str> {
        match self.parts.first() {
            Some(crate::bash::Part::Literal { text, quoting: crate::bash::Quoting::Unquoted })
                if text.starts_with('-') =>
            {
                Some(text)
            }
            _ => None,
        }
    }
}
