//! Owns `paramedic rule`: what is wrong with rules, what they make of series, and taking alerts elsewhere.

mod check;
mod export;
mod past;
mod source;
mod test;

use crate::arguments::{Output, RuleCommand};
use crate::fail::{Code, Failure};

pub(super) fn run(command: RuleCommand, output: Output) -> Result<Code, Failure> {
    match command {
        RuleCommand::Check { files, strict } => check::run(&files, strict, output),
        RuleCommand::Test(arguments) if arguments.history.is_some() || arguments.from_file.is_some() => {
            past::run(&arguments, output)
        }
        RuleCommand::Test(arguments) => test::run(&arguments, output),
        RuleCommand::Export { files, format, engine, runbook_url, receiver } => {
            export::run(&files, (format, engine), runbook_url.as_deref(), &receiver)
        }
    }
}
