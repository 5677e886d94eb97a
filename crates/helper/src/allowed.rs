//! Owns the list of what the helper may do, which root keeps in a file of its own: `/etc/paramedic/helper.toml`. It is
//! not the configuration of `serve`, and nobody but root can have written it.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use containment::Network;
use rustix::fs::OFlags;
use serde::Deserialize;
use systemd::{Pattern, UnitName};

use crate::parameter;
use crate::variable;

/// The file, below the root.
pub const ALLOWED_FILE: &str = "etc/paramedic/helper.toml";

/// Whose it is, and all on the way to it.
pub const OWNER: u32 = 0;

/// A larger file is no list.
const BYTES_MAX: u64 = 64 * 1024;

/// Bits with which somebody else may write.
const OTHERS_WRITE: u32 = 0o022;

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    user: String,
    #[serde(default)]
    units: Vec<String>,
    #[serde(default)]
    environment: Vec<String>,
    #[serde(default)]
    parameters: Vec<String>,
    #[serde(default)]
    contain: Vec<String>,
    #[serde(default)]
    responders: Vec<Network>,
}

/// What the helper may do, and for whom.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The user who may ask, beside root; none where this machine has nobody of that name.
    user: Option<u32>,
    /// None is every unit.
    units: Option<Vec<Pattern>>,
    /// Names beside those of the runtimes.
    environment: BTreeSet<String>,
    /// Of the closed list.
    parameters: BTreeSet<String>,
    /// Servers that may be contained: names, or beginnings of names with a `*` behind them.
    contain: Vec<String>,
    /// Who is never shut out.
    responders: Vec<Network>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum AllowedError {
    /// It cannot be read.
    #[error("the list of what the helper may do, `{}`, cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could have written it.
    #[error("`{}` is not root's alone (of user {owner}, mode {mode:04o}): `chown root` and `chmod go-w` mend that", path.display())]
    Untrusted {
        /// The file, or a folder on the way.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its bits.
        mode: u32,
    },
    /// It is not understood.
    #[error("`{}` is not understood: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

// === impl Allowed ===

impl Allowed {
    /// What root may do by hand: every unit, and no name beside those of the runtimes.
    pub fn root() -> Self {
        let parameters = parameter::CLOSED.iter().map(|(key, _)| (*key).to_owned()).collect();
        let environment = BTreeSet::new();
        Self { user: None, units: None, environment, parameters, contain: Vec::new(), responders: Vec::new() }
    }

    /// The same, with one more name of a variable: who is root could as well edit the unit.
    #[must_use]
    pub fn with_variable(mut self, name: &str) -> Self {
        self.environment.extend(variable::may_be_listed(name).then(|| name.to_owned()));
        self
    }

    /// Reads the list below `root`; it and each folder below `root` has to be `owner`'s, normally [`OWNER`].
    ///
    /// # Errors
    /// Where it cannot be read, somebody else could have written it, or it is not understood.
    pub fn read(root: &Path, owner: u32) -> Result<Self, AllowedError> {
        let path = root.join(ALLOWED_FILE);
        let fail = |source| AllowedError::Read { path: path.clone(), source };
        let mut folder = root.to_owned();
        for part in Path::new(ALLOWED_FILE).parent().into_iter().flat_map(Path::components) {
            folder.push(part);
            look(&folder, &fs::symlink_metadata(&folder).map_err(fail)?, owner)?;
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
        let file = file.map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        look(&path, &metadata, owner)?;
        if !metadata.is_file() || metadata.len() > BYTES_MAX {
            return Err(fail(io::Error::other("it is no file, or too large")));
        }
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(fail)?;
        let user = |name: &str| host::user_number(&host::Roots::below(root), name);
        Self::parse(&text, user).map_err(|message| AllowedError::Content { path, message })
    }

    fn parse(text: &str, user: impl Fn(&str) -> Option<u32>) -> Result<Self, String> {
        let table: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let units: Result<Vec<Pattern>, _> = table.units.iter().map(|pattern| pattern.parse()).collect();
        let units = units.map_err(|error: systemd::BadName| error.to_string())?;
        if let Some(name) = table.environment.iter().find(|name| !variable::may_be_listed(name)) {
            return Err(format!("`{name}` decides what a server runs, or is no name: it cannot be listed"));
        }
        if let Some(key) = table.parameters.iter().find(|key| parameter::closed(key).is_err()) {
            let known: Vec<&str> = parameter::CLOSED.iter().map(|(key, _)| *key).collect();
            return Err(format!("`{key}` cannot be listed; these can: {}", known.join(", ")));
        }
        Ok(Self {
            user: user(&table.user),
            units: Some(units),
            environment: table.environment.into_iter().collect(),
            parameters: table.parameters.into_iter().collect(),
            contain: table.contain,
            responders: table.responders,
        })
    }

    /// Whether a user may ask.
    pub(crate) fn has_user(&self, uid: u32) -> bool {
        uid == OWNER || self.user == Some(uid)
    }

    /// Whether this is the user who may ask; root is not meant.
    pub(crate) fn is_user(&self, uid: u32) -> bool {
        uid != OWNER && self.user == Some(uid)
    }

    /// Whether a server may be contained.
    pub(crate) fn has_server(&self, server: &str) -> bool {
        self.contain.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => server.starts_with(start),
            None => server == pattern,
        })
    }

    /// Who is never shut out.
    pub(crate) fn responders(&self) -> &[Network] {
        &self.responders
    }

    #[cfg(test)]
    pub(crate) fn of_text(text: &str, user: impl Fn(&str) -> Option<u32>) -> Self {
        Self::parse(text, user).unwrap()
    }

    pub(crate) fn has_unit(&self, unit: &UnitName) -> bool {
        self.units.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(unit)))
    }

    pub(crate) fn has_parameter(&self, key: &str) -> bool {
        self.parameters.contains(key)
    }

    pub(crate) fn variables(&self) -> &BTreeSet<String> {
        &self.environment
    }
}

