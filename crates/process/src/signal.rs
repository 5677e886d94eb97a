//! Owns sending a signal to exactly one process, through a pidfd.

use std::io;

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

pub use rustix::process::Signal;

use crate::identity::ProcessId;

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The process has it.
    Delivered,
    /// That process no longer runs; nothing was sent, also not to a process that has its pid now.
    Gone,
}

/// Sends `signal` to `process`.
///
/// # Errors
/// When the kernel refuses, such as with `EPERM` for the process of another user.
pub fn send(process: ProcessId, signal: Signal) -> io::Result<Delivery> {
    let Some(pid) = Pid::from_raw(process.pid).filter(|_| process.pid > 0) else { return Ok(Delivery::Gone) };
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(Delivery::Gone),
        Err(error) => return Err(error.into()),
    };
    // Asked after the pidfd is held: whatever comes later, the signal can only reach the process seen here.
    if !process.is_alive() {
        return Ok(Delivery::Gone);
    }
    match pidfd_send_signal(&pidfd, signal) {
        Ok(()) => Ok(Delivery::Delivered),
        Err(rustix::io::Errno::SRCH) => Ok(Delivery::Gone),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Delivery, Signal, send};
    use crate::{Ending, ProcessId};

    #[test]
    fn only_the_process_that_is_meant_gets_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        let reused = ProcessId { start_ticks: id.start_ticks + 1, ..id };
        assert_eq!(send(reused, Signal::KILL).unwrap(), Delivery::Gone);
        assert!(id.is_alive());
        assert_eq!(send(id, Signal::TERM).unwrap(), Delivery::Delivered);
        assert_eq!(Ending::from(child.wait().unwrap()), Ending::Signaled(15));
        assert_eq!(send(id, Signal::TERM).unwrap(), Delivery::Gone);
        assert_eq!(send(ProcessId { pid: 0, start_ticks: 0 }, Signal::TERM).unwrap(), Delivery::Gone);
    }
}
