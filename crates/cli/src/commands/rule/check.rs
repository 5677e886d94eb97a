//! Owns `paramedic rule check`: every mistake with its place, and what to do about it.

use std::path::PathBuf;

use metrics::RuleProblem;
use serde::Serialize;

use super::source;
use crate::arguments::Output;
use crate::fail::{Code, Failure};
use crate::show;

#[derive(Serialize)]
struct Told {
    file: String,
    #[serde(flatten)]
    problem: RuleProblem,
}

pub(super) fn run(files: &[PathBuf], strict: bool, output: Output) -> Result<Code, Failure> {
    let (mut all, mut is_bad) = (Vec::new(), false);
    for file in files {
        let (groups, problems) = source::read(file)?;
        is_bad |= problems.iter().any(|problem| strict || problem.is_error());
        let name = file.display().to_string();
        if output == Output::Table {
            problems.iter().for_each(|problem| show::line(&format!("{name}:{problem}")));
            let n_rules: usize = groups.iter().map(|group| group.rules.len()).sum();
            let n_errors = problems.iter().filter(|problem| problem.is_error()).count();
            let n_warnings = problems.len() - n_errors;
            anstream::eprintln!(
                "{name}: {n_rules} rule(s) in {} group(s), {n_errors} error(s), {n_warnings} warning(s)",
                groups.len()
            );
        }
        all.extend(problems.into_iter().map(|problem| Told { file: name.clone(), problem }));
    }
    if output != Output::Table {
        show::rows(output, &all, &[], |_| Vec::new());
    }
    Ok(if is_bad { Code::No } else { Code::Done })
}
