//! Owns archives that others have made, with no manifest: unpacked into a folder of their own, with less trust than any.
//!
//! Nothing says what should be in one. So only files, folders and links that stay in the archive are taken, under names
//! that stay in it; symbolic links are made last, so that nothing is written through one.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::member::{self, Member};
use super::prove::free_bytes;
use super::stream;
use super::unpack::{UnpackError, copy_with_holes, own};
use crate::attributes::Attributes;
use crate::entry::{Entry, Kind, TreePath};
use crate::patterns::Patterns;
use crate::sums::{SumChange, SumsError, check_sums};

/// So many things are unpacked; their folders and links are in memory.
const MEMBERS_MAX: usize = 10_000_000;
/// The list of sums that may lie at the top of the archive or of a tree.
const LIST: &str = "checksums.md5";
/// Rights that one of these archives may give: whose it is decides nothing.
const MODE: u32 = 0o777;

/// An archive of others, unpacked.
#[derive(Debug)]
pub struct Foreign {
    /// Where each of the trees is now.
    pub trees: Vec<PathBuf>,
    /// What a list of sums in it says, if there is one.
    pub listed: Option<Listed>,
}

/// What a list of sums in an archive says of its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Files that it names, and that are what it says.
    pub named: u64,
    /// Files that it does not name.
    pub others: u64,
}

/// What is set when all is there.
struct Unpacked {
    into: PathBuf,
    folders: Vec<(PathBuf, Entry)>,
    links: Vec<(PathBuf, PathBuf, Entry)>,
    /// Bytes that may still be written.
    left: u64,
}

/// Unpacks an archive of others, which has these trees in it, into a folder that is not there yet: under their whole paths,
/// or under the name of the one, or just what is in it.
///
/// # Errors
/// If it is not whole, has in it what is not unpacked, has not these trees, or is not what its own list of sums says.
pub fn open_foreign(archive: &Path, roots: &[&Path], into: &Path) -> Result<Foreign, UnpackError> {
    let at = |path: &Path, source| UnpackError::Io { path: path.to_owned(), source };
    DirBuilder::new().mode(0o700).create(into).map_err(|source| at(into, source))?;
    let left = free_bytes(into).map_err(|source| at(into, source))?;
    let mut unpacked = Unpacked { into: into.to_owned(), folders: Vec::new(), links: Vec::new(), left };
    let unreadable = |source| UnpackError::of_archive(archive, source);
    let mut opened = stream::open(archive).map_err(unreadable)?;
    let mut members = opened.entries().map_err(unreadable)?.raw(true);
    let mut n = 0;
    while let Some(member) = member::next(&mut members).map_err(unreadable)? {
        n += 1;
        if n > MEMBERS_MAX {
            return Err(refused(Path::new("it"), &format!("has more than {MEMBERS_MAX} members")));
        }
        unpacked.take(member)?;
    }
    if n == 0 {
        return Err(refused(Path::new("nothing"), "is in it"));
    }
    stream::end(opened).map_err(unreadable)?;
    unpacked.finish()?;
    let trees = find(roots, into)?;
    let listed = listed(&trees, into)?;
    Ok(Foreign { trees, listed })
}

// === impl Unpacked ===

