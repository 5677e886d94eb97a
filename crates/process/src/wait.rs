//! Owns waiting for the end of a process, whoever's child it is.

use std::io;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::identity::ProcessId;

/// Returns when `process` runs no more; at once when it has ended already. It reaps nothing.
///
/// # Errors
/// When the kernel gives no pidfd, such as with `EMFILE`.
pub async fn ended(process: ProcessId) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(process.pid).filter(|_| process.pid > 0) else { return Ok(()) };
    let pidfd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !process.is_alive() {
        return Ok(());
    }
    // A pidfd becomes readable, and stays so, when the last thread of its process has ended.
    #[expect(unsafe_code, reason = "the registration trusts its caller that the descriptor stays open")]
    // SAFETY: The `OwnedFd` is open, is moved into the registration, and is closed by nobody else.
    let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
    pidfd.readable().await?.retain_ready();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::ended;
    use crate::ProcessId;

    #[tokio::test]
    async fn returns_when_the_process_has_ended_and_not_before() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        let waiting = tokio::spawn(ended(id));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        child.kill().unwrap();
        waiting.await.unwrap().unwrap();
        assert!(!id.is_alive());
        ended(id).await.unwrap();
        child.wait().unwrap();
        ended(id).await.unwrap();
        ended(ProcessId { start_ticks: 1, ..ProcessId::current() }).await.unwrap();
    }
}
