//! Owns which variables a statement reads, sets, and needs from outside.

use std::collections::BTreeSet;

use tree_sitter::Node;

use super::names::is_name;
use super::tree::{Visit, text, walk};

/// The variables of one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    /// Every variable whose value it may look at.
    pub(crate) reads: BTreeSet<String>,
    /// Those it may leave with another value.
    pub(crate) sets: BTreeSet<String>,
    /// Those it reads before it sets them, and without a default.
    pub(crate) needs: BTreeSet<String>,
    /// Those it sets anywhere, for its own children too.
    pub(crate) assigned: BTreeSet<String>,
}

/// Reads the variables off the tree of one or more statements.
pub(crate) fn of_nodes(nodes: &[Node<'_>], source: &str) -> Variables {
    let mut collector =
        Collector { source, found: Variables::default(), known: BTreeSet::new(), outer: Vec::new() };
    for node in nodes {
        walk(*node, |node, ancestors, visit| match visit {
            Visit::Enter => collector.enter(node, ancestors),
            Visit::Leave => collector.leave(node, ancestors),
        });
    }
    collector.found
}

/// Reads the variables off a text that has no tree: everything that looks like an expansion.
pub(crate) fn of_text(source: &str) -> Variables {
    let mut found = Variables::default();
    for piece in source.split('$').skip(1) {
        let piece = piece.trim_start_matches(['{', '!', '#']);
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
        if is_name(&piece[..end]) {
            found.reads.insert(piece[..end].to_owned());
            found.needs.insert(piece[..end].to_owned());
        }
    }
    found
}

struct Collector<'s> {
    source: &'s str,
    found: Variables,
    /// What is set so far, where the walk is.
    known: BTreeSet<String>,
    /// The same, outside each subshell that the walk is in.
    outer: Vec<BTreeSet<String>>,
}

/// Nodes in which a bare name is a variable.
const ARITHMETIC: [&str; 7] = [
    "arithmetic_expansion",
    "binary_expression",
    "compound_statement",
    "parenthesized_expression",
    "postfix_expression",
    "ternary_expression",
    "unary_expression",
];

impl<'s> Collector<'s> {
    fn enter(&mut self, node: Node<'_>, ancestors: &[Node<'_>]) {
        let parent = ancestors.last().map_or("", |parent| parent.kind());
        match node.kind() {
            kind if is_subshell(kind) => self.outer.push(self.known.clone()),
            "simple_expansion" => {
                if let Some(name) = self.child_of_kind(node, "variable_name") {
                    self.read(name);
                }
            }
            "expansion" => self.expansion(node),
            "subscript" => {
                let index = node.child_by_field_name("index").filter(|index| index.kind() == "word");
                let index = index.map_or("", |index| text(index, self.source));
                // An index is arithmetic, or the key of a map; nobody can tell.
                let words = index
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .filter(|word| is_name(word));
                self.found.reads.extend(words.map(str::to_owned));
                let name = self.child_of_kind(node, "variable_name");
                if let Some(name) = name.filter(|_| !matches!(parent, "expansion" | "variable_assignment")) {
                    self.read(name);
                }
            }
            "for_statement" => {
                if let Some(variable) = node.child_by_field_name("variable") {
                    self.set(text(variable, self.source));
                }
            }
            "declaration_command" => self.declaration(node),
            "unset_command" | "command" => self.builtin(node),
            "variable_name" | "word" if ARITHMETIC.contains(&parent) => self.arithmetic(node, ancestors),
            _ => {}
        }
    }

    fn leave(&mut self, node: Node<'_>, _: &[Node<'_>]) {
        match node.kind() {
            kind if is_subshell(kind) => self.known = self.outer.pop().unwrap_or_default(),
            "variable_assignment" => {
                let Some(target) = node.child_by_field_name("name") else { return };
                let name = if target.kind() == "subscript" {
                    target.child_by_field_name("name")
                } else {
                    Some(target)
                };
                if let Some(name) = name.map(|name| text(name, self.source)) {
                    let appends = node.child(1).is_some_and(|operator| operator.kind() == "+=");
                    if appends || target.kind() == "subscript" {
                        self.found.reads.insert(name.to_owned());
                    }
                    self.set(name);
                }
            }
            _ => {}
        }
    }

    fn expansion(&mut self, node: Node<'_>) {
        let source = self.source;
        let mut cursor = node.walk();
        let mut name = None;
        let mut operator = "";
        for child in node.children(&mut cursor) {
            match child.kind() {
                "variable_name" if name.is_none() => name = Some(text(child, source)),
                "subscript" if name.is_none() => {
                    name = child.child_by_field_name("name").map(|name| text(name, source));
                }
                kind if name.is_some() && operator.is_empty() => operator = kind,
                _ => {}
            }
        }
        let Some(name) = name else { return };
        match operator {
            ":=" | "=" => {
                self.found.reads.insert(name.to_owned());
                self.set(name);
            }
            ":-" | "-" | ":+" | "+" => {
                self.found.reads.insert(name.to_owned());
            }
            _ => self.read(name),
        }
    }

    fn declaration(&mut self, node: Node<'_>) {
        let source = self.source;
        let exports = node.child(0).is_some_and(|keyword| keyword.kind() == "export");
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).filter(|child| child.kind() == "variable_name") {
            if exports { self.read(text(child, source)) } else { self.set(text(child, source)) }
        }
    }

    /// Builtins that take the names of variables as words.
    fn builtin(&mut self, node: Node<'_>) {
        let source = self.source;
        let mut cursor = node.walk();
        let words: Vec<&'s str> = node
            .named_children(&mut cursor)
            .filter(|child| {
                matches!(child.kind(), "command_name" | "word" | "variable_name" | "concatenation")
            })
            .map(|child| text(child, source))
            .collect();
        let Some((name, arguments)) = words.split_first() else { return };
        let names = || arguments.iter().filter(|word| is_name(word));
        match *name {
            _ if node.kind() == "unset_command" => words.iter().for_each(|name| self.set(name)),
            "read" | "mapfile" | "readarray" => names().for_each(|name| self.set(name)),
            "getopts" => names().skip(1).for_each(|name| self.set(name)),
            "printf" | "wait" if arguments.first().is_some_and(|flag| matches!(*flag, "-v" | "-p")) => {
                arguments.iter().skip(1).take(1).for_each(|name| self.set(name));
            }
            "let" => {
                for word in arguments {
                    let end =
                        word.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(word.len());
                    self.set(&word[..end]);
                }
            }
            _ => {}
        }
    }

    fn arithmetic(&mut self, node: Node<'_>, ancestors: &[Node<'_>]) {
        const ASSIGNS: [&str; 13] =
            ["=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", "&=", "^=", "|=", "++"];
        let in_for = || ancestors.iter().any(|ancestor| ancestor.kind() == "c_style_for_statement");
        let name = text(node, self.source);
        if !is_name(name) || (node.kind() == "word" && !in_for()) {
            return;
        }
        let Some(parent) = ancestors.last() else { return };
        let operator = parent.child_by_field_name("operator").map_or("", |operator| operator.kind());
        let is_left = parent.child_by_field_name("left").is_none_or(|left| left.id() == node.id());
        let assigns = is_left && (ASSIGNS.contains(&operator) || operator == "--");
        if !(assigns && operator == "=") {
            self.read(name);
        }
        if assigns {
            self.set(name);
        }
    }

    fn child_of_kind(&self, node: Node<'_>, kind: &str) -> Option<&'s str> {
        let mut cursor = node.walk();
        node.named_children(&mut cursor)
            .find(|child| child.kind() == kind)
            .map(|child| text(child, self.source))
    }

    fn read(&mut self, name: &str) {
        if !is_name(name) {
            return;
        }
        self.found.reads.insert(name.to_owned());
        if !self.known.contains(name) {
            self.found.needs.insert(name.to_owned());
        }
    }

    fn set(&mut self, name: &str) {
        if !is_name(name) {
            return;
        }
        self.known.insert(name.to_owned());
        self.found.assigned.insert(name.to_owned());
        if self.outer.is_empty() {
            self.found.sets.insert(name.to_owned());
        }
    }
}

