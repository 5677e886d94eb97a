//! Owns `paramedic runbook`.

mod by_hand;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use incident::Book;

use crate::arguments::{Output, RunbookCommand};
use crate::fail::{Code, Failure};
use crate::show;

/// The largest runbook that is read, in bytes: what the parser takes.
const RUNBOOK_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn run(command: RunbookCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    match command {
        RunbookCommand::Show { file } => {
            let book = read(&file)?;
            match output {
                Output::Table => show::line(book.runbook.outline().trim_end()),
                Output::Json | Output::Jsonl => show::json(&*book.runbook),
            }
            Ok(Code::Done)
        }
        RunbookCommand::Run { file, procedure, parameters, yes } => {
            let book = read(&file)?;
            let consent = if yes { by_hand::Consent::Always } else { by_hand::Consent::Ask };
            by_hand::run(&book, &procedure, parameters.into_iter().collect(), consent, config)
        }
    }
}

/// Reads a runbook; what is wrong in it goes to standard error.
fn read(path: &Path) -> Result<Book, Failure> {
    let named = || format!("cannot read the runbook `{}`", path.display());
    let size = std::fs::metadata(path).with_context(named).map_err(Failure::usage)?.len();
    if size > RUNBOOK_BYTES_MAX {
        let reason = anyhow::anyhow!("it has {size} bytes, and {RUNBOOK_BYTES_MAX} are the most");
        return Err(Failure::usage(reason.context(named())));
    }
    let bytes = std::fs::read(path).with_context(named).map_err(Failure::usage)?;
    let (book, diagnostics) = Book::parse(&path.to_string_lossy(), &bytes);
    for one in diagnostics {
        anstream::eprintln!("{}:{}:{}: {}", path.display(), one.line, one.column, one.message);
    }
    Ok(book)
}
