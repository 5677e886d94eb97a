//! Owns advisories that lie in a folder of this machine, in the format of OSV (<https://ossf.github.io/osv-schema/>): for
//! machines that ask nobody.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use crate::version::compare;
use crate::{Advisory, Ecosystem, Found, Installed};

/// So many files are looked at, and so many bytes of each. All of npm are more: take those of what you run.
const FILES_MAX: usize = 100_000;
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    summary: String,
    withdrawn: Option<String>,
    #[serde(default)]
    affected: Vec<Affected>,
}

#[derive(Deserialize)]
struct Affected {
    package: Option<Package>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

/// One of these; others are of no interest here.
#[derive(Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// What files `*.json` of a folder say of an installed package. Blocks.
pub fn advisories(folder: &Path, installed: &Installed) -> Found {
    let mut found = Found::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            found.gaps.push(format!("advisories: `{}`: {error}", folder.display()));
            return found;
        }
    };
    let files = entries.flatten().map(|entry| entry.path());
    let mut unread = 0;
    for path in files.filter(|path| path.extension().is_some_and(|one| one == "json")).take(FILES_MAX) {
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
        match read.ok().and_then(|_| serde_json::from_str::<Entry>(&text).ok()) {
            Some(entry) => found.advisories.extend(entry.about(installed, folder)),
            None => unread += 1,
        }
    }
    if unread > 0 {
        found.gaps.push(format!("advisories: {unread} files of `{}` are not understood", folder.display()));
    }
    found.advisories.sort_by(|one, other| one.id.cmp(&other.id));
    found
}

// === impl Entry, Affected, Range ===

impl Entry {
    fn about(&self, installed: &Installed, folder: &Path) -> Option<Advisory> {
        if self.withdrawn.is_some() {
            return None;
        }
        let affected = self.affected.iter().find(|one| one.is_of(installed) && one.has(installed))?;
        Some(Advisory {
            id: self.id.clone(),
            severity: None,
            summary: self.summary.clone(),
            fixed: affected.fixed(installed),
            source: folder.display().to_string(),
        })
    }
}

impl Affected {
    fn is_of(&self, installed: &Installed) -> bool {
        let Some(package) = &self.package else { return false };
        let ecosystem = package.ecosystem.split(':').next().unwrap_or_default();
        let wanted = match installed.ecosystem {
            Ecosystem::Npm => "npm",
            Ecosystem::Pypi => "PyPI",
            Ecosystem::Debian => "Debian",
        };
        let plain = |name: &str| match installed.ecosystem {
            Ecosystem::Pypi => name.to_lowercase().replace(['_', '.'], "-"),
            Ecosystem::Npm | Ecosystem::Debian => name.split(':').next().unwrap_or_default().to_owned(),
        };
        ecosystem == wanted && plain(&package.name) == plain(&installed.name)
    }

    fn has(&self, installed: &Installed) -> bool {
        self.versions.contains(&installed.version) || self.ranges.iter().any(|range| range.has(installed))
    }

    fn fixed(&self, installed: &Installed) -> Option<String> {
        let later = |version: &&String| {
            compare(installed.ecosystem, version, &installed.version) == Ordering::Greater
        };
        let fixed =
            self.ranges.iter().flat_map(|range| &range.events).filter_map(|event| event.fixed.as_ref());
        fixed.filter(later).min_by(|one, other| compare(installed.ecosystem, one, other)).cloned()
    }
}

impl Range {
    /// What was introduced by then and not mended since.
    fn has(&self, installed: &Installed) -> bool {
        if self.kind == "GIT" {
            return false;
        }
        let at = |version: &String| match version.as_str() {
            "0" => Ordering::Less,
            version => compare(installed.ecosystem, version, &installed.version),
        };
        let mut events: Vec<(&String, bool, bool)> = Vec::new();
        for event in &self.events {
            events.extend(event.introduced.iter().map(|version| (version, true, true)));
            events.extend(event.fixed.iter().map(|version| (version, false, true)));
            // That one itself is affected.
            events.extend(event.last_affected.iter().map(|version| (version, false, false)));
        }
        events.sort_by(|one, other| match (one.0.as_str(), other.0.as_str()) {
            ("0", "0") => Ordering::Equal,
            ("0", _) => Ordering::Less,
            (_, "0") => Ordering::Greater,
            (one, other) => compare(installed.ecosystem, one, other),
        });
        events.into_iter().fold(false, |is_affected, (version, begins, is_inclusive)| {
            let is_past = at(version) == Ordering::Less || (is_inclusive && at(version) == Ordering::Equal);
            if is_past { begins } else { is_affected }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_folder_says_of_a_version() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put(
            "a.json",
            r#"{"id":"GHSA-a","summary":"traversal","affected":[{"package":{"ecosystem":"npm","name":"@a/fs"},
            "ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.1"},{"introduced":"1.3.0"},{"last_affected":"1.3.5"},{"limit":"9"}]}]}]}"#,
        );
        put(
            "b.json",
            r#"{"id":"PYSEC-b","affected":[{"package":{"ecosystem":"PyPI","name":"MCP_Server.time"},"versions":["2026.1"]}]}"#,
        );
        put(
            "c.json",
            r#"{"id":"DSA-c","affected":[{"package":{"ecosystem":"Debian:12","name":"mcp-x"},
            "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.0-1+deb12u1"}]}]}]}"#,
        );
        put(
            "w.json",
            r#"{"id":"GHSA-w","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"@a/fs"},"versions":["1.2.0"]}]}"#,
        );
        put("x.txt", "no advisory");
        let check = |ecosystem, name: &str, version: &str, expect: Option<(&str, Option<&str>)>| {
            let installed = Installed {
                ecosystem,
                name: name.to_owned(),
                version: version.to_owned(),
                described_in: "x".into(),
            };
            let found = advisories(folder.path(), &installed);
            let told: Vec<_> =
                found.advisories.iter().map(|one| (one.id.as_str(), one.fixed.as_deref())).collect();
            assert_eq!(told, expect.into_iter().collect::<Vec<_>>(), "{name} {version}");
            assert!(found.gaps.is_empty(), "{:?}", found.gaps);
        };
        check(Ecosystem::Npm, "@a/fs", "1.2.0", Some(("GHSA-a", Some("1.2.1"))));
        check(Ecosystem::Npm, "@a/fs", "1.2.1", None);
        check(Ecosystem::Npm, "@a/fs", "1.3.5", Some(("GHSA-a", None)));
        check(Ecosystem::Npm, "@a/fs", "1.3.6", None);
        check(Ecosystem::Npm, "@a/fs-2", "1.2.0", None);
        check(Ecosystem::Pypi, "mcp-server-time", "2026.1", Some(("PYSEC-b", None)));
        check(Ecosystem::Pypi, "mcp-server-time", "2026.2", None);
        check(Ecosystem::Debian, "mcp-x:amd64", "1.0-1", Some(("DSA-c", Some("1.0-1+deb12u1"))));
        check(Ecosystem::Debian, "mcp-x", "1.0-1+deb12u1", None);
        put("d.json", "{");
        let installed = Installed {
            ecosystem: Ecosystem::Npm,
            name: "a".to_owned(),
            version: "1".to_owned(),
            described_in: "x".into(),
        };
        assert!(advisories(folder.path(), &installed).gaps[0].contains("1 files"));
        assert!(advisories(Path::new("/nowhere"), &installed).gaps[0].contains("/nowhere"));
    }
}