fn look(path: &Path, metadata: &Metadata, wanted: u32) -> Result<(), AllowedError> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner == wanted && mode & OTHERS_WRITE == 0 && !metadata.is_symlink() {
        return Ok(());
    }
    Err(AllowedError::Untrusted { path: path.to_owned(), owner, mode })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LIST: &str = "user = \"ann\"\nunits = [\"mcp-server-*.service\"]\nenvironment = [\"LOG_LEVEL\"]\nparameters = [\"vm.swappiness\"]\n";

    #[track_caller]
    fn refused(text: &str, words: &str) {
        let error = Allowed::parse(text, |_| Some(7)).unwrap_err();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn a_list_is_exact() {
        let allowed = Allowed::parse(LIST, |name| (name == "ann").then_some(7)).unwrap();
        let unit = |name: &str| allowed.has_unit(&name.parse().unwrap());
        assert!(unit("mcp-server-mem.service") && !unit("ssh.service") && !unit("xmcp-server-a.service"));
        assert!(allowed.has_user(0) && allowed.has_user(7) && !allowed.has_user(8));
        assert!(allowed.has_parameter("vm.swappiness") && !allowed.has_parameter("vm.dirty_ratio"));
        // Nobody of that name: only root is left.
        let nobody = Allowed::parse(LIST, |_| None).unwrap();
        assert!(nobody.has_user(0) && !nobody.has_user(u32::MAX));
    }

    #[test]
    fn what_cannot_be_listed() {
        refused("units = []", "missing field `user`");
        refused("user = \"a\"\nshell = true", "unknown field");
        refused("user = \"a\"\nunits = [\"*.service\"]", "*.service");
        refused("user = \"a\"\nunits = [\"../x.service\"]", "/");
        refused("user = \"a\"\nenvironment = [\"LD_PRELOAD\"]", "`LD_PRELOAD` decides");
        refused(
            "user = \"a\"\nparameters = [\"kernel.core_pattern\"]",
            "`kernel.core_pattern` cannot be listed",
        );
    }

    #[test]
    fn the_file_and_its_folders_are_those_of_one_owner() {
        let root = tempfile::tempdir().unwrap();
        let (folder, file) = (root.path().join("etc/paramedic"), root.path().join(ALLOWED_FILE));
        let me = rustix::process::geteuid().as_raw();
        let mode = |path: &Path, bits| fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
        assert!(matches!(Allowed::read(root.path(), me), Err(AllowedError::Read { .. })));
        fs::create_dir_all(&folder).unwrap();
        for path in [root.path().join("etc"), folder.clone()] {
            mode(&path, 0o755);
        }
        fs::write(&file, LIST).unwrap();
        mode(&file, 0o644);
        Allowed::read(root.path(), me).unwrap();
        let untrusted = |owner: u32, culprit: &Path| match Allowed::read(root.path(), owner) {
            Err(AllowedError::Untrusted { path, .. }) => assert_eq!(path, culprit),
            other => panic!("{other:?}"),
        };
        untrusted(me + 1, &root.path().join("etc"));
        mode(&file, 0o664);
        untrusted(me, &file);
        mode(&file, 0o644);
        mode(&folder, 0o777);
        untrusted(me, &folder);
        mode(&folder, 0o755);
        let real = folder.join("real.toml");
        fs::rename(&file, &real).unwrap();
        std::os::unix::fs::symlink(&real, &file).unwrap();
        assert!(
            matches!(Allowed::read(root.path(), me), Err(AllowedError::Read { .. })),
            "a link is not followed"
        );
    }
}
