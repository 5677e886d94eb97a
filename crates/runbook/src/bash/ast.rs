//! Owns the syntax tree of bash text: what [`parse`](super::parse) found, with the bytes where it stands.
//!
//! The tree says what is written, not what it does: constructs that nobody can judge (`eval`, `${!name}`, `coproc`)
//! have their place in it as well, and whoever reads the tree decides.

use std::borrow::Cow;
use std::ops::Range;

/// Bytes of the source.
pub(crate) type Span = Range<usize>;

/// A text of commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) items: Vec<Item>,
    /// The here-documents of the whole text, nested ones included; [`Target::HereDocument`] points into it.
    pub(crate) here_documents: Vec<HereDocument>,
    /// Comments of the whole text, from `#` to the end of the line.
    pub(crate) comments: Vec<Span>,
}

/// `A && B || C`, up to `;`, `&` or the end of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) first: Pipeline,
    pub(crate) rest: Vec<(AndOr, Pipeline)>,
    /// Whether it ends with `&`.
    pub(crate) ending: Ending,
    /// With the `&`, and with the here-documents that begin in it.
    pub(crate) span: Span,
}

/// How an item ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Foreground,
    Background,
}

/// What joins two pipelines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AndOr {
    And,
    Or,
}

/// `! time A | B |& C`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pipeline {
    pub(crate) negated: bool,
    /// Whether `time` stands before it.
    pub(crate) timed: bool,
    /// At least one.
    pub(crate) stages: Vec<Command>,
    pub(crate) span: Span,
}

/// One command with its redirections, which stand in the order of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) kind: Kind,
    pub(crate) redirects: Vec<Redirect>,
    pub(crate) span: Span,
}

/// What a command is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Assignments, then words; one of both may be missing, and with a redirection both.
    Simple { assignments: Vec<Assignment>, words: Vec<Word> },
    /// `{ A; B; }`
    Group(Vec<Item>),
    /// `( A; B )`
    Subshell(Vec<Item>),
    /// `if A; then B; elif C; then D; else E; fi`
    If { branches: Vec<Branch>, otherwise: Vec<Item> },
    /// `while A; do B; done`, `until A; do B; done`
    Loop { kind: Loop, condition: Vec<Item>, body: Vec<Item> },
    /// `for NAME in WORDS; do B; done`; without `in` it goes through the positional parameters.
    For { name: Word, words: Option<Vec<Word>>, body: Vec<Item>, kind: For },
    /// `for ((A; B; C)); do D; done`
    ArithmeticFor { header: Word, body: Vec<Item> },
    /// `case WORD in PATTERN|PATTERN) A ;; esac`
    Case { subject: Word, arms: Vec<Arm> },
    /// `name() COMMAND`, `function name COMMAND`
    Function { name: String, body: Box<Command> },
    /// `[[ ... ]]`: the words between, operators and parentheses as words of their own.
    Test(Vec<Word>),
    /// `(( ... ))`
    Arithmetic(Word),
    /// `coproc ...`
    Coproc(Box<Command>),
}

/// A condition and what is done when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) condition: Vec<Item>,
    pub(crate) body: Vec<Item>,
}

/// Which way a condition ends a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loop {
    While,
    Until,
}

/// Whether the words are gone through, or offered to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Each,
    Select,
}

/// Patterns and what is done when one of them matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arm {
    pub(crate) patterns: Vec<Word>,
    pub(crate) body: Vec<Item>,
}

/// `NAME=VALUE`, `NAME+=VALUE`, `NAME[SUBSCRIPT]=VALUE`, `NAME=(WORDS)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) subscript: Option<Word>,
    pub(crate) appends: bool,
    /// A list is a word of one [`Part::Array`]. Empty parts: set to nothing.
    pub(crate) value: Word,
    pub(crate) span: Span,
}

/// A word before expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Two literals of one quoting never stand side by side; an empty `""` is a quoted, empty literal.
    pub(crate) parts: Vec<Part>,
    pub(crate) span: Span,
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text as the command will see it: quotes and backslashes are resolved. Unquoted text may hold `*?[]{}~`.
    Literal { text: String, quoting: Quoting },
    /// `$NAME`, `${NAME...}`, `$1`, `$?`
    Variable { variable: Variable, quoting: Quoting },
    /// `$( ... )` and backticks.
    Substitution { items: Vec<Item>, quoting: Quoting },
    /// `$(( ... ))`: the expression as text and expansions.
    Arithmetic { expression: Word, quoting: Quoting },
    /// `<( ... )`, `>( ... )`
    Process { items: Vec<Item> },
    /// `( ... )` behind `NAME=`; an element may be `[KEY]=VALUE`, which stays one word.
    Array(Vec<Word>),
}

/// Whether an expansion or a text stands in quotes: unquoted, a value falls apart into words and file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoting {
    Quoted,
    Unquoted,
}

