//! Owns that tokens of clients are made anew, in the files that the settings name: each of them whole, or as it was.
//!
//! The token before may go on for a while. Then its hash stands beside the file of the new one, in `FILE.before`, on one line:
//! `SHA-256 MILLISECONDS`, until when it is taken, since 1970. What is over is over whether the file is there or not.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use crate::own::{Own, OwnError};
use crate::secret::{Secret, Shown, read_private};

/// What of a file's mode is kept: the owner's and the reading of its group. A guard may have its token by its group.
const MODE: u32 = 0o640;
/// So many digits of a hash tell two tokens apart, and nobody gets from them to the token.
const MARK_DIGITS: usize = 12;

/// The token before, as long as it is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    secret: Secret,
    until_ms: i64,
}

/// Tokens that are about to be made anew.
pub struct Rotation(Vec<Fresh>);

struct Fresh {
    client: String,
    /// The file itself, behind whatever leads to it.
    path: PathBuf,
    old: Secret,
    word: String,
}

/// What is told of a token that is made anew: never its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Whose it is.
    pub client: String,
    /// Where it stands.
    pub path: PathBuf,
    /// The beginning of its SHA-256, by which it can be told apart.
    pub mark: String,
}

/// Why tokens are not made anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The settings, or what they name, cannot be used.
    #[error(transparent)]
    Settings(#[from] OwnError),
    /// Nobody has a token by the settings.
    #[error("`{}` names no clients (`[clients.NAME]`), so there is no token", .0.display())]
    NoClients(PathBuf),
    /// There is no client of that name.
    #[error("`{name}` is no client of the settings; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Something cannot be read or written.
    #[error("{what} `{}` failed", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system gives nothing random.
    #[error("there is nothing random to make a token of")]
    Random(#[source] io::Error),
}

// === impl Before ===

impl Before {
    /// What stands beside a file; none where nothing does.
    pub(crate) fn beside(file: &Path) -> Result<Option<Self>, OwnError> {
        let path = before_of(&real(file));
        if !path.exists() {
            return Ok(None);
        }
        let refuse = |reason: &str| OwnError::Token { path: path.clone(), reason: reason.to_owned() };
        let text = read_private(&path, refuse)?;
        let read = text.trim_end().split_once(' ').and_then(|(digits, until)| {
            Some(Self { secret: Secret::from_digits(digits)?, until_ms: until.parse().ok()? })
        });
        read.map(Some).ok_or_else(|| refuse("it is not a hash and a time; remove it to end what it is for"))
    }

    /// Whether this is what is shown, and is still taken.
    pub(crate) fn is(&self, shown: &Shown, now_ms: i64) -> bool {
        self.secret.is(shown) & (now_ms < self.until_ms)
    }
}

// === impl Rotation ===

impl Rotation {
    /// Makes new words for these clients of a guard's settings, or for all of them. Nothing is written yet. `random` gives 256
    /// bits that nobody has seen.
    ///
    /// # Errors
    /// Where the settings cannot be used as they are, or there is no such client.
    pub fn plan(
        settings: &Path,
        names: &[String],
        mut random: impl FnMut() -> io::Result<[u8; 32]>,
    ) -> Result<Self, RotationError> {
        let files = Own::token_files(settings)?;
        if files.is_empty() {
            return Err(RotationError::NoClients(settings.to_owned()));
        }
        if let Some(name) = names.iter().find(|name| files.iter().all(|(known, _)| known != *name)) {
            let known: Vec<&str> = files.iter().map(|(known, _)| known.as_str()).collect();
            return Err(RotationError::Unknown { name: name.clone(), known: known.join(", ") });
        }
        let wanted = files.into_iter().filter(|(client, _)| names.is_empty() || names.contains(client));
        let fresh = wanted.map(|(client, file)| {
            let word = checksum::hex::write(&random().map_err(RotationError::Random)?);
            Ok(Fresh { client, old: Secret::read(&file)?, path: real(&file), word })
        });
        fresh.collect::<Result<_, RotationError>>().map(Self)
    }

    /// What can be told of them.
    pub fn made(&self) -> Vec<Made> {
        let made = |one: &Fresh| Made {
            client: one.client.clone(),
            path: one.path.clone(),
            mark: Secret::of(&one.word).digits()[..MARK_DIGITS].to_owned(),
        };
        self.0.iter().map(made).collect()
    }

    /// Writes them. Those before are taken until then, in milliseconds since 1970, or from now on no more. All are written
    /// beside their places first, so that a disk that is full leaves everything as it was. A guard that runs has to be told.
    ///
    /// # Errors
    /// Where something cannot be written, or cannot be given to the owner of the file before.
    pub fn carry_out(&self, until_ms: Option<i64>) -> Result<(), RotationError> {
        let mut ready = Vec::new();
        let prepared = self.0.iter().try_for_each(|one| {
            if let Some(until_ms) = until_ms {
                let text = format!("{} {until_ms}\n", one.old.digits());
                ready.push((beside(&one.path, &before_of(&one.path), &text)?, before_of(&one.path)));
            }
            ready.push((beside(&one.path, &one.path, &format!("{}\n", one.word))?, one.path.clone()));
            Ok(())
        });
        if let Err(error) = prepared {
            // The first failure is the one to tell of.
            ready.iter().for_each(|(new, _)| drop(fs::remove_file(new)));
            return Err(error);
        }
        if until_ms.is_none() {
            for one in &self.0 {
                let path = before_of(&one.path);
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != ErrorKind::NotFound => {
                        return Err(RotationError::Io { what: "removing", path, source });
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        }
        for (new, path) in &ready {
            let fail = |source| RotationError::Io { what: "writing", path: path.clone(), source };
            fs::rename(new, path).map_err(fail)?;
            let folder = path.parent().unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
        }
        Ok(())
    }
}

/// Where a file is really: a new one takes the place of that, and not of what leads to it.
fn real(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn before_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".before");
    name.into()
}

/// Writes a text beside `path`, for the owner and with the mode of `like`; returns where.
fn beside(like: &Path, path: &Path, text: &str) -> Result<PathBuf, RotationError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = fs::metadata(like).and_then(|owner| {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Only a file of our own: what somebody has put there meanwhile is no place for a secret.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (owner.uid(), owner.gid()) {
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(owner.mode() & MODE))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| {
        // The failure is the one to tell of.
        let _ = fs::remove_file(&new);
        RotationError::Io { what: "writing", path: new.clone(), source }
    })?;
    Ok(new)
}

#[cfg(test)]
mod tests;
