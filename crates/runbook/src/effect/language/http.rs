//! Owns `curl` and `wget`: which requests only ask, and where the answer goes.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

/// Options of `curl` that take a value and neither send nor write anything.
const CURL_VALUED: &str = "mHAeuwrxyYzEtPQC";
const CURL_FLAGS: &str = "fsSLIvkigGN46nqp#0123ajlMRZB";
const CURL_LONG_VALUED: [&str; 38] = [
    "--max-time",
    "--connect-timeout",
    "--header",
    "--user-agent",
    "--referer",
    "--user",
    "--write-out",
    "--range",
    "--proxy",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "--cacert",
    "--capath",
    "--cert",
    "--key",
    "--resolve",
    "--connect-to",
    "--interface",
    "--max-redirs",
    "--limit-rate",
    "--url",
    "--unix-socket",
    "--oauth2-bearer",
    "--noproxy",
    "--tls-max",
    "--ciphers",
    "--speed-limit",
    "--speed-time",
    "--dns-servers",
    "--keepalive-time",
    "--max-filesize",
    "--local-port",
    "--service-name",
    "--expect100-timeout",
    "--aws-sigv4",
    "--cookie",
    "--pinnedpubkey",
];
const CURL_LONG: [&str; 43] = [
    "--fail",
    "--silent",
    "--show-error",
    "--location",
    "--head",
    "--verbose",
    "--insecure",
    "--include",
    "--get",
    "--no-buffer",
    "--ipv4",
    "--ipv6",
    "--http1.1",
    "--http1.0",
    "--http2",
    "--http2-prior-knowledge",
    "--http3",
    "--compressed",
    "--fail-with-body",
    "--fail-early",
    "--globoff",
    "--retry-connrefused",
    "--retry-all-errors",
    "--tlsv1.2",
    "--tlsv1.3",
    "--no-progress-meter",
    "--progress-bar",
    "--disable",
    "--netrc",
    "--anyauth",
    "--basic",
    "--digest",
    "--negotiate",
    "--path-as-is",
    "--raw",
    "--tcp-nodelay",
    "--no-keepalive",
    "--styled-output",
    "--location-trusted",
    "--parallel",
    "--ssl-reqd",
    "--no-sessionid",
    "--next",
];
/// Calls of a guard that can be taken back.
const GUARD_CHANGES: [&str; 6] = [
    "/admin/readonly-mode",
    "/admin/enable-writes",
    "/admin/clear-cache",
    "/admin/block",
    "/admin/unblock",
    "/admin/status",
];

#[derive(Default)]
struct Request {
    method: Option<String>,
    sends: bool,
    is_get: bool,
    urls: Vec<String>,
}

pub(super) fn curl(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("curl");
    let mut request = Request::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        judge.guard("curl", word, Position::Open);
        if !text.starts_with('-') || text == "-" {
            request.urls.push(word.shape());
        } else if text.starts_with("--") {
            let (name, attached) = match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text.clone(), None),
            };
            if !expansions.is_empty() && attached.is_none() {
                judge.unknown("an option of `curl` is computed");
            }
            let mut value = || attached.clone().or_else(|| words.next().map(Word::shape)).unwrap_or_default();
            long(judge, &name, &mut request, &mut value);
        } else {
            let attached_is_computed = !expansions.is_empty();
            for (at, letter) in text[1..].char_indices() {
                let attached = &text[1 + at + letter.len_utf8()..];
                let takes = "XdFTKoDchb".contains(letter) || CURL_VALUED.contains(letter);
                let mut value = || {
                    if attached.is_empty() && !attached_is_computed {
                        words.next().map(Word::shape).unwrap_or_default()
                    } else {
                        attached.to_owned() + if attached_is_computed { "\0" } else { "" }
                    }
                };
                short(judge, letter, &mut request, &mut value);
                if takes {
                    break;
                }
            }
        }
    }
    finish(judge, &request);
}

fn short(judge: &mut Judge<'_>, letter: char, request: &mut Request, value: &mut dyn FnMut() -> String) {
    match letter {
        'X' => request.method = Some(value()),
        'd' | 'F' => {
            value();
            request.sends = true;
        }
        'T' => {
            value();
            request.method = request.method.take().or(Some("PUT".to_owned()));
        }
        'G' => request.is_get = true,
        'K' => {
            value();
            judge.unknown("`curl -K` reads options from a file");
        }
        'o' => output(judge, &value(), "-o"),
        'D' | 'c' => output(judge, &value(), &format!("-{letter}")),
        'O' | 'J' => judge.raise(Effect::Destroy, format!("`curl -{letter}` writes a file")),
        'h' | 'V' => {}
        'b' => {
            value();
        }
        'Q' => {
            value();
            judge.unknown("`curl -Q` sends commands");
        }
        'w' => write_out(judge, &value()),
        letter if CURL_VALUED.contains(letter) => {
            value();
        }
        letter if CURL_FLAGS.contains(letter) => {}
        letter => judge.unknown(format!("`curl -{letter}` is not known")),
    }
}

