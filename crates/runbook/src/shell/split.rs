//! Owns cutting a fence into its top-level statements, and gluing them together again where they share what does not survive between shells.

use std::ops::Range;

use tree_sitter::Node;

use super::tree::{Visit, text, walk};

/// A top-level statement: where it stands, and what its author says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Bytes of the fence; with the `&` of a background job.
    pub(crate) range: Range<usize>,
    /// The comment lines above it and behind it, without their `#`.
    pub(crate) comment: Option<String>,
}

/// Cuts a parsed fence.
///
/// # Errors
///
/// Returns in words why statements and what is between them do not add up to the fence.
pub(crate) fn split(source: &str, root: Node<'_>) -> Result<Vec<Slice>, String> {
    let mut slices: Vec<Slice> = Vec::new();
    let mut end = 0;
    let mut comment = Vec::new();
    let mut cursor = root.walk();
    let children: Vec<Node<'_>> = root.children(&mut cursor).collect();
    for (idx, node) in children.iter().enumerate() {
        if !node.is_named() || node.kind() == "comment" {
            continue;
        }
        // The span of `cmd &` leaves the `&` out.
        let background = children.get(idx + 1).filter(|next| next.kind() == "&");
        let range = node.start_byte()..background.map_or(node.end_byte(), Node::end_byte);
        let gap = source.get(end..range.start).ok_or("its statements overlap")?;
        read_gap(gap, slices.last_mut(), &mut comment)?;
        end = range.end;
        slices.push(Slice { range, comment: join(&mut comment) });
    }
    read_gap(&source[end..], slices.last_mut(), &mut comment)?;
    Ok(slices)
}

/// Checks that nothing but separators and comments stands between two statements, and keeps the comments.
fn read_gap(gap: &str, before: Option<&mut Slice>, comments: &mut Vec<String>) -> Result<(), String> {
    let mut trailing = Vec::new();
    let mut rest = gap;
    let mut same_line = before.is_some();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => {
                let length = rest.find('\n').unwrap_or(rest.len());
                let words = rest[..length].trim_start_matches('#').trim().to_owned();
                if same_line {
                    trailing.push(words)
                } else {
                    comments.push(words)
                }
                length
            }
            '\\' if rest.starts_with("\\\n") => 2,
            ' ' | '\t' | '\n' | ';' => 1,
            other => return Err(format!("`{other}` stands between its statements")),
        };
        same_line &= first != '\n';
        rest = &rest[length..];
    }
    if let (Some(before), Some(words)) = (before, join(&mut trailing)) {
        let said = before.comment.take();
        before.comment = Some(said.map_or_else(|| words.clone(), |said| format!("{said}\n{words}")));
    }
    Ok(())
}

fn join(lines: &mut Vec<String>) -> Option<String> {
    let lines = std::mem::take(lines);
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Returns what in the fence lives no longer than one shell, so that its statements have to share one.
pub(crate) fn glue(source: &str, root: Node<'_>) -> Option<String> {
    const COMMANDS: [&str; 22] = [
        "alias", "bg", "bind", "coproc", "dirs", "disown", "enable", "exec", "exit", "fg", "hash", "jobs",
        "logout", "popd", "pushd", "return", "shift", "suspend", "trap", "ulimit", "unalias", "wait",
    ];
    let mut found = None;
    walk(root, |node, ancestors, visit| {
        if visit == Visit::Leave || found.is_some() {
            return;
        }
        let words = text(node, source);
        let inside_function = || ancestors.iter().any(|ancestor| ancestor.kind() == "function_definition");
        found = match node.kind() {
            "special_variable_name" if matches!(words, "!" | "?" | "_") => Some(format!("${words}")),
            "special_variable_name" | "variable_name"
                if matches!(words, "PIPESTATUS" | "BASH_REMATCH" | "DIRSTACK" | "_") =>
            {
                Some(format!("${words}"))
            }
            "word" if words == "DEBUG" => Some(words.to_owned()),
            // In a function these end the function.
            "command_name" if matches!(words, "return" | "shift") && inside_function() => None,
            "command_name" if COMMANDS.contains(&words) => Some(words.to_owned()),
            "command" if sets_positional(words) && !inside_function() => Some("set --".to_owned()),
            _ => None,
        };
    });
    found
}

fn sets_positional(command: &str) -> bool {
    command.strip_prefix("set ").is_some_and(|rest| rest.split_whitespace().any(|word| word == "--"))
}
