//! Owns which variables a statement reads, sets, and needs from outside.

use std::collections::BTreeSet;

use super::names::is_name;
use crate::bash::{
    Assignment, Command, Ending, Item, Kind, Node, Operation, Part, Script, Variable, Visit, Word, walk,
};

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

/// Reads the variables of some items of a script.
pub(crate) fn of_items(script: &Script, items: &[Item]) -> Variables {
    let mut collector =
        Collector { found: Variables::default(), known: BTreeSet::new(), outer: Vec::new(), prefixes: 0 };
    walk(script, items, |node, visit| match visit {
        Visit::Enter => collector.enter(node),
        Visit::Leave => collector.leave(node),
    });
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

struct Collector {
    found: Variables,
    /// What is set so far, where the walk is.
    known: BTreeSet<String>,
    /// The same, outside each subshell that the walk is in.
    outer: Vec<BTreeSet<String>>,
    /// How many assignments of the command at hand hold for that command only.
    prefixes: usize,
}

impl Collector {
    fn enter(&mut self, node: Node<'_>) {
        if is_subshell(node) {
            self.outer.push(self.known.clone());
        }
        match node {
            Node::Command(command) => self.command(command),
            Node::Variable(variable) => self.variable(variable),
            Node::Part(Part::Arithmetic { expression, .. }) => self.arithmetic(expression),
            _ => {}
        }
    }

    fn leave(&mut self, node: Node<'_>) {
        if let Node::Assignment(assignment) = node {
            self.assignment(assignment);
        }
        if let Node::Variable(Variable { name, operation: Operation::Assign(_), .. }) = node {
            self.set(name);
        }
        if let Node::Command(Command { kind: Kind::Simple { assignments, words }, .. }) = node {
            self.builtin(words);
            self.prefixes -= if words.is_empty() { 0 } else { assignments.len() };
        }
        if is_subshell(node) {
            self.known = self.outer.pop().unwrap_or_default();
        }
    }

    fn command(&mut self, command: &Command) {
        match &command.kind {
            Kind::Simple { assignments, words } if !words.is_empty() => self.prefixes += assignments.len(),
            Kind::Arithmetic(word) => self.arithmetic(word),
            Kind::ArithmeticFor { header, .. } => self.arithmetic(header),
            Kind::Test(words) => self.comparison(words),
            Kind::For { name, .. } => name.plain().into_iter().for_each(|name| self.set(name)),
            _ => {}
        }
    }

    fn variable(&mut self, variable: &Variable) {
        if let Some(subscript) = &variable.subscript {
            self.subscript(subscript);
        }
        match variable.operation {
            Operation::Default(_) | Operation::Alternative(_) | Operation::Assign(_) => {
                if is_name(&variable.name) {
                    add(&mut self.found.reads, &variable.name);
                }
            }
            _ => self.read(&variable.name),
        }
        if let Operation::Slice(word) = &variable.operation {
            self.arithmetic(word);
        }
    }

    fn assignment(&mut self, assignment: &Assignment) {
        if let Some(subscript) = &assignment.subscript {
            self.subscript(subscript);
        }
        if assignment.appends || assignment.subscript.is_some() {
            add(&mut self.found.reads, &assignment.name);
        }
        if self.prefixes > 0 {
            add(&mut self.found.assigned, &assignment.name);
        } else {
            self.set(&assignment.name);
        }
    }

    /// An index is arithmetic, or the key of a map; nobody can tell.
    fn subscript(&mut self, subscript: &Word) {
        let text = subscript.literal().unwrap_or_default();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| is_name(word));
        self.found.reads.extend(words.map(str::to_owned));
    }

    /// Builtins that take the names of variables as words.
    fn builtin(&mut self, words: &[Word]) {
        let Some((name, arguments)) = words.split_first() else { return };
        let mut texts = arguments.iter().filter_map(leading_text);
        let names = || arguments.iter().filter_map(leading_text).filter(|text| is_name(text));
        match name.plain().unwrap_or_default() {
            "unset" | "read" | "mapfile" | "readarray" => names().for_each(|name| self.set(name)),
            "declare" | "local" | "readonly" | "typeset" => {
                texts.for_each(|text| self.set(declared(text)));
            }
            "export" => {
                for text in texts {
                    if text.contains('=') { self.set(declared(text)) } else { self.read(text) }
                }
            }
            "getopts" => names().skip(1).for_each(|name| self.set(name)),
            "printf" | "wait" if texts.next().is_some_and(|flag| matches!(flag, "-v" | "-p")) => {
                texts.take(1).for_each(|name| self.set(name));
            }
            "let" => texts.for_each(|text| self.expression(text)),
            _ => {}
        }
    }

    /// In `[[`, the numeric operators read bare names.
    fn comparison(&mut self, words: &[Word]) {
        const OPERATORS: [&str; 6] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];
        for triple in words.windows(3) {
            if triple[1].plain().is_some_and(|operator| OPERATORS.contains(&operator)) {
                self.arithmetic(&triple[0]);
                self.arithmetic(&triple[2]);
            }
        }
    }

    fn arithmetic(&mut self, expression: &Word) {
        for part in &expression.parts {
            if let Part::Literal { text, .. } = part {
                self.expression(text);
            }
        }
    }

    /// Names in an arithmetic text: those before `=`, `+=`, `++` and their like are set.
    fn expression(&mut self, text: &str) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = text;
        while let Some(start) = rest.find(is_word) {
            let before = &rest[..start];
            let end = rest[start..].find(|c| !is_word(c)).map_or(rest.len(), |at| start + at);
            let name = &rest[start..end];
            rest = &rest[end..];
            let after = rest.trim_start();
            let is_plain = after.starts_with('=') && !after.starts_with("==");
            let steps = ["++", "--"];
            let sets = is_plain
                || assigns_by_operator(after)
                || steps.iter().any(|step| after.starts_with(step) || before.trim_end().ends_with(step));
            if !is_plain {
                self.read(name);
            }
            if sets {
                self.set(name);
            }
        }
    }

    fn read(&mut self, name: &str) {
        if !is_name(name) {
            return;
        }
        add(&mut self.found.reads, name);
        if !self.known.contains(name) {
            add(&mut self.found.needs, name);
        }
    }

    fn set(&mut self, name: &str) {
        if !is_name(name) {
            return;
        }
        add(&mut self.known, name);
        add(&mut self.found.assigned, name);
        if self.outer.is_empty() {
            add(&mut self.found.sets, name);
        }
    }
}

