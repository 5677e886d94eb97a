//! Owns the reading of rule files: which files are meant, who may have written them, and what is wrong in them.

use std::io;
use std::path::{Component, Path, PathBuf};

use incident::error_chain;
use metrics::{Query, RuleGroup, RuleProblem, parse_rules};
use runbook::Runbook;

use super::rule;
use crate::config::Config;
use crate::trust::Trust;

/// How many files a pattern may name.
const FILES_MAX: usize = 10_000;

/// Reads the rule files of a configuration. Returns their groups, and what of them is not used, and why.
///
/// A file with a mistake is not used at all, as in Prometheus.
pub(crate) fn groups(config: &Config) -> (Vec<RuleGroup>, Vec<String>) {
    let trust = Trust::of(config);
    let (mut groups, mut unused) = (Vec::new(), Vec::new());
    for pattern in &config.rules.files {
        let files = match matching_files(pattern) {
            Ok(files) if files.is_empty() => {
                unused.push(format!("no rule file matches `{}`", pattern.display()));
                continue;
            }
            Ok(files) => files,
            Err(error) => {
                unused.push(format!("rule files `{}` cannot be looked for: {error}", pattern.display()));
                continue;
            }
        };
        for file in files {
            match read(&trust, &file) {
                Ok(read) => groups.extend(read),
                Err(reason) => unused.push(reason),
            }
        }
    }
    (groups, unused)
}

fn read(trust: &Trust, file: &Path) -> Result<Vec<RuleGroup>, String> {
    let bytes = trust.read(file).map_err(|error| error_chain(&error))?;
    let name = file.display().to_string();
    let (groups, problems) = parse_rules(&name, &String::from_utf8_lossy(&bytes));
    let (errors, warnings): (Vec<RuleProblem>, Vec<RuleProblem>) =
        problems.into_iter().partition(RuleProblem::is_error);
    for warning in warnings {
        tracing::warn!("{name}:{warning}");
    }
    match errors.first() {
        None => Ok(groups),
        Some(error) => {
            let more = match errors.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more: `paramedic rule check {name}`)"),
            };
            Err(format!("the rule file is not used: {name}:{error}{more}"))
        }
    }
}

/// Returns the files that a pattern names, sorted: `*` and `?` stand for anything within a part of the path. Without them
/// it is the file itself, whether it is there or not.
///
/// # Errors
///
/// Fails if a folder on the way cannot be read, or there are more than 10,000 files.
pub fn matching_files(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let Component::Normal(part) = component else {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        };
        let part = part.to_string_lossy();
        if !part.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part.as_ref()));
            continue;
        }
        let mut deeper = Vec::new();
        for folder in &found {
            deeper.extend(in_folder(folder, &part)?);
            if deeper.len() > FILES_MAX {
                return Err(io::Error::other(format!("there are more than {FILES_MAX}")));
            }
        }
        deeper.sort();
        found = deeper;
    }
    if pattern.to_string_lossy().contains(['*', '?']) {
        found.retain(|path| path.exists());
    }
    Ok(found)
}

/// What in a folder has a name that matches.
fn in_folder(folder: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match std::fs::read_dir(here) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if matches(pattern, &name.to_string_lossy()) {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

/// Whether a name matches a pattern of `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut position) = (0, 0);
    // Where the last `*` stands, and up to where of the name it reaches.
    let mut star: Option<(usize, usize)> = None;
    while position < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                let Some((star_at, reached)) = star else { return false };
                star = Some((star_at, reached + 1));
                (at, position) = (star_at + 1, reached + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// Makes a group of the alerts of a runbook that have a query which is understood, as `serve` does with a configuration
/// that changes nothing of them.
pub fn runbook_rules(runbook: &Runbook, config: &Config) -> RuleGroup {
    let rules = runbook.procedures.iter().filter_map(|procedure| {
        let spec = procedure.alert.as_ref()?;
        let query = Query::parse(spec.query.as_deref()?).ok()?;
        Some(rule(config, spec, query, &procedure.title))
    });
    RuleGroup { name: runbook.name.clone(), ..RuleGroup::of(&runbook.name, rules.collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns() {
        let check = |pattern, name, expect| assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        check("*.yml", "a.yml", true);
        check("*.yml", "a.yaml", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*b*c", "acb", false);
        check("?.yml", "ab.yml", false);
        check("*", "", true);
        check("**a", "bca", true);
        check("", "a", false);
    }

    #[test]
    fn files_of_a_pattern() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yml", "a.yml", "c.txt", "sub/d.yml"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let check = |pattern: &str, expect: &[&str]| {
            let found = matching_files(&folder.path().join(pattern)).unwrap();
            let expect: Vec<PathBuf> = expect.iter().map(|name| folder.path().join(name)).collect();
            assert_eq!(found, expect, "{pattern}");
        };
        check("*.yml", &["a.yml", "b.yml"]);
        check("*/*.yml", &["sub/d.yml"]);
        check("*/d.*", &["sub/d.yml"]);
        check("nothing*", &[]);
        check("nothing.yml", &["nothing.yml"]);
        check("gone/*.yml", &[]);
    }
}
