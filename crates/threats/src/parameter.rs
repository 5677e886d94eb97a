//! Owns what a parameter of a tool takes, as far as its name says: a path, a name that may reach a shell, or
//! text that may be anything.

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// A file or a folder.
    Path,
    /// A command line: whoever calls may write one.
    Command,
    /// A host, a branch, an address, a name: one word, as a rule.
    Name,
    /// Text for people, code, queries: all signs are honest there.
    Text,
}

const PATHS: [&str; 12] = [
    "path",
    "paths",
    "file",
    "files",
    "filename",
    "filepath",
    "dir",
    "directory",
    "folder",
    "destination",
    "source",
    "cwd",
];
const COMMANDS: [&str; 7] = ["command", "commands", "cmd", "shell", "script", "bash", "exec"];
const TEXTS: [&str; 41] = [
    "content",
    "contents",
    "text",
    "body",
    "message",
    "messages",
    "query",
    "sql",
    "code",
    "description",
    "title",
    "prompt",
    "comment",
    "note",
    "notes",
    "html",
    "markdown",
    "data",
    "input",
    "pattern",
    "patterns",
    "regex",
    "search",
    "replace",
    "old",
    "new",
    "expression",
    "value",
    "template",
    "summary",
    "thought",
    "observations",
    "question",
    "insight",
    "insights",
    "reason",
    "details",
    "feedback",
    "answer",
    "instructions",
    "snippet",
];

/// What a parameter takes, by its name, whose last word decides: `output_path`, `fileContents`.
pub(crate) fn takes(name: &str) -> Takes {
    let words = words(name);
    let has = |known: &[&str]| words.iter().rev().take(2).any(|word| known.contains(&word.as_str()));
    let last = words.last().map_or("", String::as_str);
    match last {
        _ if TEXTS.contains(&last) => Takes::Text,
        _ if PATHS.contains(&last) => Takes::Path,
        _ if COMMANDS.contains(&last) => Takes::Command,
        _ if has(&TEXTS) => Takes::Text,
        _ if has(&PATHS) => Takes::Path,
        _ if has(&COMMANDS) => Takes::Command,
        _ => Takes::Name,
    }
}

/// Whether a parameter takes a secret of this form, by its name: then whoever calls does what the tool asks for.
pub(crate) fn takes_secret(name: &str, form: &str) -> bool {
    const SECRETS: [&str; 14] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "tokens",
        "jwt",
        "credential",
        "credentials",
        "auth",
        "authorization",
        "bearer",
        "apikey",
        "key",
    ];
    const URLS: [&str; 6] = ["url", "uri", "dsn", "connection", "database", "db"];
    let words = words(name);
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    has(&SECRETS) || form == "database-url" && has(&URLS)
}

/// The words of a name, in lower case: of `repo_path`, `repo-path`, `repoPath`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars().take(100) {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if c.is_alphanumeric() {
            words.last_mut().expect("there is one").extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::{Takes, takes};

    #[test]
    fn the_last_word_of_a_name_decides() {
        for (name, expect) in [
            ("path", Takes::Path),
            ("repo_path", Takes::Path),
            ("outputDir", Takes::Path),
            ("file_contents", Takes::Text),
            ("fileName", Takes::Path),
            ("filename", Takes::Path),
            ("command", Takes::Command),
            ("shell-command", Takes::Command),
            ("query", Takes::Text),
            ("branch_name", Takes::Name),
            ("host", Takes::Name),
            ("", Takes::Name),
        ] {
            assert_eq!(takes(name), expect, "{name}");
        }
    }
}
