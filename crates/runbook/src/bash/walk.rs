//! Owns going through a tree: every command, word and redirection, in the order in which bash comes to them.

use super::ast::{
    Assignment, Command, Item, Kind, Operation, Part, Pipeline, Redirect, Script, Target, Variable, Word,
};

/// A place in the tree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'t> {
    Item(&'t Item),
    Pipeline(&'t Pipeline),
    Command(&'t Command),
    Assignment(&'t Assignment),
    Redirect(&'t Redirect),
    /// Below its word, which is not met by itself; texts, in which nothing happens, are not met either.
    Part(&'t Part),
    /// Below its part.
    Variable(&'t Variable),
}

/// A node is met twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    Enter,
    Leave,
}

/// Visits everything in `items`, which belong to `script`.
pub(crate) fn walk<'t>(script: &'t Script, items: &'t [Item], mut visit: impl FnMut(Node<'t>, Visit)) {
    Walker { script, visit: &mut visit }.items(items);
}

struct Walker<'t, 'v> {
    script: &'t Script,
    visit: &'v mut dyn FnMut(Node<'t>, Visit),
}

impl<'t> Walker<'t, '_> {
    fn around(&mut self, node: Node<'t>, inside: impl FnOnce(&mut Self)) {
        (self.visit)(node, Visit::Enter);
        inside(self);
        (self.visit)(node, Visit::Leave);
    }

    fn items(&mut self, items: &'t [Item]) {
        for item in items {
            self.around(Node::Item(item), |walker| {
                item.pipelines().for_each(|pipeline| walker.pipeline(pipeline))
            });
        }
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline) {
        self.around(Node::Pipeline(pipeline), |walker| {
            pipeline.stages.iter().for_each(|stage| walker.command(stage));
        });
    }

    fn command(&mut self, command: &'t Command) {
        self.around(Node::Command(command), |walker| {
            walker.kind(&command.kind);
            command.redirects.iter().for_each(|redirect| walker.redirect(redirect));
        });
    }

    fn kind(&mut self, kind: &'t Kind) {
        match kind {
            Kind::Simple { assignments, words } => {
                self.words(words);
                assignments.iter().for_each(|assignment| self.assignment(assignment));
            }
            Kind::Group(items) | Kind::Subshell(items) => self.items(items),
            Kind::If { branches, otherwise } => {
                for branch in branches {
                    self.items(&branch.condition);
                    self.items(&branch.body);
                }
                self.items(otherwise);
            }
            Kind::Loop { condition, body, .. } => {
                self.items(condition);
                self.items(body);
            }
            Kind::For { words, body, .. } => {
                self.words(words.as_deref().unwrap_or_default());
                self.items(body);
            }
            Kind::ArithmeticFor { header, body } => {
                self.word(header);
                self.items(body);
            }
            Kind::Case { subject, arms } => {
                self.word(subject);
                for arm in arms {
                    self.words(&arm.patterns);
                    self.items(&arm.body);
                }
            }
            Kind::Function { body, .. } | Kind::Coproc(body) => self.command(body),
            Kind::Test(words) => self.words(words),
            Kind::Arithmetic(word) => self.word(word),
        }
    }

    fn assignment(&mut self, assignment: &'t Assignment) {
        self.around(Node::Assignment(assignment), |walker| {
            assignment.subscript.iter().for_each(|subscript| walker.word(subscript));
            walker.word(&assignment.value);
        });
    }

    fn redirect(&mut self, redirect: &'t Redirect) {
        self.around(Node::Redirect(redirect), |walker| match &redirect.target {
            Target::Word(word) => walker.word(word),
            Target::HereDocument(idx) => {
                let document = &walker.script.here_documents[*idx];
                walker.word(&document.body);
            }
        });
    }

    fn words(&mut self, words: &'t [Word]) {
        words.iter().for_each(|word| self.word(word));
    }

    fn word(&mut self, word: &'t Word) {
        word.parts.iter().for_each(|part| self.part(part));
    }

    fn part(&mut self, part: &'t Part) {
        if matches!(part, Part::Literal { .. }) {
            return;
        }
        self.around(Node::Part(part), |walker| match part {
            Part::Literal { .. } => {}
            Part::Variable { variable, .. } => walker.variable(variable),
            Part::Substitution { items, .. } | Part::Process { items } => walker.items(items),
            Part::Arithmetic { expression, .. } => walker.word(expression),
            Part::Array(words) => walker.words(words),
        });
    }

    fn variable(&mut self, variable: &'t Variable) {
        self.around(Node::Variable(variable), |walker| {
            variable.subscript.iter().for_each(|subscript| walker.word(subscript));
            match &variable.operation {
                Operation::Value | Operation::Length | Operation::Indirect => {}
                Operation::Default(word)
                | Operation::Assign(word)
                | Operation::Alternative(word)
                | Operation::Require(word)
                | Operation::Slice(word)
                | Operation::Edit(word) => walker.word(word),
            }
        });
    }
}
