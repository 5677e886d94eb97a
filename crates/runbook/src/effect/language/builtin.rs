//! Owns builtins of the shell whose arguments are names of variables, options of the shell, or code.

use crate::bash::Word;
use crate::effect::assess::Judge;
use crate::effect::word::Position;
use crate::shell::{is_name, is_plain_format, is_program_setting};

/// `export`, `declare`, `local`, `readonly`, `typeset`
pub(super) fn declare(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    let mut exports = name == "export";
    for word in arguments {
        let (text, _) = word.literal_prefix();
        if let Some(letters) = text.strip_prefix('-') {
            // A nature such as -i or -n makes later assignments run code; -f is about functions.
            if !letters.chars().all(|letter| "aAgprx".contains(letter)) || word.literal().is_none() {
                judge.unknown(format!("`{name} {text}` gives a variable a nature of its own"));
            }
            exports |= letters.contains('x');
            continue;
        }
        let variable = text.split(['=', '+']).next().unwrap_or_default();
        if !is_name(variable) {
            return judge.unknown(format!("`{name}` sets a variable whose name is computed"));
        }
        judge.sets(variable);
        if let Some(value) =
            word.literal().as_deref().and_then(|text| text.strip_prefix(variable)?.strip_prefix('='))
        {
            judge.known.literals.insert(variable.to_owned(), vec![value.to_owned()]);
        }
        let is_no_pager = variable.ends_with("PAGER")
            && word.literal().is_some_and(|text| matches!(text.split_once('='), Some((_, "" | "cat"))));
        if exports && is_program_setting(variable) && !is_no_pager {
            judge.unknown(format!("it sets `{variable}` for all that follows"));
        }
    }
    judge.looks(name);
}

/// `read`, `mapfile`, `readarray`
pub(super) fn read(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    const FLAGS: &str = "rst";
    const VALUED: &str = "dinNpuOs";
    let mut words = arguments.iter();
    let variable = |judge: &mut Judge<'_>, word: &Word| match word.plain() {
        Some(variable) if is_name(variable) => judge.sets(variable),
        _ => judge.unknown(format!("`{name}` sets a variable whose name is computed")),
    };
    let timed = name == "read";
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        let Some(letters) = text.strip_prefix('-') else {
            variable(judge, word);
            continue;
        };
        let Some(letter) = letters.chars().last() else { continue };
        let flags = letters.trim_end_matches(letter);
        let takes = |letter: char| VALUED.contains(letter) || (timed && letter == 't');
        if !flags.chars().all(|flag| FLAGS.contains(flag)) || !expansions.is_empty() {
            // An attached value, as in `-t5`.
            let first = letters.chars().next().unwrap_or_default();
            if !takes(first) {
                return judge.unknown(format!("`{name} {text}` is not known to look only"));
            }
            judge.guard(name, word, Position::Open);
            continue;
        }
        match letter {
            'a' => {
                if let Some(array) = words.next() {
                    variable(judge, array);
                }
            }
            's' if timed => {}
            letter if takes(letter) => {
                if let Some(value) = words.next() {
                    judge.guard(name, value, Position::Closed);
                }
            }
            letter if FLAGS.contains(letter) => {}
            _ => return judge.unknown(format!("`{name} {text}` is not known to look only")),
        }
    }
    judge.looks(name);
}

/// `getopts LETTERS NAME`
pub(super) fn getopts(judge: &mut Judge<'_>, arguments: &[Word]) {
    match arguments.get(1).and_then(Word::plain) {
        Some(variable) if is_name(variable) => judge.sets(variable),
        _ => judge.unknown("`getopts` sets a variable whose name is computed"),
    }
    judge.looks("getopts");
}

pub(super) fn unset(judge: &mut Judge<'_>, arguments: &[Word]) {
    for word in arguments {
        match word.plain() {
            Some("-v") => {}
            Some(variable) if is_name(variable) => judge.sets(variable),
            _ => judge.unknown("`unset` is given more than names of variables"),
        }
    }
    judge.looks("unset");
}

/// `printf -v` and `%n` set variables, so the format has to be written out.
pub(super) fn printf(judge: &mut Judge<'_>, arguments: &[Word]) {
    let Some(format) = arguments.first() else { return };
    match format.literal() {
        Some(format) if format == "--" => match arguments.get(1).and_then(Word::literal) {
            Some(format) if is_plain_format(&format) => judge.looks("printf"),
            _ => judge.unknown("the format of `printf` is computed or sets a variable"),
        },
        Some(format) if format.starts_with('-') => judge.unknown("`printf` may set a variable"),
        Some(format) if is_plain_format(&format) => judge.looks("printf"),
        _ => judge.unknown("the format of `printf` is computed or sets a variable"),
    }
}

/// `set -euo pipefail`, `set -x`: how errors end a script and what is shown; `set --`: the arguments.
pub(super) fn set(judge: &mut Judge<'_>, arguments: &[Word]) {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.plain() else { return judge.unknown("`set` is given something computed") };
        if text == "--" {
            break;
        }
        let Some(letters) = text.strip_prefix(['-', '+']) else {
            return judge.unknown("`set` changes more than how errors end a script");
        };
        if !letters.bytes().all(|b| b"euxvoE".contains(&b)) || letters.is_empty() {
            return judge.unknown("`set` changes more than how errors end a script");
        }
        if letters.contains('o') {
            let option = words.next().and_then(Word::plain);
            if !matches!(
                option,
                Some("pipefail" | "errexit" | "nounset" | "xtrace" | "verbose" | "errtrace") | None
            ) {
                return judge.unknown("`set` changes more than how errors end a script");
            }
        }
    }
    judge.looks("set");
}

/// `trap 'CODE' SIGNAL`
pub(super) fn trap(judge: &mut Judge<'_>, arguments: &[Word]) {
    let arguments = match arguments.split_first() {
        Some((first, rest)) if first.plain() == Some("--") => rest,
        _ => arguments,
    };
    let Some((code, signals)) = arguments.split_first() else { return judge.looks("trap") };
    match code.literal().as_deref() {
        Some("-p" | "-l" | "-" | "") => {}
        Some(_) if signals.is_empty() => {}
        Some(code) => {
            judge.text(code);
            judge.known.literals.clear();
        }
        None => judge.unknown("what `trap` will run is computed"),
    }
    judge.looks("trap");
}

/// Without a command, `exec` only redirects.
pub(super) fn exec(judge: &mut Judge<'_>, arguments: &[Word]) {
    if arguments.is_empty() {
        judge.looks("exec");
    } else {
        judge.unknown("`exec` puts another program in the place of the shell");
    }
}
