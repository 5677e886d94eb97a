//! Owns whether a package manager is at work for a server: what it is, by the processes below it.
//!
//! A *runner* (`npx`, `uvx`, `pipx run`, `bunx`, …) installs a package and then starts it: it is at work while nothing
//! else runs below it. An *installer* (`npm install`, `pip install`, `uv sync`, …) and the scripts that npm runs for one
//! are at work for as long as they are there.

use std::collections::BTreeMap;
use std::path::Path;

use process::ProcessId;

use crate::tree::{self, Done, Process};

/// Programs that only run another one, whose first argument it is.
const INTERPRETERS: [&str; 8] = ["node", "nodejs", "sh", "bash", "dash", "env", "python", "python3"];
/// The scripts of a package that npm runs when it installs it.
const SCRIPTS: [&str; 5] = ["preinstall", "install", "postinstall", "prepare", "prepublish"];

/// What a look found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The package manager that is at work, as a person would call it.
    pub(crate) manager: Option<String>,
    /// How much each process has done.
    pub(crate) done: BTreeMap<ProcessId, Done>,
}

/// What a process is to an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Runner(String),
    Installer(String),
    Other,
}

/// Looks at the processes of a server. Blocks for some milliseconds.
pub(crate) fn look(proc_root: &Path, top: ProcessId) -> Look {
    let processes = tree::read(proc_root, top);
    let manager = at_work(&processes);
    Look { manager, done: processes.into_iter().map(|process| (process.id, process.done)).collect() }
}

/// The package manager that is at work among these, parents before their children.
fn at_work(processes: &[Process]) -> Option<String> {
    let parts: Vec<Part> = processes.iter().map(part).collect();
    let installer = parts.iter().find_map(|part| match part {
        Part::Installer(name) => Some(name.clone()),
        Part::Runner(_) | Part::Other => None,
    });
    installer.or_else(|| {
        let runner = parts.iter().rposition(|part| matches!(part, Part::Runner(_)))?;
        let Part::Runner(name) = &parts[runner] else { return None };
        // A runner that has started something has done its work, and waits for it.
        let pid = processes[runner].id.pid;
        (!processes.iter().any(|process| process.parent == pid)).then(|| name.clone())
    })
}

fn part(process: &Process) -> Part {
    if let Some(event) = process.lifecycle.as_deref().filter(|event| SCRIPTS.contains(event)) {
        return Part::Installer(format!("npm ({event} script)"));
    }
    let words: Vec<&str> = process.arguments.iter().map(|word| base_name(word)).collect();
    match words.as_slice() {
        [interpreter, rest @ ..] if is_interpreter(interpreter) => match rest {
            ["-m", module, rest @ ..] => classify(module, rest),
            [script, rest @ ..] => classify(script, rest),
            [] => Part::Other,
        },
        [program, rest @ ..] => classify(program, rest),
        [] => Part::Other,
    }
}

fn is_interpreter(name: &str) -> bool {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&name) || INTERPRETERS.contains(&plain)
}

fn classify(program: &str, rest: &[&str]) -> Part {
    let program = program.trim_end_matches(".js").trim_end_matches(".cjs").trim_end_matches("-cli");
    // Options may stand before the verb.
    let verbs: Vec<&str> = rest.iter().copied().filter(|word| !word.starts_with('-')).take(2).collect();
    let verb = verbs.first().copied().unwrap_or_default();
    let named = |words: &str| words.trim_end().to_owned();
    match (program, verb) {
        ("npx" | "uvx" | "bunx" | "pnpx", _) => Part::Runner(named(program)),
        ("npm" | "yarn" | "pnpm", "exec" | "x" | "dlx") | ("pipx", "run") | ("bun", "x") | ("uv", "run") => {
            Part::Runner(named(&format!("{program} {verb}")))
        }
        ("uv", "tool") if verbs.get(1).is_some_and(|second| matches!(*second, "run" | "uvx")) => {
            Part::Runner("uv tool run".to_owned())
        }
        ("npm" | "pnpm" | "yarn" | "bun", "install" | "i" | "ci" | "add")
        | ("pip" | "pip3" | "pipx", "install")
        | ("uv", "sync" | "pip" | "lock" | "add") => Part::Installer(format!("{program} {verb}")),
        ("node-gyp", _) => Part::Installer(named(program)),
        _ => Part::Other,
    }
}

fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use process::ProcessId;

    use super::at_work;
    use crate::tree::{Done, Process};

    /// `PID PARENT COMMAND`
    #[track_caller]
    fn check(lines: &[&str], expect: Option<&str>) {
        let process = |line: &&str| {
            let mut words = line.split(' ');
            let mut number = || words.next().unwrap().parse().unwrap();
            let (pid, parent) = (number(), number());
            let (lifecycle, arguments): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with("event="));
            Process {
                id: ProcessId { pid, start_ticks: 1 },
                parent,
                arguments: arguments.into_iter().map(str::to_owned).collect(),
                directory: None,
                lifecycle: lifecycle.first().map(|event| event.replace("event=", "")),
                done: Done::default(),
            }
        };
        let processes: Vec<Process> = lines.iter().map(process).collect();
        assert_eq!(at_work(&processes).as_deref(), expect, "{lines:?}");
    }

    #[test]
    fn who_is_at_work() {
        check(&["2 1 npm exec @a/b /x"], Some("npm exec"));
        check(&["2 1 node /usr/bin/npx -y @a/b /x"], Some("npx"));
        check(&["2 1 node /usr/share/nodejs/npm/bin/npx-cli.js -y @a/b"], Some("npx"));
        check(&["2 1 npm exec @a/b", "3 2 sh -c b", "4 3 node /c/.bin/b"], None);
        check(
            &["2 1 npm exec @a/b", "3 2 sh event=postinstall -c make", "4 3 make event=postinstall"],
            Some("npm (postinstall script)"),
        );
        check(&["2 1 npm exec @a/b", "3 2 sh event=npx -c b"], None);
        check(&["2 1 bash /t/npx -y b", "3 2 bash /t/npm install b", "4 3 sleep 1"], Some("npm install"));
        check(&["2 1 bash /t/npx -y b"], Some("npx"));
        check(&["2 1 /root/.local/bin/uvx mcp-server-time"], Some("uvx"));
        check(&["2 1 uv tool uvx mcp-server-time"], Some("uv tool run"));
        check(&["2 1 uv tool run x", "3 2 /c/bin/python /c/bin/x"], None);
        check(&["2 1 uv --quiet run server.py"], Some("uv run"));
        check(&["2 1 python3.11 -m pip install x", "3 2 git clone y"], Some("pip install"));
        check(&["2 1 python3.11 -m pipx run x"], Some("pipx run"));
        check(&["2 1 bun x @a/b"], Some("bun x"));
        check(&["2 1 sh -c server", "3 2 node index.js"], None);
        check(&["2 1 node /srv/install/index.js install"], None);
        check(&[], None);
    }
}
