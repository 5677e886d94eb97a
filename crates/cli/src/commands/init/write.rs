//! Owns the text of the configuration that `init` writes, and writing it where there is none.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::plan::Row;
use crate::fail::Failure;

const HEADER: &str = "\
# Written by `paramedic init`. With this, `paramedic serve` watches and changes nothing.
#
# mode = \"observe\" looks, and writes down what would have been done; \"suggest\" asks a person before each change;
# \"auto\" does what [policy] allows. It is chosen here for all, at a server for it alone, and for a single
# procedure by its alert: modes = { MCPServerDown = \"suggest\" } at a server, or mode in [alerts.MCPServerDown].
#
# After an edit: `paramedic config check`.

[policy]
mode = \"observe\"
mode_upstream = \"observe\"
";

/// The configuration, as text that its own loader takes.
///
/// # Errors
/// Where the loader does not: then nothing may be written.
pub(super) fn text(rows: &[Row]) -> Result<String, Failure> {
    let mut text = HEADER.to_owned();
    for row in rows {
        // Writing to a text does not fail.
        let Some(server) = &row.server else { continue };
        let mut table = format!("[[server]]\nname = {}\n", quoted(&row.name));
        match server.port {
            Some(port) => table.push_str(&format!("port = {port}\n")),
            None => table.push_str("port = 0 # where it speaks MCP, or its guard listens\n"),
        }
        if let Some(unit) = &server.unit {
            let _ = writeln!(table, "unit = {}", quoted(unit.as_str()));
        }
        if let Some(url) = &server.upstream {
            let _ = writeln!(table, "upstream = {}", quoted(url));
        }
        table.push_str("mode = \"observe\"\n");
        let _ = writeln!(text, "\n# Found as: {}.", row.source.replace(char::is_control, " "));
        if row.written {
            text.push_str(&table);
        } else {
            for line in table.lines() {
                let _ = writeln!(text, "# {line}");
            }
        }
    }
    match ::server::config::parse(&text) {
        Ok(_) => Ok(text),
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            let message = format!(
                "what was found makes no sound configuration, nothing was written: {}",
                problems.join("; ")
            );
            Err(Failure::no(anyhow::anyhow!(message)))
        }
    }
}

/// The file beside, for whoever has a configuration already.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".new");
    PathBuf::from(name)
}

/// Writes a new file; one that is there is never touched.
///
/// # Errors
/// Where it is there, or cannot be written: then none is left.
pub(super) fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        // `serve` may run as another user than root: who may read the folder may read the file.
        let is_root = rustix::process::geteuid().is_root();
        let mode = if is_root { 0o640 } else { 0o600 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        let group = is_root.then(|| fs::metadata(folder).map(|folder| folder.gid())).transpose()?;
        let filled = std::os::unix::fs::fchown(&file, None, group)
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all());
        if filled.is_err() {
            let _ = fs::remove_file(path);
        }
        filled
    };
    write().with_context(|| format!("cannot write `{}`", path.display())).map_err(Failure::usage)
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
