//! Owns what a developer runs: `cargo xtask tidy`, `cargo xtask licences`, `cargo xtask docs`, `cargo xtask pictures`, `cargo xtask
//! promqltest`.

mod licences;
mod pictures;
mod tidy;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use anyhow::Context;

const USAGE: &str = "usage: cargo xtask tidy    checks the rules of this workspace that no compiler checks
       cargo xtask licences
                           checks licences and sources of all that is built in, as deny.toml says
       cargo xtask docs    writes docs/commands.md and docs/openapi.json anew, from the program itself
       cargo xtask pictures
                           makes docs/pictures anew, of the screenshots of the tests in a browser
       cargo xtask promqltest DIR
                           runs the PromQL cases of the files DIR/*.test, and says which do not hold";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tidy"] => run_tidy(),
        ["licences"] => check_licences(),
        ["docs"] => write_docs(),
        ["pictures"] => pictures::make(root()?, now()),
        ["promqltest", folder] => run_promqltest(folder),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("`xtask` has no folder above it")
}

#[expect(clippy::disallowed_methods, reason = "a screenshot is as old as its file says")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn run_tidy() -> anyhow::Result<ExitCode> {
    let problems = tidy::check(root()?)?;
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(ExitCode::SUCCESS),
        count => {
            eprintln!("tidy: {count} {}", if count == 1 { "problem" } else { "problems" });
            Ok(ExitCode::FAILURE)
        }
    }
}

fn check_licences() -> anyhow::Result<ExitCode> {
    let (problems, n_crates) = licences::check(root()?)?;
    for problem in &problems {
        println!("{problem}");
    }
    println!("{n_crates} crates, {} problems", problems.len());
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The runner belongs to the crate whose tests it is; here are no crates of the product.
fn run_promqltest(folder: &str) -> anyhow::Result<ExitCode> {
    let run = ["run", "--quiet", "-p", "metrics", "--example", "promqltest", "--", folder];
    let status = Command::new(env!("CARGO")).args(run).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The tests that hold the pages to the program write them as well.
fn write_docs() -> anyhow::Result<ExitCode> {
    let tests: [&[&str]; 2] = [
        &["-p", "server", "--lib", "the_description_in_the_documentation"],
        &["-p", "cli", "--test", "product", "the_reference_in_the_documentation"],
    ];
    for test in tests {
        let mut cargo = Command::new(env!("CARGO"));
        let status = cargo.args(["test", "--quiet"]).args(test).env("UPDATE_EXPECT", "1").status()?;
        if !status.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
