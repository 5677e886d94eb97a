//! Owns reading shell text: a fence becomes statements, each with its variables and what it means for those after it.

mod hijack;
mod jobs;
mod names;
mod program;
mod split;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::bash::{self, Item, Script};
pub(crate) use hijack::is_plain_format;
pub use names::is_reserved_variable;
pub(crate) use names::{is_name, is_own_variable, is_program_setting};

use crate::step::Language;
use split::Slice;
use variables::Variables;

/// A fence that was read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Its tree; empty where it could not be read.
    pub(crate) script: Script,
    /// Its statements, in order.
    pub(crate) statements: Vec<Statement>,
}

/// One statement of a fence that is run by one shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Bytes of the fence.
    pub(crate) range: Range<usize>,
    /// Its items in the tree; none where the fence could not be read.
    pub(crate) items: Range<usize>,
    /// The comment lines that belong to it.
    pub(crate) comment: Option<String>,
    /// Why it is taken whole and unread, where it is.
    pub(crate) problem: Option<String>,
    /// Whose exit code it has.
    pub(crate) program: Option<String>,
    /// Whether it starts a job in the background.
    pub(crate) background: bool,
    pub(crate) reads: BTreeSet<String>,
    pub(crate) sets: BTreeSet<String>,
    pub(crate) needs: BTreeSet<String>,
}

/// Reads a fence. Text without a statement (blank, comments) gives none.
pub(crate) fn read(language: &Language, source: &str) -> Reading {
    if matches!(language, Language::Other(_)) || source.trim().is_empty() {
        return Reading::default();
    }
    let script = match bash::parse(source) {
        Ok(script) => script,
        Err(error) => {
            let line = source[..error.offset].matches('\n').count() + 1;
            let problem = format!("{error} (line {line} of it)");
            return Reading { script: Script::default(), statements: vec![unread(source, problem)] };
        }
    };
    let mut slices = split::split(source, &script);
    if slices.len() > 1 && (*language == Language::Sh || split::glue(&script).is_some()) {
        slices = vec![glued(slices)];
    }
    let statements = slices.into_iter().map(|slice| statement(&script, slice)).collect();
    Reading { script, statements }
}

// === impl Statement ===

impl Statement {
    /// Returns in words what it may do to the meaning of the words after it; `script` is the tree of its fence. Asked
    /// only of the few that nobody understands.
    pub(crate) fn hijack(&self, script: &Script) -> Option<String> {
        match self.problem {
            Some(_) => Some("it could not be read".to_owned()),
            None => hijack_of(script, &script.items[self.items.clone()]),
        }
    }
}

/// Returns in words what some items of a script may do to the meaning of those after them.
pub(crate) fn hijack_of(script: &Script, items: &[Item]) -> Option<String> {
    hijack::hijack(script, items, &variables::of_items(script, items))
}

/// The whole fence as one statement that nobody understands.
fn unread(source: &str, problem: String) -> Statement {
    let Variables { reads, sets, needs, .. } = variables::of_text(source);
    Statement {
        range: 0..source.len(),
        items: 0..0,
        comment: None,
        problem: Some(problem),
        program: None,
        background: false,
        reads,
        sets,
        needs,
    }
}

/// From the first statement to the end of the last, comments between them included.
fn glued(slices: Vec<Slice>) -> Slice {
    let range =
        slices.first().map_or(0, |slice| slice.range.start)..slices.last().map_or(0, |slice| slice.range.end);
    let items = 0..slices.last().map_or(0, |slice| slice.items.end);
    let comment = slices.into_iter().next().and_then(|slice| slice.comment);
    Slice { range, items, comment }
}

fn statement(script: &Script, slice: Slice) -> Statement {
    let items = &script.items[slice.items.clone()];
    let variables = variables::of_items(script, items);
    let program = match items {
        [item] => program::of_item(item),
        _ => None,
    };
    let Variables { reads, sets, needs, .. } = variables;
    Statement {
        range: slice.range,
        items: slice.items,
        comment: slice.comment,
        problem: None,
        program,
        background: jobs::has_job(script, items),
        reads,
        sets,
        needs,
    }
}
