//! Owns `paramedic runbook new`: a runbook to start from, which lints clean.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::fail::{Code, Failure};
use crate::show;

/// What a new runbook says; a test holds it to the strictest level.
pub(super) const SKELETON: &str = include_str!("skeleton.md");

pub(super) fn run(file: &Path) -> Result<Code, Failure> {
    let named = || format!("cannot write a new runbook to `{}`", file.display());
    let mut created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .with_context(named)
        .map_err(Failure::usage)?;
    created
        .write_all(SKELETON.as_bytes())
        .and_then(|()| created.sync_all())
        .with_context(named)
        .map_err(Failure::no)?;
    show::line(&format!(
        "{} is there; write it, then: paramedic runbook lint {}",
        file.display(),
        file.display()
    ));
    Ok(Code::Done)
}

#[cfg(test)]
mod tests {
    use runbook::lint::{Config, lint};

    #[test]
    fn a_new_runbook_is_clean() {
        let found = lint("new.md", super::SKELETON.as_bytes(), &Config::default(), None);
        assert!(found.is_empty(), "{found:#?}");
        let (runbook, diagnostics) = runbook::parse("new.md", super::SKELETON.as_bytes());
        assert!(diagnostics.is_empty() && runbook.procedures.len() == 1);
    }
}
