//! Owns the names of units: exact ones, which are never globs, and the patterns by which they are discovered.

use std::fmt;
use std::str::FromStr;

/// The longest name of a unit, in bytes, as systemd has it.
const NAME_BYTES_MAX: usize = 255;

/// The end of the name of every service.
const SUFFIX: &str = ".service";

/// How the names of units of MCP servers begin.
const SERVER_PREFIX: &str = "mcp-server-";

/// How the names of instances of the shipped template begin.
const TEMPLATE_PREFIX: &str = "mcp-server@";

/// The exact name of a service, such as `mcp-server-mem.service` or `mcp-server@mem.service`.
///
/// It has the letters that systemd allows and no others, so it holds no glob, no space, no slash and nothing that a
/// shell or D-Bus would take for more than a name. A template without an instance is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitName(String);

/// A pattern with `*` and `?` for discovery. What it finds is used by its exact name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// Why a text is no name or no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadName {
    #[error("`{0}` is no name of a service: it has to end with `.service`")]
    Suffix(String),
    #[error("`{name}` is no name of a unit: `{letter}` may not be in it")]
    Letter { name: String, letter: char },
    #[error("`{0}` is no name of a unit: nothing stands before `.service`")]
    Empty(String),
    #[error("`{0}` is a template: name an instance of it")]
    Template(String),
    #[error("`{0}` is no name of a unit: it is longer than {NAME_BYTES_MAX} bytes")]
    Long(String),
    #[error("`{0}` begins with a wildcard, and would find what has nothing to do with us")]
    Boundless(String),
}

// === impl UnitName ===

impl UnitName {
    /// The unit of a server: `mcp-server-NAME.service`. What a unit may not have in its name becomes `\xNN`, as
    /// systemd escapes it; a `-` stays, so `mem-2` is `mcp-server-mem-2.service`.
    ///
    /// # Errors
    /// When the name is empty, or too long for a unit.
    pub fn of_server(server: &str) -> Result<Self, BadName> {
        Self::with_prefix(SERVER_PREFIX, server)
    }

    /// The same server as an instance of the shipped template: `mcp-server@NAME.service`.
    ///
    /// # Errors
    /// When the name is empty, or too long for a unit.
    pub fn instance_of_server(server: &str) -> Result<Self, BadName> {
        Self::with_prefix(TEMPLATE_PREFIX, server)
    }

    fn with_prefix(prefix: &str, server: &str) -> Result<Self, BadName> {
        let name = format!("{prefix}{}{SUFFIX}", escape(server));
        if server.is_empty() {
            return Err(BadName::Empty(name));
        }
        name.parse()
    }

    /// The server whose unit this is, where it is one of an MCP server.
    pub fn server(&self) -> Option<String> {
        let stem = self.stem();
        let server = stem.strip_prefix(SERVER_PREFIX).or_else(|| stem.strip_prefix(TEMPLATE_PREFIX))?;
        (!server.is_empty()).then(|| unescape(server)).flatten()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The socket that starts it, and where systemd has that on the bus.
    pub(crate) fn socket(&self) -> (String, String) {
        let socket = format!("{}.socket", self.stem());
        let path = object_path(&socket);
        (socket, path)
    }

    fn stem(&self) -> &str {
        self.0.strip_suffix(SUFFIX).unwrap_or(&self.0)
    }

    /// Where systemd has the unit on the bus.
    pub(crate) fn object_path(&self) -> String {
        object_path(&self.0)
    }
}

impl FromStr for UnitName {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        check_letters(name, |letter| is_letter(letter) || letter == '@')?;
        let stem = name.strip_suffix(SUFFIX).ok_or_else(|| BadName::Suffix(name.to_owned()))?;
        match stem.split_once('@') {
            _ if stem.is_empty() => Err(BadName::Empty(name.to_owned())),
            Some(("", _)) => Err(BadName::Empty(name.to_owned())),
            Some((_, "")) => Err(BadName::Template(name.to_owned())),
            _ => Ok(Self(name.to_owned())),
        }
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Pattern ===

impl Pattern {
    /// Both forms of the units of MCP servers.
    pub fn servers() -> [Self; 2] {
        [SERVER_PREFIX, TEMPLATE_PREFIX].map(|prefix| Self(format!("{prefix}*{SUFFIX}")))
    }

    /// The pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name is one of those that are meant. `*` is any number of letters, `?` is one.
    pub fn matches(&self, name: &UnitName) -> bool {
        matches(self.0.as_bytes(), name.0.as_bytes())
    }
}

impl FromStr for Pattern {
    type Err = BadName;

    fn from_str(pattern: &str) -> Result<Self, BadName> {
        check_letters(pattern, |letter| is_letter(letter) || "@*?".contains(letter))?;
        if !pattern.ends_with(SUFFIX) {
            return Err(BadName::Suffix(pattern.to_owned()));
        }
        if pattern.starts_with(['*', '?', '.']) {
            return Err(BadName::Boundless(pattern.to_owned()));
        }
        Ok(Self(pattern.to_owned()))
    }
}

fn object_path(unit: &str) -> String {
    format!("/org/freedesktop/systemd1/unit/{}", label(unit))
}

fn check_letters(name: &str, allowed: impl Fn(char) -> bool) -> Result<(), BadName> {
    if name.len() > NAME_BYTES_MAX {
        return Err(BadName::Long(name.to_owned()));
    }
    match name.chars().find(|letter| !allowed(*letter)) {
        Some(letter) => Err(BadName::Letter { name: name.to_owned(), letter }),
        None => Ok(()),
    }
}

fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ":-_.\\".contains(letter)
}

fn escape(text: &str) -> String {
    let one = |byte: u8| match char::from(byte) {
        letter if is_letter(letter) && letter != '\\' => String::from(letter),
        _ => format!("\\x{byte:02x}"),
    };
    text.bytes().map(one).collect()
}

/// What was escaped; none where it is no escape of any text.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.strip_prefix('x')?.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        rest = &after[3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// A text as a part of an object path: letters stay, digits too but not at the beginning, all else is `_` and two digits.
fn label(text: &str) -> String {
    let one = |(idx, byte): (usize, u8)| match byte {
        b'A'..=b'Z' | b'a'..=b'z' => char::from(byte).to_string(),
        b'0'..=b'9' if idx > 0 => char::from(byte).to_string(),
        _ => format!("_{byte:02x}"),
    };
    text.bytes().enumerate().map(one).collect()
}

/// Goes back to the last `*` only, so a long name costs no more than pattern times name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, star_seen)) = star else { return false };
                star = Some((star_at, star_seen + 1));
                at = star_at + 1;
                seen = star_seen + 1;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests;
