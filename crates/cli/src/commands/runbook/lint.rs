//! Owns `paramedic runbook lint`: findings for people, programs and editors, and what can be mended for certain.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use chrono::Utc;
use runbook::Level;
use runbook::lint::{Config, Finding, RULES, Rule, apply, lint, rule, sarif};
use serde_json::{Value, json};

use crate::arguments::{LintArguments, Output};
use crate::commands::text;
use crate::fail::{Code, Failure};
use crate::show;

/// The name of a configuration that is found beside a runbook, or in a folder above it.
const CONFIG_NAME: &str = ".paramedic-lint.toml";
/// How often a watch looks whether a file has changed.
const WATCH_INTERVAL: Duration = Duration::from_millis(300);

pub(super) fn run(arguments: &LintArguments, output: Output) -> Result<Code, Failure> {
    if let Some(code) = &arguments.explain {
        return explain(code);
    }
    if arguments.list {
        let cells = |rule: &&Rule| {
            vec![
                rule.code.to_owned(),
                level(rule.level).to_owned(),
                rule.name.to_owned(),
                rule.why.to_owned(),
            ]
        };
        let rows: Vec<Value> = RULES
            .iter()
            .map(|rule| json!({"code": rule.code, "level": rule.level, "name": rule.name, "why": rule.why}))
            .collect();
        match output {
            Output::Table => {
                let header = ["code", "level", "name", "why"];
                let lines = RULES.iter().map(|rule| cells(rule).join("  "));
                show::line(&header.join("  ").to_uppercase());
                lines.for_each(|line| show::line(&line));
            }
            _ => show::rows(output, &rows, &[], |_| Vec::new()),
        }
        return Ok(Code::Done);
    }
    let code = once(arguments, output)?;
    if arguments.watch { watch(arguments, output) } else { Ok(code) }
}

/// Lints again whenever a file changes.
fn watch(arguments: &LintArguments, output: Output) -> Result<Code, Failure> {
    let seen = || -> BTreeMap<&PathBuf, Option<SystemTime>> {
        let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        arguments.files.iter().map(|path| (path, modified(path))).collect()
    };
    let mut last = seen();
    loop {
        std::thread::sleep(WATCH_INTERVAL);
        let now = seen();
        if now == last {
            continue;
        }
        last = now;
        // An editor may have taken the file away for a moment.
        if let Err(failure) = once(arguments, output) {
            failure.report();
        }
    }
}

fn once(arguments: &LintArguments, output: Output) -> Result<Code, Failure> {
    let today = Utc::now().format("%Y-%m-%d").to_string();
    let least = if arguments.strict { Level::Info } else { Level::Warning };
    let mut files: Vec<(String, Vec<Finding>)> = Vec::new();
    for path in &arguments.files {
        let config = config(arguments.rules.as_deref(), path)?;
        let mut bytes = text::read(path, "the runbook")?;
        let name = path.display().to_string();
        let mut found = lint(&name, &bytes, &config, Some(&today));
        if arguments.fix && path != Path::new("-") {
            let (mended, n_mended) = apply(&String::from_utf8_lossy(&bytes), &found);
            if n_mended > 0 && std::str::from_utf8(&bytes).is_ok() {
                replace(path, &mended)
                    .with_context(|| format!("cannot mend `{name}`"))
                    .map_err(Failure::no)?;
                anstream::eprintln!("{name}: {n_mended} mended");
                bytes = mended.into_bytes();
                found = lint(&name, &bytes, &config, Some(&today));
            }
        }
        files.push((name, found));
    }
    let counts = files.iter().flat_map(|(_, found)| found).any(|finding| finding.level >= least);
    print(&files, arguments, output);
    Ok(if counts { Code::No } else { Code::Done })
}

fn print(files: &[(String, Vec<Finding>)], arguments: &LintArguments, output: Output) {
    if arguments.sarif {
        return show::json(&sarif(files));
    }
    let all = files.iter().flat_map(|(file, found)| found.iter().map(move |finding| (file, finding)));
    if output != Output::Table {
        let rows: Vec<Value> = all
            .map(|(file, finding)| {
                let mut row = json!(finding);
                row["file"] = json!(file);
                row
            })
            .collect();
        return show::rows(output, &rows, &[], |_| Vec::new());
    }
    for (file, one) in all {
        let place = format!("{file}:{}:{}", one.line, one.column);
        show::line(&format!("{place}: {}[{}] {}\n    {}", level(one.level), one.code, one.message, one.hint));
    }
    let count =
        |level: Level| files.iter().flat_map(|(_, found)| found).filter(|one| one.level == level).count();
    let (errors, warnings, infos) = (count(Level::Error), count(Level::Warning), count(Level::Info));
    anstream::eprintln!("{} files: {errors} errors, {warnings} warnings, {infos} notes", files.len());
}

fn explain(code: &str) -> Result<Code, Failure> {
    let Some(rule) = rule(code) else {
        let known: Vec<_> = RULES.iter().map(|rule| rule.code).collect();
        return Err(Failure::usage(anyhow::anyhow!("`{code}` is no rule; there are {}", known.join(", "))));
    };
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    show::line(&format!(
        "{} {} ({}; {})\n\n{}\n\nFound in:\n\n{}\nBetter:\n\n{}\nTo silence it, say why: `# lint: allow {} reason` behind the statement,\nor `<!-- lint: allow {} reason -->` above the step.",
        rule.code,
        rule.name,
        level(rule.level),
        rule.consequence(),
        rule.why,
        indent(rule.bad),
        indent(rule.good),
        rule.code,
        rule.code
    ));
    Ok(Code::Done)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// The configuration that was named, or the nearest one at or above the folder of the file.
fn config(named: Option<&Path>, file: &Path) -> Result<Config, Failure> {
    let found = match named {
        Some(path) => Some(path.to_owned()),
        None => {
            let folder = file.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
            let above = folder.iter().flat_map(|folder| folder.ancestors());
            above.map(|folder| folder.join(CONFIG_NAME)).find(|path| path.is_file())
        }
    };
    let Some(path) = found else { return Ok(Config::default()) };
    let bytes = text::read(&path, "the lint configuration")?;
    let named = || format!("cannot use the lint configuration `{}`", path.display());
    Config::parse(&String::from_utf8_lossy(&bytes)).with_context(named).map_err(Failure::usage)
}

/// Replaces a file whole: whoever reads it meanwhile sees the old or the new one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = File::create_new(&temporary)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(std::fs::metadata(&path)?.permissions()))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, &path));
    if written.is_err() {
        // What is left of it is of no use to anybody.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}
