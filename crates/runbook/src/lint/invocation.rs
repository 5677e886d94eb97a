//! Owns the commands of a script as rules see them: names, arguments, and what is around them.

use std::borrow::Cow;

use crate::bash::{AndOr, Command, Ending, Item, Kind, Part, Pipeline, Redirect, Script, Span, Word};

/// A command that is called somewhere in a script.
#[derive(Debug, Clone)]
pub(crate) struct Invocation<'t> {
    /// Its name without a folder; behind `sudo`, `timeout` and their like, that of the command.
    pub(crate) name: Cow<'t, str>,
    pub(crate) arguments: &'t [Word],
    pub(crate) redirects: &'t [Redirect],
    /// Its arguments as text, NUL where something is expanded.
    shapes: Vec<Cow<'t, str>>,
    /// From its name, or its wrapper, to its last word.
    pub(crate) span: Span,
    /// Names of the commands in front of it: `sudo`, `timeout`, `xargs`.
    pub(crate) wrappers: Vec<Cow<'t, str>>,
    pub(crate) around: Around,
    /// The stages of the pipeline that it is in, and which it is.
    pub(crate) stages: &'t [Command],
    pub(crate) stage: usize,
    /// The whole top-level or inner statement that it is in.
    pub(crate) item: Span,
    /// What follows it in an and-or list.
    pub(crate) next: Option<&'t (AndOr, Pipeline)>,
}

/// What is around a command.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    pub(crate) condition: bool,
    pub(crate) background: bool,
    pub(crate) substitution: bool,
    /// A loop that ends by a person's hand only.
    pub(crate) endless: bool,
}

/// Commands in front of others, and how many operands come first.
const WRAPPERS: [(&str, usize); 12] = [
    ("sudo", 0),
    ("doas", 0),
    ("nohup", 0),
    ("time", 0),
    ("timeout", 1),
    ("nice", 0),
    ("ionice", 0),
    ("env", 0),
    ("xargs", 0),
    ("stdbuf", 0),
    ("setsid", 0),
    ("command", 0),
];

/// Returns all commands of a script in the order of the text.
pub(crate) fn invocations(script: &Script) -> Vec<Invocation<'_>> {
    let mut found = Vec::new();
    items(&script.items, Around::default(), &mut found);
    for document in &script.here_documents {
        word(&document.body, Around::default(), &mut found);
    }
    found
}

fn items<'t>(list: &'t [Item], around: Around, found: &mut Vec<Invocation<'t>>) {
    for item in list {
        let around = Around { background: around.background || item.ending == Ending::Background, ..around };
        for (idx, pipeline) in item.pipelines().enumerate() {
            for (stage, one) in pipeline.stages.iter().enumerate() {
                let start = found.len();
                command(one, around, found);
                for invocation in &mut found[start..] {
                    if invocation.stages.is_empty() {
                        invocation.stages = &pipeline.stages;
                        invocation.stage = stage;
                        invocation.item = item.span.clone();
                        invocation.next = item.rest.get(idx);
                    }
                }
            }
        }
    }
}

fn name_of(command: &Command) -> Cow<'_, str> {
    match &command.kind {
        Kind::Simple { words, .. } => words.first().map(base_name).unwrap_or_default(),
        _ => Cow::default(),
    }
}

/// The name of a command without its folder; empty where it is computed.
fn base_name(word: &Word) -> Cow<'_, str> {
    let behind = |name: &str| name.rfind('/').map_or(0, |at| at + 1);
    match word.literal().unwrap_or_default() {
        Cow::Borrowed(name) => Cow::Borrowed(&name[behind(name)..]),
        Cow::Owned(name) => Cow::Owned(name[behind(&name)..].to_owned()),
    }
}

fn command<'t>(command: &'t Command, around: Around, found: &mut Vec<Invocation<'t>>) {
    let inner = around;
    match &command.kind {
        Kind::Simple { assignments, words } => {
            simple(command, words, around, found);
            let values = assignments.iter().map(|assignment| &assignment.value);
            values.chain(words).for_each(|one| word(one, inner, found));
        }
        Kind::Group(list) | Kind::Subshell(list) => items(list, inner, found),
        Kind::If { branches, otherwise } => {
            for branch in branches {
                items(&branch.condition, Around { condition: true, ..inner }, found);
                items(&branch.body, inner, found);
            }
            items(otherwise, inner, found);
        }
        Kind::Loop { condition, body, .. } => {
            let endless = condition
                .first()
                .is_some_and(|item| matches!(&*name_of(&item.first.stages[0]), "true" | ":"));
            items(condition, Around { condition: true, endless, ..inner }, found);
            items(body, Around { endless, ..inner }, found);
        }
        Kind::For { words, body, .. } => {
            words.iter().flatten().for_each(|one| word(one, inner, found));
            items(body, Around { ..inner }, found);
        }
        Kind::ArithmeticFor { body, .. } => items(body, Around { ..inner }, found),
        Kind::Case { subject, arms } => {
            word(subject, inner, found);
            arms.iter().for_each(|arm| items(&arm.body, inner, found));
        }
        Kind::Function { body, .. } | Kind::Coproc(body) => self::command(body, inner, found),
        Kind::Test(words) => words.iter().for_each(|one| word(one, inner, found)),
        Kind::Arithmetic(one) => word(one, inner, found),
    }
}

