//! Owns `paramedic host tune`: one parameter of the kernel, now and, by a file of `sysctl.d`, for the next start.

use std::path::{Path, PathBuf};

use helper::{HEADER, PARAMETERS_FILE, is_same, with_line};
use incident::change::{Change, What, read_place};

use super::{Hand, Subject, failure, nonsense};
use crate::arguments::{HostCommand, Output};
use crate::commands::reclaim;
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// The longest value of a parameter, in bytes.
const VALUE_BYTES_MAX: usize = 256;

pub(in crate::commands) fn host(
    command: HostCommand,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (setting, undo, root) = match command {
        HostCommand::Tune { setting, undo, root } => (setting, undo, root),
        HostCommand::Reclaim(arguments) => return reclaim::run(&arguments, named, output),
    };
    let (key, value) = match (setting.split_once('='), undo) {
        (None, true) => (setting.as_str(), None),
        (Some((key, value)), false) => (key, Some(value)),
        _ => {
            return Err(Failure::usage(anyhow::anyhow!(
                "`{setting}` is not KEY=VALUE; with --undo it is KEY alone"
            )));
        }
    };
    let (key, kernel) = parameter(&root, key.trim())?;
    let drop_in = root.join(PARAMETERS_FILE);
    let client = context::client(named.clone())?;
    let (config, _) = context::load_or_default(named)?;
    let places = places(&root, &key)?;
    let hand = Hand::of_parameter(&root);
    let subject = Subject { config: &config, client: &client, server: None, name: &key, places, hand };
    let runtime = context::runtime()?;
    let Some(value) = value else {
        runtime.block_on(subject.undo(output))?;
        return Ok(Code::Done);
    };
    let now = read_place(&kernel).map_err(failure)?.unwrap_or_default();
    let value = accepted(&key, &now, value)?;
    // What is so already is left as it is written.
    let live = if is_same(&now, &value) { now } else { value.clone() + "\n" };
    let file = read_place(&drop_in).map_err(failure)?;
    let wanted = [(kernel.clone(), Some(live)), (drop_in, Some(with_line(file.as_deref(), &key, &value)))];
    let Some(change) = Change::plan(What::KernelParameter, &key, wanted).map_err(failure)? else {
        show::line(&format!("{key}: nothing to do, it is {value} already"));
        return Ok(Code::Done);
    };
    runtime.block_on(subject.carry_out(&change, output))?;
    if matches!(subject.hand, Hand::Files) {
        check_taken(&change, &kernel, &key, &value)?;
    }
    Ok(Code::Done)
}

/// The kernel may make something else of a value: then all is put back.
fn check_taken(change: &Change, kernel: &Path, key: &str, value: &str) -> Result<(), Failure> {
    let made = read_place(kernel).map_err(failure)?.unwrap_or_default();
    let mut change = change.clone();
    let Some(place) = change.places.iter_mut().find(|place| place.path == kernel) else { return Ok(()) };
    if is_same(&made, value) {
        return Ok(());
    }
    place.new = Some(made.clone());
    change.reversed(None).make().map_err(failure)?;
    Err(nonsense(format!("the kernel made `{}` of `{key}={value}`; it is put back", made.trim_end())))
}

/// The files that a change of this parameter may be about, below `root`.
///
/// # Errors
/// Where this kernel has no such parameter.
pub(in crate::commands) fn places(root: &Path, key: &str) -> Result<Vec<PathBuf>, Failure> {
    Ok(vec![parameter(root, key)?.1, root.join(PARAMETERS_FILE)])
}

/// What is left in the file of our settings: their values before are not known.
pub(in crate::commands) fn leftover(root: &Path) -> Result<Option<Change>, Failure> {
    let path = root.join(PARAMETERS_FILE);
    let is_ours = read_place(&path).map_err(failure)?.is_some_and(|text| text.starts_with(HEADER));
    if !is_ours {
        return Ok(None);
    }
    Change::plan(What::KernelParameter, "sysctl.d", [(path, None)]).map_err(failure)
}

fn parameter(root: &Path, key: &str) -> Result<(String, PathBuf), Failure> {
    helper::parameter(root, key).ok_or_else(|| nonsense(format!("`{key}` is no parameter of this kernel")))
}

/// The value as the kernel is told it: as many numbers as there are now, or one word as there is now.
fn accepted(key: &str, now: &str, value: &str) -> Result<String, Failure> {
    let refuse = |why: &str| Err(nonsense(format!("`{value}` is no value for `{key}`: {why}")));
    if value.trim().is_empty() || value.len() > VALUE_BYTES_MAX || value.contains(char::is_control) {
        return refuse("it is empty, too long, or has control characters");
    }
    let fields = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (now_fields, new_fields) = (fields(now), fields(value));
    let numbers = |fields: &[String]| {
        fields.iter().all(|field| field.parse::<i64>().is_ok() || field.parse::<u64>().is_ok())
    };
    if !now_fields.is_empty() && numbers(&now_fields) {
        if !numbers(&new_fields) {
            return refuse(&format!("it is a number now, {}", now.trim()));
        }
        if now_fields.len() != new_fields.len() {
            return refuse(&format!(
                "{} numbers belong there, now {}",
                now_fields.len(),
                now_fields.join(" ")
            ));
        }
        return Ok(new_fields.join(if now.trim().contains('\t') { "\t" } else { " " }));
    }
    // Some name a program that the kernel runs as root.
    if now.contains(['/', '|']) || value.contains(['/', '|']) {
        return refuse("it names a file or a program, and that is for a person");
    }
    if new_fields.len() != 1 {
        return refuse("one word belongs there");
    }
    Ok(new_fields.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        for (now, value, expect) in [
            ("60\n", "10", Ok("10")),
            ("60\n", "ten", Err("it is a number now, 60")),
            ("60\n", "1 2", Err("1 numbers belong there, now 60")),
            ("4096\t16384\t4194304\n", " 4096 8192  4194304", Ok("4096\t8192\t4194304")),
            ("cubic\n", "bbr", Ok("bbr")),
            ("cubic\n", "a b", Err("one word belongs there")),
            ("core\n", "|/bin/sh", Err("it names a file or a program")),
            ("/sbin/modprobe\n", "x", Err("it names a file or a program")),
            ("18446744073709551615\n", "9", Ok("9")),
            ("60\n", "", Err("it is empty")),
            ("60\n", "1\n2", Err("control characters")),
        ] {
            match (accepted("a.b", now, value), expect) {
                (Ok(accepted), Ok(expect)) => assert_eq!(accepted, expect),
                (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
                (got, expect) => panic!("{value}: {got:?}, not {expect:?}"),
            }
        }
    }
}
