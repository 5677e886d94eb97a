//! Owns where `./test` has put programs of others that tests need.

use std::path::PathBuf;

/// The folder that `./test` has put servers into; where there is none, the test says so and passes.
pub(crate) fn installed(variable: &str, program: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable)
        .filter(|folder| !folder.is_empty())
        .map(|folder| PathBuf::from(folder).join(program));
    match path {
        Some(path) if path.exists() => Some(path),
        Some(path) => panic!("`{variable}` is set, and there is no {}", path.display()),
        None => {
            println!("SKIPPED: `{variable}` is not set; `./test` installs what this test needs");
            None
        }
    }
}
