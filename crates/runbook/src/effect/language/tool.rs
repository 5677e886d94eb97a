//! Owns tools whose operands say what is done: `tar`, `dd`, `tee`, `date`.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::device::names_disk;
use crate::effect::trust::names_device;
use crate::effect::word::Position;

pub(super) fn tar(judge: &mut Judge<'_>, arguments: &[Word]) {
    const FLAGS: &str = "tzjJZavfkpPOhWSCX";
    let mut words = arguments.iter();
    let mut mode = None;
    let mut first = true;
    let mut to_stdout = false;
    let mut archive = None;
    while let Some(word) = words.next() {
        let (text, _) = word.literal_prefix();
        let is_first = std::mem::replace(&mut first, false);
        judge.guard("tar", word, Position::Open);
        if names_device(&text) {
            return judge.unknown("opens a device (`tar`)");
        }
        let mut value = |judge: &mut Judge<'_>| {
            let value = words.next()?;
            judge.guard("tar", value, Position::Closed);
            Some(value.shape())
        };
        if let Some(long) = text.strip_prefix("--") {
            match long_option(long) {
                Some(Long::Mode(letter)) => mode = Some(letter),
                Some(Long::Stdout) => to_stdout = true,
                Some(Long::Dry) => return judge.looks("tar"),
                Some(Long::Plain) => {}
                Some(Long::Value) if long.contains('=') => {}
                Some(Long::Value) => _ = value(judge),
                None => return judge.unknown(format!("`tar --{long}` is not known")),
            }
            continue;
        }
        let dashed = text.strip_prefix('-');
        let Some(letters) = dashed.or(is_first.then_some(text.as_ref())) else { continue };
        for letter in letters.chars() {
            match letter {
                't' | 'x' | 'c' | 'r' | 'u' | 'A' | 'd' => mode = Some(letter),
                'O' => to_stdout = true,
                letter if FLAGS.contains(letter) => {}
                letter => return judge.unknown(format!("`tar -{letter}` is not known")),
            }
        }
        // Values follow in the order of their letters; where one is attached, nothing is taken.
        let n_values = letters.chars().filter(|letter| "fCX".contains(*letter)).count();
        let ends_with_value = letters.ends_with(['f', 'C', 'X']);
        let n_values = if dashed.is_none() { n_values } else { usize::from(ends_with_value) };
        for _ in 0..n_values {
            let value = value(judge);
            if letters.contains('f') {
                archive = archive.or(value);
            }
        }
    }
    match mode {
        Some('t' | 'd') => judge.looks("tar"),
        Some('x') if to_stdout => judge.looks("tar"),
        Some('x') => judge.raise(Effect::Destroy, "`tar -x` overwrites files"),
        Some('c') if matches!(archive.as_deref(), Some("-" | "/dev/null" | "/dev/stdout")) => {
            judge.looks("tar")
        }
        Some('c') => judge.raise(Effect::Destroy, "`tar -c` overwrites the archive"),
        Some(_) => judge.raise(Effect::Change, "`tar` adds to the archive"),
        None => judge.unknown("what `tar` is to do is not written out"),
    }
}

/// What a long option of `tar` is.
enum Long {
    Mode(char),
    Stdout,
    Dry,
    Plain,
    Value,
}

fn long_option(long: &str) -> Option<Long> {
    const PLAIN: [&str; 20] = [
        "gzip",
        "bzip2",
        "xz",
        "zstd",
        "verbose",
        "wildcards",
        "same-permissions",
        "preserve-permissions",
        "same-owner",
        "no-same-owner",
        "numeric-owner",
        "keep-old-files",
        "full-time",
        "totals",
        "xattrs",
        "acls",
        "auto-compress",
        "utc",
        "quoting-style",
        "ignore-zeros",
    ];
    Some(match long.split('=').next().unwrap_or_default() {
        "list" => Long::Mode('t'),
        "extract" | "get" => Long::Mode('x'),
        "create" => Long::Mode('c'),
        "diff" | "compare" => Long::Mode('d'),
        "to-stdout" => Long::Stdout,
        "help" | "version" => Long::Dry,
        "file" | "directory" | "exclude" | "strip-components" => Long::Value,
        name if PLAIN.contains(&name) => Long::Plain,
        _ => return None,
    })
}

pub(super) fn dd(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("dd");
    for word in arguments {
        let (text, expansions) = word.literal_prefix();
        match text.split_once('=') {
            Some(("of", "/dev/null" | "/dev/stdout")) => {}
            Some(("of", _)) => judge.raise(Effect::Destroy, "`dd of=` overwrites a file or a device"),
            Some(("if", file)) if names_device(file) && !names_disk(&word.shape()) => {
                judge.unknown("opens a device (`dd`)");
            }
            Some(("if" | "bs" | "count" | "skip" | "status" | "iflag" | "ibs" | "obs" | "conv", _)) => {}
            _ if matches!(text.as_ref(), "--help" | "--version") => {}
            _ if expansions.is_empty() => judge.unknown(format!("`dd {text}` is not known")),
            _ => judge.unknown("an operand of `dd` is computed"),
        }
        if !expansions.is_empty() {
            judge.guard("dd", word, Position::Open);
        }
    }
}

pub(super) fn tee(judge: &mut Judge<'_>, arguments: &[Word]) {
    let options: Vec<_> =
        arguments.iter().filter_map(Word::literal).filter(|text| text.starts_with('-')).collect();
    let appends =
        options.iter().any(|text| text == "--append" || (!text.starts_with("--") && text.contains('a')));
    let writes = arguments.iter().any(|word| {
        let text = word.shape();
        !text.starts_with('-')
            && !matches!(text.as_ref(), "/dev/null" | "/dev/stderr" | "/dev/stdout" | "/dev/tty")
    });
    judge.looks("tee");
    if writes && appends {
        judge.raise(Effect::Change, "`tee -a` appends to a file");
    } else if writes {
        judge.raise(Effect::Destroy, "`tee` overwrites a file");
    }
}

/// With anything but a format as its operand, `date` sets the clock.
pub(super) fn date(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("date");
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        match text.as_ref() {
            "-u" | "-R" | "--utc" | "--universal" | "--rfc-email" | "--iso-8601" | "-I" | "--help"
            | "--version" | "--debug" => {}
            "-d" | "-r" | "-ud" | "-f" | "--date" | "--reference" => {
                if let Some(value) = words.next() {
                    judge.guard("date", value, Position::Closed);
                }
            }
            text if ["--date=", "--reference=", "--iso-8601=", "--rfc-3339=", "-I"]
                .iter()
                .any(|option| text.starts_with(option)) =>
            {
                judge.guard("date", word, Position::Closed);
            }
            text if text.starts_with('+') => judge.guard("date", word, Position::Closed),
            text if text.starts_with("-d") && !text.starts_with("--") => {
                judge.guard("date", word, Position::Closed)
            }
            text if text.starts_with("-s") || text.starts_with("--s") || text.starts_with("-us") => {
                judge.raise(Effect::Change, "`date -s` sets the clock");
            }
            _ if !expansions.is_empty() => judge.unknown("`date` may set the clock to what it is given"),
            text if text.starts_with('-') => judge.unknown(format!("`date {text}` is not known")),
            _ => judge.raise(Effect::Change, "`date` sets the clock"),
        }
    }
}
