//! Owns `nc` and `socat`: a question to a server that stands in the script, such as `echo ruok | nc zk1 2181`, only looks.

use crate::bash::Word;
use crate::effect::assess::Judge;
use crate::effect::feed::Feed;
use crate::effect::word::Position;

/// What ZooKeeper, memcached and redis are asked by hand.
const QUESTIONS: [&str; 23] = [
    "INFO",
    "PING",
    "QUIT",
    "conf",
    "cons",
    "dirs",
    "dump",
    "envi",
    "help",
    "info",
    "isro",
    "mntr",
    "ping",
    "quit",
    "ruok",
    "srvr",
    "stat",
    "stats",
    "stats items",
    "stats settings",
    "stats slabs",
    "version",
    "wchs",
];

pub(super) fn nc(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    const FLAGS: &str = "vnu46dNCU";
    const VALUED: &str = "wqips";
    let Feed::Text(text) = judge.feed(arguments) else { return judge.by_table(name, arguments) };
    if !asks_only(&text) {
        return judge.by_table(name, arguments);
    }
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        judge.guard(name, word, Position::Open);
        let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) else { continue };
        let at = letters.find(|letter| !FLAGS.contains(letter)).unwrap_or(letters.len());
        match letters[at..].chars().next() {
            None if expansions.is_empty() => {}
            Some(letter) if VALUED.contains(letter) => {
                if at + 1 == letters.len()
                    && expansions.is_empty()
                    && let Some(value) = words.next()
                {
                    judge.guard(name, value, Position::Closed);
                }
            }
            _ => return judge.by_table(name, arguments),
        }
    }
    judge.looks(name);
}

/// `socat - /run/haproxy/admin.sock`, with the question on standard input.
pub(super) fn socat(judge: &mut Judge<'_>, arguments: &[Word]) {
    let asks = matches!(judge.feed(arguments), Feed::Text(text) if asks_only(&text));
    let words: Option<Vec<_>> = arguments.iter().map(Word::literal).collect();
    let words = words.unwrap_or_default();
    let mut words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    if matches!(words.first(), Some(&("-V" | "-h"))) {
        return judge.looks("socat");
    }
    if words.first().is_some_and(|word| word.starts_with("-t") || word.starts_with("-T")) {
        let n_words = if words[0].len() == 2 { 2 } else { 1 };
        words = words.split_off(n_words.min(words.len()));
    }
    let is_here = |word: &str| word == "-" || word.eq_ignore_ascii_case("stdio");
    match words.as_slice() {
        [here, there] | [there, here] if is_here(here) && asks && is_server(there) => judge.looks("socat"),
        _ => judge.unknown("`socat` connects two ends, and nobody knows what goes through"),
    }
}

/// `unix-connect:PATH`, `tcp:HOST:PORT`, or a path that ends like that of a socket.
fn is_server(address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:/".contains(&b));
    let kind = address.split_once(':').map_or("", |(kind, _)| kind);
    is_plain(&address)
        && (matches!(kind, "unix-connect" | "unix" | "tcp" | "tcp4" | "tcp6" | "tcp-connect")
            || (address.starts_with('/') && address.ends_with(".sock") && !address.contains("/dev/")))
}

/// Whether every line is a question: `show ...` of HAProxy, a word of [`QUESTIONS`], or a request of HTTP.
fn asks_only(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix("GET ").or_else(|| text.strip_prefix("HEAD ")) {
        let end = rest.find("\r\n\r\n").or_else(|| rest.find("\n\n"));
        return !rest.starts_with("/admin/") && end.is_none_or(|end| rest[end..].trim().is_empty());
    }
    text.split(['\n', ';']).map(str::trim).all(|line| {
        line.is_empty() || line.starts_with("show ") || line.starts_with("INFO ") || QUESTIONS.contains(&line)
    })
}
