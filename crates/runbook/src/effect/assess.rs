//! Owns walking a statement: every command of it is judged, and the worst decides.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::table::Table;
use super::trust::Trust;
use super::{Assessment, Effect};
use crate::bash::{Assignment, Command, Ending, Item, Kind, Pipeline, Script, Word};
use crate::shell::{is_program_setting, is_reserved_variable};

/// What earlier statements left for later ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Functions, and what a call of them does at worst.
    functions: BTreeMap<String, Assessment>,
    /// Variables whose values stand in the text, each with all that it may hold.
    pub(super) literals: BTreeMap<String, Vec<String>>,
}

// === impl Known ===

impl Known {
    /// Another fence begins: the one before may have been skipped or have ended early.
    pub(crate) fn forget_values(&mut self) {
        self.literals.clear();
    }
}

/// Texts in texts (`sh -c "sh -c ..."`) and calls in calls: deeper is nothing for people.
const DEPTH_MAX: usize = 12;

/// Reads the effect of some items of a script, in the light of what was known before; they may add to that.
pub(crate) fn assess(script: &Script, items: &[Item], table: &Table, known: &mut Known) -> Assessment {
    let mut judge = Judge::new(script, table, std::mem::take(known), 0);
    judge.items(items);
    let (assessment, left) = judge.finish();
    *known = left;
    assessment
}

pub(super) struct Judge<'t> {
    pub(super) script: &'t Script,
    pub(super) table: &'t Table,
    pub(super) known: Known,
    found: Assessment,
    /// Names of commands that only look, for the reason.
    looks: Vec<String>,
    pub(super) depth: usize,
    /// What is set for the command at hand alone; `None` where that is computed.
    environment: BTreeMap<String, Option<String>>,
    /// Whether standard input of the command at hand is a pipe, a file or a here-document.
    pub(super) is_fed: bool,
}

impl<'t> Judge<'t> {
    fn new(script: &'t Script, table: &'t Table, known: Known, depth: usize) -> Self {
        let found = Assessment { effect: Effect::Observe, reason: String::new(), trusts: BTreeMap::new() };
        Self {
            script,
            table,
            known,
            found,
            looks: Vec::new(),
            depth,
            environment: BTreeMap::new(),
            is_fed: false,
        }
    }

    fn finish(mut self) -> (Assessment, Known) {
        match self.found.effect {
            Effect::Observe => self.found.reason = self.only_looks(),
            Effect::Unknown => self.found.trusts.clear(),
            // Of a statement that does more, the reader wants to know what.
            Effect::Change | Effect::Disrupt | Effect::Destroy => {}
        }
        (self.found, self.known)
    }

    /// Why it only looks, and as long as what.
    fn only_looks(&self) -> String {
        let mut reason = String::with_capacity(64);
        match self.looks.split_first() {
            None => reason += "does nothing",
            Some((first, others)) => {
                reason.extend(["only looks (", first]);
                others.iter().for_each(|name| reason.extend([", ", name]));
                reason.push(')');
            }
        }
        for (idx, (name, trust)) in self.found.trusts.iter().enumerate() {
            let joint = if idx == 0 { ", as long as $" } else { " and $" };
            reason.extend([joint, name, " ", trust.demand()]);
        }
        reason
    }

    pub(super) fn raise(&mut self, effect: Effect, reason: impl Into<String>) {
        self.found.raise(effect, || reason.into());
    }

    pub(super) fn unknown(&mut self, reason: impl Into<String>) {
        self.raise(Effect::Unknown, reason);
    }

    pub(super) fn looks(&mut self, name: &str) {
        if !self.looks.iter().any(|known| known == name) {
            self.looks.push(name.to_owned());
        }
    }

    /// The effect holds only as long as a variable holds nothing else; the strictest demand counts.
    pub(super) fn trust(&mut self, name: &str, trust: Trust) {
        if let Some(values) = self.known.literals.get(name) {
            let bad = values.iter().find(|value| !trust.accepts_parts(value));
            if let Some(reason) =
                bad.map(|value| format!("${name} holds `{value}`, and should hold what {}", trust.demand()))
            {
                self.unknown(reason);
            }
            return;
        }
        let demand = self.found.trusts.entry(name.to_owned()).or_insert(trust);
        *demand = (*demand).max(trust);
    }

    pub(super) fn items(&mut self, items: &[Item]) {
        if self.depth > DEPTH_MAX {
            return self.unknown(format!("it is nested deeper than {DEPTH_MAX} levels"));
        }
        for item in items {
            let in_background = item.ending == Ending::Background;
            for (idx, pipeline) in item.pipelines().enumerate() {
                if idx > 0 || in_background {
                    self.perhaps(|judge| judge.pipeline(pipeline));
                } else {
                    self.pipeline(pipeline);
                }
            }
        }
    }

