//! Owns the tie of a process to the life of another: a descriptor that reaches end of file when the other has ended.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::RawFd;
use std::thread;

use tokio::sync::oneshot;

use crate::inherit;

/// The thread only reads into a few bytes.
const STACK_BYTES: usize = 64 << 10;

/// Takes over descriptor `number` (a pipe or socket whose other end the other process holds) and resolves when it
/// reaches end of file. No child of this process inherits it. Call it once per number, before anything is started.
///
/// # Errors
/// When nothing is open there.
pub fn tie(number: RawFd) -> io::Result<oneshot::Receiver<()>> {
    let mut file = File::from(inherit::adopt(number)?);
    let (sender, ended) = oneshot::channel();
    // A thread, because a descriptor from outside may be of any kind, also one that cannot be polled.
    thread::Builder::new().name("tie".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        let mut bytes = [0; 64];
        loop {
            match file.read(&mut bytes) {
                Ok(0) => break,
                Err(error) if error.kind() != ErrorKind::Interrupted => break,
                Ok(_) | Err(_) => {}
            }
        }
        // Nobody may be waiting any more.
        let _ = sender.send(());
    })?;
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::IntoRawFd;
    use std::os::unix::net::UnixStream;

    use super::tie;

    #[tokio::test]
    async fn the_tie_ends_with_the_other_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut ended = tie(ours.into_raw_fd()).unwrap();
        theirs.write_all(b"still here").unwrap();
        assert!(ended.try_recv().is_err());
        drop(theirs);
        ended.await.unwrap();
        assert!(tie(-1).is_err());
        assert!(tie(1).is_err());
    }
}
