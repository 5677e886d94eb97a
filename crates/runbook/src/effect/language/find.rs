//! Owns `find`: it looks, unless a test of it deletes, writes, or runs a command.

use crate::bash::{Part, Word};
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

/// Tests and options that take one value.
const VALUED: [&str; 41] = [
    "-D",
    "-O",
    "-amin",
    "-anewer",
    "-atime",
    "-cmin",
    "-cnewer",
    "-context",
    "-ctime",
    "-fstype",
    "-gid",
    "-group",
    "-ilname",
    "-iname",
    "-inum",
    "-ipath",
    "-iregex",
    "-iwholename",
    "-links",
    "-lname",
    "-maxdepth",
    "-mindepth",
    "-mmin",
    "-mtime",
    "-name",
    "-newer",
    "-newermt",
    "-newerct",
    "-path",
    "-perm",
    "-printf",
    "-regex",
    "-regextype",
    "-samefile",
    "-size",
    "-type",
    "-uid",
    "-used",
    "-user",
    "-wholename",
    "-xtype",
];
const PLAIN: [&str; 33] = [
    "!",
    "(",
    ")",
    ",",
    "-H",
    "-L",
    "-P",
    "-a",
    "-and",
    "-daystart",
    "-depth",
    "-empty",
    "-executable",
    "-false",
    "-follow",
    "-ignore_readdir_race",
    "-ls",
    "-mount",
    "-nogroup",
    "-noleaf",
    "-not",
    "-nouser",
    "-nowarn",
    "-o",
    "-or",
    "-print",
    "-print0",
    "-prune",
    "-quit",
    "-readable",
    "-true",
    "-warn",
    "-writable",
];

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("find");
    let mut words = arguments;
    while let Some((word, rest)) = words.split_first() {
        words = rest;
        let Some(text) = word.literal() else {
            judge.guard("find", word, Position::Open);
            continue;
        };
        let is_test = text.starts_with('-') || matches!(text.as_ref(), "!" | "(" | ")" | ",");
        match text.as_ref() {
            "-delete" => judge.raise(Effect::Destroy, "`find -delete` deletes files"),
            "-fprint" | "-fprint0" | "-fprintf" | "-fls" => {
                judge.raise(Effect::Destroy, format!("`find {text}` overwrites a file"));
                words = rest.get(1..).unwrap_or_default();
            }
            "-exec" | "-execdir" | "-ok" | "-okdir" => words = command(judge, rest),
            "-files0-from" => judge.unknown("`find -files0-from` reads its paths from a file"),
            text if VALUED.contains(&text) || text.starts_with("-newer") => {
                if let Some(value) = rest.first() {
                    judge.guard("find", value, Position::Closed);
                }
                words = rest.get(1..).unwrap_or_default();
            }
            "-xdev" | "-help" | "--help" | "-version" | "--version" => {}
            text if is_test && !PLAIN.contains(&text) => judge.unknown(format!("`find {text}` is not known")),
            _ => judge.guard("find", word, Position::Open),
        }
    }
}

/// The command up to `;`, or up to a `+` behind `{}`; what is put in for `{}` begins with the path that was searched.
fn command<'w>(judge: &mut Judge<'_>, words: &'w [Word]) -> &'w [Word] {
    let is = |idx: usize, text: &str| words[idx].literal().as_deref() == Some(text);
    let ends = |idx: &usize| is(*idx, ";") || (*idx > 0 && is(*idx, "+") && is(*idx - 1, "{}"));
    let end = (0..words.len()).find(ends).unwrap_or(words.len());
    let rest = words.get(end + 1..).unwrap_or_default();
    let Some((first, arguments)) = words[..end].split_first() else {
        judge.unknown("`find -exec` runs nothing");
        return rest;
    };
    let unseen = |word: &Word| {
        let found = word.literal().is_some_and(|text| text.contains("{}"));
        // As good as quoted: one word each.
        let part = Part::Process { items: Vec::new() };
        if found { Word { parts: vec![part], span: word.span.clone() } } else { word.clone() }
    };
    let in_text =
        arguments.iter().any(|word| word.literal().is_some_and(|text| text.contains("{}") && text != "{}"));
    let name = first.literal().unwrap_or_default();
    if in_text && matches!(name.as_ref(), "sh" | "bash" | "dash" | "su" | "ssh" | "env" | "xargs") {
        judge.unknown("the names of files are read as code by a shell");
    }
    let arguments: Vec<Word> = arguments.iter().map(unseen).collect();
    judge.wrapped("find -exec", first, &arguments, Effect::Observe, "");
    rest
}
