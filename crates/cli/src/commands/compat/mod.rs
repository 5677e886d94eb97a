//! Owns `paramedic compat`: stand-ins for the scripts that older runbooks call by path, written, removed and obeyed.

mod files;
mod flags;
mod page;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use serde::{Deserialize, Serialize};

use crate::arguments::{Arguments, CompatCommand, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;
use files::File;
pub(crate) use flags::Script;
use flags::Task;

/// What was written into a folder, beside it.
const RECORD: &str = ".paramedic-compat.json";

/// What was written, so that nothing else is ever removed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Whether the folder was made for it.
    made_folder: bool,
    /// The files, each with the sum of what was written (BLAKE3, in hexadecimal digits).
    files: BTreeMap<String, String>,
}

/// A line of what is shown.
#[derive(Serialize)]
struct Row {
    file: String,
    state: &'static str,
}

pub(super) fn run(command: CompatCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    match command {
        CompatCommand::Install { folder } => install(&folder, config.as_deref(), output),
        CompatCommand::Uninstall { folder } => uninstall(&folder, output),
        CompatCommand::Run { script, words } => obey(script, words, config),
    }
}

/// Does what a script was asked for.
fn obey(script: Script, words: Vec<OsString>, config: Option<PathBuf>) -> Result<Code, Failure> {
    // Help and what is wrong are told in the words of the script; 2 is what it ended with, too.
    let is_read = io::stdout().is_terminal();
    match flags::read(script, words, is_read).unwrap_or_else(|error| error.exit()) {
        Task::Command(words) => {
            let words = std::iter::once("paramedic".into()).chain(words);
            let mut arguments = Arguments::try_parse_from(words).map_err(Failure::usage)?;
            arguments.config = arguments.config.or(config);
            super::run(arguments)
        }
        Task::Page { port, config: named } => page::serve(port, named.or(config)),
        Task::LogDemo => {
            files::log_lines(::server::now_ms()).iter().for_each(|line| show::line(line));
            Ok(Code::Done)
        }
    }
}

fn install(folder: &Path, config: Option<&Path>, output: Output) -> Result<Code, Failure> {
    let config = config.map(std::path::absolute).transpose().map_err(Failure::usage)?;
    let files = files::all(&context::program()?, config.as_deref())?;
    let mut record = read(folder)?;
    let foreign = files.iter().filter(|file| {
        let now = sum(&folder.join(file.name)).ok().flatten();
        now.is_some() && now.as_ref() != record.files.get(file.name) && now != Some(file.sum())
    });
    let foreign: Vec<&str> = foreign.map(|file| file.name).collect();
    if !foreign.is_empty() {
        return Err(Failure::no(anyhow!(
            "{} in {} {} not of `paramedic compat install`, or changed since; move {} away first; nothing was written",
            foreign.join(", "),
            folder.display(),
            if foreign.len() == 1 { "is" } else { "are" },
            if foreign.len() == 1 { "it" } else { "them" },
        )));
    }
    if !folder.exists() {
        fs::create_dir_all(folder).with_context(|| named(folder)).map_err(Failure::no)?;
        record.made_folder = true;
    }
    // The record comes first: what is interrupted here can be taken back.
    record.files.extend(files.iter().map(|file| (file.name.to_owned(), file.sum())));
    let text = serde_json::to_vec_pretty(&record).map_err(Failure::no)?;
    put(&folder.join(RECORD), &text, 0o644)?;
    for File { name, content, mode } in &files {
        put(&folder.join(name), content.as_bytes(), *mode)?;
    }
    let row = |file: &File| Row { file: folder.join(file.name).display().to_string(), state: "written" };
    print(output, &files.iter().map(row).collect::<Vec<_>>());
    Ok(Code::Done)
}

fn uninstall(folder: &Path, output: Output) -> Result<Code, Failure> {
    if !folder.join(RECORD).exists() {
        return Err(Failure::no(anyhow!("nothing was installed into {}", folder.display())));
    }
    let mut record = read(folder)?;
    let mut rows = Vec::new();
    for (name, written) in std::mem::take(&mut record.files) {
        let path = folder.join(&name);
        let state = match sum(&path).with_context(|| named(&path)).map_err(Failure::no)? {
            None => "was gone",
            Some(now) if now != written => {
                record.files.insert(name, written);
                "stays: it was changed"
            }
            Some(_) => {
                fs::remove_file(&path).with_context(|| named(&path)).map_err(Failure::no)?;
                "removed"
            }
        };
        rows.push(Row { file: path.display().to_string(), state });
    }
    if record.files.is_empty() {
        let path = folder.join(RECORD);
        fs::remove_file(&path).with_context(|| named(&path)).map_err(Failure::no)?;
        if record.made_folder && fs::remove_dir(folder).is_ok() {
            rows.push(Row { file: folder.display().to_string(), state: "removed" });
        }
    }
    print(output, &rows);
    Ok(if record.files.is_empty() { Code::Done } else { Code::No })
}

fn print(output: Output, rows: &[Row]) {
    show::rows(output, rows, &["file", "state"], |row| vec![row.file.clone(), row.state.to_owned()]);
}

fn read(folder: &Path) -> Result<Record, Failure> {
    let path = folder.join(RECORD);
    match fs::read(&path) {
        Ok(text) => {
            let record: Record =
                serde_json::from_slice(&text).with_context(|| named(&path)).map_err(Failure::no)?;
            match record.files.keys().find(|name| !files::NAMES.contains(&name.as_str())) {
                // A forged record must not make us remove what is not ours.
                Some(name) => {
                    Err(Failure::no(anyhow!("{} names `{name}`, which is none of ours", path.display())))
                }
                None => Ok(record),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(Failure::no(anyhow::Error::new(error).context(named(&path)))),
    }
}

/// The sum of a file, if it is there. A link counts as what it is: something of somebody else.
fn sum(path: &Path) -> io::Result<Option<String>> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Some(files::sum(&fs::read(path)?))),
        Ok(_) => Ok(Some("no file".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file whole, or not at all.
fn put(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(name);
    let written = (|| {
        let mut file = fs::File::create_new(&beside)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    written.with_context(|| named(path)).map_err(|error| {
        let _ = fs::remove_file(&beside);
        Failure::no(error)
    })
}

fn named(path: &Path) -> String {
    format!("`{}`", path.display())
}
