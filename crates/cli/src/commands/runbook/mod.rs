//! Owns `paramedic runbook`.

mod by_hand;
mod effects;
mod lint;
mod list;
mod new;
mod plan;
mod view;

use std::path::{Path, PathBuf};

use incident::Book;

use super::text;
use crate::arguments::{Output, RunbookCommand};
use crate::fail::{Code, Failure};

pub(super) fn run(command: RunbookCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    match command {
        RunbookCommand::List => list::run(config, output),
        RunbookCommand::Show { file, tree } => {
            view::show(&read(&file)?.runbook, tree, output);
            Ok(Code::Done)
        }
        RunbookCommand::Lint(arguments) => lint::run(&arguments, output),
        RunbookCommand::Plan { file, procedure, server, parameters } => {
            let values = parameters.into_iter().collect();
            plan::run(&file, procedure.as_deref(), server.as_deref(), values, config, output)
        }
        RunbookCommand::New { file } => new::run(&file),
        RunbookCommand::Effects { file, table } => effects::run(&file, table.as_deref(), output),
        RunbookCommand::Run { file, procedure, parameters, yes } => {
            let book = read(&file)?;
            let consent = if yes { by_hand::Consent::Always } else { by_hand::Consent::Ask };
            by_hand::run(&book, &procedure, parameters.into_iter().collect(), consent, config)
        }
    }
}

/// Reads a runbook; what is wrong in it goes to standard error.
fn read(path: &Path) -> Result<Book, Failure> {
    let bytes = text::read(path, "the runbook")?;
    let (book, diagnostics) = Book::parse(&path.to_string_lossy(), &bytes);
    for one in diagnostics {
        anstream::eprintln!("{}:{}:{}: {}", path.display(), one.line, one.column, one.message);
    }
    Ok(book)
}