impl Unpacked {
    fn take(&mut self, mut member: Member<'_, impl Read>) -> Result<(), UnpackError> {
        let kind = member.content.header().entry_type();
        // A remark on all that follows.
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let name =
            inner(&member.name).ok_or_else(|| refused(&member.name, "is no name below the archive"))?;
        let kept = match kind {
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Link,
            EntryType::Regular | EntryType::Continuous | EntryType::Link => Kind::File,
            EntryType::GNUSparse => {
                return Err(refused(&name, "is kept with holes, in a form that is not read"));
            }
            _ => return Err(refused(&name, "is a device or a pipe, or of a kind that is not known")),
        };
        let at = self.into.join(&name);
        let Some(path) = TreePath::new(&name) else {
            // The archive itself, as `./`.
            return if kept == Kind::Folder {
                Ok(())
            } else {
                Err(refused(&member.name, "is no name of a file"))
            };
        };
        let failed = |source| UnpackError::Io { path: at.clone(), source };
        let entry = entry(&member, path, kept).map_err(failed)?;
        if let Some(parent) = at.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        match kind {
            EntryType::Directory => {
                DirBuilder::new().recursive(true).mode(0o700).create(&at).map_err(failed)?;
                self.folders.push((at, entry));
                Ok(())
            }
            EntryType::Symlink => {
                let target = member.link.unwrap_or_default();
                if !stays(&name, &target) {
                    let how = format!("is a link that leaves the archive, to {}", target.display());
                    return Err(refused(&name, &how));
                }
                self.links.push((at, target, entry));
                Ok(())
            }
            EntryType::Link => {
                let other = member.link.as_deref().and_then(inner).map(|name| self.into.join(name));
                let is_file = |path: &PathBuf| path.symlink_metadata().is_ok_and(|file| file.is_file());
                let other = other.filter(is_file);
                let other = other.ok_or_else(|| refused(&name, "is a link to no file before it"))?;
                fs::hard_link(other, &at).map_err(|source| twice(&at, &name, source))
            }
            _ => self.file(&at, &entry, &mut member),
        }
    }

    fn file(
        &mut self,
        at: &Path,
        entry: &Entry,
        member: &mut Member<'_, impl Read>,
    ) -> Result<(), UnpackError> {
        if entry.size > self.left {
            return Err(refused(
                entry.path.as_path(),
                "and what is before it are larger than the room that is free",
            ));
        }
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(at);
        let mut file = opened.map_err(|source| twice(at, entry.path.as_path(), source))?;
        let mut bytes = 0;
        copy_with_holes(&mut member.content, &mut file, |piece| {
            bytes += piece.len() as u64;
            true
        })
        .map_err(|source| UnpackError::of_archive(at, source))?;
        if bytes != entry.size {
            return Err(refused(entry.path.as_path(), "is cut"));
        }
        self.left -= bytes;
        own(at, entry, &member.attributes)
    }

    /// Makes the links, and then sets of folders what changes while something is put into them.
    fn finish(&self) -> Result<(), UnpackError> {
        for (at, target, entry) in &self.links {
            symlink(target, at).map_err(|source| twice(at, entry.path.as_path(), source))?;
            own(at, entry, &Attributes::default())?;
        }
        for (at, entry) in self.folders.iter().rev() {
            own(at, entry, &Attributes::default())?;
            // Whoever reads it next has to get into it.
            let mode = Permissions::from_mode(u32::from(entry.mode) | 0o700);
            fs::set_permissions(at, mode).map_err(|source| UnpackError::Io { path: at.clone(), source })?;
        }
        Ok(())
    }
}

/// What a header says of a member.
fn entry(member: &Member<'_, impl Read>, path: TreePath, kind: Kind) -> io::Result<Entry> {
    let header = member.content.header();
    let owner = |id: u64| u32::try_from(id).map_err(io::Error::other);
    let modified = i64::try_from(header.mtime()?).unwrap_or(0);
    Ok(Entry {
        mode: (header.mode()? & MODE) as u16,
        uid: owner(header.uid()?)?,
        gid: owner(header.gid()?)?,
        size: if kind == Kind::File { member.content.size() } else { 0 },
        modified_ns: modified.saturating_mul(1_000_000_000),
        changed_ns: 0,
        inode: 0,
        target: None,
        blake3: None,
        sha256: None,
        attributes: None,
        path,
        kind,
    })
}

/// A name below the archive, without `./`; nothing for one that leaves it or is absolute.
fn inner(name: &Path) -> Option<PathBuf> {
    let mut inner = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => inner.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(inner)
}

