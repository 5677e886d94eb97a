//! Owns whose exit code is the exit code of a statement.

use tree_sitter::Node;

use super::tree::text;

/// Returns the program whose exit code a statement has, with its subcommands where exit codes depend on them.
///
/// `None` where several programs could have ended it (`a && b`, `if`), or none (`! a`, `a &`).
pub(crate) fn of_node(node: Node<'_>, source: &str) -> Option<String> {
    let mut node = node;
    loop {
        match node.kind() {
            "redirected_statement" => node = node.child_by_field_name("body")?,
            "pipeline" => node = last_named(node)?,
            "test_command" => return Some(text(node.child(0)?, source).to_owned()),
            "command" => return of_command(node, source),
            _ => return None,
        }
    }
}

fn last_named(node: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").last()
}

fn of_command(node: Node<'_>, source: &str) -> Option<String> {
    let name = text(node.child_by_field_name("name")?, source);
    let is_plain = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let base = name.rsplit('/').next().filter(|base| is_plain(base))?;
    let subcommands = match base {
        "paramedic" => 2,
        "systemctl" => 1,
        _ => 0,
    };
    let mut cursor = node.walk();
    let arguments =
        node.children_by_field_name("argument", &mut cursor).map(|argument| text(argument, source));
    let words =
        arguments.filter(|word| !word.starts_with('-')).take_while(|word| is_plain(word)).take(subcommands);
    Some(std::iter::once(base).chain(words).collect::<Vec<_>>().join(" "))
}
