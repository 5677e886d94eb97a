//! Owns the rules for manifests: every crate takes the lints of the workspace, and has one test binary at most.

use std::collections::BTreeSet;

use toml::Value;

use super::Problem;
use super::workspace::{Crate, Workspace};

pub(super) fn check_lints(workspace: &Workspace) -> Vec<Problem> {
    let without = workspace.crates.iter().filter(|own| {
        let taken = own.manifest.get("lints").and_then(|lints| lints.get("workspace"));
        taken.and_then(Value::as_bool) != Some(true)
    });
    let message = "the lints of the workspace are not taken: add `[lints]` with `workspace = true`";
    without.map(|own| Problem::new(&own.path, own.line_of("[lints"), message)).collect()
}

/// Each binary is linked on its own, which takes longer than compiling it.
pub(super) fn check_test_binaries(workspace: &Workspace) -> Vec<Problem> {
    let binaries = workspace.crates.iter().map(|own| (own, test_binaries(workspace, own)));
    let many = binaries.filter(|(_, binaries)| binaries.len() > 1);
    many.map(|(own, binaries)| {
        let names = binaries.into_iter().collect::<Vec<_>>().join("`, `");
        let message = format!("the test binaries `{names}`: make them modules of one, `tests/it/main.rs`");
        Problem::new(&own.path, own.line_of("[[test]]"), message)
    })
    .collect()
}

/// The paths of their main files: those that cargo finds by itself, and those that the manifest names.
fn test_binaries(workspace: &Workspace, own: &Crate) -> BTreeSet<String> {
    let folder = own.path.trim_end_matches("Cargo.toml");
    let found = workspace.rust().filter_map(|file| {
        let below = file.path.strip_prefix(folder)?.strip_prefix("tests/")?;
        let is_main = matches!(below.split('/').collect::<Vec<_>>()[..], [_] | [_, "main.rs"]);
        is_main.then(|| format!("tests/{below}"))
    });
    let automatic = own.manifest.get("package").and_then(|package| package.get("autotests"));
    let found = found.filter(|_| automatic.and_then(Value::as_bool) != Some(false));
    let named = own.manifest.get("test").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let named = named.iter().filter_map(|test| Some(test.get("path")?.as_str()?.to_owned()));
    found.chain(named).collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::{Crate, File, Workspace};
    use super::{check_lints, check_test_binaries};

    #[test]
    fn lints_are_taken() {
        let taken = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";
        let own = "[package]\nname = \"a\"\n[lints.rust]\nunused = \"allow\"\n";
        let none = "[package]\nname = \"a\"\n";
        let problems = check_lints(&Workspace::of_crates(&[taken, own, none]));
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 1]);
    }

    #[track_caller]
    fn binaries(manifest: &str, paths: &[&str], fine: bool) {
        let manifest = format!("[package]\nname = \"a\"\n{manifest}");
        let workspace = Workspace {
            files: paths.iter().map(|path| File { path: (*path).to_owned(), text: String::new() }).collect(),
            crates: vec![Crate::parse("crates/a/Cargo.toml", &manifest).unwrap()],
            ..Workspace::default()
        };
        assert_eq!(check_test_binaries(&workspace).is_empty(), fine, "{paths:?}");
    }

    #[test]
    fn one_binary_at_most() {
        binaries("", &["crates/a/tests/it/main.rs", "crates/a/tests/it/b.rs", "crates/b/tests/b.rs"], true);
        binaries("", &["crates/a/tests/it/main.rs", "crates/a/tests/b.rs"], false);
        binaries("", &["crates/a/tests/a.rs", "crates/a/tests/b.rs"], false);
        binaries("[[test]]\nname = \"it\"\nharness = false\n", &["crates/a/tests/it/main.rs"], true);
        binaries("[[test]]\npath = \"b.rs\"\n", &["crates/a/tests/it/main.rs"], false);
        binaries("autotests = false\n[[test]]\npath = \"b.rs\"\n", &["crates/a/tests/it/main.rs"], true);
    }
}