/// Whether a link of this name leads to something in the archive.
fn stays(name: &Path, target: &Path) -> bool {
    let mut depth = name.components().count() as i64 - 1;
    target.components().all(|part| {
        depth += match part {
            Component::Normal(_) => 1,
            Component::CurDir => 0,
            Component::ParentDir => -1,
            Component::RootDir | Component::Prefix(_) => return false,
        };
        depth >= 0
    })
}

/// Where each of the trees is.
fn find(roots: &[&Path], into: &Path) -> Result<Vec<PathBuf>, UnpackError> {
    let below = |path: &Path| into.join(path.strip_prefix("/").unwrap_or(path));
    // Not over a link: the archive would say where it leads.
    let is_folder = |path: &PathBuf| {
        let inside = path.strip_prefix(into).unwrap_or(path);
        inside.ancestors().all(|part| into.join(part).symlink_metadata().is_ok_and(|is| is.is_dir()))
    };
    let whole: Vec<PathBuf> = roots.iter().map(|root| below(root)).collect();
    if whole.iter().all(is_folder) {
        return Ok(whole);
    }
    let [root] = roots else {
        return Err(UnpackError::Refused {
            what: "it has not all folders of the server, under their paths".to_owned(),
        });
    };
    let named = root.file_name().map(|name| into.join(name)).filter(is_folder);
    Ok(vec![named.filter(|_| top(into).len() == 1).unwrap_or_else(|| into.to_owned())])
}

/// What is at the top of the archive, but for a list of sums.
fn top(into: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(into).into_iter().flatten().flatten().map(|entry| entry.path());
    names.filter(|path| path.file_name() != Some(LIST.as_ref())).collect()
}

/// Compares the files with the list of sums in the archive, if there is one.
fn listed(trees: &[PathBuf], into: &Path) -> Result<Option<Listed>, UnpackError> {
    let has_list = |folder: &Path| folder.join(LIST).symlink_metadata().is_ok_and(|is| is.is_file());
    // One at the top is about all of it.
    let folders = if has_list(into) { vec![into] } else { trees.iter().map(PathBuf::as_path).collect() };
    let mut all: Option<Listed> = None;
    for folder in folders.into_iter().filter(|folder| has_list(folder)) {
        let list = folder.join(LIST);
        let (named, differs) = check_sums(folder, &Patterns::none(), &list).map_err(|error| match error {
            SumsError::Io { path, source } => UnpackError::Io { path, source },
            other => UnpackError::Refused { what: other.to_string() },
        })?;
        let is_other = |how: SumChange| how == SumChange::Added;
        if let Some(one) = differs.iter().find(|one| !is_other(one.how)) {
            return Err(refused(one.path.as_path(), &format!("is not what {LIST} in it says")));
        }
        let before = all.unwrap_or_default();
        all = Some(Listed { named: before.named + named, others: before.others + differs.len() as u64 });
    }
    Ok(all)
}

/// Something could not be made, most likely because it is there.
fn twice(at: &Path, name: &Path, source: io::Error) -> UnpackError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => refused(name, "is there twice"),
        _ => UnpackError::Io { path: at.to_owned(), source },
    }
}

fn refused(path: &Path, how: &str) -> UnpackError {
    UnpackError::Refused { what: format!("{} {how}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_links_stay_in_the_archive() {
        let name = |name: &str, expected: Option<&str>| {
            assert_eq!(inner(Path::new(name)).as_deref(), expected.map(Path::new), "{name}");
        };
        name("./a/b", Some("a/b"));
        name("./", Some(""));
        name("/a", None);
        name("a/../../b", None);
        let link = |name: &str, target: &str, expected: bool| {
            assert_eq!(stays(Path::new(name), Path::new(target)), expected, "{name} -> {target}");
        };
        link("a", "b", true);
        link("a/b", "../c", true);
        link("a", "../c", false);
        link("a/b", "../../c", false);
        link("a/b", "/etc/passwd", false);
        link("a/b", "c/../../d/../../e", false);
    }
}
