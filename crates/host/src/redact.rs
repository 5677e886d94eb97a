//! Owns hiding secrets in command lines: too much rather than too little.

/// What stands in place of a secret.
const REDACTED: &str = "[REDACTED]";

/// A name that contains one of these, in any case, is the name of a secret.
const SECRET_WORDS: [&str; 7] = ["passw", "passphrase", "token", "key", "secret", "auth", "credential"];

/// What an argument says about the one after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Plain,
    Secret,
}

/// The arguments with every secret hidden: the value after a flag with a telling name, what follows `=` or `:`
/// after such a name, to the end of the argument, and the user part of URLs.
pub(crate) fn redact<'a>(arguments: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut shown = Vec::new();
    let mut next = Next::Plain;
    for argument in arguments {
        if next == Next::Secret && !is_long_flag(argument) {
            shown.push(REDACTED.to_owned());
            next = Next::Plain;
        } else {
            let (text, after) = redact_argument(argument);
            shown.push(redact_users(&text));
            next = after;
        }
    }
    shown
}

/// After `--use-auth --token X` the second is a flag and not the value of the first, or `X` would be shown.
fn is_long_flag(argument: &str) -> bool {
    argument
        .strip_prefix("--")
        .is_some_and(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
}

fn redact_argument(argument: &str) -> (String, Next) {
    let mut from = 0;
    while let Some(start) = argument[from..].find(is_name).map(|at| from + at) {
        let end = argument[start..].find(|c| !is_name(c)).map_or(argument.len(), |at| start + at);
        from = end;
        let name = &argument[start..end];
        if !is_secret(name) {
            continue;
        }
        if let Some(value) = value_start(name, &argument[end..]) {
            return (format!("{}{REDACTED}", &argument[..end + value]), Next::Plain);
        }
        if start == 0 && end == argument.len() && name.starts_with('-') {
            return (argument.to_owned(), Next::Secret);
        }
    }
    (argument.to_owned(), Next::Plain)
}

/// Where behind a secret's name its value begins: `token=…`, `"token":"…"`, `Authorization: …`, and in a shell
/// command given as one argument `--token …`. The port in `auth:8080` is no secret.
fn value_start(name: &str, after: &str) -> Option<usize> {
    let unquoted = after.trim_start_matches(['"', '\'', '\\']);
    let quotes = after.len() - unquoted.len();
    let rest = unquoted.get(1..);
    match unquoted.chars().next()? {
        '=' => rest.filter(|value| !value.is_empty()).map(|_| quotes + 1),
        ':' => rest.filter(|value| !value.is_empty() && !is_port(value)).map(|_| quotes + 1),
        blank if blank.is_ascii_whitespace() && name.starts_with('-') => Some(quotes + 1),
        _ => None,
    }
}

fn is_port(value: &str) -> bool {
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    (1..=5).contains(&digits) && (value[digits..].is_empty() || value[digits..].starts_with('/'))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// `scheme://user:password@host` without the user, who may be a secret too.
fn redact_users(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (scheme, after) = rest.split_at(at + 3);
        let end =
            after.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace()).unwrap_or(after.len());
        shown.push_str(scheme);
        rest = after;
        if let Some(user) = after[..end].rfind('@') {
            shown.push_str(REDACTED);
            rest = &after[user..];
        }
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[track_caller]
    fn check(arguments: &[&str], expect: &[&str]) {
        assert_eq!(redact(arguments.iter().copied()), expect);
    }

    #[test]
    fn values_of_telling_names_are_hidden() {
        check(&["x", "--password=hunter2", "-v"], &["x", "--password=[REDACTED]", "-v"]);
        check(&["x", "--API-Key", "hunter2", "-v"], &["x", "--API-Key", "[REDACTED]", "-v"]);
        check(&["env", "GH_TOKEN=abc", "x"], &["env", "GH_TOKEN=[REDACTED]", "x"]);
        check(&["curl", "-H", "Authorization: Bearer abc"], &["curl", "-H", "Authorization:[REDACTED]"]);
        check(&["x", r#"{"a":1,"secret":"abc"}"#], &["x", r#"{"a":1,"secret":[REDACTED]"#]);
        check(&["x", "http://h/?a=1&token=abc&b=2"], &["x", "http://h/?a=1&token=[REDACTED]"]);
        check(&["sh", "-c", "run --passwd abc; rm x"], &["sh", "-c", "run --passwd [REDACTED]"]);
    }

    #[test]
    fn a_flag_does_not_shield_the_next_one() {
        check(&["--no-auth", "--token", "abc"], &["--no-auth", "--token", "[REDACTED]"]);
        check(&["--token", "-abc", "x"], &["--token", "[REDACTED]", "x"]);
        check(&["--token", "--x"], &["--token", "--x"]);
        check(&["--token"], &["--token"]);
    }

    #[test]
    fn users_of_urls_are_hidden() {
        check(&["postgres://u:p@h/db"], &["postgres://[REDACTED]@h/db"]);
        check(&["a://x@b c://y:z@d"], &["a://[REDACTED]@b c://[REDACTED]@d"]);
        check(&["http://h/@scope/pkg"], &["http://h/@scope/pkg"]);
    }

    #[test]
    fn the_rest_stays() {
        check(
            &["node", "/srv/keys/index.js", "--port", "8080"],
            &["node", "/srv/keys/index.js", "--port", "8080"],
        );
        check(&["http://auth:8080/health", "auth:80"], &["http://auth:8080/health", "auth:80"]);
        check(&["--password=", "", "é=1"], &["--password=", "", "é=1"]);
    }
}
