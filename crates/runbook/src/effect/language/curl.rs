//! Owns `curl`: which requests only ask, and where the answer goes.

use crate::bash::{Part, Quoting, Word};
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::trust::{Trust, names_device};
use crate::effect::word::Position;
use crate::shell::is_name;

/// Options that take a value and neither send nor write anything.
const VALUED: &str = "mHAeuryYzEtPCxb";
const FLAGS: &str = "fsSLIvkigGN46nqp#0123ajlMRZB";
const LONG_VALUED: &str = "abstract-unix-socket aws-sigv4 cacert capath cert ciphers connect-timeout connect-to \
    continue-at cookie crlfile curves dns-servers doh-url etag-compare expect100-timeout happy-eyeballs-timeout-ms \
    header interface keepalive-time key limit-rate local-port max-filesize max-redirs max-time netrc-file noproxy \
    oauth2-bearer parallel-max pass pinnedpubkey preproxy proto proxy proxy-cacert proxy-header proxy-user range rate \
    referer resolve retry retry-delay retry-max-time service-name socks4 socks4a socks5 socks5-hostname speed-limit \
    speed-time time-cond tls-max tls13-ciphers unix-socket url-query user user-agent";
const LONG: &str = "anyauth basic ca-native cert-status compressed digest disable doh-insecure fail fail-early \
    fail-with-body get globoff haproxy-protocol head http0.9 http1.0 http1.1 http2 http2-prior-knowledge http3 \
    http3-only include insecure ipv4 ipv6 junk-session-cookies list-only location location-trusted negotiate netrc \
    netrc-optional no-alpn no-buffer no-keepalive no-progress-meter no-sessionid no-styled-output ntlm parallel \
    path-as-is post301 post302 post303 progress-bar progress-meter proxy-basic proxy-insecure proxytunnel raw \
    retry-all-errors retry-connrefused show-error silent ssl ssl-no-revoke ssl-reqd styled-output \
    suppress-connect-headers tcp-fastopen tcp-nodelay tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 tr-encoding trace-ids \
    trace-time verbose";
/// Options whose value is a file that is written.
const LONG_WRITING: &str =
    "alt-svc cookie-jar dump-header etag-save hsts libcurl output stderr trace trace-ascii";
const LONG_SENDING: &str = "data data-ascii data-binary data-raw data-urlencode form form-string json";
/// Calls of a guard that can be taken back.
const GUARD_CHANGES: [&str; 7] = [
    "/admin/readonly-mode",
    "/admin/enable-writes",
    "/admin/clear-cache",
    "/admin/limits",
    "/admin/block",
    "/admin/unblock",
    "/admin/status",
];
/// Questions that Elasticsearch, Prometheus and Loki take as a POST.
const QUESTIONS: [&str; 15] = [
    "/_analyze",
    "/_cluster/allocation/explain",
    "/_count",
    "/_field_caps",
    "/_mget",
    "/_msearch",
    "/_search",
    "/_sql",
    "/_validate/query",
    "/api/v1/labels",
    "/api/v1/query",
    "/api/v1/query_range",
    "/api/v1/series",
    "/loki/api/v1/query",
    "/loki/api/v1/query_range",
];

#[derive(Default)]
struct Request {
    method: Option<String>,
    sends: bool,
    is_get: bool,
    urls: Vec<String>,
}

/// Where the value of an option is found.
struct Source<'w, 'i> {
    /// What stands behind the option in its own word.
    attached: Option<Word>,
    words: &'i mut std::slice::Iter<'w, Word>,
}

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("curl");
    let mut request = Request::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        judge.guard("curl", word, Position::Open);
        if !text.starts_with('-') || text == "-" {
            request.urls.extend(addresses(judge, word));
        } else if let Some(body) = text.strip_prefix("--") {
            let (name, attached) = match body.split_once('=') {
                Some((name, value)) => (name, Some(glued(value, expansions))),
                None => (body, None),
            };
            if !expansions.is_empty() && attached.is_none() {
                judge.unknown("an option of `curl` is computed");
            }
            long(judge, name, &mut request, Source { attached, words: &mut words });
        } else {
            for (at, letter) in text[1..].char_indices() {
                let rest = &text[1 + at + letter.len_utf8()..];
                let attached = (!rest.is_empty() || !expansions.is_empty()).then(|| glued(rest, expansions));
                let takes = "XdFTKoDcwQhV".contains(letter) || VALUED.contains(letter);
                short(judge, letter, &mut request, Source { attached, words: &mut words });
                if takes {
                    break;
                }
            }
        }
    }
    finish(judge, &request);
}