/// Most names are met several times, and need a string of their own only once.
fn add(names: &mut BTreeSet<String>, name: &str) {
    if !names.contains(name) {
        names.insert(name.to_owned());
    }
}

/// Whether changes of variables in a node end with it.
fn is_subshell(node: Node<'_>) -> bool {
    match node {
        Node::Item(item) => item.ending == Ending::Background,
        Node::Pipeline(pipeline) => pipeline.stages.len() > 1,
        Node::Command(command) => matches!(command.kind, Kind::Subshell(_) | Kind::Coproc(_)),
        Node::Part(part) => matches!(part, Part::Substitution { .. } | Part::Process { .. }),
        _ => false,
    }
}

/// `+=`, `<<=` and their like.
fn assigns_by_operator(text: &str) -> bool {
    let operator = text.trim_start_matches(['+', '-', '*', '/', '%', '<', '>', '&', '^', '|']);
    let length = text.len() - operator.len();
    let compares = length == 1 && text.starts_with(['<', '>']);
    (1..=2).contains(&length) && operator.starts_with('=') && !compares
}

fn leading_text(word: &Word) -> Option<&str> {
    match word.parts.first() {
        Some(Part::Literal { text, .. }) => Some(text),
        _ => None,
    }
}

/// The name in `NAME=VALUE`, `NAME+=VALUE` or `NAME`.
fn declared(text: &str) -> &str {
    let name = text.split('=').next().unwrap_or_default();
    name.strip_suffix('+').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, reads: &str, sets: &str, needs: &str) {
        let script = crate::bash::parse(source).expect("it parses");
        let found = of_items(&script, &script.items);
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
        check("[[ $a -gt b && c == d ]]", "a b", "", "a b");
    }

    #[test]
    fn assignments() {
        check("A=1", "", "A", "");
        check("A=$A:x", "A", "A", "A");
        check("A+=x", "A", "A", "");
        check("A=1; echo $A", "A", "A", "");
        check("A=1 cmd; echo $A", "A", "", "A");
        check("(A=1); echo $A", "A", "", "A");
        check("for i in $L; do echo $i; done", "L i", "i", "L");
        check("for ((i=0;i<n;i++)); do :; done", "i n", "i", "n");
        check("read -r A B < f; echo $B", "B", "A B", "");
        check("cat f | read A", "", "", "");
        check("export A=1 B; declare -x C; local D=2; unset E", "B", "A C D E", "B");
        check(
            "printf -v A %s x; mapfile -t B < f; let c=1; ((d++)); ((e=2)); ((f+=1))",
            "d f",
            "A B c d e f",
            "d f",
        );
        check("A[$i]=1; echo ${A[@]}", "A i", "A", "i");
        check("PID=$(pgrep x); [ -n \"$PID\" ] && kill $PID", "PID", "PID", "");
    }

    #[test]
    fn without_a_tree_everything_that_looks_like_a_variable_counts() {
        let found = of_text("if $A ${B:-x} ${!C} '$D' $1 $( $");
        assert_eq!(found.reads.into_iter().collect::<Vec<_>>().join(" "), "A B C D");
    }
}
