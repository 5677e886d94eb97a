//! Owns what a value says that is made to be run: words of a shell in a place where a name belongs, and options in the
//! place of an operand.

use std::sync::LazyLock;

use regex::Regex;

use crate::parameter::Takes;
use crate::path::Seen;
use crate::prose::regex;
use crate::sign::{Certainty, Class};

/// Programs that follow a separator where somebody attacks.
const PROGRAMS: &str = "(?:/(?:usr/)?s?bin/)?(?:bash|sh|zsh|dash|cat|curl|wget|nc|ncat|socat|python3?|perl|ruby|node|php|rm|chmod|chown|id|whoami|env|printenv|eval|exec|sudo|kill|touch|mkfifo|base64|ssh|scp|ping|sleep|reboot|powershell|cmd|nslookup|dig|telnet)";

static SUBSTITUTED: LazyLock<Regex> = LazyLock::new(|| regex(r"\$\([^)]*\)|\$\{?IFS\b|<\([^)]*\)"));
static QUOTED: LazyLock<Regex> = LazyLock::new(|| regex("`[^`]+`"));
/// A program with something to do.
static RUN: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"^`\s*{PROGRAMS}\s+\S")));
static CHAINED: LazyLock<Regex> =
    LazyLock::new(|| regex(&format!(r"(?:;|\|\|?|&&?|\n|\r|%0a)\s*{PROGRAMS}(?:\s|$|;|\||&|<|>|\$)")));
static REDIRECTED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:^|[^-=<>])>{1,2}\s*(?:/|~|\.\./)|/dev/(?:tcp|udp)/"));
/// Options of common programs that run another one.
static OPTIONS: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?i)^\s*(?:--(?:upload-pack|receive-pack|exec|config|use-askpass|output|checkpoint-action|post-file|",
        r"proxy-command|eval|open-files-in-pager)\b|-o\s*proxycommand|-c\s*\S+\.\S+=|--ext-diff\b)",
    ))
});

/// In more words than these people write about code, where nothing says what a value is, and put it in such quotes.
const WORDS_MAX: usize = 3;

/// Everything that a value shows which is to be a name, a path or an address.
pub(crate) fn look(value: &str, takes: Takes) -> Vec<Seen> {
    use Certainty::{Certain, Likely};
    let mut seen = Vec::new();
    let mut add = |rule, certainty, at| seen.push(((rule, Class::CommandInjection, certainty), at));
    if let Some(found) = CHAINED.find(value) {
        add("shell-chain", Certain, found.range());
    }
    if let Some(found) = SUBSTITUTED.find(value) {
        add("shell-substitution", Certain, found.range());
    }
    if let Some(found) = QUOTED.find(value) {
        let is_prose = takes == Takes::Name && value.split_whitespace().count() > WORDS_MAX;
        let run = QUOTED.find_iter(value).find(|one| !is_prose || RUN.is_match(one.as_str()));
        let (certainty, found) = run.map_or((Likely, found), |run| (Certain, run));
        add("shell-substitution", certainty, found.range());
    }
    if let Some(found) = REDIRECTED.find(value) {
        add("shell-redirection", Likely, found.range());
    }
    if let Some(found) = OPTIONS.find(value) {
        add("option-that-runs", Certain, found.range());
    } else if value.starts_with('-') && value[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '-')
    {
        add("option-as-operand", Likely, 0..value.len());
    }
    seen
}
