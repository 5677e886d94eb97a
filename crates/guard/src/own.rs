//! Owns the guard's own settings file: what belongs to one server and is nobody else's business.
//!
//! TOML, read once at the start of the guard:
//!
//! ```toml
//! reads = ["search"]            # tools that only read, whatever the server says of them
//! writes = ["get_and_mark"]     # tools that write, whatever the server says of them
//! trust_hints = true            # whether `readOnlyHint: true` of the server counts
//!
//! [test_read]                   # what /api/test-read reads; without it, something is looked for
//! tool = "read_file"
//! arguments = { path = "/etc/hostname" }
//! # resource = "file:///etc/hostname"
//! expect = "web1"               # what has to stand in what is read; without it any answer will do
//! timeout_seconds = 10
//!
//! [sessions]                    # whether they share a child, and their limits: see `own::sessions`
//! [limits]                      # what clients may take: see `limits`
//! [audit]                       # what the log says of calls: see `audit`
//! [cache]                       # what is answered without the server: see `cache`
//! [traces]                      # what becomes of spans: see `spans`
//! [security]                    # what becomes of signs of attacks: see `security`
//! [clients]                     # who may come: see `clients`
//! [tls]                         # see `tls`
//!
//! [admin]
//! token_file = "/etc/paramedic/guard-token"    # who shows it may use /admin from anywhere
//! ```

mod sessions;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::audit::Audit;
use crate::cache::CacheSettings;
use crate::clients::{self, Clients};
use crate::limits::{self, Limits};
use crate::reads::Reads;
use crate::secret::{Secret, Shown};
use crate::security::SecuritySettings;
use crate::spans::TraceSettings;
use crate::tls::{self, Tls};
pub use sessions::{SessionSettings, Sharing};

/// A test read may be a query over a slow disk; a person waits for it.
const TEST_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings of one server's guard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// What the operator says of tools.
    pub reads: Reads,
    /// What `/api/test-read` reads.
    pub test_read: TestRead,
    /// What sessions are made of.
    pub sessions: SessionSettings,
    /// What clients may take.
    pub limits: Limits,
    /// What the log says of calls.
    pub audit: Audit,
    /// What is answered without the server.
    pub cache: CacheSettings,
    /// What becomes of spans; read at the start only.
    pub traces: TraceSettings,
    /// What becomes of signs of attacks.
    pub security: SecuritySettings,
    /// What was said that makes a difference by being said.
    said: Said,
    /// Where it was read from; none where nothing was.
    pub(crate) path: Option<PathBuf>,
    /// The token of `/admin`.
    token: Option<Secret>,
    /// Who may come.
    pub(crate) clients: Clients,
    /// What the guard shows to be itself.
    pub(crate) tls: Option<Tls>,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    cache: bool,
    /// Tables that only a guard in front of HTTP can hold to.
    only_http: Vec<&'static str>,
}

/// What `/api/test-read` reads.
#[derive(Clone, Debug, PartialEq)]
pub struct TestRead {
    /// What; none where something is looked for.
    pub read: Option<Read>,
    /// Words that have to stand in what is read: something that is known of the data.
    pub expect: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Something that can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// A tool that only reads, with its arguments as JSON.
    Tool(String, String),
    /// A resource, by its URI.
    Resource(String),
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not understood.
    #[error("`{}` is not understood", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
    /// It contradicts itself.
    #[error("`{}`: {reason}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// In which way.
        reason: String,
    },
    /// A token, or a key, is one that others can read, or cannot be one.
    #[error("the secret in `{}` is not used: {reason}", path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    reads: BTreeSet<String>,
    writes: BTreeSet<String>,
    trust_hints: bool,
    test_read: Option<TestReadTable>,
    sessions: Option<sessions::Table>,
    limits: limits::Table,
    audit: Audit,
    cache: Option<CacheSettings>,
    traces: TraceSettings,
    security: SecuritySettings,
    clients: clients::Table,
    tls: Option<tls::Table>,
    admin: Admin,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TestReadTable {
    tool: Option<String>,
    #[serde(default)]
    arguments: serde_json::Map<String, serde_json::Value>,
    resource: Option<String>,
    expect: Option<String>,
    timeout_seconds: Option<u64>,
}

/// What names further files.
struct Apart {
    admin: Admin,
    clients: clients::Table,
    tls: Option<tls::Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Admin {
    token_file: Option<PathBuf>,
}

// === impl File, TestRead ===

impl File {
    /// The tables that only a guard in front of HTTP can hold to.
    fn only_http(&self) -> Vec<&'static str> {
        let tables = [
            ("[test_read]", self.test_read.is_some()),
            ("[sessions]", self.sessions.is_some()),
            ("[clients]", !self.clients.is_empty()),
            ("[tls]", self.tls.is_some()),
            ("[admin]", self.admin.token_file.is_some()),
        ];
        tables.into_iter().filter(|(_, is_said)| *is_said).map(|(table, _)| table).collect()
    }
}

