//! Owns recognising statements after which a plain word may no longer mean the program of that name: aliases, functions, `PATH`, `eval` and the like.
//!
//! It looks twice, once at the tree and once at the bare text, because a tree can be wrong. Both look for more than
//! does harm: what they find only makes later statements ask.

use tree_sitter::Node;

use super::names::{is_name, is_reserved_variable};
use super::tree::{Visit, text, walk};
use super::variables::Variables;

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
pub(crate) fn hijack(
    source: &str,
    nodes: &[Node<'_>],
    statement: &str,
    variables: &Variables,
) -> Option<String> {
    if let Some(name) = variables.assigned.iter().find(|name| is_reserved_variable(name)) {
        return Some(format!("it sets `{name}`"));
    }
    let mut found = None;
    for node in nodes {
        walk(*node, |node, _, visit| {
            if visit == Visit::Enter && found.is_none() {
                found = of_node(node, source);
            }
        });
    }
    found.or_else(|| of_text(statement))
}

fn of_node(node: Node<'_>, source: &str) -> Option<String> {
    match node.kind() {
        "function_definition" => Some("it defines a function".to_owned()),
        "command_name" => {
            let name = text(node, source);
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./:+-[]@,".contains(&b));
            if !plain {
                return Some("the name of a command in it is computed".to_owned());
            }
            (COMMANDS.contains(&name)).then(|| format!("it uses `{name}`"))
        }
        "command" | "declaration_command" => {
            let words = text(node, source);
            let name = words.split_whitespace().next().unwrap_or_default();
            if name == "set" {
                return Some("it uses `set`".to_owned());
            }
            let computed = SETTERS.contains(&name) && sets_computed_name(node, source, name);
            computed.then(|| format!("it gives `{name}` a computed name or an option that matters"))
        }
        "expansion" if text(node, source).starts_with("${!") => Some("it expands a computed name".to_owned()),
        _ => None,
    }
}

/// Whether an argument that may be the name of a variable is not written out, or gives the variable a nature
/// (`-i`, `-n`) that makes later assignments run code.
fn sets_computed_name(node: Node<'_>, source: &str, setter: &str) -> bool {
    let mut cursor = node.walk();
    let arguments = node.named_children(&mut cursor).filter(|child| child.kind() != "command_name");
    let mut options = true;
    for argument in arguments {
        let words = text(argument, source);
        if setter == "printf" {
            // Only the first argument can be `-v`; a format may assign with `%n`.
            return words.starts_with('-') || words.contains(['$', '`']) || !is_plain_format(words);
        }
        if options && words.starts_with('-') {
            if words.contains(['i', 'n', 'f', 'F', 'u', 'l'])
                && !matches!(setter, "read" | "mapfile" | "readarray")
            {
                return true;
            }
            continue;
        }
        options = false;
        let written_out = match argument.kind() {
            "variable_name" | "word" => is_name(words.split('=').next().unwrap_or_default()),
            "variable_assignment" => true,
            "number" => matches!(setter, "read" | "mapfile" | "readarray"),
            "file_redirect" | "herestring_redirect" => true,
            _ => false,
        };
        if !written_out {
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

/// The second look, at the text alone.
fn of_text(statement: &str) -> Option<String> {
    let joined = statement.replace("\\\n", "");
    if let Some(name) = reserved_word(&joined) {
        return Some(format!("it names `{name}`"));
    }
    let openings = |c: char| matches!(c, '\n' | ';' | '&' | '|' | '(' | ')' | '{' | '`');
    for piece in joined.split(openings) {
        const LEADING: [&str; 10] = ["!", "then", "do", "else", "elif", "if", "while", "until", "time", "in"];
        let word = piece.split_whitespace().find(|word| !LEADING.contains(word)).unwrap_or_default();
        if COMMANDS.contains(&word) {
            return Some(format!("it uses `{word}`"));
        }
    }
    let parentheses = joined.split('(').zip(joined.split('(').skip(1));
    let defines = |(before, after): (&str, &str)| {
        after.trim_start_matches([' ', '\t']).starts_with(')')
            && before
                .trim_end()
                .ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
    };
    parentheses.into_iter().any(defines).then(|| "it may define a function".to_owned())
}

/// Returns the first reserved name that stands bare, that is not as `$NAME` or `${NAME}`.
fn reserved_word(statement: &str) -> Option<&str> {
    let bytes = statement.as_bytes();
    let is_word = |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(at) {
            at += 1;
            continue;
        }
        let start = at;
        while is_word(at) {
            at += 1;
        }
        let name = &statement[start..at];
        let before = &statement[..start];
        let is_read =
            before.ends_with('$') || (before.ends_with("${") && !statement[at..].starts_with([':', '=']));
        if !is_read && is_reserved_variable(name) {
            return Some(name);
        }
    }
    None
}
