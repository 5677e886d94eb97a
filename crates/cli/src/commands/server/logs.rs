//! Owns `paramedic server logs`: what a server has said, wherever whoever started it keeps that.

mod journal;
pub(in crate::commands) mod text;

pub(in crate::commands) use journal::documents;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use logs::{Follower, Line, Wanted, tail};
use serde_json::Value;
use server::config::Config;
use systemd::UnitName;

use crate::arguments::{LogsArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// The time between two looks at a file that is followed: short for a reader, and no work for the machine.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Who keeps what a server says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum Keeper {
    /// Its guard, in a file of JSON lines.
    Guard(PathBuf),
    /// The journal of systemd.
    Unit(UnitName),
}

pub(in crate::commands) fn run(
    arguments: &LogsArguments,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    may_follow(arguments.follow, output)?;
    let (config, path) = context::load_or_default(config)?;
    let since_ms = arguments.since.map(|since| since.at_ms(server::now_ms()));
    match keeper(&config, &path, &arguments.name)? {
        Keeper::Guard(log) => file(arguments, &log, since_ms, output),
        Keeper::Unit(unit) => context::runtime()?.block_on(journal::show(arguments, &unit, since_ms, output)),
    }
}

/// Refuses what has no end in one JSON document.
pub(in crate::commands) fn may_follow(follow: bool, output: Output) -> Result<(), Failure> {
    if follow && output == Output::Json {
        let error = anyhow!("what goes on is never one JSON document; use `-o jsonl` with `--follow`");
        return Err(Failure::usage(error));
    }
    Ok(())
}

/// Finds out who keeps what a server says.
pub(in crate::commands) fn keeper(config: &Config, path: &Path, name: &str) -> Result<Keeper, Failure> {
    let log = config.log_dir.join(format!("{name}.log"));
    let Some(server) = config.server.iter().find(|server| server.name == name) else {
        // A name with a separator would lead elsewhere.
        if !name.contains('/') && log.is_file() {
            return Ok(Keeper::Guard(log));
        }
        return Err(Failure::no(anyhow!(
            "there is no server `{name}` in {}, and no client has started one: there is no log `{}`",
            path.display(),
            log.display()
        )));
    };
    match (&server.unit, &server.upstream) {
        (Some(unit), Some(_)) => Ok(Keeper::Unit(unit.clone())),
        // A unit without a guard of ours, or whose guard has its log elsewhere, speaks to the journal.
        (Some(unit), None) if !log.exists() => Ok(Keeper::Unit(unit.clone())),
        (None, Some(url)) if !server.guarded => Err(Failure::no(anyhow!(
            "`{name}` is an upstream ({url}): whoever started it has its log. Where it runs in a unit of systemd, name \
             that in {} (`unit = \"NAME.service\"`), and the unit's journal is shown",
            path.display()
        ))),
        _ => Ok(Keeper::Guard(log)),
    }
}

/// Shows a log file.
fn file(
    arguments: &LogsArguments,
    log: &Path,
    since_ms: Option<i64>,
    output: Output,
) -> Result<Code, Failure> {
    let fail = || format!("cannot read the log `{}`", log.display());
    let lines_max = usize::try_from(arguments.lines).unwrap_or(usize::MAX);
    let read = tail(log, Wanted { lines_max, since_ms }).with_context(fail).map_err(Failure::no)?;
    if !read.follower.is_there() && !arguments.follow {
        return Err(Failure::no(anyhow!(
            "`{}` has said nothing yet: there is no log `{}`; `paramedic server status {0}` says how it is",
            arguments.name,
            log.display()
        )));
    }
    let mut lines = read.lines;
    // What is being written is shown when it is whole, by whoever waits for that.
    lines.extend(read.unfinished.filter(|_| !arguments.follow && lines_max > 0));
    cut_note(read.is_cut && since_ms.is_some(), arguments);
    match output {
        Output::Json => show::json(&lines.iter().map(document).collect::<Vec<_>>()),
        _ => lines.iter().for_each(|line| print(line, output)),
    }
    if arguments.follow {
        follow(read.follower, output).with_context(fail).map_err(Failure::no)
    } else {
        Ok(Code::Done)
    }
}

/// Shows what comes, until the reader is gone or the program is ended.
fn follow(mut follower: Follower, output: Output) -> std::io::Result<Code> {
    loop {
        let lines = follower.poll()?;
        lines.iter().for_each(|line| print(line, output));
        if lines.is_empty() {
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Says that there was more, where somebody asked for all from a moment on.
fn cut_note(is_cut: bool, arguments: &LogsArguments) {
    if is_cut {
        anstream::eprintln!(
            "paramedic: there is more from before this; `--lines NUMBER` shows more than {}",
            arguments.lines
        );
    }
}

fn print(line: &Line, output: Output) {
    match output {
        Output::Table => show::line(&text::of_line(line)),
        Output::Json | Output::Jsonl => show::bytes(&line.bytes),
    }
}

/// A line as a document; one that is no JSON as what it says.
fn document(line: &Line) -> Value {
    match line.said() {
        Some(said) => Value::Object(said.fields),
        None => serde_json::json!({ "message": line.text() }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Keeper, keeper};

    #[test]
    fn who_keeps_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("paramedic.toml");
        let text = r#"
log_dir = "log"
[[server]]
name = "ours"
port = 7001
stdio = ["x"]
[[server]]
name = "guarded"
port = 7002
unit = "mcp-server@guarded.service"
[[server]]
name = "silent"
port = 7003
unit = "mcp-server@silent.service"
[[server]]
name = "foreign"
port = 7004
unit = "foreign.service"
upstream = "http://127.0.0.1:7004/mcp"
[[server]]
name = "elsewhere"
port = 7005
upstream = "http://127.0.0.1:7005/mcp"
"#;
        fs::write(&path, text).unwrap();
        let log = folder.path().join("log");
        fs::create_dir(&log).unwrap();
        for name in ["guarded", "foreign", "client", "elsewhere"] {
            fs::write(log.join(format!("{name}.log")), "").unwrap();
        }
        let config = server::config::load(&path, &server::config::Place::current()).unwrap();
        let guard = |name: &str| Ok(Keeper::Guard(log.join(format!("{name}.log"))));
        let unit = |name: &str| Ok(Keeper::Unit(name.parse().unwrap()));
        for (name, expect) in [
            ("ours", guard("ours")),
            ("guarded", guard("guarded")),
            ("silent", unit("mcp-server@silent.service")),
            ("foreign", unit("foreign.service")),
            ("client", guard("client")),
            ("elsewhere", Err("`unit = \"NAME.service\"`")),
            ("nobody", Err("no client has started one")),
            ("../log/client", Err("no client has started one")),
        ] {
            match (keeper(&config, &path, name), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{name}"),
                (Err(failure), Err(words)) => assert!(failure.to_string().contains(words), "{failure}"),
                (found, expect) => panic!("{name}: {found:?}, not {expect:?}"),
            }
        }
    }
}
