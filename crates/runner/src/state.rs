//! Owns the state of a shell between two units: the bash code that restores and writes it, and its file.
//!
//! It holds variables with their attributes, functions, aliases, options, positional parameters, directory and
//! stack of directories, mask and locale. It does not hold traps, open descriptors, jobs and `$?`.
//!
//! A state file is bash source. Its first line names the format, its last one says that it is complete, and
//! without either it is no state. Bash writes it beside its place; the runner checks and renames it, which spares bash
//! the call of another program. It is not synced: after a loss of power it may be gone or cut, and the next unit
//! refuses it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::folder::{Folder, open_new};
use crate::{Intent, StateFile};

/// The script of every bash unit, one line, so that line numbers in messages are those of the statement. It
/// evaluates the statement at the top level.
const UNIT: &str = include_str!("unit.bash");
const PRELUDE: &str = include_str!("prelude.bash");

pub(crate) const UNIT_FILE: &str = "unit";
const PRELUDE_FILE: &str = "prelude.bash";
const SCRATCH_FILE: &str = "scratch";
const REFUSAL_FILE: &str = "refused";

const FIRST_LINE: &[u8] = b"# paramedic state 1\n";
const LAST_LINE: &[u8] = b"\n# complete\n";

/// The state before any bash has run.
const EMPTY: &[u8] = b"# paramedic state 1\n# complete\n";

/// The largest state in bytes: the next bash reads it as a whole.
const STATE_BYTES_MAX: u64 = 64 << 20;

/// Writes the files that bash needs to run the statement of `intent` in the state before.
pub(crate) fn write_scripts(folder: &Folder, intent: &Intent) -> io::Result<()> {
    let before = match &intent.state_before {
        Some(before) if fs::metadata(before)?.len() > EMPTY.len() as u64 => before,
        _ => Path::new(""),
    };
    // These are carried from one intent to the next, not from one state to the next.
    let carried = intent.environment.keys().filter(|name| !name.starts_with("PARAMEDIC_"));
    let mut prelude = Vec::new();
    for (name, value) in [
        ("statement", OsStr::new(&intent.statement)),
        ("directory", intent.directory.as_os_str()),
        ("before", before.as_os_str()),
        ("after", new_state(intent).as_os_str()),
        ("known", OsStr::new(&carried.map(String::as_str).collect::<Vec<_>>().join(" "))),
        ("scratch", folder.file(SCRATCH_FILE).as_os_str()),
        ("refusal", folder.file(REFUSAL_FILE).as_os_str()),
    ] {
        prelude.extend_from_slice(format!("__paramedic_{name}=").as_bytes());
        quote(value.as_bytes(), &mut prelude);
        prelude.push(b'\n');
    }
    prelude.extend_from_slice(PRELUDE.as_bytes());
    open_new(&folder.file(UNIT_FILE))?.write_all(UNIT.as_bytes())?;
    open_new(&folder.file(PRELUDE_FILE))?.write_all(&prelude)?;
    // Created here: bash would leave their mode to the umask of the statement.
    open_new(&folder.file(SCRATCH_FILE))?;
    open_new(&new_state(intent))?;
    Ok(())
}

/// Returns why bash did not begin the statement, if it did not.
pub(crate) fn refusal(folder: &Folder) -> Option<String> {
    let reason = fs::read(folder.file(REFUSAL_FILE)).ok()?;
    Some(String::from_utf8_lossy(&reason).into_owned())
}

/// Says whether there is a complete state at `path`.
pub(crate) fn is_complete(path: &Path) -> bool {
    let check = || -> io::Result<bool> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        if bytes > STATE_BYTES_MAX || bytes < EMPTY.len() as u64 {
            return Ok(false);
        }
        let mut first = [0; FIRST_LINE.len()];
        file.read_exact(&mut first)?;
        let mut last = [0; LAST_LINE.len()];
        file.seek(SeekFrom::End(-(LAST_LINE.len() as i64)))?;
        file.read_exact(&mut last)?;
        Ok(first == FIRST_LINE && last == LAST_LINE)
    };
    check().unwrap_or(false)
}

/// Puts the state that bash wrote into its place, if it is complete.
pub(crate) fn keep_new(intent: &Intent) -> StateFile {
    let new = new_state(intent);
    let keep = || -> io::Result<()> {
        if !is_complete(&new) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        fs::rename(&new, &intent.state_after)
    };
    match keep() {
        Ok(()) => StateFile::Saved,
        Err(_) => {
            // It may hold half of the variables: nobody may take it for a state.
            let _ = fs::remove_file(&new);
            StateFile::Missing
        }
    }
}

/// Hands the state before on as it is, for a unit that does not share it.
pub(crate) fn keep_old(intent: &Intent) -> StateFile {
    let new = new_state(intent);
    let copy = || -> io::Result<()> {
        let mut file = open_new(&new)?;
        match &intent.state_before {
            Some(before) => io::copy(&mut File::open(before)?, &mut file).map(drop),
            None => file.write_all(EMPTY),
        }
    };
    match copy() {
        Ok(()) => keep_new(intent),
        Err(_) => StateFile::Missing,
    }
}

/// Where the state is written before it is complete.
fn new_state(intent: &Intent) -> PathBuf {
    let mut path = intent.state_after.clone().into_os_string();
    path.push(".new");
    path.into()
}

/// Quotes bytes for a shell: within single quotes only the single quote means something.
fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for &byte in bytes {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
}
