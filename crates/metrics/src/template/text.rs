//! Owns the escaping of texts, and what becomes of hosts with ports.

use std::net::IpAddr;

/// Escapes for HTML.
pub(super) fn html(text: &str) -> String {
    replaced(text, |c| match c {
        '"' => Some("&#34;".into()),
        '\'' => Some("&#39;".into()),
        '&' => Some("&amp;".into()),
        '<' => Some("&lt;".into()),
        '>' => Some("&gt;".into()),
        '\0' => Some("\u{fffd}".into()),
        _ => None,
    })
}

/// Escapes for a text in JavaScript.
pub(super) fn js(text: &str) -> String {
    replaced(text, |c| match c {
        '\\' => Some("\\\\".into()),
        '\'' => Some("\\'".into()),
        '"' => Some("\\\"".into()),
        '<' | '>' | '&' | '=' => Some(format!("\\u{:04X}", u32::from(c))),
        c if u32::from(c) < 0x20 => Some(format!("\\u{:04X}", u32::from(c))),
        _ => None,
    })
}

/// Escapes for the query of a URL; a blank is a `+`.
pub(super) fn query_escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}

fn replaced(text: &str, replace: impl Fn(char) -> Option<String>) -> String {
    text.chars().map(|c| replace(c).unwrap_or_else(|| c.to_string())).collect()
}

/// The first letter of each word in capitals.
pub(super) fn title(text: &str) -> String {
    let mut before = ' ';
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        // As Go has it: letters, digits and `_` do not separate words, but an apostrophe does.
        let separates = if before.is_ascii() {
            !(before.is_ascii_alphanumeric() || before == '_')
        } else {
            !before.is_alphanumeric() && before.is_whitespace()
        };
        if separates {
            titled.extend(c.to_uppercase())
        } else {
            titled.push(c)
        }
        before = c;
    }
    titled
}

/// Host and port of `host:port` and `[host]:port`; nothing if there is no port.
fn split(address: &str) -> Option<(&str, &str)> {
    let (host, port) = address.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(rest) => {
            rest.strip_suffix(']').filter(|host| !host.contains(['[', ']'])).map(|host| (host, port))
        }
        None => (!host.contains([':', '[', ']']) && !port.contains([']', '['])).then_some((host, port)),
    }
}

/// `db-1.example:5432` → `db-1.example`
pub(super) fn strip_port(address: &str) -> &str {
    split(address).map_or(address, |(host, _)| host)
}

/// `db-1.example:5432` → `db-1:5432`; addresses of the Internet Protocol stay.
pub(super) fn strip_domain(address: &str) -> String {
    let (host, port) = split(address).unwrap_or((address, ""));
    if host.parse::<IpAddr>().is_ok() {
        return address.to_owned();
    }
    let name = host.split('.').next().unwrap_or_default();
    if port.is_empty() { name.to_owned() } else { format!("{name}:{port}") }
}

/// The path of a URL, as `pathPrefix` gives it.
pub(super) fn url_path(url: &str) -> &str {
    let after = url.split_once("://").map_or("", |(_, after)| after);
    let path = after.find('/').map_or("", |slash| &after[slash..]);
    path.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_escapes() {
        let check = |address: &str, port: &str, domain: &str| {
            assert_eq!((strip_port(address), strip_domain(address).as_str()), (port, domain), "{address}");
        };
        check("db-1.example:5432", "db-1.example", "db-1:5432");
        check("db-1.example", "db-1.example", "db-1");
        check("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80");
        check("[::1]:80", "::1", "[::1]:80");
        check("::1", "::1", "::1");
        check("localhost", "localhost", "localhost");
        assert_eq!(query_escape("up{a=\"b c\"}"), "up%7Ba%3D%22b+c%22%7D");
        assert_eq!(html("<a href='x'>"), "&lt;a href=&#39;x&#39;&gt;");
        assert_eq!(title("server down at once"), "Server Down At Once");
        assert_eq!(url_path("https://x.example/prom?a"), "/prom");
        assert_eq!(url_path("https://x.example"), "");
    }
}
