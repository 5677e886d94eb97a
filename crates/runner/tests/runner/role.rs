//! The role that this program plays for the other tests.

use std::path::Path;

/// Is nothing as a test. Started by `runner::start`, this process has the folder of a unit in its environment.
#[test]
fn as_runner() {
    if let Some(folder) = std::env::var_os("PARAMEDIC_UNIT") {
        let _ = runner::run(Path::new(&folder));
    }
}
