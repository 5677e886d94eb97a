//! Owns the rule that a guard stays small: what must not be linked into it, however far away it is named.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::Problem;
use super::workspace::Workspace;

/// The engine, the database, the store of samples and D-Bus are for `serve`; a guard outlives it and runs by the dozen.
const FORBIDDEN: [&str; 6] = ["incident", "journal", "metrics", "sqlx", "sqlx-core", "zbus"];

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    let Some(guard) = workspace.crates.iter().find(|own| own.name == "guard") else { return Vec::new() };
    let linked = linked(&workspace.lock, "guard");
    let forbidden = FORBIDDEN.iter().filter(|name| linked.contains(**name));
    let problem = |name: &&str| {
        let message = format!(
            "`guard` links `{name}`: `cargo tree -p guard -i {name}` shows through whom; a guard has no engine and no database"
        );
        Problem::new(&guard.path, 1, message)
    };
    forbidden.map(problem).collect()
}

/// Everything below a package in the lock file, tests included.
fn linked(lock: &Table, package: &str) -> BTreeSet<String> {
    let packages = lock.get("package").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let Some(name) = package.get("name").and_then(Value::as_str) else { continue };
        let dependencies = package.get("dependencies").and_then(Value::as_array).map(Vec::as_slice);
        let names = dependencies.unwrap_or_default().iter().filter_map(Value::as_str);
        // `NAME VERSION` where two versions are there.
        uses.entry(name).or_default().extend(names.filter_map(|name| name.split(' ').next()));
    }
    let mut found = BTreeSet::new();
    let mut next = vec![package];
    while let Some(name) = next.pop() {
        for used in uses.get(name).into_iter().flatten().copied() {
            if found.insert(used.to_owned()) {
                next.push(used);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::check;

    fn messages(lock: &str) -> Vec<String> {
        let crates = Workspace::of_crates(&["[package]\nname = \"guard\"\n"]);
        let workspace = Workspace { lock: lock.parse().unwrap(), ..crates };
        check(&workspace).into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn a_database_is_found_however_far_away() {
        let lock = "[[package]]\nname = \"guard\"\ndependencies = [\"a 1.0.0\"]\n\
                    [[package]]\nname = \"a\"\ndependencies = [\"b\", \"guard\"]\n\
                    [[package]]\nname = \"b\"\ndependencies = [\"sqlx\"]\n\
                    [[package]]\nname = \"other\"\ndependencies = [\"journal\"]\n";
        let found = messages(lock);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("links `sqlx`"), "{found:?}");
    }

    #[test]
    fn a_small_guard_is_fine() {
        assert!(messages("[[package]]\nname = \"guard\"\ndependencies = [\"tokio\"]\n").is_empty());
        assert!(messages("").is_empty());
    }
}
