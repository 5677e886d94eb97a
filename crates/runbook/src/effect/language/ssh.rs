//! Owns `ssh HOST TEXT`: the other host's shell reads the words again.

use crate::bash::{Part, Quoting, Word};
use crate::effect::assess::Judge;
use crate::effect::word::Position;

const FLAGS: &str = "46ACfknqTtvx";
const VALUED: &str = "bceilmp";
/// Settings that run nothing and write nothing, whatever they are set to.
const SETTINGS: [&str; 24] = [
    "addressfamily",
    "batchmode",
    "checkhostip",
    "ciphers",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityfile",
    "kexalgorithms",
    "loglevel",
    "macs",
    "numberofpasswordprompts",
    "passwordauthentication",
    "port",
    "preferredauthentications",
    "pubkeyauthentication",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "user",
];

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    let mut words = arguments.iter();
    let (mut host, mut shows) = (false, false);
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        judge.guard("ssh", word, Position::Open);
        if !text.starts_with('-') {
            host = true;
            break;
        }
        if text == "-V" {
            return judge.looks("ssh");
        }
        let letter = text.chars().nth(1).unwrap_or_default();
        let attached = text.get(2..).unwrap_or_default();
        let is_attached = !attached.is_empty() || !expansions.is_empty();
        let mut value = |judge: &mut Judge<'_>| {
            if is_attached {
                let mut parts = vec![Part::Literal { text: attached.to_owned(), quoting: Quoting::Quoted }];
                parts.extend_from_slice(expansions);
                return Word { parts, span: 0..0 };
            }
            let value = words.next().cloned().unwrap_or_default();
            judge.guard("ssh", &value, Position::Closed);
            value
        };
        match letter {
            'o' => {
                let value = value(judge);
                setting(judge, &value);
            }
            // A question to a connection that is there, or about what is supported.
            'O' | 'Q' => {
                let value = value(judge);
                if letter == 'O' && value.literal().as_deref() != Some("check") {
                    return judge.unknown("`ssh -O` tells another connection what to do");
                }
                shows = true;
            }
            'J' => {
                let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-@:,".contains(&b);
                if !value(judge).literal().is_some_and(|hosts| hosts.bytes().all(is_plain)) {
                    return judge.unknown("the hosts of `ssh -J` are not written out");
                }
            }
            letter if VALUED.contains(letter) => _ = value(judge),
            _ if !expansions.is_empty()
                || !text[1..].chars().all(|letter| letter == 'G' || FLAGS.contains(letter)) =>
            {
                return judge.unknown(format!("`ssh {text}` is not known"));
            }
            _ => shows |= text.contains('G'),
        }
    }
    let words: Vec<Word> = words.cloned().collect();
    if shows {
        let more = words.iter().any(|word| !word.literal_prefix().1.is_empty());
        let looks = !more && words.iter().all(|word| !word.shape().starts_with('-'));
        return if looks { judge.looks("ssh") } else { judge.unknown("`ssh` is given more than a host") };
    }
    if !host || words.is_empty() {
        judge.unknown("`ssh` opens a shell on another host");
    } else {
        judge.text_of("ssh", &words);
    }
}

/// `-o NAME=VALUE`
fn setting(judge: &mut Judge<'_>, word: &Word) {
    let (text, expansions) = word.literal_prefix();
    let text = text.trim().to_ascii_lowercase();
    let (name, value) = text.split_once(['=', ' ']).unwrap_or((&text, ""));
    let is_harmless = match name.trim() {
        "userknownhostsfile" | "globalknownhostsfile" => value.trim() == "/dev/null" && expansions.is_empty(),
        "controlmaster" => value.trim() == "no",
        "controlpath" => value.trim() == "none",
        "forwardagent" | "requesttty" | "visualhostkey" => true,
        name => SETTINGS.contains(&name) && !value.contains('\n'),
    };
    if !is_harmless {
        judge.unknown(format!("the setting `{name}` of `ssh` may run a command or write a file"));
    }
}