/// Nodes whose changes of variables end with them.
fn is_subshell(kind: &str) -> bool {
    matches!(kind, "subshell" | "command_substitution" | "process_substitution" | "pipeline")
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    #[track_caller]
    fn check(source: &str, reads: &str, sets: &str, needs: &str) {
        let tree = parse(source).expect("it parses");
        let found = of_nodes(&[tree.root_node()], source);
        let join = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (&*join(&found.reads), &*join(&found.sets), &*join(&found.needs)),
            (reads, sets, needs),
            "{source}"
        );
    }

    #[test]
    fn expansions() {
        check("echo $A ${B} \"$C-${D##*/}\" '$E' ${#F} $1 $? ${G[i]}", "A B C D F G i", "", "A B C D F G");
        check("echo ${A:-x} ${B-$C} ${D:+y} ${E:?no} ${F:=z}", "A B C D E F", "F", "C E");
        check("cat <<E\n$A $(cmd $B)\nE\n", "A B", "", "A B");
        check("cat <<'E'\n$A\nE\n", "", "", "");
        check("echo $((a + b * $c)) ${d[e+1]}", "a b c d e", "", "a b c d");
    }

    #[test]
    fn assignments() {
        check("A=1", "", "A", "");
        check("A=$A:x", "A", "A", "A");
        check("A+=x", "A", "A", "");
        check("A=1; echo $A", "A", "A", "");
        check("(A=1); echo $A", "A", "", "A");
        check("for i in $L; do echo $i; done", "L i", "i", "L");
        check("for ((i=0;i<n;i++)); do :; done", "i n", "i", "n");
        check("read -r A B < f; echo $B", "B", "A B", "");
        check("cat f | read A", "", "", "");
        check("export A=1 B; declare -x C; local D=2; unset E", "B", "A C D E", "B");
        check("printf -v A %s x; mapfile -t B < f; let c=1; ((d++)); ((e=2))", "d", "A B c d e", "d");
        check("A[$i]=1; echo ${A[@]}", "A i", "A", "i");
        check("PID=$(pgrep x); [ -n \"$PID\" ] && kill $PID", "PID", "PID", "");
    }

    #[test]
    fn without_a_tree_everything_that_looks_like_a_variable_counts() {
        let found = of_text("if $A ${B:-x} ${!C} '$D' $1 $( $");
        assert_eq!(found.reads.into_iter().collect::<Vec<_>>().join(" "), "A B C D");
    }
}
