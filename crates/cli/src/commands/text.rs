//! Owns reading the texts that these commands are given: files or standard input, up to a size.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context as _;

use crate::fail::Failure;

/// The largest text that is read, in bytes: what the parser takes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads a file, or standard input for `-`; `what` names it in an error.
pub(in crate::commands) fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    let named = || format!("cannot read {what} `{}`", path.display());
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).with_context(named).map_err(Failure::usage)?)
    };
    let mut bytes = Vec::new();
    source.take(BYTES_MAX + 1).read_to_end(&mut bytes).with_context(named).map_err(Failure::usage)?;
    if bytes.len() as u64 > BYTES_MAX {
        let reason = anyhow::anyhow!("it has more than {BYTES_MAX} bytes, the most that is read");
        return Err(Failure::usage(reason.context(named())));
    }
    Ok(bytes)
}
