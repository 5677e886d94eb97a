//! Owns `paramedic rule test` of files of tests, in promtool's format.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use metrics::{RuleGroup, RuleTestFailure, parse_rule_tests};
use serde::Serialize;
use server::matching_files;

use super::source;
use crate::arguments::{Output, RuleTestArguments};
use crate::commands::text;
use crate::fail::{Code, Failure};
use crate::show;

#[derive(Serialize)]
struct Told {
    file: String,
    #[serde(flatten)]
    failure: RuleTestFailure,
}

pub(super) fn run(arguments: &RuleTestArguments, output: Output) -> Result<Code, Failure> {
    if arguments.since.is_some() || arguments.until.is_some() {
        let message = "`--since` and `--until` belong to `--history` and `--from-file`";
        return Err(Failure::usage(anyhow::anyhow!(message)));
    }
    let mut all = Vec::new();
    for file in &arguments.files {
        let (n_tests, failures) = one(file)?;
        let name = file.display().to_string();
        if output == Output::Table {
            for failure in &failures {
                let place = if failure.line > 0 { format!(":{}", failure.line) } else { String::new() };
                show::line(&format!("{name}{place}: test {}: {}", failure.test, failure.what));
                failure.message.lines().for_each(|line| show::line(&format!("   {line}")));
            }
            match failures.len() {
                0 => anstream::eprintln!("{name}: {n_tests} test(s) hold"),
                failed => anstream::eprintln!("{name}: {failed} of {n_tests} test(s) do not hold"),
            }
        }
        all.extend(failures.into_iter().map(|failure| Told { file: name.clone(), failure }));
    }
    if output != Output::Table {
        show::rows(output, &all, &[], |_| Vec::new());
    }
    Ok(if all.is_empty() { Code::Done } else { Code::No })
}

/// Runs the tests of one file; says how many there are, and what does not hold.
fn one(file: &Path) -> Result<(usize, Vec<RuleTestFailure>), Failure> {
    let bytes = text::read(file, "the tests")?;
    let failed =
        |line, what: String, message: String| RuleTestFailure { test: "-".to_owned(), line, what, message };
    let tests = match parse_rule_tests(&String::from_utf8_lossy(&bytes)) {
        Ok(tests) => tests,
        Err(problems) => {
            let failures = problems.into_iter().map(|problem| {
                failed(problem.line, "the file cannot be used".to_owned(), problem.to_string())
            });
            return Ok((0, failures.collect()));
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let (mut groups, mut failures): (Vec<RuleGroup>, _) = (Vec::new(), Vec::new());
    for rules in rule_files(folder, &tests.rule_files)? {
        let (read, problems) = source::read(&rules)?;
        for problem in problems.iter().filter(|problem| problem.is_error()) {
            failures.push(failed(0, format!("the rules of {}", rules.display()), problem.to_string()));
        }
        groups.extend(read);
    }
    if failures.is_empty() {
        failures = tests.run(&groups);
    }
    Ok((tests.n_tests(), failures))
}

/// The files that a file of tests names, relative to its folder.
fn rule_files(folder: &Path, patterns: &[String]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for pattern in patterns {
        let path = folder.join(pattern);
        let found = matching_files(&path)
            .with_context(|| format!("cannot look for the rules `{}`", path.display()))
            .map_err(Failure::usage)?;
        let is_there = |file: &PathBuf| file.exists();
        if !found.iter().any(is_there) {
            anstream::eprintln!("paramedic: no file matches `{}`", path.display());
        }
        files.extend(found.into_iter().filter(is_there));
    }
    Ok(files)
}