impl Default for File {
    fn default() -> Self {
        Self {
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            trust_hints: true,
            test_read: None,
            sessions: None,
            limits: limits::Table::default(),
            audit: Audit::default(),
            cache: None,
            traces: TraceSettings::default(),
            security: SecuritySettings::default(),
            clients: clients::Table::default(),
            tls: None,
            admin: Admin::default(),
        }
    }
}

impl Default for TestRead {
    fn default() -> Self {
        Self { read: None, expect: None, timeout: TEST_READ_TIMEOUT }
    }
}

// === impl Own ===

impl Own {
    /// Reads the file, and the token that it names.
    ///
    /// # Errors
    /// When one of them cannot be read or makes no sense.
    pub fn read(path: &Path) -> Result<Self, OwnError> {
        let fail = |source| OwnError::Read { path: path.to_owned(), source };
        let (mut own, secret) = Self::parse(path, &fs::read_to_string(path).map_err(fail)?)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let wrong = |reason: String| OwnError::Wrong { path: path.to_owned(), reason };
        own.path = Some(path.to_owned());
        own.token = secret.admin.token_file.map(|file| Secret::read(&base.join(file))).transpose()?;
        own.clients = secret.clients.read(base, wrong)?;
        own.tls = secret.tls.map(|table| table.read(base)).transpose()?;
        Ok(own)
    }

    /// The names of the clients in the file, and where the token of each stands. Everything that it names is read, and has to
    /// be as a guard would take it.
    ///
    /// # Errors
    /// When something cannot be read or makes no sense.
    pub(crate) fn token_files(path: &Path) -> Result<Vec<(String, PathBuf)>, OwnError> {
        Self::read(path)?;
        let fail = |source| OwnError::Read { path: path.to_owned(), source };
        let (_, apart) = Self::parse(path, &fs::read_to_string(path).map_err(fail)?)?;
        Ok(apart.clients.files(path.parent().unwrap_or(Path::new("."))))
    }

    fn parse(path: &Path, text: &str) -> Result<(Self, Apart), OwnError> {
        let fail = |source| OwnError::Content { path: path.to_owned(), source };
        let file: File = toml::from_str(text).map_err(fail)?;
        let wrong = |reason: String| OwnError::Wrong { path: path.to_owned(), reason };
        let said = Said { cache: file.cache.is_some(), only_http: file.only_http() };
        if let Some(tool) = file.reads.intersection(&file.writes).next() {
            return Err(wrong(format!("`{tool}` is in both `reads` and `writes`")));
        }
        let mut test_read = TestRead::default();
        if let Some(table) = file.test_read {
            test_read.read = Some(match (table.tool, table.resource) {
                (Some(tool), None) => {
                    Read::Tool(tool, serde_json::Value::Object(table.arguments).to_string())
                }
                (None, Some(uri)) if table.arguments.is_empty() => Read::Resource(uri),
                (None, Some(_)) => return Err(wrong("a resource has no `arguments`".to_owned())),
                _ => return Err(wrong("`test_read` has either a `tool` or a `resource`".to_owned())),
            });
            if table.expect.as_deref() == Some("") {
                return Err(wrong("`expect` is in every answer where it is empty".to_owned()));
            }
            test_read.expect = table.expect;
            match table.timeout_seconds {
                Some(0) => return Err(wrong("`timeout_seconds` must not be 0".to_owned())),
                Some(seconds) => test_read.timeout = Duration::from_secs(seconds),
                None => {}
            }
        }
        let sessions = file
            .sessions
            .unwrap_or_default()
            .read()
            .map_err(|reason| wrong(format!("[sessions]: {reason}")))?;
        let reads = Reads { reads: file.reads, writes: file.writes, trust_hints: file.trust_hints };
        let limits = file.limits.read().map_err(|reason| wrong(format!("[limits]: {reason}")))?;
        file.traces.check().map_err(|reason| wrong(format!("[traces]: {reason}")))?;
        let own = Self {
            reads,
            test_read,
            sessions,
            limits,
            audit: file.audit,
            cache: file.cache.unwrap_or_default(),
            traces: file.traces,
            security: file.security,
            said,
            ..Self::default()
        };
        Ok((own, Apart { admin: file.admin, clients: file.clients, tls: file.tls }))
    }

