//! Owns whether the package that a server runs is the newest, and what is known to be wrong with it. It looks and asks;
//! nothing is changed, and nothing of the server's own is run: it may be an intruder's.

mod debian;
mod osv;
mod proposal;
mod registry;
mod version;

use std::cmp::Ordering;
use std::path::PathBuf;

use process::control::{Package, PackageKind};
use serde::Serialize;

pub use debian::{apt, owner};
pub use osv::advisories as local_advisories;
pub use proposal::proposal;
pub use registry::{Asker, NPM, PYPI, asker, npm, pypi};

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// The registry of npm.
    Npm,
    /// The index of Python.
    Pypi,
    /// A package of Debian or of what is made of it.
    Debian,
}

/// A package as it is installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The file that says so.
    pub described_in: PathBuf,
}

/// Something that is known to be wrong with a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advisory {
    /// Its name.
    pub id: String,
    /// How bad it is, in the words of who says so.
    pub severity: Option<String>,
    /// What it is.
    pub summary: String,
    /// In which version it is mended, as far as that is said.
    pub fixed: Option<String>,
    /// Who says so.
    pub source: String,
}

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The newest version; none where nobody says.
    pub newest: Option<String>,
    /// What is known to be wrong with the installed one.
    pub advisories: Vec<Advisory>,
    /// What could not be found out, and why.
    pub gaps: Vec<String>,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is the newest, and nothing is known to be wrong with it.
    Newest,
    /// There is a newer one, or something is wrong with it.
    Behind,
    /// Nobody could say all of that.
    Unknown,
}

// === impl Installed, Found ===

impl From<&Package> for Installed {
    fn from(package: &Package) -> Self {
        let ecosystem = match package.kind {
            PackageKind::Npm => Ecosystem::Npm,
            PackageKind::Pypi => Ecosystem::Pypi,
        };
        let (name, version) = (package.name.clone(), package.version.clone());
        Self { ecosystem, name, version, described_in: package.described_in.clone() }
    }
}

impl Found {
    /// What it comes to for an installed package. A newest version that is older than that changes nothing: it was taken back.
    pub fn verdict(&self, installed: &Installed) -> Verdict {
        let is_newer = self.is_newer(installed);
        if is_newer || !self.advisories.is_empty() {
            return Verdict::Behind;
        }
        if self.newest.is_none() || !self.gaps.is_empty() { Verdict::Unknown } else { Verdict::Newest }
    }

    /// Whether there is a newer version.
    pub fn is_newer(&self, installed: &Installed) -> bool {
        self.newest.as_ref().is_some_and(|newest| {
            version::compare(installed.ecosystem, newest, &installed.version) == Ordering::Greater
        })
    }

    /// Takes over what somebody else has found out.
    pub fn join(&mut self, other: Self) {
        self.newest = self.newest.take().or(other.newest);
        self.gaps.extend(other.gaps);
        for one in other.advisories {
            if !self.advisories.iter().any(|known| known.id == one.id) {
                self.advisories.push(one);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_comes_to() {
        let installed = Installed {
            ecosystem: Ecosystem::Npm,
            name: "a".to_owned(),
            version: "1.2.0".to_owned(),
            described_in: PathBuf::new(),
        };
        let advisory = Advisory {
            id: "X-1".to_owned(),
            severity: None,
            summary: String::new(),
            fixed: None,
            source: "a test".to_owned(),
        };
        let check = |newest: Option<&str>, n_advisories: usize, gaps: &[&str], expect: Verdict| {
            let found = Found {
                newest: newest.map(str::to_owned),
                advisories: vec![advisory.clone(); n_advisories],
                gaps: gaps.iter().map(|gap| (*gap).to_owned()).collect(),
            };
            assert_eq!(found.verdict(&installed), expect, "{found:?}");
        };
        check(Some("1.2.0"), 0, &[], Verdict::Newest);
        check(Some("1.1.9"), 0, &[], Verdict::Newest);
        check(Some("1.10.0"), 0, &["late"], Verdict::Behind);
        check(Some("1.2.0"), 1, &[], Verdict::Behind);
        check(None, 1, &["late"], Verdict::Behind);
        check(None, 0, &["late"], Verdict::Unknown);
        check(Some("1.2.0"), 0, &["advisories: late"], Verdict::Unknown);
        let mut one = Found { advisories: vec![advisory.clone()], ..Found::default() };
        one.join(Found {
            newest: Some("2".to_owned()),
            advisories: vec![advisory],
            gaps: vec!["x".to_owned()],
        });
        assert_eq!((one.newest.as_deref(), one.advisories.len(), one.gaps.len()), (Some("2"), 1, 1));
    }
}