// === impl Source ===

impl Source<'_, '_> {
    fn take(self, judge: &mut Judge<'_>) -> Word {
        if let Some(word) = self.attached {
            return word;
        }
        let word = self.words.next().cloned().unwrap_or_default();
        judge.guard("curl", &word, Position::Closed);
        word
    }
}

fn glued(text: &str, expansions: &[Part]) -> Word {
    let mut parts = vec![Part::Literal { text: text.to_owned(), quoting: Quoting::Quoted }];
    parts.extend_from_slice(expansions);
    Word { parts, span: 0..0 }
}

fn short(judge: &mut Judge<'_>, letter: char, request: &mut Request, source: Source<'_, '_>) {
    match letter {
        'X' => request.method = Some(source.take(judge).shape().into_owned()),
        'd' | 'F' => {
            source.take(judge);
            request.sends = true;
        }
        'T' => {
            source.take(judge);
            request.method = request.method.take().or(Some("PUT".to_owned()));
        }
        'G' => request.is_get = true,
        'K' => judge.unknown("`curl -K` reads options from a file"),
        'o' | 'D' | 'c' => {
            let file = source.take(judge);
            let file = file.shape();
            output(judge, &file, &format!("-{letter}"));
        }
        'O' | 'J' => judge.raise(Effect::Destroy, format!("`curl -{letter}` writes a file")),
        'h' | 'V' => {}
        'Q' => judge.unknown("`curl -Q` sends commands"),
        'w' => {
            let format = source.take(judge);
            write_out(judge, &format);
        }
        ':' => finish(judge, &std::mem::take(request)),
        'E' => certificate(judge, source),
        letter if VALUED.contains(letter) => _ = source.take(judge),
        letter if FLAGS.contains(letter) => {}
        letter => judge.unknown(format!("`curl -{letter}` is not known")),
    }
}

fn long(judge: &mut Judge<'_>, name: &str, request: &mut Request, source: Source<'_, '_>) {
    let is_one_of = |names: &str| names.split_whitespace().any(|known| known == name);
    match name {
        "request" => request.method = Some(source.take(judge).shape().into_owned()),
        "get" => request.is_get = true,
        "url" => {
            let word = source.take(judge);
            request.urls.extend(addresses(judge, &word));
        }
        "upload-file" => {
            source.take(judge);
            request.method = request.method.take().or(Some("PUT".to_owned()));
        }
        "next" => finish(judge, &std::mem::take(request)),
        "help" | "version" => {}
        "write-out" => {
            let format = source.take(judge);
            write_out(judge, &format);
        }
        "cert" | "key" => certificate(judge, source),
        "remote-name" | "remote-name-all" | "remote-header-name" => {
            judge.raise(Effect::Destroy, format!("`curl --{name}` writes a file"));
        }
        _ if is_one_of(LONG_SENDING) => {
            source.take(judge);
            request.sends = true;
        }
        _ if is_one_of(LONG_WRITING) => {
            let file = source.take(judge);
            let file = file.shape();
            output(judge, &file, &format!("--{name}"));
        }
        _ if is_one_of(LONG_VALUED) => _ = source.take(judge),
        _ if is_one_of(LONG) => {}
        _ => judge.unknown(format!("`curl --{name}` is not known")),
    }
}

