//! Owns by whose hand a change is made: files are written by this process; what takes root is done by the desk of the
//! helper, in this process where it is root, and else by the helper itself.

use std::path::Path;

use helper::{Allowed, Answer, Desk, Order, ParameterState, Request, SOCKET, Setting, Topic};
use incident::change::{Change, Place, read_place};
use systemd::{CALL_TIMEOUT, DropIn, SYSTEM_BUS, Systemd, UnitName};

use super::failure;
use crate::commands::controls::{Door, Kernel, Tokens};
use crate::fail::{Code, Failure};

/// Who makes a change.
pub(in crate::commands) enum Hand<'a> {
    /// This process: the files are its own.
    Files,
    /// Root: it is a drop-in of a unit, about this.
    Unit(&'a UnitName, Topic),
    /// Root: it is a parameter of the kernel, and this process is not root.
    Parameter,
    /// The guard of a server, whose controls they are.
    Guard(&'a Door),
    /// The kernel: it is how a server is contained.
    Kernel(Kernel<'a>),
    /// This process, which makes tokens anew.
    Tokens(Tokens<'a>),
}

// === impl Hand ===

impl Hand<'_> {
    /// Below another root than `/` everything is a file.
    pub(super) fn of_parameter(root: &Path) -> Self {
        if root != Path::new("/") || rustix::process::geteuid().is_root() {
            Self::Files
        } else {
            Self::Parameter
        }
    }

    /// Makes a change.
    pub(super) async fn make(&self, change: &Change) -> Result<(), Failure> {
        let request = match self {
            Self::Files => return change.make().map_err(failure),
            Self::Guard(door) => return door.make(change).await,
            Self::Kernel(kernel) => return kernel.make(change).await,
            Self::Tokens(tokens) => return tokens.make(change),
            Self::Unit(unit, topic) => of_drop_in(unit, *topic, change)?,
            Self::Parameter => of_parameter(change)?,
        };
        let answer = if rustix::process::geteuid().is_root() {
            let order = request.order().map_err(Failure::no)?;
            desk().carry_out(&order, &allowed(&order)).await
        } else {
            helper::ask(Path::new(SOCKET), helper::OWNER, &request).await.map_err(unasked)?
        };
        match answer {
            Answer::Done { .. } => check_made(change, &request),
            Answer::Refused { reason, .. } => Err(Failure::new(Code::Refused, anyhow::anyhow!(reason))),
            Answer::Failed { reason, .. } => Err(Failure::no(anyhow::anyhow!(reason))),
        }
    }
}

/// The systemd of this machine.
pub(super) fn systemd() -> Systemd {
    Systemd::new(SYSTEM_BUS, CALL_TIMEOUT)
}

pub(super) fn desk() -> Desk {
    Desk::new(Path::new("/"), systemd())
}

/// The settings of a drop-in of ours; none is no file.
pub(super) fn settings(
    unit: &UnitName,
    topic: Topic,
    text: Option<&str>,
) -> Result<Option<Vec<Setting>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let read = DropIn::parse(unit.clone(), topic.as_str(), text);
    let settings = read.and_then(|drop_in| helper::settings_of(&drop_in));
    settings.map(Some).ok_or_else(|| {
        let message = format!("the drop-in of `{unit}` is not one of ours, or was edited: it is left alone");
        Failure::new(Code::Refused, anyhow::anyhow!(message))
    })
}

fn of_drop_in(unit: &UnitName, topic: Topic, change: &Change) -> Result<Request, Failure> {
    let [Place { old, new, .. }] = change.places.as_slice() else {
        return Err(Failure::no(anyhow::anyhow!("a drop-in is one file")));
    };
    let over = settings(unit, topic, old.as_deref())?;
    let settings = settings(unit, topic, new.as_deref())?;
    let unit = unit.to_string();
    Ok(match (settings, over) {
        (Some(settings), over) => Request::WriteDropIn { unit, topic, settings, over },
        (None, over) => Request::RemoveDropIn { unit, topic, over: over.unwrap_or_default() },
    })
}

/// What the files of a change say of its parameter. A file that it is not about stays as it is.
fn of_parameter(change: &Change) -> Result<Request, Failure> {
    let key = change.target.clone();
    let now = ParameterState::read(Path::new("/"), &key).map_err(Failure::no)?;
    let now = now.ok_or_else(|| super::nonsense(format!("`{key}` is no parameter of this kernel")))?;
    let (mut to, mut over) = (now.clone(), now);
    for place in &change.places {
        if place.path.ends_with(helper::PARAMETERS_FILE) {
            let kept =
                |text: &Option<String>| text.as_deref().and_then(|text| helper::kept_value(text, &key));
            (to.kept, over.kept) = (kept(&place.new), kept(&place.old));
        } else {
            let live = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_owned();
            (to.live, over.live) = (live(&place.new), live(&place.old));
        }
    }
    Ok(Request::SetParameter { key, to, over })
}

/// Whoever is root could as well edit the unit: its own list are the variables that were named at the keyboard.
fn allowed(order: &Order) -> Allowed {
    let Order::DropIn { new: Some(new), .. } = order else { return Allowed::root() };
    let names = new.settings().iter().filter_map(|setting| match setting {
        systemd::drop_in::Setting::Environment(variables) => Some(variables.keys()),
        _ => None,
    });
    names.flatten().fold(Allowed::root(), |allowed, name| allowed.with_variable(name))
}

/// Somebody else has the last word on what is in a file of root: it is looked at.
fn check_made(change: &Change, request: &Request) -> Result<(), Failure> {
    if let Request::SetParameter { key, to, .. } = request {
        // Its file has other parameters too, which are no business of this change.
        let now = ParameterState::read(Path::new("/"), key).map_err(Failure::no)?;
        return match now {
            Some(now) if now.is(to) => Ok(()),
            _ => Err(Failure::no(anyhow::anyhow!("`{key}` is not as it was to be"))),
        };
    }
    for place in &change.places {
        let found = read_place(&place.path).map_err(failure)?;
        if found != place.new {
            let message = format!("`{}` is not as it was to be", place.path.display());
            return Err(Failure::no(anyhow::anyhow!(message)));
        }
    }
    Ok(())
}

fn unasked(error: helper::ClientError) -> Failure {
    let code = match error {
        helper::ClientError::Absent(_)
        | helper::ClientError::Denied(_)
        | helper::ClientError::Impostor { .. } => Code::Refused,
        _ => Code::Unreachable,
    };
    Failure::new(code, error)
}
