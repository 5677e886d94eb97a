//! Owns the one binary `paramedic`: roles that must be small first, then the command line.

mod arguments;
mod commands;
mod context;
mod fail;
mod findings;
mod hand;
mod plot;
mod progress;
mod reading;
#[cfg(test)]
mod shipped;
mod show;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    // The lifeline and the runner stand beside every server and every step: they start and stay small, and so
    // come before the command line is parsed or a runtime is made.
    let mut args = std::env::args();
    if let Some(code) = args.nth(1).and_then(|role| commands::roles::small_role(&role, args)) {
        return code;
    }
    let arguments = Arguments::parse();
    match commands::run(arguments) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(),
    }
}
