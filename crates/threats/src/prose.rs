//! Owns what gives itself away in text that a model reads: orders to it, and characters that people do not see.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) rule: &'static str,
    pub(crate) at: Range<usize>,
    /// Whether it is enough by itself.
    pub(crate) is_plain: bool,
}

/// Texts are looked at so far.
const BYTES_MAX: usize = 64 << 10;

/// A rule: its name, and what it looks for, in any case of letters. Sources: the tool-poisoning notes of Invariant Labs
/// (2025-04) and the static indicators that OWASP's MCP Top 10 lists.
const RULES: [(&str, &str); 6] = [
    (
        "order-tag",
        r"<\s*/?\s*(?:important|system|instructions?|secret|admin|hidden)\s*>|\[\s*(?:system|inst)\s*\]",
    ),
    (
        "order-to-forget",
        r"\b(?:ignore|disregard|forget|override)\s+(?:all\s+|any\s+)?(?:of\s+)?(?:the\s+|your\s+)?(?:previous|prior|above|earlier|other|system)\s+(?:instructions?|prompts?|rules|messages?|directions?)",
    ),
    (
        "order-to-hide",
        r"\b(?:do\s+not|don't|never|must\s+not|without)\s+(?:\w+\s+){0,2}?(?:tell|telling|mention|mentioning|inform|informing|notify|notifying|reveal|revealing|show|showing|alert|alerting)\s+(?:\w+\s+){0,3}?(?:users?|humans?|person|anyone|anybody)\b",
    ),
    (
        "order-to-call",
        r"\b(?:before|after|whenever|when)\s+(?:\w+\s+){0,2}?(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|run(?:ning)?)\s+(?:\w+\s+){0,3}?(?:any|all|other|every)\s+(?:other\s+)?tools?\b[^.]{0,80}\b(?:first|must|read|send|call)\b",
    ),
    (
        "order-to-read-secrets",
        r"\b(?:read|open|cat|load|include|fetch|pass|send|copy|upload)\b[^.\n]{0,80}(?:~/\.ssh|id_rsa|id_ed25519|\.aws/credentials|/etc/(?:passwd|shadow)|\.env\b|mcp\.json|\.netrc|credentials?\.json|private\s+key)",
    ),
    ("comment", r"<!--"),
];

static TEXTS: LazyLock<Vec<(&str, Regex)>> =
    LazyLock::new(|| RULES.iter().map(|(name, rule)| (*name, regex(&format!("(?i){rule}")))).collect());

/// A rule whose classes are those of ASCII: the others would take a guard megabytes.
pub(crate) fn regex(rule: &str) -> Regex {
    let rule = rule.replace(r"\w", "[A-Za-z0-9_]").replace(r"\b", r"(?-u:\b)");
    let rule = rule.replace(r"\s", r"[\t\n\r ]").replace(r"\d", "[0-9]");
    Regex::new(&rule).expect("the rules are tested")
}

/// Whether people do not see a character.
pub(crate) fn is_hidden(c: char) -> bool {
    is_never_honest(c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{00ad}')
}

/// Tags, which spell ASCII without being seen, and marks that turn the direction of reading round.
fn is_never_honest(c: char) -> bool {
    matches!(c, '\u{e0000}'..='\u{e007f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Everything that gives itself away in a text, once for each rule.
pub(crate) fn look(text: &str) -> Vec<Found> {
    let mut end = text.len().min(BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let mut found: Vec<Found> = TEXTS
        .iter()
        .filter_map(|(rule, looks)| Some(Found { rule, at: looks.find(text)?.range(), is_plain: false }))
        .collect();
    found.extend(hidden(text));
    found
}

/// Characters that are not seen; a joiner between letters of another script or pictures is honest.
fn hidden(text: &str) -> Option<Found> {
    let mut likely = None;
    let mut before = ' ';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let range = at..at + c.len_utf8();
        // A flag of a region (England, say) is a picture, and tags after it.
        let is_flag =
            before == '\u{1f3f4}' || matches!(before, '\u{e0000}'..='\u{e007f}') && likely.is_none();
        if is_never_honest(c) && !(is_flag && matches!(c, '\u{e0020}'..='\u{e007f}')) {
            return Some(Found { rule: "hidden-characters", at: range, is_plain: true });
        }
        let joins = matches!(c, '\u{200c}' | '\u{200d}')
            && !before.is_ascii()
            && chars.peek().is_some_and(|(_, next)| !next.is_ascii());
        let is_mark_of_order = c == '\u{feff}' && at == 0;
        if is_hidden(c)
            && !is_never_honest(c)
            && !joins
            && !is_mark_of_order
            && c != '\u{00ad}'
            && likely.is_none()
        {
            likely = Some(Found { rule: "hidden-characters", at: range, is_plain: false });
        }
        before = c;
    }
    likely
}
