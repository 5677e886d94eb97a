//! Owns changes that can be taken back: the places that a command of the product has written, before and after.
//!
//! Run as a step, such a command appends the change as a JSON line to the file that `PARAMEDIC_CHANGES` names, before
//! it makes it: what is written there and does not hold afterwards is found out when it is taken back. An undo compares
//! first and writes then, so that it never overwrites what somebody else has changed meanwhile.

mod diff;
mod file;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use diff::unified;

/// The longest content of a place, in bytes: these are settings, and all of it has to fit into one record.
pub const PLACE_BYTES_MAX: usize = 64 * 1024;

/// How many places one change has at most.
const PLACES_MAX: usize = 8;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of thing was changed.
    pub what: What,
    /// Whose: a server, or a kernel parameter.
    pub target: String,
    /// Where it stands, before and after.
    pub places: Vec<Place>,
    /// For people, as a unified diff of all places.
    pub diff: String,
    /// The number of the change that this one took back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u32>,
}

/// What kind of thing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// How a server is started.
    ServerTuning,
    /// What clients of a server may do.
    ServerControls,
    /// That a server is cut off, and how.
    Containment,
    /// What a server in a unit may not do beside what its file says.
    ServerSandbox,
    /// Which tokens of its clients were made anew; no token is in it.
    ServerTokens,
    /// A parameter of the kernel.
    KernelParameter,
    /// The file of a unit of systemd. It is for people to put it there.
    UnitFile,
}

/// A file, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// What was in it; none where it was not there.
    pub old: Option<String>,
    /// What is in it now; none where it is gone.
    pub new: Option<String>,
}

/// Why a change is not made or taken back.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ChangeError {
    #[error("{what} `{}` failed", path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("`{}` has more than {PLACE_BYTES_MAX} bytes, or is not text", .0.display())]
    TooLarge(PathBuf),
    #[error(
        "`{}` was changed since: it is to be {}, and is {}; nothing was done",
        path.display(),
        shown(expected.as_deref()),
        shown(found.as_deref())
    )]
    Moved { path: PathBuf, expected: Option<String>, found: Option<String> },
    #[error("a change of {} has no business with `{}`", target, path.display())]
    Foreign { target: String, path: PathBuf },
}

// === impl Change ===

impl Change {
    /// The change that would put `new` into each place; none where that is there already.
    ///
    /// # Errors
    /// Where a place cannot be read.
    pub fn plan(
        what: What,
        target: &str,
        wanted: impl IntoIterator<Item = (PathBuf, Option<String>)>,
    ) -> Result<Option<Self>, ChangeError> {
        let mut places = Vec::new();
        for (path, new) in wanted {
            let old = file::read(&path)?;
            if old != new {
                places.push(Place { path, old, new });
            }
        }
        if places.is_empty() {
            return Ok(None);
        }
        let diff = diff_of(&places);
        Ok(Some(Self { what, target: target.to_owned(), places, diff, undoes: None }))
    }

    /// Makes the change, place by place. One that cannot be written takes the others back.
    ///
    /// # Errors
    /// Where a place is no longer as it was, or cannot be written.
    pub fn make(&self) -> Result<(), ChangeError> {
        for place in &self.places {
            let found = file::read(&place.path)?;
            if found != place.old {
                let (path, expected) = (place.path.clone(), place.old.clone());
                return Err(ChangeError::Moved { path, expected, found });
            }
        }
        for (idx, place) in self.places.iter().enumerate() {
            if let Err(error) = file::write(&place.path, place.new.as_deref()) {
                for done in self.places[..idx].iter().rev() {
                    // The first failure is the one to tell of.
                    let _ = file::write(&done.path, done.old.as_deref());
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// The change that takes this one back.
    pub fn reversed(&self, number: Option<u32>) -> Self {
        let turn = |place: &Place| Place {
            path: place.path.clone(),
            old: place.new.clone(),
            new: place.old.clone(),
        };
        // What was written last is put back first.
        let places: Vec<Place> = self.places.iter().rev().map(turn).collect();
        let diff = diff_of(&places);
        Self { what: self.what, target: self.target.clone(), places, diff, undoes: number }
    }

    /// Whether every place is as it was before the change already.
    ///
    /// # Errors
    /// Where a place cannot be read.
    pub fn is_taken_back(&self) -> Result<bool, ChangeError> {
        for place in &self.places {
            if file::read(&place.path)? != place.old {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Refuses a change that is about other files than `known`: a record may come from anybody.
    ///
    /// # Errors
    /// Where it is.
    pub fn check_places(&self, known: &[PathBuf]) -> Result<(), ChangeError> {
        match self.places.iter().find(|place| !known.contains(&place.path)) {
            Some(place) => {
                Err(ChangeError::Foreign { target: self.target.clone(), path: place.path.clone() })
            }
            None => Ok(()),
        }
    }

    /// One line, without its end, for the file of changes.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads one line; none where it is no change, or larger than one may be.
    pub fn parse(line: &str) -> Option<Self> {
        let change: Self = serde_json::from_str(line).ok()?;
        let small = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() <= PLACE_BYTES_MAX);
        let fits = change.places.len() <= PLACES_MAX
            && change.diff.len() <= 4 * PLACE_BYTES_MAX
            && change.places.iter().all(|place| small(&place.old) && small(&place.new));
        fits.then_some(change)
    }
}

// === impl What ===

impl What {
    /// Why a change of this kind is not taken back by the machine; none where it is.
    pub fn stays(self) -> Option<&'static str> {
        match self {
            Self::ServerTokens => Some(
                "a token that was replaced does not come back, for whoever attacked may know it: `paramedic security rotate` \
                 makes another",
            ),
            Self::UnitFile => Some("the files of units are for people to put there"),
            _ => None,
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ServerTuning => "tuning of server",
            Self::ServerControls => "controls of server",
            Self::Containment => "containment of server",
            Self::ServerSandbox => "sandbox of server",
            Self::ServerTokens => "tokens of server",
            Self::KernelParameter => "kernel parameter",
            Self::UnitFile => "file of unit",
        })
    }
}

/// Reads a place as it is now; none where there is no file.
///
/// # Errors
/// Where it cannot be read, or is too large to be kept.
pub fn read_place(path: &Path) -> Result<Option<String>, ChangeError> {
    file::read(path)
}

fn diff_of(places: &[Place]) -> String {
    let one = |place: &Place| unified(&place.path, place.old.as_deref(), place.new.as_deref());
    places.iter().map(one).collect()
}

fn shown(content: Option<&str>) -> String {
    match content {
        Some(content) => format!("`{}`", content.trim_end()),
        None => "not there".to_owned(),
    }
}

#[cfg(test)]
mod tests;
