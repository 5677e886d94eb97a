//! Owns `cargo xtask pictures`: the pictures of the documentation are screenshots that the tests in a browser have made just
//! now.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use anyhow::{Context, bail};

/// The pictures of `docs/pictures`, and the screenshots that they are.
const PICTURES: [(&str, &str); 4] = [
    ("fleet.png", "fleet-1280-light.png"),
    ("incident.png", "incident-1280-light.png"),
    ("incident-phone.png", "incident-390-dark.png"),
    ("server.png", "server-1280-dark.png"),
];

/// What the tests are called that make them.
const TESTS: &str = "in_a_browser";

/// The largest picture, in bytes: they are in the repository for good.
const BYTES_MAX: u64 = 200_000;

/// Runs the tests, and puts their screenshots in the place of the pictures.
pub(crate) fn make(root: &Path, now: SystemTime) -> anyhow::Result<ExitCode> {
    let arguments = ["test", "--workspace", "--test", "product", "--", TESTS];
    let status = Command::new(env!("CARGO")).args(arguments).current_dir(root).status()?;
    if !status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let (from, to) = (root.join("target/screenshots"), root.join("docs/pictures"));
    for (picture, screenshot) in PICTURES {
        let path = from.join(screenshot);
        let found = fs::metadata(&path).with_context(|| {
            format!("no test has made `{screenshot}`: is there a chromium with its driver?")
        })?;
        if found.modified()? < now {
            bail!("`{screenshot}` is an old one: is there a chromium with its driver?");
        }
        if found.len() > BYTES_MAX {
            bail!(
                "`{screenshot}` has {} bytes, and {BYTES_MAX} are the most for the documentation",
                found.len()
            );
        }
        fs::copy(&path, to.join(picture))?;
        println!("docs/pictures/{picture}: {} bytes", found.len());
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_picture_is_made_and_shown() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let there = fs::read_dir(root.join("docs/pictures")).unwrap();
        let there: BTreeSet<String> =
            there.map(|one| one.unwrap().file_name().to_string_lossy().into_owned()).collect();
        let made: BTreeSet<String> = PICTURES.iter().map(|(picture, _)| (*picture).to_owned()).collect();
        assert_eq!(there, made);
        let pages = ["README.md", "docs/pages.md"].map(|page| fs::read_to_string(root.join(page)).unwrap());
        for picture in &made {
            let is_shown = pages.iter().any(|page| page.contains(&format!("pictures/{picture})")));
            assert!(is_shown, "nobody shows `{picture}`");
            let bytes = fs::metadata(root.join("docs/pictures").join(picture)).unwrap().len();
            assert!(bytes <= BYTES_MAX, "{picture}: {bytes} bytes");
        }
    }
}
