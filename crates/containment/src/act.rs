//! Owns bringing a server from one state of containment into another, in order, and back where that fails.

use std::path::Path;
use std::time::Duration;

use crate::connections;
use crate::filter::{self, Filter, FilterError};
use crate::group::GroupError;
use crate::hold::Hold;
use crate::network::Network;
use crate::state::State;

/// Why a server is not contained, or not released, as far as that is the kernel's affair.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The packet filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The processes.
    #[error(transparent)]
    Group(#[from] GroupError),
}

/// What is known beside the states.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The server.
    pub server: &'a str,
    /// Who is never shut out.
    pub own: &'a [Network],
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

/// Does what the kernel does of `new`, in place of `old`. Says what is worth knowing. What fails is taken back, as far
/// as that is possible.
///
/// # Errors
/// Where the kernel refuses something, or it takes root.
pub fn carry_out(scene: Scene<'_>, old: Option<&State>, new: Option<&State>) -> Result<Vec<String>, Error> {
    let (old, new) = (old.filter(|state| state.reaches_kernel()), new.filter(|state| state.reaches_kernel()));
    match (old, new) {
        (None, None) => Ok(Vec::new()),
        (Some(old), None) => release(scene, old),
        (_, Some(new)) => match contain(scene, old, new) {
            Ok(told) => Ok(told),
            Err(error) => {
                // The first failure is the one to tell of.
                let _ = match old {
                    Some(old) => contain(scene, Some(new), old),
                    None => release(scene, new),
                };
                Err(error)
            }
        },
    }
}

fn contain(scene: Scene<'_>, old: Option<&State>, new: &State) -> Result<Vec<String>, Error> {
    let root = Path::new("/");
    let mut told = Vec::new();
    if let Some(hold) = old.and_then(|old| old.hold.as_ref()).filter(|hold| Some(*hold) != new.hold.as_ref())
    {
        told.extend(let_go(hold, new.hold.as_ref())?);
    }
    if let (Some(hold), Some(process)) = (&new.hold, new.process) {
        hold.enter(root, process)?;
    }
    let filter = whole(new)?;
    let timeout = new.until_ms.map(|until_ms| {
        Duration::from_millis(u64::try_from(until_ms.saturating_sub(scene.now_ms)).unwrap_or(0))
    });
    if filter.is_empty() {
        filter::remove(scene.server).or_else(|error| if old.is_none() { Ok(()) } else { Err(error) })?;
    } else {
        filter.put(scene.server, scene.own, timeout)?;
        let pids = if filter.group.is_some() { members(new) } else { Vec::new() };
        let n_cut = connections::cut(&filter, &pids, scene.own)?;
        told.extend((n_cut > 0).then(|| format!("{n_cut} connections that stood were ended")));
    }
    if let Some(hold) = &new.hold {
        hold.freeze(root)?;
    }
    Ok(told)
}

/// Ends an old hold as far as the new one is another.
fn let_go(old: &Hold, new: Option<&Hold>) -> Result<Vec<String>, Error> {
    match (old, new) {
        (Hold::Group { group: was, frozen }, Some(Hold::Group { group, frozen: stays })) if was == group => {
            if *frozen && !stays {
                group.thaw()?;
            }
            Ok(Vec::new())
        }
        _ => Ok(old.end()?),
    }
}

fn release(scene: Scene<'_>, old: &State) -> Result<Vec<String>, Error> {
    let mut told = Vec::new();
    if let Some(Hold::Group { group, frozen: true }) = &old.hold
        && group.path.is_dir()
    {
        if !group.is_to_be_frozen() {
            told.push("somebody else has let the processes go on before".to_owned());
        }
        group.thaw()?;
    }
    let filter = match whole(old) {
        Ok(filter) => filter,
        // The group is gone, and with it what the filter could have of it.
        Err(_) => old.filter(),
    };
    if !filter.is_empty() {
        told.extend(filter.take_back(scene.server)?);
    }
    match &old.hold {
        Some(Hold::Group { group, .. }) => {
            told.extend(Hold::Group { group: group.clone(), frozen: false }.end()?)
        }
        Some(signals) => told.extend(signals.end()?),
        None => {}
    }
    Ok(told)
}

/// What the filter of a state holds back, with the group, which has to be there.
fn whole(state: &State) -> Result<Filter, Error> {
    let group = match &state.hold {
        Some(Hold::Group { group, .. }) if state.isolated => Some(group.matched(Path::new("/"))?),
        _ => None,
    };
    Ok(Filter { group, ..state.filter() })
}

fn members(state: &State) -> Vec<i32> {
    match &state.hold {
        Some(Hold::Group { group, .. }) => group.processes(),
        _ => Vec::new(),
    }
}