/// One parameter expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// A name, a digit, or one of `@*#?$!-_`.
    pub(crate) name: String,
    /// What stands in brackets behind the name.
    pub(crate) subscript: Option<Word>,
    pub(crate) operation: Operation,
    pub(crate) span: Span,
}

/// What an expansion does with the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `$NAME`, `${NAME}`
    Value,
    /// `${#NAME}`
    Length,
    /// `${!NAME}`, `${!NAME*}`, `${NAME@P}`: anything that computes a name or runs the value.
    Indirect,
    /// `${NAME:-WORD}`, `${NAME-WORD}`
    Default(Word),
    /// `${NAME:=WORD}`, `${NAME=WORD}`
    Assign(Word),
    /// `${NAME:+WORD}`, `${NAME+WORD}`
    Alternative(Word),
    /// `${NAME:?WORD}`, `${NAME?WORD}`
    Require(Word),
    /// `${NAME:OFFSET:LENGTH}`: arithmetic.
    Slice(Word),
    /// `${NAME#WORD}`, `%`, `/`, `^`, `,` and their doubles: what follows the operator.
    Edit(Word),
}

/// `3>file`, `<in`, `2>&1`, `<<END`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// The number or `{NAME}` in front, as written; empty where there is none.
    pub(crate) descriptor: String,
    pub(crate) operator: Operator,
    pub(crate) target: Target,
    pub(crate) span: Span,
}

/// Which way a redirection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// `<`
    Read,
    /// `>`, `>|`
    Write,
    /// `>>`
    Append,
    /// `<>`
    ReadWrite,
    /// `&>`
    WriteBoth,
    /// `&>>`
    AppendBoth,
    /// `<&`, `>&`
    Copy,
    /// `<<`, `<<-`
    HereDocument,
    /// `<<<`
    HereString,
}

/// What a redirection names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Word(Word),
    /// An index into [`Script::here_documents`].
    HereDocument(usize),
}

/// The text of a here-document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HereDocument {
    /// One quoted literal where the delimiter is quoted; otherwise text and expansions, all of them quoted.
    pub(crate) body: Word,
    /// Whether the delimiter is quoted, so that nothing in the body is expanded.
    pub(crate) quoting: Option<Quoting>,
}

// === impl Word ===

impl Word {
    /// Returns the text of a word in which nothing is quoted or expanded.
    pub(crate) fn plain(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Literal { text, quoting: Quoting::Unquoted }] => Some(text),
            _ => None,
        }
    }

    /// Returns the text of a word that holds no expansion, quoted or not.
    pub(crate) fn literal(&self) -> Option<Cow<'_, str>> {
        match self.literal_prefix() {
            (text, []) => Some(text),
            _ => None,
        }
    }

    /// Returns the text before the first expansion, and the rest of the parts.
    pub(crate) fn literal_prefix(&self) -> (Cow<'_, str>, &[Part]) {
        if let [Part::Literal { text, .. }] = self.parts.as_slice() {
            return (Cow::Borrowed(text), &[]);
        }
        let end = self.parts.iter().position(|part| !matches!(part, Part::Literal { .. }));
        let (texts, rest) = self.parts.split_at(end.unwrap_or(self.parts.len()));
        (joined(texts), rest)
    }

    /// Returns the text with a NUL, which no word holds, in the place of each expansion.
    pub(crate) fn shape(&self) -> Cow<'_, str> {
        joined(&self.parts)
    }

    /// Whether an unquoted `*`, `?` or `[` makes it a pattern of file names.
    pub(crate) fn is_pattern(&self) -> bool {
        self.unquoted_text().any(|text| text.contains(['*', '?', '[']))
    }

    /// Whether an unquoted `{` may make several words of it.
    pub(crate) fn has_braces(&self) -> bool {
        self.unquoted_text().any(|text| text.contains('{'))
    }

    fn unquoted_text(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal { text, quoting: Quoting::Unquoted } => Some(text.as_str()),
            _ => None,
        })
    }
}

/// The texts of some parts, with a NUL in the place of each expansion. Most words are one text, which is lent.
fn joined(parts: &[Part]) -> Cow<'_, str> {
    match parts {
        [] => Cow::Borrowed(""),
        [Part::Literal { text, .. }] => Cow::Borrowed(text),
        _ => {
            let mut all = String::with_capacity(64);
            all.extend(parts.iter().map(|part| match part {
                Part::Literal { text, .. } => text.as_str(),
                _ => "\0",
            }));
            Cow::Owned(all)
        }
    }
}

// === impl Item ===

impl Item {
    /// Returns its pipelines in order.
    pub(crate) fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        std::iter::once(&self.first).chain(self.rest.iter().map(|(_, pipeline)| pipeline))
    }
}