/// The format of `-w` can open files: `%output{FILE}`.
fn write_out(judge: &mut Judge<'_>, format: &Word) {
    if format.shape().contains("%output") {
        return judge.raise(Effect::Destroy, "`curl -w` writes a file");
    }
    for part in &format.parts {
        match part {
            Part::Literal { .. } | Part::Arithmetic { .. } => {}
            Part::Variable { variable, .. } if is_name(&variable.name) => {
                judge.trust(&variable.name, Trust::Name);
            }
            _ => judge.unknown("the format of `curl -w` is computed, and may write a file"),
        }
    }
}

/// A `pkcs11:` names a module that is loaded.
fn certificate(judge: &mut Judge<'_>, source: Source<'_, '_>) {
    let name = source.take(judge);
    if name.shape().to_ascii_lowercase().starts_with("pkcs11") {
        judge.unknown("`curl` may load a module for its certificate");
    }
}

fn output(judge: &mut Judge<'_>, file: &str, option: &str) {
    if !matches!(file, "/dev/null" | "-" | "/dev/stdout" | "/dev/stderr") {
        judge.raise(Effect::Destroy, format!("`curl {option}` writes a file"));
    }
}

/// What an address may be, where a variable in front of it holds what stands in the text.
fn addresses(judge: &Judge<'_>, word: &Word) -> Vec<String> {
    let shape = word.shape();
    let values = match word.parts.first() {
        Some(Part::Variable { variable, .. }) => judge.known.literals.get(&variable.name),
        _ => None,
    };
    let rest = shape.get(1..).unwrap_or_default();
    values.map_or_else(
        || vec![shape.to_string()],
        |values| values.iter().map(|value| format!("{value}{rest}")).collect(),
    )
}

/// The path of an address, without what is asked for.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    rest.find('/').map_or("", |at| &rest[at..])
}

/// Judges the address of a request that sends nothing: in some protocols it holds commands (`gopher://HOST/_FLUSHALL`).
pub(super) fn asks_only(judge: &mut Judge<'_>, client: &str, url: &str) {
    // The name of a host can stand for the protocol, as in `dict.example.org`.
    const GUESSED: [&str; 5] = ["dict.", "ldap.", "imap.", "smtp.", "pop3."];
    let url = url.to_ascii_lowercase();
    let is_scheme = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.{},".contains(&b));
    let scheme = url.split_once(":/").map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
    let is_known = match scheme {
        Some(scheme) => matches!(scheme, "http" | "https" | "ftp" | "ftps" | "file"),
        None => !GUESSED.iter().any(|start| url.starts_with(start)),
    };
    if !is_known {
        judge.unknown(format!("`{client}` speaks something other than HTTP"));
    }
    if scheme == Some("file") && names_device(&url) {
        judge.unknown(format!("`{client}` opens a device"));
    }
    if path_of(&url).starts_with("/admin/") && !path_of(&url).ends_with("/status") {
        judge.unknown(format!("`{client}` calls an endpoint that changes the server"));
    }
}

fn finish(judge: &mut Judge<'_>, request: &Request) {
    let default = if request.sends && !request.is_get { "POST" } else { "GET" };
    let method = request.method.as_deref().unwrap_or(default).to_ascii_uppercase();
    let all = |is_so: &dyn Fn(&str) -> bool| {
        !request.urls.is_empty() && request.urls.iter().all(|url| is_so(path_of(url)))
    };
    let is_literal = !request.urls.iter().any(|url| url.contains('\0'));
    match method.as_str() {
        "GET" | "HEAD" | "OPTIONS" => request.urls.iter().for_each(|url| asks_only(judge, "curl", url)),
        "DELETE" => judge.raise(Effect::Destroy, "`curl` deletes (DELETE)"),
        "POST" if all(&|path| GUARD_CHANGES.contains(&path)) => {
            judge.raise(Effect::Change, "`curl` switches something in a guard (POST)");
        }
        "POST" if all(&|path| path == "/admin/drain") => {
            judge.raise(Effect::Disrupt, "`curl` drains a server (POST)");
        }
        "POST" if is_literal && all(&|path| QUESTIONS.iter().any(|question| path.ends_with(question))) => {
            request.urls.iter().for_each(|url| asks_only(judge, "curl", url));
        }
        method => judge.unknown(format!("what a server does on `{method}` nobody knows")),
    }
}
