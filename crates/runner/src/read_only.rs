//! Owns the shell of a unit that only looks: the kernel lets it, and all that it starts, write to few places (Landlock).
//!
//! It is the second line of defence: whether a statement only looks is read from its text, and the text may lie. Where the
//! kernel has no Landlock, or does not let us, the unit runs without.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus,
};

/// Renaming between folders is in the second version, cutting files in the third; what came later is not about files' content.
const VERSION: ABI = ABI::V3;

/// Devices that keep nothing.
const DEVICES: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/tty", "/dev/ptmx", "/dev/pts"];

/// Starts a command that may write below these folders and nowhere else; says why, where that cannot be enforced.
pub(crate) fn start(command: &mut Command, writable: &[PathBuf]) -> std::io::Result<(Child, Option<String>)> {
    // What a thread gives up, its children do not have; the rest of this process has it still.
    thread::scope(|scope| {
        let starting = scope.spawn(|| {
            let problem = match restrict(writable) {
                Ok(RulesetStatus::NotEnforced) => Some("this kernel has no Landlock".to_owned()),
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            Ok((command.spawn()?, problem))
        });
        starting.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread that starts it panicked")))
    })
}

/// Whether the kernel holds units that only look to it; an error is why not.
///
/// # Errors
/// It has no Landlock, or does not let us.
pub fn is_held() -> Result<(), String> {
    let trying = thread::spawn(|| restrict(&[]));
    match trying.join() {
        Ok(Ok(RulesetStatus::NotEnforced)) => Err("this kernel has no Landlock".to_owned()),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it could not be tried".to_owned()),
    }
}

fn restrict(writable: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_write(VERSION);
    let mut rules =
        Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?.create()?;
    let devices = DEVICES.iter().map(|path| (Path::new(path), BitFlags::from(AccessFs::WriteFile)));
    for (path, access) in writable.iter().map(|path| (path.as_path(), all)).chain(devices) {
        // What is not there, or is a file, needs no more.
        let Ok(at) = PathFd::new(path) else { continue };
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(VERSION) };
        rules = rules.add_rule(PathBeneath::new(at, access))?;
    }
    // Root may do so and keep `sudo` and file capabilities working. Anybody else gives these up.
    if rustix::process::geteuid().is_root()
        && let Ok(same) = rules.try_clone()
        && let Ok(status) = same.no_new_privs(false).restrict_self()
    {
        return Ok(status.ruleset);
    }
    Ok(rules.restrict_self()?.ruleset)
}
