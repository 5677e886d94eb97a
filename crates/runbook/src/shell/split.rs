//! Owns cutting a fence into its top-level statements, and gluing them together again where they share what does not survive between shells.

use std::ops::Range;

use crate::bash::{Kind, Node, Redirect, Script, Target, Variable, Visit, Word, walk};

/// Top-level items that are one statement: where it stands, and what its author says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Bytes of the fence.
    pub(crate) range: Range<usize>,
    /// Which items of the script.
    pub(crate) items: Range<usize>,
    /// The comment lines above it and behind it, without their `#`.
    pub(crate) comment: Option<String>,
}

/// Cuts a fence that was read.
pub(crate) fn split(source: &str, script: &Script) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Vec::new();
    for (idx, item) in script.items.iter().enumerate() {
        match slices.last_mut() {
            // A here-document that begins on the line of both reaches over the second.
            Some(last) if last.range.end > item.span.start => {
                last.range.end = last.range.end.max(item.span.end);
                last.items.end = idx + 1;
            }
            _ => slices.push(Slice { range: item.span.clone(), items: idx..idx + 1, comment: None }),
        }
    }
    comment(source, script, &mut slices);
    slices
}

/// Gives each comment to the statement that it stands behind on its line, or else to the next one.
fn comment(source: &str, script: &Script, slices: &mut [Slice]) {
    for span in &script.comments {
        let next = slices.partition_point(|slice| slice.range.start < span.start);
        let before = next.checked_sub(1).filter(|idx| {
            let between = source.get(slices[*idx].range.end..span.start);
            between.is_some_and(|between| !between.contains('\n'))
        });
        let is_inside = next > 0 && slices[next - 1].range.end > span.start;
        if is_inside {
            continue;
        }
        if let Some(slice) = slices.get_mut(before.unwrap_or(next)) {
            let words = source[span.clone()].trim_start_matches('#').trim();
            slice.comment = Some(match slice.comment.take() {
                Some(said) => format!("{said}\n{words}"),
                None => words.to_owned(),
            });
        }
    }
}

/// Returns what in the fence lives no longer than one shell, so that its statements have to share one.
pub(crate) fn glue(script: &Script) -> Option<String> {
    let mut found = None;
    let mut functions = 0_usize;
    walk(script, &script.items, |node, visit| {
        if let Node::Command(command) = node
            && matches!(command.kind, Kind::Function { .. })
        {
            match visit {
                Visit::Enter => functions += 1,
                Visit::Leave => functions -= 1,
            }
        }
        if visit == Visit::Enter && found.is_none() {
            found = match node {
                Node::Variable(variable) => of_variable(variable),
                Node::Redirect(redirect) => of_redirect(redirect),
                Node::Command(command) => match &command.kind {
                    Kind::Simple { words, .. } => of_command(words, functions > 0),
                    Kind::Coproc(_) => Some("coproc".to_owned()),
                    _ => None,
                },
                _ => None,
            };
        }
    });
    found
}

fn of_variable(variable: &Variable) -> Option<String> {
    const NAMES: [&str; 6] = ["!", "?", "_", "PIPESTATUS", "BASH_REMATCH", "DIRSTACK"];
    NAMES.contains(&variable.name.as_str()).then(|| format!("${}", variable.name))
}

/// `{fd}>file` opens a file that stays open.
fn of_redirect(redirect: &Redirect) -> Option<String> {
    let computed = matches!(&redirect.target, Target::Word(_)) && redirect.descriptor.starts_with('{');
    computed.then(|| redirect.descriptor.clone())
}

fn of_command(words: &[Word], in_function: bool) -> Option<String> {
    const COMMANDS: [&str; 22] = [
        "alias", "bg", "bind", "coproc", "dirs", "disown", "enable", "exec", "exit", "fg", "hash", "jobs",
        "logout", "popd", "pushd", "return", "shift", "suspend", "trap", "ulimit", "unalias", "wait",
    ];
    let name = words.first().and_then(Word::literal)?;
    let plain = |text: &str| words.iter().any(|word| word.plain() == Some(text));
    match name.as_ref() {
        // In a function these end the function, or move its own arguments.
        "return" | "shift" if in_function => None,
        "set" if plain("--") && !in_function => Some("set --".to_owned()),
        name if COMMANDS.contains(&name) => Some(name.to_owned()),
        _ if plain("DEBUG") => Some("DEBUG".to_owned()),
        _ => None,
    }
}
