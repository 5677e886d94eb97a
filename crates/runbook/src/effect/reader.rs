//! Owns the plain readers: programs and builtins that look and nothing else, with the options under which they do.

use super::token::{Quoting, Word};

/// What may stand behind the name of a reader.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Anything: no option of it writes, runs, waits or sets.
    Any,
    /// Only these options.
    Options(Options),
    /// A rule of its own.
    Own(fn(&[Word]) -> Result<(), String>),
}

#[derive(Debug, Clone, Copy)]
struct Options {
    /// Letters that stand for themselves.
    flags: &'static str,
    /// Letters that take a value, attached or as the next word.
    valued: &'static str,
    /// Long options; with a `=` where they take a value (and then it has to be attached).
    long: &'static [&'static str],
    operands: Operands,
    others: Others,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operands {
    Any,
    None,
    /// `+FORMAT` of `date`: any other operand sets the clock.
    Format,
}

/// What the options that are not listed do at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They wait, or repeat; a variable whose value turns out to be one of them runs into its time limit.
    Wait,
    /// They write or set something; a word that may turn out to be one of them is refused.
    Act,
}

const READERS: [(&str, Rule); 31] = [
    (":", Rule::Any),
    ("basename", Rule::Any),
    ("cat", Rule::Any),
    ("cut", Rule::Any),
    ("date", Rule::Options(DATE)),
    ("df", Rule::Options(DF)),
    ("dirname", Rule::Any),
    ("du", Rule::Any),
    ("echo", Rule::Any),
    ("false", Rule::Any),
    ("free", Rule::Options(FREE)),
    ("grep", Rule::Any),
    ("head", Rule::Any),
    ("hostname", Rule::Options(HOSTNAME)),
    ("id", Rule::Any),
    ("ls", Rule::Any),
    ("nproc", Rule::Any),
    ("pgrep", Rule::Any),
    ("printf", Rule::Own(printf)),
    ("ps", Rule::Any),
    ("pwd", Rule::Any),
    ("set", Rule::Own(set)),
    ("sort", Rule::Options(SORT)),
    ("stat", Rule::Any),
    ("tail", Rule::Options(TAIL)),
    ("tr", Rule::Any),
    ("true", Rule::Any),
    ("uname", Rule::Any),
    ("uptime", Rule::Any),
    ("wc", Rule::Any),
    ("whoami", Rule::Any),
];

const DATE: Options = Options {
    flags: "uR",
    valued: "dr",
    long: &["utc", "universal", "rfc-email", "iso-8601", "iso-8601=", "rfc-3339=", "date=", "reference="],
    operands: Operands::Format,
    others: Others::Act,
};
const DF: Options = Options {
    flags: "ahHiklPT",
    valued: "tx",
    long: &[
        "all",
        "human-readable",
        "si",
        "inodes",
        "local",
        "portability",
        "print-type",
        "total",
        "type=",
        "exclude-type=",
    ],
    operands: Operands::Any,
    // `--sync` writes what would be written anyway, and may wait for it.
    others: Others::Wait,
};
const FREE: Options = Options {
    flags: "bkmghtwl",
    valued: "",
    long: &["bytes", "kibi", "mebi", "gibi", "human", "total", "wide", "si", "lohi"],
    operands: Operands::None,
    others: Others::Wait,
};
const HOSTNAME: Options = Options {
    flags: "afsidAI",
    valued: "",
    long: &["fqdn", "short"],
    operands: Operands::None,
    others: Others::Act,
};
const SORT: Options = Options {
    flags: "bdfghinMrRsuVz",
    valued: "kt",
    long: &["reverse", "unique", "numeric-sort", "human-numeric-sort", "stable", "key=", "field-separator="],
    operands: Operands::Any,
    others: Others::Act,
};
const TAIL: Options = Options {
    flags: "qvz",
    valued: "nc",
    long: &["lines=", "bytes=", "quiet", "silent", "verbose"],
    operands: Operands::Any,
    others: Others::Wait,
};

/// Checks that a command with these arguments only looks.
///
/// # Errors
///
/// Returns why it is not known to.
pub(super) fn check(name: &str, arguments: &[Word]) -> Result<(), String> {
    let rule = READERS.binary_search_by_key(&name, |(name, _)| name).map(|idx| READERS[idx].1);
    let rule = rule.map_err(|_| format!("`{name}` is not a command that is known to look only"))?;
    if arguments.iter().any(|word| word.pattern) {
        return Err(format!("`{name}` is given a pattern that may match anything"));
    }
    if arguments.iter().any(|word| names_device(&word.shape())) {
        return Err(format!("`{name}` opens a device"));
    }
    match rule {
        Rule::Any => Ok(()),
        Rule::Options(options) => options.check(name, arguments),
        Rule::Own(check) => check(arguments),
    }
}

