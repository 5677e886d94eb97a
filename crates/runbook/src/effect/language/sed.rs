//! Owns `sed`: scripts of a few plain shapes only look; others may write files or run commands.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::trust::names_device;
use crate::effect::word::Position;

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("sed");
    let mut scripted = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        match text.as_ref() {
            "--version" | "--help" => return,
            "-n" | "-E" | "-r" | "-s" | "-u" | "-z" | "-nE" | "-En" | "-nr" | "-rn" | "--quiet"
            | "--silent" | "--regexp-extended" | "--posix" | "--debug" => {}
            "-e" | "--expression" | "-ne" | "-Ee" | "-nEe" => {
                scripted = true;
                script(judge, words.next());
            }
            text if text.starts_with("--expression=") && expansions.is_empty() => {
                scripted = true;
                let text = &text["--expression=".len()..];
                if !only_looks(text) {
                    judge.unknown(format!("a script of `sed` may do anything (`{text}`)"));
                }
            }
            text if text.starts_with("-i")
                || "--in-place".starts_with(text.split('=').next().unwrap_or_default()) && text.len() > 3 =>
            {
                judge.raise(Effect::Destroy, "`sed -i` overwrites the file");
            }
            text if text.starts_with('-') && text.len() > 1 => {
                // Letters may hide in a cluster: -ni, -Ei.
                if !text.starts_with("--") && text.contains('i') && !text.contains(['e', 'f', 'l']) {
                    judge.raise(Effect::Destroy, "`sed -i` overwrites the file");
                } else {
                    judge.unknown(format!("`sed {text}` is not known"));
                }
            }
            _ if !scripted => {
                scripted = true;
                script(judge, Some(word));
            }
            _ if names_device(&word.shape()) => judge.unknown("opens a device (`sed`)"),
            _ => judge.guard("sed", word, Position::Open),
        }
        if !expansions.is_empty() && text.starts_with('-') {
            judge.unknown("an option of `sed` is computed");
        }
    }
}

fn script(judge: &mut Judge<'_>, word: Option<&Word>) {
    match word.map(Word::literal) {
        Some(Some(script)) if only_looks(&script) => {}
        Some(Some(script)) => judge.unknown(format!("a script of `sed` may do anything (`{script}`)")),
        _ => judge.unknown("the script of `sed` is computed"),
    }
}

/// Commands with plain addresses: `p`, `d`, `q`, `=`, `s/a/b/g`, `y/a/b/`, `:a`, `ba`, separated by `;` or line breaks.
fn only_looks(script: &str) -> bool {
    // Where such a bracket ends is told differently by different versions.
    if script.contains("[]") || script.contains("[^]") {
        return false;
    }
    let mut rest = script;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';', '\n', '}']);
        if rest.is_empty() {
            return true;
        }
        let Some(after) = address(rest) else { return false };
        let Some(after) = after.strip_prefix(',').map_or(Some(after), |after| address(after)) else {
            return false;
        };
        let after = after.trim_start_matches([' ', '!']);
        let Some(command) = after.chars().next() else { return false };
        rest = match command {
            'p' | 'd' | '=' | 'n' | 'N' | 'P' | 'D' | 'h' | 'H' | 'g' | 'G' | 'x' | 'l' | 'F' | '{' => {
                &after[1..]
            }
            'q' | 'Q' => after[1..].trim_start_matches(|c: char| c.is_ascii_digit()),
            ':' | 'b' | 't' | 'T' => {
                after[1..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_')
            }
            's' | 'y' => match substitution(&after[1..], command) {
                Some(rest) => rest,
                None => return false,
            },
            _ => return false,
        };
        let ended = command == '{' || rest.is_empty() || rest.starts_with([';', '\n', '}', ' ']);
        if !ended {
            return false;
        }
    }
}

/// A line number, `$`, `/re/`, or nothing; with a step or an offset.
fn address(text: &str) -> Option<&str> {
    if let Some(inner) = text.strip_prefix('/') {
        let rest = past(inner, '/')?;
        return Some(rest.trim_start_matches(['I', 'M']));
    }
    Some(text.trim_start_matches(|c: char| c.is_ascii_digit() || "$~+".contains(c)))
}

/// `/a/b/flags`: returns what follows.
fn substitution(text: &str, command: char) -> Option<&str> {
    let delimiter = text.chars().next().filter(|c| c.is_ascii_punctuation() && *c != '\\')?;
    let rest = past(&text[1..], delimiter)?;
    let rest = past(rest, delimiter)?;
    if command == 'y' {
        return Some(rest);
    }
    // Not `w` (a file) and not `e` (a command).
    Some(rest.trim_start_matches(|c: char| c.is_ascii_digit() || "gpIiM".contains(c)))
}

/// What follows the next delimiter that stands by itself.
fn past(text: &str, delimiter: char) -> Option<&str> {
    let mut escaped = false;
    let mut in_brackets = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // Within brackets a delimiter may be text or not, by the version of sed.
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            '\n' => return None,
            c if c == delimiter && in_brackets => return None,
            c if c == delimiter => return Some(&text[at + c.len_utf8()..]),
            _ => {}
        }
    }
    None
}
