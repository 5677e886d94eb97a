//! Owns commands whose arguments are texts for a shell: `sh -c`, `su -c`, `ssh`, `eval`.

use crate::bash::Word;
use crate::effect::assess::Judge;

/// `sh`, `bash`, `dash`: with `-c` and a literal text it is seen through.
pub(super) fn shell(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.literal() else {
            return judge.unknown(format!("what `{name}` runs is computed"));
        };
        match text.as_str() {
            "--version" | "--help" => return judge.looks(name),
            "--norc" | "--noprofile" | "--posix" => continue,
            "-n" => return judge.looks(name),
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

/// `su - USER -c TEXT`, `runuser -u USER -- COMMAND`
pub(super) fn su(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    let mut words = arguments;
    while let Some((word, rest)) = words.split_first() {
        words = rest;
        let Some(text) = word.literal() else { continue };
        match text.as_str() {
            "--help" | "--version" => return judge.looks(name),
            "-c" | "--command" => {
                return match rest.first() {
                    Some(code) => judge.text_of(name, std::slice::from_ref(code)),
                    None => judge.unknown(format!("the text for `{name}` is missing")),
                };
            }
            "-u" | "-g" | "-s" | "--shell" | "--user" if name == "runuser" || text == "-s" => {
                words = rest.get(1..).unwrap_or_default();
            }
            "-" | "-l" | "--login" | "-m" | "-p" => {}
            "--" => {
                let Some((first, rest)) = rest.split_first() else { break };
                return judge.wrapped(name, first, rest, super::super::Effect::Observe, "");
            }
            text if text.starts_with("--command=") => return judge.text(&text["--command=".len()..]),
            text if text.starts_with('-') => return judge.unknown(format!("`{name} {text}` is not known")),
            _ if name == "runuser" && arguments.first().and_then(Word::plain) == Some("-u") => {
                return judge.wrapped(name, word, rest, super::super::Effect::Observe, "");
            }
            _ => {}
        }
    }
    judge.unknown(format!("`{name}` opens a shell"));
}

/// `ssh HOST TEXT`: the other host's shell reads the words again.
pub(super) fn ssh(judge: &mut Judge<'_>, arguments: &[Word]) {
    const FLAGS: &str = "46aCfknqTtvx";
    const VALUED: &str = "bceilmp";
    const SETTINGS: [&str; 8] = [
        "batchmode",
        "connecttimeout",
        "connectionattempts",
        "loglevel",
        "serveraliveinterval",
        "serveralivecountmax",
        "stricthostkeychecking",
        "userknownhostsfile",
    ];
    let mut words = arguments.iter();
    let mut host = false;
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        if !text.starts_with('-') {
            judge.guard("ssh", word, crate::effect::word::Position::Open);
            host = true;
            break;
        }
        if text == "-V" {
            return judge.looks("ssh");
        }
        let letter = text.chars().nth(1).unwrap_or_default();
        if letter == 'o' {
            let value = if text.len() > 2 {
                Some(text[2..].to_owned())
            } else {
                words.next().map(|w| w.literal_prefix().0)
            };
            let setting = value.unwrap_or_default().to_ascii_lowercase();
            let setting = setting.trim().split(['=', ' ']).next().unwrap_or_default().to_owned();
            if !SETTINGS.contains(&setting.as_str()) {
                return judge.unknown(format!("the setting `{setting}` of `ssh` may run a command"));
            }
        } else if VALUED.contains(letter) {
            if text.len() == 2 && expansions.is_empty() {
                words.next();
            }
        } else if !expansions.is_empty() || !text[1..].chars().all(|letter| FLAGS.contains(letter)) {
            return judge.unknown(format!("`ssh {text}` is not known"));
        }
    }
    let words: Vec<Word> = words.cloned().collect();
    if !host || words.is_empty() {
        judge.unknown("`ssh` opens a shell on another host");
    } else {
        judge.text_of("ssh", &words);
    }
}
