//! Owns taking a bundle elsewhere: a copy that was checked, with what people want to read beside what is sealed.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::archive;
use crate::bundle::{ANALYSIS, ARCHIVE, CUSTODY, CUSTODY_LENGTH, MANIFEST, SEAL, STEPS};
use crate::core_file;
use crate::custody::{self, Act};
use crate::error::Error;
use crate::key::SigningKey;
use crate::verify::{Verdict, verify};

/// Which address each byte of the memory had.
const INDEX_OF_MEMORY: &str = "t2/memory/index.jsonl";

/// Why a bundle was not taken elsewhere.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub enum ExportError {
    #[error("`{}` is not as it was sealed, and is not exported", folder.display())]
    Unsound { folder: PathBuf, verdict: Box<Verdict> },
    #[error("the copy `{}` is not what was copied", folder.display())]
    BadCopy { folder: PathBuf, verdict: Box<Verdict> },
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Copies the bundle in `folder` to a folder of the same name below `to`, which is made. The custody log of both says so. What is
/// read without a tool is put beside it, in `analysis/`: the items, and the lists that people ask for first.
///
/// # Errors
/// When the bundle is not as it was sealed, is there already, or cannot be written; then no half copy is left behind.
pub fn export(
    folder: &Path,
    to: &Path,
    key: &SigningKey,
    by: &str,
    at_ms: i64,
) -> Result<PathBuf, ExportError> {
    let verdict = verify(folder, key.public());
    let (Some(sha256), true) = (verdict.sha256, verdict.is_sound()) else {
        return Err(ExportError::Unsound { folder: folder.to_owned(), verdict: Box::new(verdict) });
    };
    let name = folder.file_name().unwrap_or_default();
    let (target, new) = (to.join(name), to.join(format!(".{}.new", name.to_string_lossy())));
    if target.exists() {
        return Err(Error::Exists { path: target }.into());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(Error::write(to))?;
    // What somebody who was killed has left behind.
    let _ = fs::remove_dir_all(&new);
    let action = format!("exported to `{}`", target.display());
    custody::append(
        folder,
        key,
        Act { at_ms, by: by.to_owned(), action, before: Some(sha256), after: sha256 },
    )?;
    let copied = copy(folder, &new, key, &verdict).and_then(|()| {
        fs::rename(&new, &target).map_err(Error::write(&target))?;
        File::open(to).and_then(|to| to.sync_all()).map_err(Error::write(to))?;
        Ok(())
    });
    if let Err(error) = copied {
        let _ = fs::remove_dir_all(&new);
        let action = format!("not exported: {error}");
        custody::append(
            folder,
            key,
            Act { at_ms, by: by.to_owned(), action, before: Some(sha256), after: sha256 },
        )?;
        return Err(error);
    }
    Ok(target)
}

fn copy(folder: &Path, new: &Path, key: &SigningKey, verdict: &Verdict) -> Result<(), ExportError> {
    DirBuilder::new().mode(0o700).create(new).map_err(Error::write(new))?;
    for name in [ARCHIVE, MANIFEST, STEPS, SEAL, CUSTODY, CUSTODY_LENGTH] {
        let (from, to) = (folder.join(name), new.join(name));
        match File::open(&from) {
            Ok(mut file) => {
                let mut written = file_at(&to).map_err(Error::write(&to))?;
                io::copy(&mut file, &mut written)
                    .and_then(|_| written.sync_all())
                    .map_err(Error::write(&to))?;
            }
            // A collection that was killed has no custody log before it is exported.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::Read { path: from, source }.into()),
        }
    }
    let copied = verify(new, key.public());
    if !copied.is_sound() || copied.sha256 != verdict.sha256 {
        return Err(ExportError::BadCopy { folder: new.to_owned(), verdict: Box::new(copied) });
    }
    unpack(new, verdict).map_err(Error::write(&new.join(ANALYSIS)))?;
    Ok(())
}

/// Writes the items as files, and the lists.
fn unpack(folder: &Path, verdict: &Verdict) -> io::Result<()> {
    let analysis = folder.join(ANALYSIS);
    let items = analysis.join("items");
    DirBuilder::new().recursive(true).mode(0o700).create(&items)?;
    let mut text = String::from(
        "What is in this folder was made from the sealed bundle above it, and proves nothing.\n",
    );
    let read = |name: &str| {
        let item = verdict.items.iter().find(|item| item.name == name)?;
        let file = BufReader::new(File::open(folder.join(ARCHIVE)).ok()?);
        archive::item(file, item.at).ok()
    };
    for item in &verdict.items {
        // Names of a bundle that we have sealed are plain; whatever else one is, it does not leave the folder.
        let is_plain = item.name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        let Some(bytes) = read(&item.name).filter(|_| is_plain) else { continue };
        let path = items.join(&item.name);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        // A file that is where another item needs a folder is left out here; it is in the bundle.
        if let Ok(mut file) = file_at(&path) {
            file.write_all(&bytes)?;
        }
    }
    for missing in &verdict.missing {
        let _ = writeln!(text, "not there: {}: {}", missing.name, missing.problem);
    }
    for (name, item, show) in LISTS {
        let lines = read(item)
            .map(|bytes| list(&bytes, show))
            .unwrap_or_else(|| format!("{item} is not in the bundle\n"));
        file_at(&analysis.join(name))?.write_all(lines.as_bytes())?;
    }
    for (pid, process) in core_file::processes(&read(INDEX_OF_MEMORY).unwrap_or_default()) {
        let path = analysis.join(format!("core.{pid}"));
        let written = file_at(&path).and_then(|file| process.write(pid, &read, &mut BufWriter::new(file)));
        if let Err(error) = written {
            // The pieces are there all the same.
            let _ = fs::remove_file(&path);
            let _ = writeln!(text, "not there: core.{pid}: {error}");
        }
    }
    file_at(&analysis.join("README"))?.write_all(text.as_bytes())
}

type Show = fn(&Value) -> String;

/// The lists that the original runbook made, by its names, and from what.
const LISTS: [(&str, &str, Show); 3] = [
    ("process_list.txt", "t0/processes.jsonl", |one| {
        let deleted = if one["exe_deleted"] == true { " (deleted)" } else { "" };
        let command = words(&one["cmdline"]);
        format!("{}\t{}\t{}{deleted}\t{command}", one["pid"], one["ppid"], plain(&one["exe"]))
    }),
    ("network_connections.txt", "t0/sockets.jsonl", |one| {
        let ends = [&one["protocol"], &one["local"], &one["remote"], &one["state"]].map(plain).join("\t");
        format!("{ends}\t{}", one["pids"])
    }),
    ("open_files.txt", "t0/descriptors.jsonl", |one| {
        format!("{}\t{}\t{}", one["pid"], one["fd"], plain(&one["target"]))
    }),
];

fn list(bytes: &[u8], show: Show) -> String {
    let lines =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    lines.fold(String::new(), |text, line| text + &show(&line).replace(['\n', '\u{1b}'], " ") + "\n")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn words(value: &Value) -> String {
    value.as_array().into_iter().flatten().map(plain).collect::<Vec<_>>().join(" ")
}

fn file_at(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}
