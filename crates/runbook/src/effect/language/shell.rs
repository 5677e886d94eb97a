//! Owns commands whose arguments are texts for a shell: `sh -c`, `su -c`, `eval`.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

/// `sh`, `bash`, `dash`: with `-c` and a literal text it is seen through.
pub(super) fn shell(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.literal() else {
            return judge.unknown(format!("what `{name}` runs is computed"));
        };
        match text.as_ref() {
            "--version" | "--help" => return judge.looks(name),
            "--norc" | "--noprofile" | "--posix" => continue,
            "-o" | "+o" => match words.next().and_then(Word::plain) {
                Some("pipefail" | "errexit" | "nounset" | "xtrace" | "errtrace" | "noglob") => continue,
                _ => return judge.unknown(format!("`{name} -o` is not known with that option")),
            },
            // Only files behind it: `+n` or `-i` would take it back.
            "-n" if words.clone().all(|file| !file.literal_prefix().0.starts_with(['-', '+'])) => {
                words.for_each(|file| judge.guard(name, file, Position::Open));
                return judge.looks(name);
            }
            _ => {}
        }
        let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return judge.unknown(format!("`{name}` runs a script (`{text}`)"));
        };
        if !letters.bytes().all(|b| b"ceulx".contains(&b)) {
            return judge.unknown(format!("`{name} {text}` is not known"));
        }
        if letters.contains('c') {
            return match words.next() {
                Some(code) => judge.text_of(name, std::slice::from_ref(code)),
                None => judge.unknown(format!("the text for `{name}` is missing")),
            };
        }
    }
    judge.unknown(format!("`{name}` runs what it is fed, or opens a shell"));
}

pub(super) fn eval(judge: &mut Judge<'_>, arguments: &[Word]) {
    match arguments.iter().map(Word::literal).collect::<Option<Vec<_>>>() {
        Some(words) => {
            judge.text(&words.join(" "));
            judge.known.literals.clear();
        }
        None => judge.unknown("`eval` runs a text that is computed"),
    }
}

/// `su - USER -c TEXT`, `runuser -u USER -- COMMAND`: options may stand behind the user too, and every text counts.
pub(super) fn su(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    const SHELLS: [&str; 6] =
        ["/bin/sh", "/bin/bash", "/bin/dash", "/usr/bin/sh", "/usr/bin/bash", "/usr/bin/dash"];
    let as_user = name == "runuser" && arguments.first().and_then(Word::plain) == Some("-u");
    let (mut asked, mut n_operands) = (false, 0);
    let mut words = arguments;
    while let Some((word, rest)) = words.split_first() {
        words = rest;
        judge.guard(name, word, Position::Open);
        let (text, expansions) = word.literal_prefix();
        let attached = text.split_once('=').map(|(_, value)| value.to_owned());
        match text.as_ref() {
            "--help" | "--version" if arguments.len() == 1 => return judge.looks(name),
            "-c" | "--command" => {
                asked = true;
                match rest.split_first() {
                    Some((code, rest)) => {
                        words = rest;
                        judge.text_of(name, std::slice::from_ref(code));
                    }
                    None => judge.unknown(format!("the text for `{name}` is missing")),
                }
            }
            text if text.starts_with("--command=") && expansions.is_empty() => {
                asked = true;
                judge.text(&attached.unwrap_or_default());
            }
            "-s" | "--shell" => {
                if !rest.first().and_then(Word::literal).is_some_and(|shell| SHELLS.contains(&shell.as_ref()))
                {
                    judge.unknown(format!("`{name} -s` may run any program"));
                }
                words = rest.get(1..).unwrap_or_default();
            }
            "-u" | "-g" | "--user" | "--group" => {
                if let Some(value) = rest.first() {
                    judge.guard(name, value, Position::Closed);
                }
                words = rest.get(1..).unwrap_or_default();
            }
            "-" | "-l" | "--login" | "-m" | "-p" => {}
            "--" if as_user => {
                let Some((first, rest)) = rest.split_first() else { break };
                return judge.wrapped(name, first, rest, Effect::Observe, "");
            }
            text if text.starts_with('-') => judge.unknown(format!("`{name} {text}` is not known")),
            _ if as_user => return judge.wrapped(name, word, rest, Effect::Observe, ""),
            _ if n_operands > 0 => judge.unknown(format!("`{name}` gives the shell more than a text")),
            _ => n_operands += 1,
        }
    }
    if !asked {
        judge.unknown(format!("`{name}` opens a shell"));
    }
}

/// Whether a command in a text may send what it is fed.
pub(in crate::effect) fn may_send(text: &str) -> bool {
    ["s_client", "telnet"].iter().any(|name| text.contains(name))
}
