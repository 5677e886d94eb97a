//! Owns reading shell text: a fence becomes statements, each with its variables and what it means for those after it.

mod hijack;
mod names;
mod program;
mod split;
#[cfg(test)]
mod tests;
mod tree;
mod variables;

use std::collections::BTreeSet;
use std::ops::Range;

use tree_sitter::Node;

pub(crate) use hijack::is_plain_format;
pub use names::is_reserved_variable;
pub(crate) use names::{is_name, is_own_variable};

use crate::step::Language;
use variables::Variables;

/// One statement of a fence that is run by one shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Bytes of the fence.
    pub(crate) range: Range<usize>,
    /// The comment lines that belong to it.
    pub(crate) comment: Option<String>,
    /// Why it is taken whole and unread, where it is.
    pub(crate) problem: Option<String>,
    /// What it may do to the meaning of the words after it.
    pub(crate) hijack: Option<String>,
    /// Whose exit code it has.
    pub(crate) program: Option<String>,
    pub(crate) reads: BTreeSet<String>,
    pub(crate) sets: BTreeSet<String>,
    pub(crate) needs: BTreeSet<String>,
}

/// Reads a fence. Text without a statement (blank, comments) gives none.
pub(crate) fn statements(language: &Language, source: &str) -> Vec<Statement> {
    if matches!(language, Language::Other(_)) || source.trim().is_empty() {
        return Vec::new();
    }
    let tree = match tree::parse(source) {
        Ok(tree) => tree,
        Err(problem) => return vec![unread(source, problem)],
    };
    let root = tree.root_node();
    let slices = match split::split(source, root) {
        Ok(slices) => slices,
        Err(problem) => return vec![unread(source, problem)],
    };
    let mut cursor = root.walk();
    let nodes: Vec<Node<'_>> =
        root.named_children(&mut cursor).filter(|node| node.kind() != "comment").collect();
    if slices.len() > 1 && (*language == Language::Sh || split::glue(source, root).is_some()) {
        return vec![read(source, &nodes, glued(slices))];
    }
    nodes.iter().zip(slices).map(|(node, slice)| read(source, &[*node], slice)).collect()
}

/// The whole fence as one statement that nobody understands.
fn unread(source: &str, problem: String) -> Statement {
    let Variables { reads, sets, needs, .. } = variables::of_text(source);
    let hijack = Some("it could not be read".to_owned());
    let range = 0..source.len();
    Statement { range, comment: None, problem: Some(problem), hijack, program: None, reads, sets, needs }
}

/// From the first statement to the end of the last, comments between them included.
fn glued(slices: Vec<split::Slice>) -> split::Slice {
    let start = slices.first().map_or(0, |slice| slice.range.start);
    let end = slices.last().map_or(0, |slice| slice.range.end);
    let comment = slices.into_iter().next().and_then(|slice| slice.comment);
    split::Slice { range: start..end, comment }
}

fn read(source: &str, nodes: &[Node<'_>], slice: split::Slice) -> Statement {
    let statement = &source[slice.range.clone()];
    let variables = variables::of_nodes(nodes, source);
    let hijack = hijack::hijack(source, nodes, statement, &variables);
    let program = match nodes {
        [node] if !statement.ends_with('&') => program::of_node(*node, source),
        _ => None,
    };
    let Variables { reads, sets, needs, .. } = variables;
    Statement {
        range: slice.range,
        comment: slice.comment,
        problem: None,
        hijack,
        program,
        reads,
        sets,
        needs,
    }
}
