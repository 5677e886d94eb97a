//! Owns what the grammar of the command line says of itself: completions, manual pages, the reference in the documentation.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory as _};

use crate::arguments::Arguments;
use crate::fail::{Code, Failure};
use crate::show;

/// `paramedic completions`
pub(super) fn completions(shell: clap_complete::Shell) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "paramedic", &mut script);
    show::line(String::from_utf8_lossy(&script).trim_end());
    Ok(Code::Done)
}

/// `paramedic man`
pub(super) fn man(names: &[String], all: Option<&Path>) -> Result<Code, Failure> {
    let mut root = Arguments::command();
    root.build();
    if let Some(folder) = all {
        write_all(&root, folder).context("cannot write the manual pages").map_err(Failure::usage)?;
        return Ok(Code::Done);
    }
    let mut command = &root;
    for name in names {
        command = command
            .find_subcommand(name)
            .with_context(|| format!("`{}` has no command `{name}`", command.get_name()))
            .map_err(Failure::usage)?;
    }
    let page = page(command).context("cannot make the manual page").map_err(Failure::usage)?;
    show::line(String::from_utf8_lossy(&page).trim_end());
    Ok(Code::Done)
}

/// `paramedic reference`
pub(super) fn reference() -> Result<Code, Failure> {
    let mut root = Arguments::command().term_width(100_000);
    root.build();
    let mut out = String::from(
        "# Commands\n\nMade by `cargo xtask docs` from the command line itself; `./test` finds where they differ.\n",
    );
    describe(&root, "paramedic", &mut out);
    show::line(out.trim_end());
    Ok(Code::Done)
}

fn write_all(command: &Command, folder: &Path) -> io::Result<()> {
    std::fs::write(folder.join(format!("{}.1", display_name(command))), page(command)?)?;
    shown(command).try_for_each(|one| write_all(one, folder))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

fn display_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The commands below one, less those that are nobody's business.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help")
}

/// One section for each command, in the order of the help.
fn describe(command: &Command, name: &str, out: &mut String) {
    let about = text(command.get_long_about().or_else(|| command.get_about()));
    let _ = write!(out, "\n## `{name}`\n\n{}\n", sentence(&about));
    let is_root = name == "paramedic";
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|one| !one.is_hide_set() && !["help", "version"].contains(&one.get_id().as_str()))
        .filter(|one| is_root || !one.is_global_set())
        .collect();
    if !arguments.is_empty() {
        out.push_str("\n| argument | meaning |\n|---|---|\n");
    }
    for one in arguments {
        let _ = writeln!(out, "| `{}` | {} |", cell(&spelled(one)), cell(&meaning(one)));
    }
    for below in shown(command) {
        describe(below, &format!("{name} {}", below.get_name()), out);
    }
}

/// An argument as it is typed.
fn spelled(argument: &Arg) -> String {
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let values = if argument.get_action().takes_values() { values.join(" ") } else { String::new() };
    let names = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => return if argument.is_required_set() { values } else { format!("[{values}]") },
    };
    format!("{names} {values}").trim_end().to_owned()
}

/// What an argument means, its possible values and its default.
fn meaning(argument: &Arg) -> String {
    let mut meaning = text(argument.get_long_help().or_else(|| argument.get_help()));
    let named = argument.get_possible_values();
    let named: Vec<&str> = named.iter().filter(|one| !one.is_hide_set()).map(|one| one.get_name()).collect();
    if argument.get_action().takes_values() && !named.is_empty() {
        let _ = write!(meaning, " ({})", named.join(", "));
    }
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let defaults: Vec<_> = defaults.collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        let _ = write!(meaning, " [default: {}]", defaults.join(" "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(meaning, " [env: {}]", variable.to_string_lossy());
    }
    meaning
}

fn text(styled: Option<&StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) || text.is_empty() { text.to_owned() } else { format!("{text}.") }
}

/// A text in the cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
