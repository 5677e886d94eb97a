//! Owns changing the settings of a unit until the next boot, so that it can be taken back.
//!
//! A change is a file `UNIT.d/50-paramedic-TOPIC.conf` below `/run/systemd/system`, before and after. It is made only
//! where the file is as it was when the change was planned, and so is its undo: what somebody edited is not overwritten.

mod effect;
mod read;
mod setting;

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use setting::{AddressFamily, Network, ProtectHome, ProtectSystem, Setting};

use crate::Systemd;
use crate::error::Error;
use crate::name::UnitName;
use crate::unit::Unit;

/// Where systemd reads what holds until the next boot.
pub const RUNTIME_ROOT: &str = "/run/systemd/system";

/// The longest file, in bytes: it has to fit into a record with its old form.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The longest topic.
const TOPIC_BYTES_MAX: usize = 32;

/// How the file begins: what does not is not ours.
const HEADER: &str = "# Set by paramedic until the next boot; it can take this back.\n";

/// Settings of a unit that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIn {
    unit: UnitName,
    topic: String,
    settings: Vec<Setting>,
}

/// A file, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose settings these are.
    pub unit: UnitName,
    /// The file.
    pub path: PathBuf,
    /// What was in it; none where it was not there.
    pub old: Option<String>,
    /// What is to be in it; none where it is to go.
    pub new: Option<String>,
}

// === impl DropIn ===

impl DropIn {
    /// `topic` names the file, such as `memory`: two topics of one unit are changed apart from each other.
    ///
    /// # Errors
    /// [`Error::BadSetting`] where a setting means nothing, or two contradict each other.
    pub fn new(unit: UnitName, topic: &str, settings: Vec<Setting>) -> Result<Self, Error> {
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if topic.is_empty() || topic.len() > TOPIC_BYTES_MAX || !topic.chars().all(is_plain) {
            let problem = format!("it has small letters, digits and `-`, {TOPIC_BYTES_MAX} at most");
            return Err(Error::BadSetting { setting: topic.to_owned(), problem });
        }
        setting::check(&settings)?;
        Ok(Self { unit, topic: topic.to_owned(), settings })
    }

    /// Reads the text of such a file back; none where it is not, to the byte, what we would have written.
    pub fn parse(unit: UnitName, topic: &str, text: &str) -> Option<Self> {
        let settings = read::settings(text.strip_prefix(HEADER)?.strip_prefix("[Service]\n")?)?;
        Self::new(unit, topic, settings).ok().filter(|read| read.text() == text)
    }

    /// Its settings.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The file below `root`, normally [`RUNTIME_ROOT`].
    pub fn path(&self, root: &Path) -> PathBuf {
        path(root, &self.unit, &self.topic)
    }

    /// What is in it.
    pub fn text(&self) -> String {
        let mut text = format!("{HEADER}[Service]\n");
        for line in self.settings.iter().flat_map(Setting::lines) {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// The change that would make it so; none where it is so.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn plan(&self, root: &Path) -> Result<Option<Change>, Error> {
        Change::plan(self.unit.clone(), self.path(root), Some(self.text()))
    }

    /// The change that would remove it; none where it is not there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn plan_removal(&self, root: &Path) -> Result<Option<Change>, Error> {
        removal(root, &self.unit, &self.topic)
    }
}

/// The file of a topic of a unit below `root`, normally [`RUNTIME_ROOT`].
pub fn path(root: &Path, unit: &UnitName, topic: &str) -> PathBuf {
    root.join(format!("{unit}.d")).join(format!("50-paramedic-{topic}.conf"))
}

/// The change that would remove the file of a topic, whatever is in it; none where it is not there.
///
/// # Errors
/// When the file cannot be read.
pub fn removal(root: &Path, unit: &UnitName, topic: &str) -> Result<Option<Change>, Error> {
    Change::plan(unit.clone(), path(root, unit, topic), None)
}

