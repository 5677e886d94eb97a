//! Owns the question whether everything that is built in may be shipped and comes from where it should: what `cargo deny check bans
//! licenses sources` asks, of the same lists in `deny.toml`, for where that is not installed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// What `deny.toml` allows.
#[derive(Debug, Deserialize)]
struct Lists {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
    allow_git: BTreeSet<String>,
}

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// None for what is found by path.
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
}

/// What may not be shipped, each with its name and why; and how many crates there are.
///
/// # Errors
/// When `deny.toml` or what `cargo metadata` says cannot be read.
pub(crate) fn check(root: &Path) -> anyhow::Result<(BTreeSet<String>, usize)> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("`deny.toml` cannot be read")?;
    let lists: Lists = toml::from_str(&text).context("`deny.toml`")?;
    let (mut problems, mut names) = (BTreeSet::new(), BTreeSet::new());
    for target in &lists.graph.targets {
        let metadata = metadata(root, target)?;
        let used: BTreeSet<&str> = metadata.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
        for package in metadata.packages.iter().filter(|package| used.contains(package.id.as_str())) {
            names.insert(package.id.clone());
            problems.extend(problems_of(package, &lists));
        }
    }
    Ok((problems, names.len()))
}

fn metadata(root: &Path, target: &str) -> anyhow::Result<Metadata> {
    let arguments = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", target];
    let said =
        Command::new("cargo").args(arguments).current_dir(root).output().context("`cargo metadata`")?;
    ensure!(said.status.success(), "`cargo metadata`: {}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).context("what `cargo metadata` says")
}

fn problems_of(package: &Package, lists: &Lists) -> Vec<String> {
    let name = format!("{} {}", package.name, package.version);
    let mut problems = Vec::new();
    match package.license.as_deref().map(|license| is_allowed(license, &lists.licenses.allow)) {
        Some(Ok(true)) => {}
        Some(Ok(false)) => {
            let license = package.license.as_deref().unwrap_or_default();
            problems.push(format!("{name}: its licence `{license}` is not allowed by `deny.toml`"));
        }
        Some(Err(error)) => problems.push(format!("{name}: {error}")),
        None => problems.push(format!("{name}: it names no licence")),
    }
    if let Some(banned) = lists.bans.deny.iter().find(|banned| banned.name == package.name) {
        problems.push(format!("{name}: it is not to be used: {}", banned.reason));
    }
    let is_known =
        match package.source.as_deref().map(|source| source.split_once('+').unwrap_or(("", source))) {
            None => true,
            Some(("registry" | "sparse", from)) => lists.sources.allow_registry.contains(from),
            Some((_, from)) => lists.sources.allow_git.contains(from),
        };
    if !is_known {
        let source = package.source.as_deref().unwrap_or_default();
        problems.push(format!("{name}: it comes from `{source}`, which `deny.toml` does not allow"));
    }
    problems
}

/// Whether an expression of SPDX can be kept with these licences: <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions>.
/// `/` is how crates wrote `OR` once.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> anyhow::Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let answer = any_of(&mut rest, allowed).with_context(|| format!("its licence `{expression}`"))?;
    ensure!(rest.is_empty(), "its licence `{expression}` ends before `{}`", rest.join(" "));
    Ok(answer)
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> anyhow::Result<bool> {
    let mut answer = all_of(words, allowed)?;
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        answer |= all_of(words, allowed)?;
    }
    Ok(answer)
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> anyhow::Result<bool> {
    let mut answer = one(words, allowed)?;
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        answer &= one(words, allowed)?;
    }
    Ok(answer)
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> anyhow::Result<bool> {
    match **words {
        ["(", ref rest @ ..] => {
            *words = rest;
            let answer = any_of(words, allowed)?;
            let [")", rest @ ..] = *words else { bail!("a parenthesis is not closed") };
            *words = rest;
            Ok(answer)
        }
        [license, "WITH", exception, ref rest @ ..] => {
            *words = rest;
            Ok(allowed.contains(&format!("{license} WITH {exception}")))
        }
        ["OR" | "AND" | "WITH" | ")", ..] | [] => bail!("a licence is missing"),
        [license, ref rest @ ..] => {
            *words = rest;
            Ok(allowed.contains(license))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lists, Package, is_allowed, problems_of};

    #[track_caller]
    fn check(expression: &str, expected: Option<bool>) {
        let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
        assert_eq!(is_allowed(expression, &allowed).ok(), expected, "{expression}");
    }

    #[test]
    fn expressions_are_read_as_they_are_meant() {
        check("MIT", Some(true));
        check("GPL-3.0-only", Some(false));
        check("MIT OR GPL-3.0-only", Some(true));
        check("MIT/Apache-2.0", Some(true));
        check("MIT AND GPL-3.0-only", Some(false));
        check("(GPL-3.0-only OR MIT) AND Zlib", Some(true));
        check("GPL-3.0-only OR MIT AND Zlib", Some(true));
        check("(MIT OR Zlib) AND GPL-3.0-only", Some(false));
        check("Apache-2.0 WITH LLVM-exception", Some(true));
        check("Apache-2.0", Some(false));
        check("MIT WITH LLVM-exception", Some(false));
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT Zlib", "AND MIT", "MIT WITH"] {
            check(broken, None);
        }
    }

    #[test]
    fn what_may_not_be_shipped_is_named() {
        let lists: Lists = toml::from_str(
            "[graph]\ntargets = []\n[licenses]\nallow = [\"MIT\"]\n\
             [bans]\ndeny = [{ crate = \"bad\", reason = \"it is\" }]\n\
             [sources]\nallow-registry = [\"https://registry.example\"]\nallow-git = []\n",
        )
        .unwrap();
        let package = |name: &str, license: Option<&str>, source: Option<&str>| Package {
            id: String::new(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        let registry = Some("registry+https://registry.example");
        for (package, expected) in [
            (package("good", Some("MIT"), registry), ""),
            (package("own", Some("MIT"), None), ""),
            (package("bad", Some("MIT"), registry), "not to be used: it is"),
            (package("other", Some("GPL-3.0-only"), registry), "`GPL-3.0-only` is not allowed"),
            (package("none", None, registry), "names no licence"),
            (package("far", Some("MIT"), Some("registry+https://other.example")), "comes from"),
            (package("git", Some("MIT"), Some("git+https://registry.example")), "comes from"),
        ] {
            let problems = problems_of(&package, &lists);
            assert_eq!(problems.is_empty(), expected.is_empty(), "{problems:?}");
            assert!(problems.iter().all(|problem| problem.contains(expected)), "{problems:?}");
        }
    }
}
