//! Owns the syntax tree of a shell text: parsed within bounds, walked without recursion, and doubted where the grammar is known to misread.

use std::cell::RefCell;
use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, Parser, Tree};

/// A longer fence is a script, and belongs in a file.
const SOURCE_BYTES_MAX: usize = 16 * 1024;
/// Deeper nesting is no text for people; the bound keeps every walk quick.
const DEPTH_MAX: usize = 100;
/// Steps of the parser, counted in calls of its progress callback so that the same text always has the same end:
/// 16 KiB of honest shell need some 300, a text of nothing but `a|` would go on for seconds.
const PROGRESS_MAX: u32 = 1000;

/// A node is met twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    Enter,
    Leave,
}

/// Parses a shell text.
///
/// # Errors
///
/// Returns in words why the tree is missing or not to be trusted.
pub(crate) fn parse(source: &str) -> Result<Tree, String> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(format!("it is longer than {SOURCE_BYTES_MAX} bytes"));
    }
    if let Some(control) = source.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(format!("it holds the control character {}", control.escape_unicode()));
    }
    let tree = bounded_parse(source).ok_or("it takes too long to parse")?;
    if let Some(doubt) = doubt(source, tree.root_node()) {
        return Err(doubt);
    }
    Ok(tree)
}

fn bounded_parse(source: &str) -> Option<Tree> {
    thread_local! {
        static PARSER: RefCell<Option<Parser>> = const { RefCell::new(None) };
    }
    PARSER.with_borrow_mut(|slot| {
        if slot.is_none() {
            let mut parser = Parser::new();
            parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
            *slot = Some(parser);
        }
        let parser = slot.as_mut()?;
        parser.reset();
        let mut calls = 0;
        let mut progress = |_: &_| {
            calls += 1;
            if calls > PROGRESS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let bytes = source.as_bytes();
        let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
        parser.parse_with_options(&mut read, None, Some(ParseOptions::new().progress_callback(&mut progress)))
    })
}

/// Visits every node below and including `root`, named or not, with its ancestors.
pub(crate) fn walk<'t>(root: Node<'t>, mut visit: impl FnMut(Node<'t>, &[Node<'t>], Visit)) {
    let mut cursor = root.walk();
    let mut ancestors = Vec::new();
    loop {
        visit(cursor.node(), &ancestors, Visit::Enter);
        let parent = cursor.node();
        if cursor.goto_first_child() {
            ancestors.push(parent);
            continue;
        }
        visit(parent, &ancestors, Visit::Leave);
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            ancestors.pop();
            visit(cursor.node(), &ancestors, Visit::Leave);
            if ancestors.is_empty() {
                return;
            }
        }
    }
}

/// Returns the text of a node.
pub(crate) fn text<'s>(node: Node<'_>, source: &'s str) -> &'s str {
    source.get(node.byte_range()).unwrap_or_default()
}

/// Returns what makes the tree unfit to be trusted.
fn doubt(source: &str, root: Node<'_>) -> Option<String> {
    let mut found = None;
    let mut cursor_depth = 0;
    walk(root, |node, ancestors, visit| {
        cursor_depth = cursor_depth.max(ancestors.len());
        if visit == Visit::Leave || found.is_some() {
            return;
        }
        let line = node.start_position().row + 1;
        found = match node.kind() {
            _ if node.is_error() && ancestors.is_empty() => Some("it does not parse".to_owned()),
            _ if node.is_error() || node.is_missing() => {
                Some(format!("it does not parse (line {line} of it)"))
            }
            "word" if is_lone_brace(node, source) => {
                Some(format!("its braces can not be told apart (line {line} of it)"))
            }
            "command_name" if is_reserved_word(text(node, source)) => {
                Some(format!("`{}` stands where a command should (line {line} of it)", text(node, source)))
            }
            "heredoc_redirect" if !is_plain_heredoc(source, node) => {
                Some(format!("its here-document can not be told from what follows (line {line} of it)"))
            }
            _ => None,
        };
    });
    if cursor_depth > DEPTH_MAX {
        return Some(format!("it is nested deeper than {DEPTH_MAX} levels"));
    }
    found
}

/// A brace that is a word by itself opens or closes a group, whatever the grammar says; `{}` is a word.
fn is_lone_brace(word: Node<'_>, source: &str) -> bool {
    let blank_at =
        |at: Option<usize>| at.and_then(|at| source.as_bytes().get(at)).is_none_or(u8::is_ascii_whitespace);
    match text(word, source) {
        "{" => blank_at(Some(word.end_byte())),
        "}" => blank_at(word.start_byte().checked_sub(1)),
        _ => false,
    }
}

/// Words that the grammar takes for the name of a command when it misread what is around them.
fn is_reserved_word(word: &str) -> bool {
    const WORDS: [&str; 18] = [
        "!", "[[", "]]", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if",
        "select", "then", "until", "while", "in",
    ];
    WORDS.contains(&word)
}

/// The grammar takes everything up to the line break for the delimiter (`<<A;`) and then the rest of the text for the
/// document. So the delimiter has to be a plain name, and the document has to end with a line that is that name.
fn is_plain_heredoc(source: &str, redirect: Node<'_>) -> bool {
    let mut cursor = redirect.walk();
    let (mut start, mut end) = ("", "");
    for child in redirect.children(&mut cursor) {
        match child.kind() {
            "heredoc_start" => start = text(child, source),
            "heredoc_end" => end = text(child, source),
            _ => {}
        }
    }
    let name = start.trim_matches(['\'', '"']);
    super::names::is_name(name) && end.trim() == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expect: &str) {
        let said = parse(source).map_or_else(|reason| reason, |tree| tree.root_node().kind().to_owned());
        assert_eq!(said, expect);
    }

    #[test]
    fn trusts_what_it_can_read_and_says_why_not() {
        check("ls -l\n", "program");
        check("cat <<'E' > f\nx $(y)\nE\nls\n", "program");
        check("if true; then", "it does not parse (line 1 of it)");
        check("ls\n\"", "it does not parse (line 1 of it)");
        check(
            "cat <<A; b\nc\nA\nd $x\n",
            "its here-document can not be told from what follows (line 1 of it)",
        );
        check("! { ls; }", "its braces can not be told apart (line 1 of it)");
        check("ls\u{1b}[2J", "it holds the control character \\u{1b}");
        check(&"x".repeat(SOURCE_BYTES_MAX + 1), "it is longer than 16384 bytes");
    }

    #[test]
    fn hostile_texts_end() {
        for piece in ["(", "$(", "`", "${a:-", "{ ", "[[ ", "if ", "<<A ", "((", "a|", "\"$(", "case x in "] {
            let hostile = piece.repeat(SOURCE_BYTES_MAX / piece.len());
            assert!(parse(&hostile).is_err(), "{piece}");
        }
        // Long and flat is fine.
        assert!(parse(&"true\n".repeat(3_000)).is_ok());
    }
}