/// Whether a path lies below `/dev`: opening some devices does something (a watchdog starts to bite).
pub(super) fn names_device(path: &str) -> bool {
    path != "/dev/null" && (path.starts_with("dev/") || path.contains("/dev/"))
}

impl Options {
    fn check(&self, name: &str, arguments: &[Word]) -> Result<(), String> {
        if self.others == Others::Act && !arguments.iter().all(Word::is_one_word) {
            return Err(format!("a word of `{name}` is not quoted"));
        }
        let mut words = arguments.iter();
        let mut operands_only = false;
        while let Some(word) = words.next() {
            let (text, variable) = word.literal_prefix();
            if operands_only || !text.starts_with('-') || text == "-" {
                let may_be_option = !operands_only && text.is_empty() && variable.is_some();
                self.operand(name, &text, may_be_option)?;
            } else if text == "--" && variable.is_none() {
                operands_only = true;
            } else if let Some(long) = text.strip_prefix("--") {
                self.long(name, long)?;
            } else if self.cluster(name, &text[1..], variable)? == Value::Next {
                words.next().ok_or_else(|| format!("an option of `{name}` lacks its value"))?;
            }
        }
        Ok(())
    }

    fn operand(&self, name: &str, text: &str, may_be_option: bool) -> Result<(), String> {
        if may_be_option && self.others == Others::Act {
            return Err(format!("a variable may be an option of `{name}`"));
        }
        match self.operands {
            Operands::Any => Ok(()),
            Operands::Format if text.starts_with('+') => Ok(()),
            Operands::Format | Operands::None => Err(format!("`{name}` may set what it is given")),
        }
    }

    fn long(&self, name: &str, text: &str) -> Result<(), String> {
        // An attached value counts from its `=`; the name has to be written out, prefixes of it are not taken.
        let option = text.split_inclusive('=').next().unwrap_or_default();
        if self.long.contains(&option) {
            Ok(())
        } else {
            Err(format!("`--{option}` of `{name}` is not known to look only"))
        }
    }

    /// `-abc`, where a letter that takes a value takes the rest of the word.
    fn cluster(&self, name: &str, letters: &str, variable: Option<Quoting>) -> Result<Value, String> {
        let is_number = !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_digit());
        if is_number && name == "tail" && variable.is_none() {
            return Ok(Value::None);
        }
        for (at, letter) in letters.char_indices() {
            if self.valued.contains(letter) {
                let attached = at + 1 < letters.len() || variable.is_some();
                return Ok(if attached { Value::None } else { Value::Next });
            }
            if !self.flags.contains(letter) {
                return Err(format!("`-{letter}` of `{name}` is not known to look only"));
            }
        }
        if variable.is_some() { Err(format!("an option of `{name}` is computed")) } else { Ok(Value::None) }
    }
}

/// Whether an option takes the next word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Next,
}

/// `printf -v` and `%n` set variables, so the format has to be written out.
fn printf(arguments: &[Word]) -> Result<(), String> {
    let format = arguments.first().and_then(Word::literal).ok_or("the format of `printf` is computed")?;
    if format.starts_with('-') || !crate::shell::is_plain_format(&format) {
        return Err("`printf` may set a variable".to_owned());
    }
    Ok(())
}

/// `set -euo pipefail`: how errors end a script, nothing else.
fn set(arguments: &[Word]) -> Result<(), String> {
    let refused = || "`set` changes more than how errors end a script".to_owned();
    let mut words = arguments.iter();
    if arguments.is_empty() {
        return Err(refused());
    }
    while let Some(word) = words.next() {
        let letters = word.plain().and_then(|text| text.strip_prefix(['-', '+'])).ok_or_else(refused)?;
        let named = letters.strip_suffix('o');
        let letters = named.unwrap_or(letters);
        if (letters.is_empty() && named.is_none()) || !letters.bytes().all(|b| matches!(b, b'e' | b'u')) {
            return Err(refused());
        }
        if named.is_some() {
            let option = words.next().and_then(Word::plain).ok_or_else(refused)?;
            if !matches!(option, "pipefail" | "errexit" | "nounset") {
                return Err(refused());
            }
        }
    }
    Ok(())
}