/// The changes that would remove every drop-in that is ours below `root`, normally [`RUNTIME_ROOT`], by path. What has the
/// name of one and not its first line is somebody else's.
///
/// # Errors
/// When a folder or a file cannot be read. A root that is not there has none.
pub fn removals(root: &Path) -> Result<Vec<Change>, Error> {
    let mut found = Vec::new();
    for folder in entries(root)? {
        let name = folder.file_name().and_then(|name| name.to_str()?.strip_suffix(".d"));
        let Some(unit) = name.and_then(|name| name.parse::<UnitName>().ok()) else { continue };
        for path in entries(&folder)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with("50-paramedic-") || !name.ends_with(".conf") {
                continue;
            }
            found.extend(Change::plan(unit.clone(), path, None)?.filter(Change::is_of_ours));
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(fail("read", folder)(error)),
    }
}

// === impl Change ===

impl Change {
    fn plan(unit: UnitName, path: PathBuf, new: Option<String>) -> Result<Option<Self>, Error> {
        let old = content(&path)?;
        Ok((old != new).then_some(Self { unit, path, old, new }))
    }

    fn is_of_ours(&self) -> bool {
        self.old.as_ref().is_some_and(|text| text.starts_with(HEADER))
    }

    /// The change that takes this one back.
    pub fn reversed(&self) -> Self {
        Self { old: self.new.clone(), new: self.old.clone(), ..self.clone() }
    }

    /// For people: the lines that go and those that come.
    pub fn diff(&self) -> String {
        let lines = |text: &Option<String>| -> Vec<String> {
            text.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
        };
        let (old, new) = (lines(&self.old), lines(&self.new));
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let ends = old[same..].iter().rev().zip(new[same..].iter().rev());
        let same_at_end = ends.take_while(|(old, new)| old == new).count();
        let name = |there: bool| if there { self.path.display().to_string() } else { "/dev/null".to_owned() };
        let mut diff = format!("--- {}\n+++ {}\n", name(self.old.is_some()), name(self.new.is_some()));
        let gone = &old[same..old.len() - same_at_end];
        let come = &new[same..new.len() - same_at_end];
        for (sign, lines) in
            [(' ', &old[..same]), ('-', gone), ('+', come), (' ', &old[old.len() - same_at_end..])]
        {
            for line in lines {
                // Writing to a text does not fail.
                let _ = writeln!(diff, "{sign}{line}");
            }
        }
        diff
    }

    /// Writes or removes the file, in one step that is whole or not at all.
    ///
    /// # Errors
    /// [`Error::Moved`] where the file is not as it was; when it cannot be written.
    pub fn write(&self) -> Result<(), Error> {
        if content(&self.path)? != self.old {
            return Err(Error::Moved { path: self.path.clone() });
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        match &self.new {
            Some(text) => {
                fs::create_dir_all(folder).map_err(fail("make", folder))?;
                replace(&self.path, text).map_err(fail("write", &self.path))
            }
            None => {
                fs::remove_file(&self.path).map_err(fail("remove", &self.path))?;
                // Gone only where nothing else is in it.
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => {
                        Err(fail("remove", folder)(error))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

// === impl Systemd ===

impl Systemd {
    /// Makes a change, has systemd read it, and gives the unit as it is then.
    ///
    /// Limits hold at once, also for a unit that runs; an environment or a sandbox holds from its next start.
    ///
    /// # Errors
    /// [`Error::Moved`] where somebody has edited the file since; [`Error::NoSuchUnit`]; when the file cannot be written,
    /// or systemd does not read it: then it is as it was before.
    pub async fn apply(&self, change: &Change, timeout: Duration) -> Result<Unit, Error> {
        self.unit(&change.unit).await?;
        change.write()?;
        if let Err(error) = self.reload(timeout).await {
            // What was not read must not be read by somebody else's reload. The first failure is the one to tell of.
            let _ = change.reversed().write();
            return Err(error);
        }
        self.unit(&change.unit).await
    }
}

fn fail(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

/// What is in a file; none where it is not there.
fn content(path: &Path) -> Result<Option<String>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail("read", path)(error)),
    };
    let mut text = String::new();
    let bytes = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(fail("read", path))?;
    if bytes as u64 > FILE_BYTES_MAX {
        return Err(fail("read", path)(io::Error::from(ErrorKind::FileTooLarge)));
    }
    Ok(Some(text))
}

/// systemd reads files that end with `.conf` only, so the new one does not, until it is whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("conf.new");
    let mut file = File::create(&new)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests;
