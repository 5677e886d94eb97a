//! Owns the words of `paramedic server tune` and `paramedic host tune`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A mebibyte and its neighbours, by the letter that stands for them.
const UNITS: [(&str, u64); 4] = [("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];

#[derive(Debug, Clone, Args)]
pub(crate) struct TuneArguments {
    /// The server
    pub(crate) name: String,
    /// The largest heap of its runtime (Node.js or a Java machine), for example 384MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) heap: Option<u64>,
    /// The memory of the server and all that it starts, by a control group
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_limit: Option<u64>,
    /// The memory from which on it is slowed down (of a unit of systemd)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_high: Option<u64>,
    /// How much of one processor it gets, in percent (of a unit of systemd)
    #[arg(long, value_name = "PERCENT")]
    pub(crate) cpu_quota: Option<u32>,
    /// How many processes and threads it may have (of a unit of systemd)
    #[arg(long, value_name = "NUMBER")]
    pub(crate) tasks: Option<u32>,
    /// How many descriptors it may have open
    #[arg(long, value_name = "NUMBER")]
    pub(crate) open_files: Option<u64>,
    /// A variable of its environment
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) environment: Vec<(String, String)>,
    /// One more argument, behind those of its command
    #[arg(long = "argument", value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
    /// Take something out again: heap, memory-limit, memory-high, cpu-quota, tasks, open-files, arguments, or the name of
    /// a variable
    #[arg(long, value_name = "WHAT")]
    pub(crate) unset: Vec<String>,
    /// Put back what the last change has changed; in a step of `incident undo`, the change that it is about
    #[arg(long, conflicts_with_all = ["heap", "memory_limit", "memory_high", "cpu_quota", "tasks", "open_files", "environment", "arguments", "unset"])]
    pub(crate) undo: bool,
    /// Restart the server afterwards, where something was changed
    #[arg(long)]
    pub(crate) restart: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReclaimArguments {
    /// Delete what may go; alone it only shows that
    #[arg(long)]
    pub(crate) apply: bool,
    /// Compress the rotated logs of servers that may go, and delete nothing: `paramedic logs` reads them as before
    #[arg(long, conflicts_with = "apply")]
    pub(crate) compress: bool,
    /// Leave what is younger; each place has an age of its own below which nothing goes, and a day is the least
    #[arg(long, value_name = "LENGTH", value_parser = super::duration)]
    pub(crate) older_than: Option<std::time::Duration>,
    /// In place of / (for tests)
    #[arg(long, hide = true, default_value = "/")]
    pub(crate) root: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// Say what may be deleted where a disk is full: rotated logs of servers, caches of package managers; never evidence,
    /// and nothing that is open
    Reclaim(ReclaimArguments),
    /// Set a parameter of the kernel, now and for the next start of the machine
    Tune {
        /// The parameter and its value, for example vm.swappiness=10; with --undo only the parameter
        #[arg(value_name = "KEY=VALUE")]
        setting: String,
        /// Put back the value that was there before
        #[arg(long)]
        undo: bool,
        /// In place of / (for tests)
        #[arg(long, hide = true, default_value = "/")]
        root: PathBuf,
    },
}

/// A number of bytes: 512MiB, 512M, 1GiB, or plain bytes.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no size; write it as 512MiB or 1GiB");
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim().to_uppercase();
    let unit = unit.strip_suffix("IB").unwrap_or(&unit);
    let factor = match unit {
        "" | "B" => 1,
        unit => UNITS.iter().find(|(letter, _)| *letter == unit).ok_or_else(wrong)?.1,
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=VALUE"))?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|letter: char| letter.is_ascii_digit())
    {
        return Err(format!("`{name}` is no name of a variable"));
    }
    if value.contains(char::is_control) {
        return Err(format!("the value of `{name}` has control characters"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_variables() {
        for (text, expect) in [
            ("512MiB", Some(512 << 20)),
            ("512M", Some(512 << 20)),
            ("1gib", Some(1 << 30)),
            ("4096", Some(4096)),
            ("0", None),
            ("0MiB", None),
            ("-1", None),
            ("1.5GiB", None),
            ("12parsecs", None),
            ("", None),
            ("99999999999999999999", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(size(text).ok(), expect, "{text}");
        }
        assert_eq!(variable("A_1=x=y"), Ok(("A_1".to_owned(), "x=y".to_owned())));
        for text in ["A", "=x", "1A=x", "A B=x", "A=x\ny"] {
            assert!(variable(text).is_err(), "{text}");
        }
    }
}
