//! Owns the socket that systemd hands to a service which it starts (socket activation).
//!
//! `LISTEN_PID` names the process that is meant, and `LISTEN_FDS` how many descriptors it has from number 3 on. Both stay in
//! the environment, also of what is started later: there they name somebody else, and mean nothing.

use std::ffi::OsStr;
use std::io;
use std::net::TcpListener;
use std::os::fd::RawFd;

use rustix::net::sockopt;

use crate::inherit;

/// The number of the first descriptor.
const FIRST: RawFd = 3;

/// Why what was handed over is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// What the environment says makes no sense.
    #[error("`{name}={value}` is no number")]
    Number {
        /// The variable.
        name: &'static str,
        /// What stands there.
        value: String,
    },
    /// One socket is one port.
    #[error("systemd hands over {0} sockets, and one is needed: give the socket unit one `ListenStream=`")]
    Several(usize),
    /// The descriptor is not what it has to be.
    #[error("the socket that systemd hands over cannot be used: {0}")]
    Socket(&'static str),
    /// The system says no.
    #[error("the socket that systemd hands over cannot be taken")]
    System(#[source] io::Error),
}

/// The socket for TCP that this process was started with; none where it was started by somebody else, or in another way.
/// To be asked once, at the start of the process, before anything else is opened.
///
/// # Errors
/// When something was handed over that is not one listening TCP socket.
pub fn tcp_listener() -> Result<Option<TcpListener>, ActivationError> {
    let variable = |name| std::env::var_os(name);
    let count =
        count(variable("LISTEN_PID").as_deref(), variable("LISTEN_FDS").as_deref(), std::process::id())?;
    match count {
        0 => return Ok(None),
        1 => {}
        several => return Err(ActivationError::Several(several)),
    }
    let descriptor = inherit::adopt(FIRST).map_err(ActivationError::System)?;
    if !sockopt::socket_acceptconn(&descriptor).unwrap_or(false) {
        return Err(ActivationError::Socket("it is no socket that listens (`ListenStream=`)"));
    }
    let listener = TcpListener::from(descriptor);
    if listener.local_addr().is_err() {
        return Err(ActivationError::Socket("it is not one of TCP (`ListenStream=ADDRESS:PORT`)"));
    }
    listener.set_nonblocking(true).map_err(ActivationError::System)?;
    Ok(Some(listener))
}

/// How many descriptors are for the process of this number.
fn count(pid: Option<&OsStr>, descriptors: Option<&OsStr>, own: u32) -> Result<usize, ActivationError> {
    let number = |name: &'static str, value: &OsStr| {
        let value = value.to_string_lossy().into_owned();
        value.parse::<u32>().map_err(|_| ActivationError::Number { name, value })
    };
    let (Some(pid), Some(descriptors)) = (pid, descriptors) else { return Ok(0) };
    if number("LISTEN_PID", pid)? != own {
        return Ok(0);
    }
    Ok(number("LISTEN_FDS", descriptors)? as usize)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::count;

    #[track_caller]
    fn check(pid: Option<&str>, descriptors: Option<&str>, expect: Option<usize>) {
        let found = count(pid.map(OsStr::new), descriptors.map(OsStr::new), 42);
        assert_eq!(found.ok(), expect, "{pid:?} {descriptors:?}");
    }

    #[test]
    fn only_what_is_for_this_process_is_taken() {
        check(None, None, Some(0));
        check(Some("42"), None, Some(0));
        check(None, Some("1"), Some(0));
        check(Some("41"), Some("1"), Some(0));
        check(Some("42"), Some("0"), Some(0));
        check(Some("42"), Some("1"), Some(1));
        check(Some("42"), Some("3"), Some(3));
        check(Some("x"), Some("1"), None);
        check(Some("42"), Some("-1"), None);
    }
}