    /// Judges what is not always run, or by another shell: what it sets is known afterwards only where nothing changed.
    fn perhaps(&mut self, judge: impl FnOnce(&mut Self)) {
        let before = self.known.literals.clone();
        judge(self);
        self.known.literals.retain(|name, values| before.get(name) == Some(values));
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        let outer = self.is_fed;
        for (idx, stage) in pipeline.stages.iter().enumerate() {
            self.is_fed = outer || idx > 0;
            match pipeline.stages.len() {
                1 => self.command(stage),
                _ => self.perhaps(|judge| judge.command(stage)),
            }
        }
        self.is_fed = outer;
    }

    pub(super) fn command(&mut self, command: &Command) {
        let outer = self.is_fed;
        for redirect in &command.redirects {
            self.redirect(redirect);
        }
        self.kind(&command.kind);
        self.is_fed = outer;
    }

    fn kind(&mut self, kind: &Kind) {
        match kind {
            Kind::Simple { assignments, words } => self.simple(assignments, words),
            Kind::Group(items) => self.items(items),
            Kind::Subshell(items) => self.perhaps(|judge| judge.items(items)),
            Kind::If { branches, otherwise } => {
                for branch in branches {
                    self.perhaps(|judge| judge.items(&branch.condition));
                    self.perhaps(|judge| judge.items(&branch.body));
                }
                self.perhaps(|judge| judge.items(otherwise));
            }
            Kind::Loop { condition, body, .. } => {
                self.forget_assigned(condition);
                self.forget_assigned(body);
                self.perhaps(|judge| judge.items(condition));
                self.perhaps(|judge| judge.items(body));
            }
            Kind::For { name, words, body, .. } => self.each(name, words.as_deref(), body),
            Kind::ArithmeticFor { header, body } => {
                self.forget_assigned(body);
                self.arithmetic(header);
                self.perhaps(|judge| judge.items(body));
            }
            Kind::Case { subject, arms } => {
                self.word(subject);
                for arm in arms {
                    self.perhaps(|judge| {
                        arm.patterns.iter().for_each(|pattern| judge.word(pattern));
                        judge.items(&arm.body);
                    });
                }
            }
            Kind::Function { name, body } => self.function(name, body),
            Kind::Test(words) => self.brackets(words),
            Kind::Arithmetic(word) => self.arithmetic(word),
            Kind::Coproc(_) => self.unknown("it uses `coproc`"),
        }
    }

    fn each(&mut self, name: &Word, words: Option<&[Word]>, body: &[Item]) {
        let Some(name) = name.plain().filter(|name| crate::shell::is_name(name)) else {
            return self.unknown("the variable of a loop is computed");
        };
        self.sets(name);
        let words = words.unwrap_or_default();
        words.iter().for_each(|word| self.word(word));
        self.forget_assigned(body);
        match words.iter().map(each_value).collect::<Option<Vec<String>>>() {
            Some(values) if !values.is_empty() => _ = self.known.literals.insert(name.to_owned(), values),
            _ => _ = self.known.literals.remove(name),
        }
        self.perhaps(|judge| judge.items(body));
    }

    /// In a loop, a value may come from the pass before.
    fn forget_assigned(&mut self, body: &[Item]) {
        let script = self.script;
        let literals = &mut self.known.literals;
        crate::bash::walk(script, body, |node, _| {
            if let crate::bash::Node::Assignment(assignment) = node {
                literals.remove(&assignment.name);
            }
        });
    }

    fn function(&mut self, name: &str, body: &Command) {
        if self.table.knows(name) || is_builtin(name) {
            return self.unknown(format!("it gives `{name}` another meaning"));
        }
        let mut inner = Judge::new(self.script, self.table, self.known.clone(), self.depth + 1);
        // What the caller sets is not known where the function is defined.
        inner.known.literals.clear();
        inner.command(body);
        let (mut assessment, _) = inner.finish();
        if let Some(before) = self.known.functions.remove(name) {
            assessment.raise(before.effect, || before.reason);
            assessment.trusts.extend(before.trusts);
        }
        self.add(&assessment, name);
        self.known.functions.insert(name.to_owned(), assessment);
        // It may set any of them whenever it is called.
        self.known.literals.clear();
    }

    /// Judges a call of a function, if there is one of this name.
    pub(super) fn call(&mut self, name: &str) -> bool {
        let Some(assessment) = self.known.functions.get(name).cloned() else { return false };
        self.known.literals.clear();
        self.add(&assessment, name);
        true
    }

    fn add(&mut self, assessment: &Assessment, name: &str) {
        if assessment.effect == Effect::Observe {
            self.looks(name);
        } else {
            let reason = assessment.reason.clone();
            self.raise(assessment.effect, format!("`{name}`: {reason}"));
        }
        for (name, trust) in &assessment.trusts {
            self.trust(name, *trust);
        }
    }