/// The commands in the substitutions of a word.
fn word<'t>(one: &'t Word, around: Around, found: &mut Vec<Invocation<'t>>) {
    for part in &one.parts {
        match part {
            Part::Substitution { items: list, .. } | Part::Process { items: list } => {
                items(list, Around { substitution: true, condition: false, ..around }, found);
            }
            Part::Array(words) => words.iter().for_each(|one| word(one, around, found)),
            _ => {}
        }
    }
}

fn simple<'t>(command: &'t Command, words: &'t [Word], around: Around, found: &mut Vec<Invocation<'t>>) {
    let mut rest = words;
    let mut wrappers = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        let name = base_name(first);
        if let Some((_, n_operands)) = WRAPPERS.iter().find(|(wrapper, _)| *wrapper == name)
            && let Some(behind) = behind(after, *n_operands)
        {
            wrappers.push(name);
            rest = behind;
            continue;
        }
        found.push(Invocation {
            name,
            arguments: after,
            redirects: &command.redirects,
            shapes: after.iter().map(Word::shape).collect(),
            span: words[0].span.start..command.span.end,
            wrappers,
            around,
            stages: &[],
            stage: 0,
            item: 0..0,
            next: None,
        });
        return;
    }
}

/// The command behind the options and operands of a wrapper.
fn behind(words: &[Word], n_operands: usize) -> Option<&[Word]> {
    let is_option = |word: &Word| word.literal_prefix().0.starts_with('-');
    let is_setting = |word: &Word| {
        word.literal_prefix().0.split_once('=').is_some_and(|(name, _)| crate::shell::is_name(name))
    };
    let first = words.iter().position(|word| !is_option(word) && !is_setting(word))?;
    let mut start = first + n_operands;
    // The value of an option such as `-u postgres`.
    let takes = |word: &Word| {
        matches!(word.plain(), Some("-u" | "-n" | "-g" | "-c" | "-s" | "-k" | "-L" | "-P" | "-I"))
    };
    if n_operands == 0 && first > 0 && takes(&words[first - 1]) {
        start += 1;
    }
    words.get(start..).filter(|rest| !rest.is_empty())
}

// === impl Invocation ===

impl Invocation<'_> {
    /// Whether one of these words stands among the arguments.
    pub(crate) fn has(&self, words: &[&str]) -> bool {
        self.shapes().any(|text| words.contains(&text))
    }

    /// Whether an option stands among the arguments: a letter, in a cluster too, or a long name, with a value too.
    pub(crate) fn option(&self, letter: char, long: &str) -> bool {
        self.shapes().any(|text| {
            if !text.starts_with('-') {
                return false;
            }
            let text = text.split_once('\0').map_or(text, |(before, _)| before);
            match text.strip_prefix("--") {
                Some(name) => !long.is_empty() && name.split('=').next() == Some(long),
                None => letter != '\0' && text[1..].contains(letter),
            }
        })
    }

    /// Its arguments as text, NUL where something is expanded.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = &str> {
        self.shapes.iter().map(Cow::as_ref)
    }

    /// Its first argument that is no option.
    pub(crate) fn operand(&self) -> Option<&str> {
        self.shapes().find(|text| !text.starts_with('-'))
    }

    /// The names of the stages of its pipeline.
    pub(crate) fn stage_names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.stages.iter().map(name_of)
    }

    /// The name of the next command in its and-or list, behind this joint.
    pub(crate) fn next_behind(&self, joint: AndOr) -> Option<Cow<'_, str>> {
        let (_, next) = self.next.filter(|(found, _)| *found == joint)?;
        next.stages.first().map(name_of)
    }

    pub(crate) fn is_wrapped_by(&self, wrapper: &str) -> bool {
        self.wrappers.iter().any(|name| name == wrapper)
    }
}
