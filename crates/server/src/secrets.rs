//! Owns reading secrets from where the configuration says they are: anew each time one is used, held in no configuration,
//! and never part of what is shown, logged or written down.

mod command;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use reqwest::header::HeaderValue;
use rustix::fs::OFlags;

use crate::config::{Config, Secret, Text};

/// The longest secret, in bytes: none of a header or a variable is longer.
pub(crate) const BYTES_MAX: usize = 16 * 1024;

/// The longest file of variables, in bytes.
const ENV_FILE_BYTES_MAX: usize = 256 * 1024;

/// Bits with which others may read or write, or the group may write. The group may read: the files of a service are often
/// `root:paramedic`, 0640.
const OTHERS: u32 = 0o027;

/// What a secret is. It shows itself to nobody who does not ask for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

/// Where secrets are read.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The program that has the role `lifeline`.
    exe: PathBuf,
    /// The folder of the credentials that systemd has given to this process.
    credentials: Option<PathBuf>,
}

/// Why a secret is not known.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// This process was given no credentials.
    #[error(
        "the credential `{0}` is only there in a unit with `LoadCredential={0}:PATH`: `$CREDENTIALS_DIRECTORY` is not set"
    )]
    NoCredentials(String),
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read or write the file, or it is somebody else's.
    #[error(
        "`{}` is not secret (of user {owner}, mode {mode:04o}): it has to be root's or this user's, and `chmod o=,g-w` it",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its bits.
        mode: u32,
    },
    /// The file has no such line.
    #[error("`{}` has no line `{key}=…`", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The name.
        key: String,
    },
    /// The program did not give one.
    #[error("the command `{program}` {problem}")]
    Command {
        /// The program.
        program: String,
        /// What it did instead.
        problem: String,
    },
    /// There is nothing, too much, or no text.
    #[error("{0} {1}")]
    Content(String, &'static str),
}

// === impl Revealed ===

impl Revealed {
    /// What it is.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The value of a header that shows itself in no log; none where it cannot be one.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(self.0.trim()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

// === impl Secrets ===

impl Secrets {
    /// With the credentials of this process. `exe` is the `paramedic` program, which holds commands to their deadline.
    pub fn of_process(exe: &Path) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
        Self { exe: exe.to_owned(), credentials: credentials.map(PathBuf::from) }
    }

    /// Reads a secret, without the end of its line.
    ///
    /// # Errors
    /// Where it is not there, is empty or too long, or others could read it too.
    pub async fn read(&self, secret: &Secret) -> Result<Revealed, SecretError> {
        let text = match secret {
            Secret::Credential { credential } => {
                let folder = self.credentials.as_ref();
                let folder = folder.ok_or_else(|| SecretError::NoCredentials(credential.clone()))?;
                // That folder is systemd's, and for this process alone.
                read(&folder.join(credential), BYTES_MAX, Guarded::BySystemd)?
            }
            Secret::File { file } => read(file, BYTES_MAX, Guarded::ByItsBits)?,
            Secret::EnvFile { env_file, key } => {
                let text = read(env_file, ENV_FILE_BYTES_MAX, Guarded::ByItsBits)?;
                let no_key = || SecretError::NoKey { path: env_file.clone(), key: key.clone() };
                value(&text, key).ok_or_else(no_key)?.to_owned()
            }
            Secret::Command { command } => command::output(&self.exe, command).await?,
        };
        let text = text.trim_end_matches(['\n', '\r']);
        let problem = match text {
            "" => Some("is empty"),
            text if text.len() > BYTES_MAX => Some("is too long"),
            text if text.contains('\0') => Some("has a NUL in it"),
            _ => None,
        };
        match problem {
            Some(problem) => Err(SecretError::Content(secret.to_string(), problem)),
            None => Ok(Revealed(text.to_owned())),
        }
    }

    /// Reads a text, which may be a secret one.
    ///
    /// # Errors
    /// As [`Secrets::read`].
    pub async fn text(&self, text: &Text) -> Result<Revealed, SecretError> {
        match text {
            Text::Plain(text) => Ok(Revealed(text.clone())),
            Text::Secret(secret) => self.read(secret).await,
        }
    }

    /// Tries to read every secret of a configuration; says of each that cannot be read whose it is, and why.
    pub async fn problems(&self, config: &Config) -> Vec<(String, SecretError)> {
        let mut problems = Vec::new();
        for (whose, secret) in places(config) {
            if let Err(error) = self.read(secret).await {
                problems.push((whose, error));
            }
        }
        problems
    }
}

