//! Owns tools that show something, and set it as soon as they are given one word more: `taskset`, `chrt`, `ionice`, `service`, `parted`, `python -m json.tool`.

use std::borrow::Cow;

use crate::bash::Word;
use crate::effect::assess::Judge;
use crate::effect::device::names_disk;
use crate::effect::trust::names_device;
use crate::effect::word::Position;

/// `taskset -pc PID`, `chrt -p PID`, `ionice -p PID`: with one more word they set it.
pub(super) fn affinity(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    let [option, process] = arguments else { return judge.by_table(name, arguments) };
    let shows = match name {
        "taskset" => matches!(option.plain(), Some("-p" | "-pc" | "-cp" | "-ap" | "-apc" | "--pid")),
        "chrt" => matches!(option.plain(), Some("-p" | "-ap" | "--pid")),
        _ => matches!(option.plain(), Some("-p" | "--pid")),
    };
    if !shows || process.literal_prefix().0.starts_with('-') {
        return judge.by_table(name, arguments);
    }
    judge.guard(name, process, Position::Open);
    judge.looks(name);
}

/// `service NAME status`; a name with a `/` in it is a path.
pub(super) fn service(judge: &mut Judge<'_>, tool: &str, arguments: &[Word]) {
    let is_name =
        |text: Cow<'_, str>| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b));
    match arguments {
        [name, verb]
            if verb.literal().as_deref() == Some("status") && name.literal().is_some_and(is_name) =>
        {
            judge.looks(tool);
        }
        _ => judge.by_table(tool, arguments),
    }
}

/// `parted -s DEVICE unit GiB print free`
pub(super) fn parted(judge: &mut Judge<'_>, arguments: &[Word]) {
    let words: Option<Vec<_>> = arguments.iter().map(Word::literal).collect();
    let words = words.unwrap_or_default();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let n_options = words.iter().take_while(|word| matches!(**word, "-s" | "-m" | "--script" | "--machine"));
    let (options, rest) = words.split_at(n_options.count());
    let (device, mut commands) = match rest {
        ["-l" | "--list"] => return judge.looks("parted"),
        [device, commands @ ..] => (*device, commands),
        _ => return judge.by_table("parted", arguments),
    };
    let is_disk = !device.starts_with('-') && (!names_device(device) || names_disk(device));
    let mut prints = is_disk && !options.is_empty();
    while prints && !commands.is_empty() {
        commands = match commands {
            ["print" | "p", "free" | "all" | "list" | "devices", rest @ ..] | ["print" | "p", rest @ ..] => {
                rest
            }
            ["unit", _, rest @ ..] | ["align-check", _, _, rest @ ..] => rest,
            _ => {
                prints = false;
                &[]
            }
        };
    }
    if prints { judge.looks("parted") } else { judge.by_table("parted", arguments) }
}

/// `python3 -m json.tool` formats what it is fed; a second file would be written.
pub(super) fn python(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    const FLAGS: [&str; 6] =
        ["--sort-keys", "--no-ensure-ascii", "--json-lines", "--compact", "--no-indent", "--tab"];
    let [first, second, rest @ ..] = arguments else { return judge.by_table(name, arguments) };
    if first.literal().as_deref() != Some("-m") || second.literal().as_deref() != Some("json.tool") {
        return judge.by_table(name, arguments);
    }
    let is_flag = |word: &&Word| !word.literal().is_some_and(|text| FLAGS.contains(&text.as_ref()));
    match rest.iter().filter(is_flag).collect::<Vec<_>>().as_slice() {
        [] => judge.looks("json.tool"),
        [file] if !file.shape().starts_with('-') && !names_device(&file.shape()) => {
            judge.guard(name, file, Position::Open);
            judge.looks("json.tool");
        }
        _ => judge.unknown(format!("`{name} -m json.tool` may write a file")),
    }
}

/// `ldd` may run the program that it looks at; those of the system do nothing then.
pub(super) fn ldd(judge: &mut Judge<'_>, arguments: &[Word]) {
    const FOLDERS: [&str; 5] = ["/bin/", "/sbin/", "/usr/", "/lib/", "/lib64/"];
    let is_harmless = |word: &Word| {
        word.literal().is_some_and(|text| {
            matches!(text.as_ref(), "-v" | "-u" | "-d" | "-r" | "--version" | "--help")
                || (FOLDERS.iter().any(|folder| text.starts_with(folder)) && !text.contains(".."))
        }) && !word.has_braces()
    };
    if arguments.iter().all(is_harmless) { judge.looks("ldd") } else { judge.by_table("ldd", arguments) }
}