fn long(judge: &mut Judge<'_>, name: &str, request: &mut Request, value: &mut dyn FnMut() -> String) {
    match name {
        "--request" => request.method = Some(value()),
        "--data" | "--data-raw" | "--data-binary" | "--data-urlencode" | "--data-ascii" | "--json"
        | "--form" | "--form-string" => {
            value();
            request.sends = true;
        }
        "--get" => request.is_get = true,
        "--upload-file" => {
            value();
            request.method = request.method.take().or(Some("PUT".to_owned()));
        }
        "--output" | "--dump-header" | "--cookie-jar" | "--trace" | "--trace-ascii" | "--stderr" => {
            output(judge, &value(), name);
        }
        "--help" | "--version" => {}
        "--write-out" => write_out(judge, &value()),
        name if CURL_LONG_VALUED.contains(&name) => {
            value();
        }
        name if CURL_LONG.contains(&name) => {}
        name => judge.unknown(format!("`curl {name}` is not known")),
    }
}

/// The format of `-w` can open files (`%output{FILE}`), and be read from one.
fn write_out(judge: &mut Judge<'_>, format: &str) {
    if format.contains("%output{") {
        judge.raise(Effect::Destroy, "`curl -w` writes a file");
    }
}

fn output(judge: &mut Judge<'_>, file: &str, option: &str) {
    if !matches!(file, "/dev/null" | "-" | "/dev/stdout" | "/dev/stderr") {
        judge.raise(Effect::Destroy, format!("`curl {option}` writes a file"));
    }
}

/// Whether a scheme is one in which a request without a body only asks; what is computed is looked at elsewhere.
fn is_http(scheme: &str) -> bool {
    scheme.contains('\0') || scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn finish(judge: &mut Judge<'_>, request: &Request) {
    let default = if request.sends && !request.is_get { "POST" } else { "GET" };
    let method = request.method.as_deref().unwrap_or(default).to_ascii_uppercase();
    let path_of = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        path.split(['?', '#']).next().unwrap_or_default().to_owned()
    };
    if request.urls.iter().any(|url| {
        url.split_once("://").is_some_and(|(scheme, _)| !is_http(scheme)) || url.starts_with("file:")
    }) {
        judge.unknown("`curl` speaks something other than HTTP");
    }
    match method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => {
            if request
                .urls
                .iter()
                .any(|url| path_of(url).starts_with("/admin/") && !path_of(url).ends_with("/status"))
            {
                judge.unknown("`curl` calls an endpoint that changes the server");
            }
        }
        "DELETE" => judge.raise(Effect::Destroy, "`curl` deletes (DELETE)"),
        "POST"
            if !request.urls.is_empty()
                && request.urls.iter().all(|url| GUARD_CHANGES.contains(&path_of(url).as_str())) =>
        {
            judge.raise(Effect::Change, "`curl` switches something in a guard (POST)");
        }
        "POST"
            if !request.urls.is_empty() && request.urls.iter().all(|url| path_of(url) == "/admin/drain") =>
        {
            judge.raise(Effect::Disrupt, "`curl` drains a server (POST)");
        }
        method => judge.unknown(format!("what a server does on `{method}` nobody knows")),
    }
}

pub(super) fn wget(judge: &mut Judge<'_>, arguments: &[Word]) {
    const FLAGS: [&str; 14] = [
        "-q",
        "-S",
        "-nv",
        "-4",
        "-6",
        "--quiet",
        "--server-response",
        "--no-verbose",
        "--no-check-certificate",
        "-v",
        "--no-proxy",
        "-d",
        "--inet4-only",
        "--inet6-only",
    ];
    const VALUED: [&str; 9] = [
        "-T",
        "-t",
        "-U",
        "--timeout",
        "--tries",
        "--header",
        "--user-agent",
        "--connect-timeout",
        "--read-timeout",
    ];
    judge.looks("wget");
    let mut discards = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        judge.guard("wget", word, Position::Open);
        let (text, expansions) = word.literal_prefix();
        if !text.starts_with('-') {
            continue;
        }
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text.as_str(), None),
        };
        match name {
            "--help" | "--version" => return,
            "--spider" | "-O-" | "-qO-" | "-O/dev/null" | "-qO/dev/null" => discards = true,
            "-O" | "-qO" | "--output-document" | "-nvO" => {
                let value =
                    attached.map_or_else(|| words.next().map(Word::shape), |value| Some(value.to_owned()));
                discards |= matches!(value.as_deref(), Some("-" | "/dev/null" | "/dev/stdout"));
            }
            name if FLAGS.contains(&name) => {}
            name if VALUED.contains(&name) => {
                if attached.is_none() {
                    words.next();
                }
            }
            name if VALUED.iter().any(|known| known.len() == 2 && name.starts_with(known)) => {}
            name => judge.unknown(format!("`wget {name}` is not known")),
        }
        if !expansions.is_empty() && attached.is_none() {
            judge.unknown("an option of `wget` is computed");
        }
    }
    if !discards {
        judge.raise(Effect::Destroy, "`wget` writes a file");
    }
}
