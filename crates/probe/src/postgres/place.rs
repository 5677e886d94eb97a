//! Owns where a database is and how it wants to be asked: `[USER@]HOST:PORT[/DATABASE]`, or a URL of libpq with `sslmode` and
//! `sslrootcert`.

use std::fmt;

use crate::network_checks::host_and_port;
use crate::reason;

/// Of a URL that names no port.
const PORT: &str = "5432";
/// Parameters of libpq that change nothing about one short question.
const WITHOUT_MEANING: [&str; 9] = [
    "application_name",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "passfile",
    "sslsni",
    "target_session_attrs",
];

/// Where a database is, and as whom it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'p> {
    pub(super) user: &'p str,
    pub(super) host: &'p str,
    pub(super) port: u16,
    pub(super) database: &'p str,
    pub(super) mode: SslMode,
    /// A file with the certificates that are trusted; none means those of this machine.
    pub(super) roots: Option<&'p str>,
}

/// Whether a session is private, and whom it has to be with; the words are those of libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    /// Only where the database takes nobody in the open.
    Allow,
    /// Where the database can.
    Prefer,
    Require,
    /// With somebody who is trusted.
    VerifyCa,
    /// With somebody who is trusted and has this name.
    VerifyFull,
}

/// How one connection is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Open,
    /// Private where the database can, or else in the open.
    PrivateIfOffered,
    Private,
}

// === impl SslMode ===

impl SslMode {
    const ALL: [Self; 6] =
        [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// What is tried, one after the other, as long as the database says that it takes nobody this way.
    pub(super) fn ways(self) -> &'static [Way] {
        match self {
            Self::Disable => &[Way::Open],
            Self::Allow => &[Way::Open, Way::Private],
            Self::Prefer => &[Way::PrivateIfOffered, Way::Open],
            Self::Require | Self::VerifyCa | Self::VerifyFull => &[Way::Private],
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

// === impl Place ===

impl<'p> Place<'p> {
    /// Reads an address; the error says what is wrong with it.
    pub(super) fn of(address: &'p str) -> Result<Self, String> {
        let form = || format!("`{}` is not [USER@]HOST:PORT[/DATABASE]", reason::tidy(address));
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        let (is_url, rest) = (rest.is_some(), rest.unwrap_or(address));
        let (rest, parameters) = match rest.split_once('?') {
            Some((rest, parameters)) if is_url => (rest, parameters),
            Some(_) => return Err(form()),
            None => (rest, ""),
        };
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("postgres", rest));
        let (place, database) = match rest.split_once('/') {
            Some((place, "")) if is_url => (place, user),
            Some(both) => both,
            None => (rest, user),
        };
        let (host, port) = Self::host(place, is_url).ok_or_else(form)?;
        let plain = |text: &str| !text.is_empty() && !text.contains([':', '\0', '?', '/']);
        if !plain(user) || !plain(database) {
            return Err(form());
        }
        Self { user, host, port, database, mode: SslMode::Prefer, roots: None }.with(parameters)
    }

    fn host(place: &'p str, is_url: bool) -> Option<(&'p str, u16)> {
        if let Some(found) = host_and_port(place) {
            return Some(found);
        }
        let bare = match place.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None => Some(place).filter(|place| !place.contains([':', ']']))?,
        };
        (is_url && !bare.is_empty()).then(|| Some((bare, PORT.parse().ok()?)))?
    }

    fn with(mut self, parameters: &'p str) -> Result<Self, String> {
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "sslmode" => {
                    let found = SslMode::ALL.into_iter().find(|mode| mode.word() == value);
                    let known = || SslMode::ALL.map(SslMode::word).join(", ");
                    self.mode = found
                        .ok_or_else(|| format!("`sslmode={}` is none of {}", reason::tidy(value), known()))?;
                }
                "sslrootcert" if value == "system" => self.roots = None,
                "sslrootcert" if value.starts_with('/') && !value.contains('%') => self.roots = Some(value),
                "sslrootcert" => {
                    return Err("`sslrootcert` is `system`, or the path of a file from `/` on, without `%`"
                        .to_owned());
                }
                "channel_binding" | "sslnegotiation"
                    if matches!(value, "prefer" | "disable" | "postgres") => {}
                _ if WITHOUT_MEANING.contains(&name) => {}
                _ => {
                    return Err(format!(
                        "`{}` of a database is not known here: `sslmode` and `sslrootcert` are",
                        reason::tidy(name)
                    ));
                }
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |address| Place::of(address).map(|at| (at.user, at.host, at.port, at.database)).ok();
        assert_eq!(place("db:5432"), Some(("postgres", "db", 5432, "postgres")));
        assert_eq!(place("ann@[::1]:5432/notes"), Some(("ann", "::1", 5432, "notes")));
        assert_eq!(place("postgres://ann@db:1/x"), Some(("ann", "db", 1, "x")));
        assert_eq!(place("postgresql://ann@db/"), Some(("ann", "db", 5432, "ann")));
        assert_eq!(place("postgres://[::1]/x?sslmode=disable"), Some(("postgres", "::1", 5432, "x")));
        for odd in
            ["", "db", "db:x", "@db:1", "ann:secret@db:1", "db:1/x?y=z", "postgres://", "postgres://::1"]
        {
            assert_eq!(place(odd), None, "{odd}");
        }
    }

    #[test]
    fn how_private_it_has_to_be() {
        let check = |parameters: &str, expect: Result<(SslMode, Option<&str>), &str>| {
            let address = format!("postgres://db/x?{parameters}");
            match (Place::of(&address), expect) {
                (Ok(place), Ok(expect)) => assert_eq!((place.mode, place.roots), expect, "{parameters}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{parameters}: {why}"),
                (found, _) => panic!("{parameters}: {found:?}"),
            }
        };
        check("", Ok((SslMode::Prefer, None)));
        for mode in SslMode::ALL {
            check(&format!("sslmode={mode}&connect_timeout=3"), Ok((mode, None)));
        }
        check("sslmode=verify-full&sslrootcert=/ca.pem", Ok((SslMode::VerifyFull, Some("/ca.pem"))));
        check("sslmode=verify-ca&sslrootcert=system", Ok((SslMode::VerifyCa, None)));
        check("sslmode=verify_full", Err("`sslmode=verify_full` is none of disable, allow"));
        check("sslrootcert=ca.pem", Err("`sslrootcert` is"));
        check("sslrootcert=/a%20b", Err("without `%`"));
        check("sslcert=/me.pem", Err("`sslcert` of a database is not known here"));
        check("channel_binding=require", Err("`channel_binding`"));
        check("password=hunter2", Err("`password`"));
        assert!(!Place::of("postgres://db/x?password=hunter2").unwrap_err().contains("hunter2"));
    }
}
