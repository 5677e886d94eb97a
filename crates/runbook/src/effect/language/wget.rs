//! Owns `wget`: it writes a file, unless the answer goes to standard output or nowhere.

use std::borrow::Cow;

use super::curl::asks_only;
use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

const FLAGS: [&str; 15] = [
    "-q",
    "-S",
    "-nv",
    "-4",
    "-6",
    "-v",
    "-d",
    "--quiet",
    "--server-response",
    "--no-verbose",
    "--no-check-certificate",
    "--no-proxy",
    "--inet4-only",
    "--inet6-only",
    "--no-hsts",
];
const VALUED: [&str; 10] = [
    "-T",
    "-t",
    "-U",
    "--timeout",
    "--tries",
    "--header",
    "--user-agent",
    "--connect-timeout",
    "--read-timeout",
    "--dns-timeout",
];

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("wget");
    let (mut discards, mut writes) = (false, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        judge.guard("wget", word, Position::Open);
        let (text, expansions) = word.literal_prefix();
        if !text.starts_with('-') {
            asks_only(judge, "wget", &word.shape());
            continue;
        }
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text.as_ref(), None),
        };
        if !expansions.is_empty() && attached.is_none() {
            judge.unknown("an option of `wget` is computed");
        }
        let mut value = |judge: &mut Judge<'_>| {
            let value = words.next()?;
            judge.guard("wget", value, Position::Closed);
            Some(value.shape())
        };
        match name {
            "--help" | "--version" if arguments.len() == 1 => return,
            "--spider" | "-O-" | "-qO-" | "-O/dev/null" | "-qO/dev/null" => discards = true,
            "-O" | "-qO" | "--output-document" | "-nvO" => {
                let value = attached.map(Cow::Borrowed).or_else(|| value(judge));
                let is_nowhere = matches!(value.as_deref(), Some("-" | "/dev/null" | "/dev/stdout"));
                discards |= is_nowhere;
                writes |= !is_nowhere;
            }
            name if FLAGS.contains(&name) => {}
            name if VALUED.contains(&name) => {
                if attached.is_none() {
                    value(judge);
                }
            }
            name if VALUED.iter().any(|known| known.len() == 2 && name.starts_with(known)) => {}
            name => judge.unknown(format!("`wget {name}` is not known")),
        }
    }
    if writes || !discards {
        judge.raise(Effect::Destroy, "`wget` writes a file");
    }
}