    /// Whether a guard in a client's configuration can hold to all of it.
    ///
    /// # Errors
    /// When something needs sessions, a port or other clients, which it has not.
    pub fn fits_stdio(&self) -> Result<(), OwnError> {
        if self.said.only_http.is_empty() {
            return Ok(());
        }
        let tables = self.said.only_http.join(", ");
        let reason = format!(
            "{tables}: a guard in a client's configuration has one client, no port and no sessions; take it out, or \
             put the guard in front of HTTP"
        );
        Err(OwnError::Wrong { path: self.path.clone().unwrap_or_default(), reason })
    }

    /// Whether anything is said of what is kept.
    pub(crate) fn says_cache(&self) -> bool {
        self.said.cache
    }

    /// Whether this is the token; in a time that says nothing about how much of it is right.
    pub(crate) fn is_token(&self, shown: &str) -> bool {
        self.token.as_ref().is_some_and(|token| token.is(&Shown::of(shown)))
    }

    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self::parse(Path::new("guard.toml"), text).expect("it is understood").0
    }

    #[cfg(test)]
    pub(crate) fn with_token(token: &str) -> Self {
        Self { token: Some(Secret::of(token)), ..Self::default() }
    }

    /// Whether there is a token at all.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::{Own, Read};

    #[test]
    fn what_is_declared_is_read() {
        let parse = |text| Own::parse(Path::new("/x/guard.toml"), text);
        let (own, apart) = parse("").unwrap();
        assert_eq!((own, apart.admin.token_file), (Own::default(), None));
        let (own, apart) = parse(
            "reads = ['a']\ntrust_hints = false\n[test_read]\ntool = 'get'\narguments = { id = 7 }\n\
             timeout_seconds = 3\n[admin]\ntoken_file = 'token'",
        )
        .unwrap();
        assert_eq!(own.test_read.read, Some(Read::Tool("get".to_owned(), "{\"id\":7}".to_owned())));
        assert_eq!(own.test_read.timeout.as_secs(), 3);
        assert!(own.reads.is_read("a", false) && !own.reads.is_read("b", true));
        assert_eq!(apart.admin.token_file.unwrap(), Path::new("token"));
        for wrong in [
            "reads = ['a']\nwrites = ['a']",
            "[test_read]",
            "[test_read]\ntool = 'a'\nresource = 'b'",
            "[test_read]\nresource = 'b'\narguments = { x = 1 }",
            "[test_read]\ntool = 'a'\ntimeout_seconds = 0",
            "read = []",
            "[admin]\ntoken = 'abc'",
            "[traces]\nratio = 1.5",
            "[traces]\nendpoint = 'https://collector'",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_needs_a_port_is_not_for_a_clients_guard() {
        let fits = |text: &str| Own::of(text).fits_stdio().map_err(|error| error.to_string());
        for text in ["", "reads = ['a']\n[limits]\nin_flight = 1\n[audit]\narguments = ['*']\n[cache]"] {
            assert_eq!(fits(text), Ok(()), "{text}");
        }
        for (text, named) in [
            ("[tls]\ncertificate_file = 'a'\nkey_file = 'b'", "[tls]:"),
            ("[clients.ci]\ntoken_file = 'a'", "[clients]:"),
            ("[sessions]\nchild = 'each'\n[admin]\ntoken_file = 'a'", "[sessions], [admin]:"),
            ("[test_read]\ntool = 'a'", "[test_read]:"),
        ] {
            let error = fits(text).unwrap_err();
            assert!(error.contains(named) && error.contains("one client"), "{text}: {error}");
        }
    }

    #[test]
    fn a_token_is_secret_and_compared_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, token) = (folder.path().join("guard.toml"), folder.path().join("token"));
        fs::write(&settings, "[admin]\ntoken_file = 'token'").unwrap();
        let with = |text: &str, mode| {
            fs::write(&token, text).unwrap();
            fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
            Own::read(&settings)
        };
        assert!(Own::read(&settings).is_err(), "it is not there");
        for (text, mode) in [("short\n", 0o600), ("0123456789abcdef\n", 0o644), ("0123456789 abcdef", 0o600)]
        {
            let error = with(text, mode).unwrap_err().to_string();
            assert!(!error.contains("0123"), "{error}");
        }
        let own = with("0123456789abcdef\n", 0o640).unwrap();
        for (shown, expect) in
            [("0123456789abcdef", true), ("0123456789abcdeF", false), ("0123456789abcde", false), ("", false)]
        {
            assert_eq!(own.is_token(shown), expect, "{shown}");
        }
        assert!(!Own::default().is_token(""));
    }
}
