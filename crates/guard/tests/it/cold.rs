//! Owns a package manager with a cold cache, as a guard meets it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes `npx` and `npm` as a cold cache makes them behave: `npx` runs `npm install`, and then the server.
pub(crate) fn cold_npx(folder: &Path, install: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let npm = write("npm", format!("#!/bin/bash\n{install}\n"));
    write("npx", format!("#!/bin/bash\n{npm} install \"$@\" </dev/null && exec {} fake\n", exe.display()))
}

/// What an installation does for so many seconds: it writes files.
pub(crate) fn work(folder: &Path, seconds: u32) -> String {
    format!(
        "end=$((SECONDS+{seconds})); while ((SECONDS < end)); do head -c 20000 /dev/zero >{}/x; sleep 0.1; done",
        folder.display()
    )
}
