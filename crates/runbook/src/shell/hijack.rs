//! Owns recognising statements after which a plain word may no longer mean the program of that name: aliases, functions, `PATH`, `eval` and the like.
//!
//! It looks for more than does harm: what it finds only makes later statements ask.

use super::names::{is_name, is_reserved_variable};
use super::variables::Variables;
use crate::bash::{Item, Kind, Node, Operation, Part, Script, Visit, Word, walk};

/// Builtins that change what later words mean, or run text that the reader does not see.
const COMMANDS: [&str; 17] = [
    ".", "alias", "builtin", "command", "complete", "coproc", "enable", "eval", "exec", "function", "hash",
    "let", "shopt", "source", "trap", "unalias", "unset",
];
/// Builtins that set variables whose names are arguments.
const SETTERS: [&str; 10] = [
    "declare",
    "export",
    "getopts",
    "local",
    "mapfile",
    "printf",
    "read",
    "readarray",
    "readonly",
    "typeset",
];

/// Returns in words what a statement may do to the meaning of those after it.
pub(crate) fn hijack(script: &Script, items: &[Item], variables: &Variables) -> Option<String> {
    if let Some(name) = variables.assigned.iter().find(|name| is_reserved_variable(name)) {
        return Some(format!("it sets `{name}`"));
    }
    let mut found = None;
    walk(script, items, |node, visit| {
        if visit == Visit::Leave || found.is_some() {
            return;
        }
        found = match node {
            Node::Command(command) => match &command.kind {
                Kind::Function { .. } => Some("it defines a function".to_owned()),
                Kind::Simple { words, .. } => of_command(words),
                Kind::Coproc(_) => Some("it uses `coproc`".to_owned()),
                _ => None,
            },
            Node::Variable(variable) if variable.operation == Operation::Indirect => {
                Some("it expands a computed name".to_owned())
            }
            _ => None,
        };
    });
    found
}

fn of_command(words: &[Word]) -> Option<String> {
    let (name, arguments) = words.split_first()?;
    let Some(name) = name.plain() else { return Some("the name of a command in it is computed".to_owned()) };
    if COMMANDS.contains(&name) {
        return Some(format!("it uses `{name}`"));
    }
    if name == "set" {
        return Some("it uses `set`".to_owned());
    }
    // A reserved name that stands bare may be the argument of something that sets it.
    let bare = arguments.iter().filter_map(Word::literal);
    if let Some(name) = bare.filter(|_| name != "echo").find_map(|text| reserved_name_in(&text)) {
        return Some(format!("it names `{name}`"));
    }
    let computed = SETTERS.contains(&name) && sets_computed_name(name, arguments);
    computed.then(|| format!("it gives `{name}` a computed name or an option that matters"))
}

/// Each of those names holds a capital or a `_`, and most texts neither.
fn reserved_name_in(text: &str) -> Option<String> {
    if !text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_') {
        return None;
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find(|word| is_reserved_variable(word)).map(str::to_owned)
}

/// Whether an argument that may be the name of a variable is not written out, or gives the variable a nature
/// (`-i`, `-n`) that makes later assignments run code.
fn sets_computed_name(setter: &str, arguments: &[Word]) -> bool {
    if setter == "printf" {
        // Only the first argument can be `-v`; a format may assign with `%n`.
        let format = arguments.first().and_then(Word::literal);
        return format.is_none_or(|format| format.starts_with('-') || !is_plain_format(&format));
    }
    let reads = matches!(setter, "read" | "mapfile" | "readarray");
    let mut options = true;
    for argument in arguments {
        let start = match argument.parts.first() {
            Some(Part::Literal { text, .. }) => text.as_str(),
            _ => return true,
        };
        if options && start.starts_with('-') {
            if !reads && start.contains(['i', 'n', 'f', 'F', 'u', 'l']) {
                return true;
            }
            continue;
        }
        options = false;
        let name = start.split(['=', '+']).next().unwrap_or_default();
        let is_number = reads && start.bytes().all(|b| b.is_ascii_digit());
        let is_written_out = is_name(name) && (argument.plain() == Some(name) || start.contains('='));
        if !is_written_out && !is_number {
            return true;
        }
    }
    false
}

/// Whether a format of `printf` only prints: bash assigns to a variable for `%n`.
pub(crate) fn is_plain_format(format: &str) -> bool {
    let mut rest = format;
    while let Some((_, directive)) = rest.split_once('%') {
        let conversion = directive.trim_start_matches(|c: char| c.is_ascii_digit() || "-+ #.'*".contains(c));
        let Some(letter) = conversion.chars().next() else { return directive.is_empty() };
        if !"%sdiouxXfFeEgGaAcbq(".contains(letter) {
            return false;
        }
        rest = &conversion[1..];
    }
    true
}