    fn simple(&mut self, assignments: &[Assignment], words: &[Word]) {
        words.iter().for_each(|word| self.word(word));
        for assignment in assignments {
            self.word(&assignment.value);
            if let Some(subscript) = &assignment.subscript {
                self.subscript(subscript);
            }
            if words.is_empty() {
                self.assignment(assignment);
            } else {
                self.prefix(&assignment.name, &assignment.value, words);
            }
        }
        let Some((name, arguments)) = words.split_first() else { return };
        let own = |one: &Assignment| {
            (one.name.clone(), one.value.literal().filter(|_| !one.appends).map(Cow::into_owned))
        };
        let outer = std::mem::replace(&mut self.environment, assignments.iter().map(own).collect());
        self.named(name, arguments);
        self.environment = outer;
    }

    fn named(&mut self, name: &Word, arguments: &[Word]) {
        let is_bracket = name.plain() == Some("[");
        match name.literal().filter(|_| is_bracket || (!name.is_pattern() && !name.has_braces())) {
            Some(name) if !name.starts_with('~') => self.invoke(&name, arguments),
            _ => self.unknown("the name of a command is computed"),
        }
    }

    fn assignment(&mut self, assignment: &Assignment) {
        self.sets(&assignment.name);
        let value = assignment.value.literal().filter(|value| !value.contains('~'));
        if let Some(value) = value.filter(|_| assignment.subscript.is_none() && !assignment.appends) {
            self.known.literals.insert(assignment.name.clone(), vec![value.into_owned()]);
        }
        self.looks(&format!("{}=", assignment.name));
    }

    /// A variable gets another value; some decide what later words mean.
    pub(super) fn sets(&mut self, name: &str) {
        self.known.literals.remove(name);
        if is_reserved_variable(name) {
            self.unknown(format!("it sets `{name}`"));
        }
    }

    /// `NAME=VALUE COMMAND`: what the program sees of it.
    fn prefix(&mut self, name: &str, value: &Word, words: &[Word]) {
        let value = value.literal();
        let reads = words[0].plain() == Some("read");
        let harmless = match name {
            "IFS" => reads && value.is_some(),
            "PAGER" | "SYSTEMD_PAGER" | "GIT_PAGER" | "MANPAGER" => {
                value.is_some_and(|value| matches!(value.as_ref(), "" | "cat"))
            }
            "DEBIAN_FRONTEND" | "LANG" | "LANGUAGE" | "COLUMNS" | "TERM" | "LC_ALL" | "LC_TIME"
            | "LC_COLLATE" | "LC_CTYPE" | "LC_NUMERIC" | "LC_MESSAGES" => {
                value.is_some_and(|value| !value.contains('/') && !value.contains('%'))
            }
            name => !is_reserved_variable(name) && !is_program_setting(name),
        };
        if !harmless {
            self.unknown(format!("it sets `{name}` for `{}`", words[0].shape()));
        }
    }

    /// A text that a shell will read by itself.
    pub(super) fn text(&mut self, text: &str) {
        let script = match crate::bash::parse(text) {
            Ok(script) => script,
            Err(error) => return self.unknown(format!("a text for a shell can not be read: {error}")),
        };
        let known = Known::default();
        let mut inner = Judge::new(&script, self.table, known, self.depth + 1);
        inner.items(&script.items);
        let looks = std::mem::take(&mut inner.looks);
        let (assessment, _) = inner.finish();
        looks.iter().for_each(|name| self.looks(name));
        self.raise(assessment.effect, assessment.reason);
        for (name, trust) in assessment.trusts {
            if name.contains(super::wrapper::STAND_IN) {
                self.unknown("another shell calculates with the value of a variable");
            }
            match self.environment.get(&name) {
                Some(Some(value)) if trust.accepts(value) => {}
                Some(_) => self.unknown(format!("another shell uses what `{name}` is set to")),
                None => {
                    // A value from outside it, which nothing is known of.
                    self.known.literals.remove(&name);
                    self.trust(&name, trust);
                }
            }
        }
    }
}

/// What a word of a `for` sets its variable to, where that stands in the text; a number for a range of them.
fn each_value(word: &Word) -> Option<String> {
    match word.plain() {
        Some(text) if is_number_range(text) => Some("1".to_owned()),
        _ => {
            let is_one =
                |text: &Cow<'_, str>| !word.is_pattern() && !word.has_braces() && !text.contains('~');
            word.literal().filter(is_one).map(Cow::into_owned)
        }
    }
}

/// `{1..10}`: the numbers of a range.
pub(super) fn is_number_range(text: &str) -> bool {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| inner.contains("..") && inner.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// Builtins and reserved words that the table does not list.
fn is_builtin(name: &str) -> bool {
    const NAMES: [&str; 24] = [
        ".", "alias", "bg", "bind", "builtin", "caller", "compgen", "complete", "compopt", "disown",
        "enable", "exec", "fc", "fg", "hash", "history", "let", "logout", "popd", "pushd", "shopt", "source",
        "suspend", "unalias",
    ];
    NAMES.contains(&name)
}