/// Every secret of a configuration, with whose it is.
fn places<'a>(config: &'a Config) -> impl Iterator<Item = (String, &'a Secret)> {
    let contacts = config.contact.iter().flat_map(|contact| {
        let of = |key: &str| format!("`{key}` of the contact `{}`", contact.name);
        let url = contact.url.as_ref().and_then(Text::secret).map(|secret| (of("url"), secret));
        let authorization = contact.authorization.as_ref().map(|secret| (of("authorization"), secret));
        url.into_iter().chain(authorization)
    });
    let passwords = config.server.iter().flat_map(|server| {
        server.dependency.iter().filter_map(|one| {
            let whose =
                format!("`password` of the dependency `{}` of the server `{}`", one.name, server.name);
            Some((whose, one.password.as_ref()?))
        })
    });
    let databases = config.server.iter().flat_map(|server| {
        server.database.iter().filter_map(|one| {
            Some((
                format!("`password` of the database `{}` of the server `{}`", one.name(), server.name),
                one.password.as_ref()?,
            ))
        })
    });
    let servers = config.server.iter().flat_map(|server| {
        server.environment.iter().filter_map(|(name, text)| {
            Some((format!("the variable `{name}` of the server `{}`", server.name), text.secret()?))
        })
    });
    let scrapes = config.scrape.iter().flat_map(|target| {
        let of = |key: &str| format!("`{key}` of the scrape `{}` of `{}`", target.job, target.url);
        let authorization = target.authorization.as_ref().map(|secret| (of("authorization"), secret));
        authorization.into_iter().chain(target.key.as_ref().map(|secret| (of("key"), secret)))
    });
    let inbound = config.inbound.token.iter().map(|secret| ("`token` of [inbound]".to_owned(), secret));
    let alertmanager = config.alertmanager.iter().flat_map(|one| {
        let all = [("authorization", &one.authorization), ("key", &one.key)];
        let of = |(key, secret): (&str, &'a Option<Secret>)| {
            Some((format!("`{key}` of [alertmanager]"), secret.as_ref()?))
        };
        all.into_iter().filter_map(of)
    });
    let target = config.backup.target.iter().flat_map(|one| {
        let access = one.access_key.secret().map(|secret| ("access_key", secret));
        let all = access.into_iter().chain([("secret_key", &one.secret_key)]);
        all.map(|(key, secret)| (format!("`{key}` of [backup.target]"), secret))
    });
    let engines = {
        let (backend, write) = (config.metrics.backend.as_ref(), config.metrics.remote_write.as_ref());
        let export = config.traces.export.as_ref();
        let backend = backend.map(|one| ("metrics.backend", &one.authorization, &one.key));
        let write = write.map(|one| ("metrics.remote_write", &one.authorization, &one.key));
        let export = export.map(|one| ("traces.export", &one.authorization, &one.key));
        backend.into_iter().chain(write).chain(export).flat_map(|(table, authorization, key)| {
            let of = move |(name, secret): (&str, &'a Option<Secret>)| {
                Some((format!("`{name}` of [{table}]"), secret.as_ref()?))
            };
            [("authorization", authorization), ("key", key)].into_iter().filter_map(of)
        })
    };
    contacts
        .chain(servers)
        .chain(passwords)
        .chain(databases)
        .chain(scrapes)
        .chain(inbound)
        .chain(alertmanager)
        .chain(target)
        .chain(engines)
}

/// What keeps others away from a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guarded {
    ByItsBits,
    BySystemd,
}

fn read(path: &Path, bytes_max: usize, guarded: Guarded) -> Result<String, SecretError> {
    let fail = |source| SecretError::Read { path: path.to_owned(), source };
    // What waits for a writer, such as a pipe, must not hold us up.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(fail(io::Error::other("it is no file")));
    }
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let is_ours = owner == 0 || owner == rustix::process::geteuid().as_raw();
    if guarded == Guarded::ByItsBits && (!is_ours || mode & OTHERS != 0) {
        return Err(SecretError::Open { path: path.to_owned(), owner, mode });
    }
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() > bytes_max {
        return Err(SecretError::Content(format!("`{}`", path.display()), "is too long"));
    }
    // The error of the conversion would hold the bytes.
    String::from_utf8(bytes).map_err(|_| SecretError::Content(format!("`{}`", path.display()), "is no text"))
}

/// The value of a line `KEY=VALUE`, without quotes around it; the last one counts, as for systemd.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().rev().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let value = lines.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })?;
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    Some(quoted('"').or_else(|| quoted('\'')).unwrap_or(value))
}

#[cfg(test)]
mod tests;
