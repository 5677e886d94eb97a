//! Owns the roles that the program plays for itself: lifeline, runner, and the demonstration's servers.

use std::path::Path;
use std::process::ExitCode;

use crate::context;
use crate::fail::{Code, Failure};

/// Plays the lifeline or the runner, if that is what the first word says.
pub(crate) fn small_role(role: &str, mut args: impl Iterator<Item = String>) -> Option<ExitCode> {
    match role {
        // lifeline --control-fd N -- COMMAND…
        "lifeline" => {
            let number = (args.next()? == "--control-fd").then(|| args.next())??.parse().ok()?;
            let command: Vec<String> = (args.next()? == "--").then(|| args.collect())?;
            Some(process::lifeline::run(number, &command))
        }
        // runner FOLDER
        "runner" => Some(runner::run(Path::new(&args.next()?))),
        _ => None,
    }
}

/// Plays one of the demonstration's servers.
pub(crate) fn demo_server(kind: drill::servers::Kind) -> Result<Code, Failure> {
    context::runtime()?.block_on(drill::servers::serve(kind)).map_err(Failure::no)?;
    Ok(Code::Done)
}
