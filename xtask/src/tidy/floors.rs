//! Owns the rule that the flow of data is the layout: which of our crates may use which.

use super::Problem;
use super::workspace::Workspace;

/// One of our crates: the floor it is on, and what it may use.
struct Room {
    name: &'static str,
    floor: u8,
    may_use: Uses,
}

/// What a crate may use of ours.
enum Uses {
    /// These only.
    Only(&'static [&'static str]),
    /// Everything below its own floor, without these.
    Below { without: &'static [&'static str] },
}

/// The whole house, also the rooms that are not built yet. `ARCHITECTURE.md` shows the same table.
const HOUSE: [Room; 27] = [
    Room { name: "checksum", floor: 1, may_use: Uses::Only(&[]) },
    Room { name: "diagnosis", floor: 1, may_use: Uses::Only(&[]) },
    Room { name: "process", floor: 1, may_use: Uses::Only(&[]) },
    Room { name: "metrics", floor: 1, may_use: Uses::Only(&[]) },
    Room { name: "journal", floor: 1, may_use: Uses::Only(&["checksum"]) },
    Room { name: "integrity", floor: 1, may_use: Uses::Only(&["checksum", "diagnosis", "process"]) },
    Room { name: "logs", floor: 1, may_use: Uses::Only(&["diagnosis", "process"]) },
    Room { name: "traces", floor: 1, may_use: Uses::Only(&[]) },
    Room { name: "threats", floor: 1, may_use: Uses::Only(&["checksum", "logs"]) },
    Room { name: "host", floor: 1, may_use: Uses::Only(&["diagnosis", "process"]) },
    Room { name: "systemd", floor: 1, may_use: Uses::Only(&["logs", "process"]) },
    Room { name: "runbook", floor: 2, may_use: Uses::Only(&["checksum", "metrics"]) },
    Room { name: "probe", floor: 2, may_use: Uses::Only(&["metrics", "diagnosis", "process", "traces"]) },
    Room {
        name: "guard",
        floor: 2,
        may_use: Uses::Only(&["checksum", "process", "diagnosis", "host", "logs", "threats", "traces"]),
    },
    Room { name: "runtimes", floor: 2, may_use: Uses::Only(&["diagnosis", "process", "host"]) },
    Room { name: "containment", floor: 2, may_use: Uses::Only(&["process", "host"]) },
    Room { name: "helper", floor: 2, may_use: Uses::Only(&["process", "host", "systemd", "containment"]) },
    Room { name: "runner", floor: 2, may_use: Uses::Only(&["process", "journal", "runbook"]) },
    Room { name: "evidence", floor: 2, may_use: Uses::Only(&["checksum", "process", "host", "logs"]) },
    Room { name: "intrusion", floor: 2, may_use: Uses::Only(&["checksum", "process", "host", "logs"]) },
    Room { name: "patches", floor: 2, may_use: Uses::Only(&["process"]) },
    Room { name: "incident", floor: 3, may_use: Uses::Below { without: &["guard"] } },
    Room {
        name: "web",
        floor: 4,
        may_use: Uses::Only(&["diagnosis", "metrics", "traces", "runbook", "incident"]),
    },
    Room { name: "server", floor: 5, may_use: Uses::Below { without: &["guard"] } },
    Room { name: "drill", floor: 6, may_use: Uses::Below { without: &[] } },
    Room { name: "cli", floor: 7, may_use: Uses::Below { without: &[] } },
    Room { name: "xtask", floor: 0, may_use: Uses::Only(&[]) },
];

// === impl Room ===

impl Room {
    fn of(name: &str) -> Option<&'static Self> {
        HOUSE.iter().find(|room| room.name == name)
    }

    fn allows(&self, other: &Self) -> bool {
        match self.may_use {
            Uses::Only(names) => names.contains(&other.name),
            Uses::Below { without } => {
                (1..self.floor).contains(&other.floor) && !without.contains(&other.name)
            }
        }
    }
}

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    let mut problems = Vec::new();
    for own in &workspace.crates {
        let Some(room) = Room::of(&own.name) else {
            let message =
                format!("`{}` has no place in the table: give it one in xtask/src/tidy/floors.rs", own.name);
            problems.push(Problem::new(&own.path, own.line_of("name"), message));
            continue;
        };
        for used in own.dependencies().filter_map(Room::of).filter(|used| !room.allows(used)) {
            let message = format!(
                "`{}` may not use `{}`: move what is shared to a lower floor, or pass it in from above",
                own.name, used.name
            );
            problems.push(Problem::new(&own.path, own.line_of(used.name), message));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::check;

    fn manifest(name: &str, tables: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{tables}")
    }

    #[track_caller]
    fn allowed(name: &str, used: &str, expect: bool) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let text = manifest(name, &format!("[{kind}]\nserde = \"1\"\n{used}.workspace = true\n"));
            let problems = check(&Workspace::of_crates(&[&text]));
            assert_eq!(problems.is_empty(), expect, "{name} uses {used}: {problems:?}");
            assert!(problems.iter().all(|problem| problem.line == 5), "{problems:?}");
        }
    }

    #[test]
    fn a_crate_uses_what_is_below_it() {
        for (name, used) in [
            ("cli", "drill"),
            ("drill", "guard"),
            ("server", "incident"),
            ("server", "web"),
            ("web", "incident"),
            ("incident", "runner"),
            ("runner", "runbook"),
            ("guard", "host"),
            ("runbook", "metrics"),
            ("host", "process"),
            ("server", "systemd"),
            ("logs", "diagnosis"),
        ] {
            allowed(name, used, true);
            allowed(used, name, false);
        }
    }

    #[test]
    fn the_exceptions() {
        for (name, used) in [
            ("incident", "guard"),
            ("server", "guard"),
            ("web", "journal"),
            ("guard", "journal"),
            ("guard", "metrics"),
            ("guard", "systemd"),
            ("probe", "host"),
            ("host", "metrics"),
            ("incident", "xtask"),
            ("process", "diagnosis"),
            ("server", "server"),
        ] {
            allowed(name, used, false);
        }
    }

    #[test]
    fn every_crate_has_a_place() {
        let problems = check(&Workspace::of_crates(&[&manifest("utils", "")]));
        assert_eq!(problems[0].line, 2);
        assert!(problems[0].message.contains("no place"), "{problems:?}");
    }
}
