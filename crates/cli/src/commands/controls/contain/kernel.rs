//! Owns the kernel's part of a containment, as the hand that makes such a change: the file says first what is to be.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use ::server::KernelError;
use ::server::config::Config;
use containment::{FilterError, State};
use incident::change::{Change, ChangeError, Place, read_place};

use crate::commands::tune::failure;
use crate::fail::{Code, Failure};

/// The kernel's part of how one server is contained.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Kernel<'a> {
    pub(super) config: &'a Config,
    pub(super) name: &'a str,
}

// === impl Kernel ===

impl Kernel<'_> {
    /// Makes a change: writes it down, then does it. What the kernel refuses is not left written down.
    pub(in crate::commands) async fn make(&self, change: &Change) -> Result<(), Failure> {
        let [Place { path, old, new }] = change.places.as_slice() else {
            return Err(Failure::no(anyhow::anyhow!("a containment is one file")));
        };
        let found = read_place(path).map_err(failure)?;
        if found != *old {
            let (path, expected) = (path.clone(), old.clone());
            return Err(failure(ChangeError::Moved { path, expected, found }));
        }
        let (before, after) = (parsed(old.as_deref())?, parsed(new.as_deref())?);
        change.make().map_err(failure)?;
        give(path, &self.config.data_dir).map_err(Failure::no)?;
        self.apply(before.as_ref(), after.as_ref()).await.inspect_err(|_| {
            // The first failure is the one to tell of.
            let _ = change.reversed(None).make();
        })
    }

    /// Has the kernel do what is to be, and says what is worth knowing.
    pub(super) async fn apply(&self, before: Option<&State>, after: Option<&State>) -> Result<(), Failure> {
        let told = ::server::contain(self.config, self.name, before, after).await.map_err(|error| {
            let code = match &error {
                KernelError::Kernel(containment::Error::Filter(FilterError::Permission))
                | KernelError::NoHelper
                | KernelError::Unasked(_)
                | KernelError::Refused(_) => Code::Refused,
                _ => Code::No,
            };
            Failure::new(code, error)
        })?;
        told.iter().for_each(|told| anstream::eprintln!("paramedic: {told}"));
        Ok(())
    }
}

fn parsed(text: Option<&str>) -> Result<Option<State>, Failure> {
    State::parse(text).map_err(Failure::no)
}

/// The file belongs to whoever owns the data directory: root contains too, and `serve` has to release it.
pub(super) fn give(path: &Path, data_dir: &Path) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(data_dir)?;
    for one in [path.parent(), Some(path)].into_iter().flatten().filter(|one| one.exists()) {
        chown(one, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}
