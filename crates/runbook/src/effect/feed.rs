//! Owns what a command finds on its standard input, where that stands in the script: a here-document, or the output of `echo`.

use super::assess::Judge;
use crate::bash::{Command, Kind, Node, Operator, Part, Pipeline, Redirect, Target, Visit, Word, walk};

/// What a command finds on its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feed {
    /// Nobody says; at a terminal that is what a person types.
    Inherited,
    /// This text, which may be empty.
    Text(String),
    /// Something that does not stand in the script.
    Unseen,
}

/// Where the walk is.
#[derive(Clone, Copy)]
enum Frame<'t> {
    Command(&'t Command),
    Pipeline(&'t Pipeline),
    Part(&'t Part),
    Other,
}

impl<'t> Judge<'t> {
    /// Returns what the command is fed that has these arguments.
    pub(super) fn feed(&self, arguments: &[Word]) -> Feed {
        let Some(span) = arguments.iter().map(|word| &word.span).find(|span| !span.is_empty()) else {
            return if self.is_fed { Feed::Unseen } else { Feed::Inherited };
        };
        let mut stack: Vec<Frame<'t>> = Vec::new();
        let (mut found, mut moved) = (None, false);
        walk(self.script, &self.script.items, |node, visit| {
            if visit == Visit::Leave {
                stack.pop();
                return;
            }
            stack.push(match node {
                Node::Command(command) => Frame::Command(command),
                Node::Pipeline(pipeline) => Frame::Pipeline(pipeline),
                Node::Part(part) => Frame::Part(part),
                _ => Frame::Other,
            });
            if let Node::Command(command) = node
                && let Kind::Simple { words, .. } = &command.kind
            {
                let redirects = || command.redirects.iter().any(|one| self.redirected(one).is_some());
                // From there on the shell itself reads from somewhere else.
                moved |= words.first().and_then(Word::plain) == Some("exec") && redirects();
                if found.is_none() && words.iter().any(|word| word.span == *span) {
                    found = Some(self.feed_of(&stack));
                }
            }
        });
        match found {
            Some(Feed::Inherited) | None if self.is_fed || moved => Feed::Unseen,
            Some(feed) => feed,
            None => Feed::Inherited,
        }
    }

    /// Whether what goes to a server is nothing, or a line that says nothing.
    pub(super) fn is_fed_harmlessly(&self, arguments: &[Word]) -> bool {
        match self.feed(arguments) {
            Feed::Inherited => true,
            Feed::Text(text) => matches!(text.trim(), "" | "Q" | "quit" | "QUIT"),
            Feed::Unseen => false,
        }
    }

    /// What the innermost of the commands is fed: the nearest redirection or pipe decides.
    fn feed_of(&self, stack: &[Frame<'t>]) -> Feed {
        let (mut inner, mut expanded) = (None::<&Command>, false);
        for frame in stack.iter().rev() {
            match frame {
                Frame::Command(command) => {
                    let redirected = command.redirects.iter().rev().find_map(|one| self.redirected(one));
                    if let Some(feed) = redirected.filter(|_| !std::mem::take(&mut expanded)) {
                        return feed;
                    }
                    if matches!(command.kind, Kind::Function { .. } | Kind::Coproc(_)) {
                        return Feed::Unseen;
                    }
                    inner = Some(command);
                }
                Frame::Pipeline(pipeline) => {
                    let at = inner.and_then(|inner| {
                        pipeline.stages.iter().position(|stage| std::ptr::eq(stage, inner))
                    });
                    match at {
                        Some(0) => {}
                        Some(at) => return printed(&pipeline.stages[at - 1]),
                        None => return Feed::Unseen,
                    }
                }
                Frame::Part(Part::Process { .. }) => return Feed::Unseen,
                // Bash expands words before it redirects.
                Frame::Part(_) => expanded = true,
                Frame::Other => {}
            }
        }
        Feed::Inherited
    }

    /// What a redirection feeds, if it does.
    fn redirected(&self, redirect: &Redirect) -> Option<Feed> {
        if !matches!(redirect.descriptor.as_str(), "" | "0") {
            return None;
        }
        let text = |word: &Word, end: &str| {
            word.literal().map_or(Feed::Unseen, |text| Feed::Text(text.into_owned() + end))
        };
        match (redirect.operator, &redirect.target) {
            (Operator::HereDocument, Target::HereDocument(idx)) => {
                Some(text(&self.script.here_documents[*idx].body, ""))
            }
            (Operator::HereString, Target::Word(word)) => Some(text(word, "\n")),
            (Operator::Read, Target::Word(word)) if word.plain() == Some("/dev/null") => {
                Some(Feed::Text(String::new()))
            }
            (Operator::Read | Operator::ReadWrite | Operator::HereDocument | Operator::HereString, _) => {
                Some(Feed::Unseen)
            }
            // `>&2` and `<&3` look alike here.
            (Operator::Copy, Target::Word(word)) if redirect.descriptor.is_empty() => {
                (!matches!(word.plain(), Some("1" | "2"))).then_some(Feed::Unseen)
            }
            (Operator::Copy, _) => Some(Feed::Unseen),
            _ => None,
        }
    }
}

/// What a command prints, where that is plain from its words.
fn printed(command: &Command) -> Feed {
    let Kind::Simple { assignments, words } = &command.kind else { return Feed::Unseen };
    if words.iter().any(|word| word.is_pattern() || word.has_braces()) {
        return Feed::Unseen;
    }
    let words: Option<Vec<_>> = words.iter().map(Word::literal).collect();
    let Some(words) = words.filter(|_| assignments.is_empty() && command.redirects.is_empty()) else {
        return Feed::Unseen;
    };
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        ["true" | ":", ..] => Feed::Text(String::new()),
        ["echo", "-n", rest @ ..] if is_plain(rest) => Feed::Text(rest.join(" ")),
        ["echo", rest @ ..] if is_plain(rest) => Feed::Text(rest.join(" ") + "\n"),
        ["printf", "%s\\n" | "%s", text] if is_plain(&[text]) => Feed::Text((*text).to_owned() + "\n"),
        ["printf", format] if !format.contains('%') && !format.starts_with('-') => {
            unescaped(format).map_or(Feed::Unseen, Feed::Text)
        }
        _ => Feed::Unseen,
    }
}

/// Without options of `echo`, and without what some shells take for more than it is.
fn is_plain(words: &[&str]) -> bool {
    words.iter().all(|word| !word.contains(['\\', '~']) && !word.starts_with('-'))
}

/// The text of a format with line ends spelled out.
fn unescaped(format: &str) -> Option<String> {
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                _ => return None,
            },
            letter => letter,
        });
    }
    Some(text)
}
