//! Owns commands that look again and again.

use std::thread;

use crate::arguments::Repeat;
use crate::fail::{Code, Failure};

/// Does something once or, where that is wanted, again and again until this process is ended. What fails then is told, and
/// tried again.
pub(super) fn repeated(
    repeat: Repeat,
    mut once: impl FnMut() -> Result<Code, Failure>,
) -> Result<Code, Failure> {
    if !repeat.continuous {
        return once();
    }
    loop {
        match once() {
            Ok(_) => {}
            Err(failure) if failure.code() == Code::Unreachable => {
                anstream::eprintln!("paramedic: {failure}");
            }
            Err(failure) => return Err(failure),
        }
        thread::sleep(repeat.interval);
    }
}
