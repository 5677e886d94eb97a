//! Owns what the engine logs: kept for each test apart, as each has a thread of its own.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

thread_local! {
    static SAID: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Begins to listen. To be called before anything is logged: who comes later may be taken for nobody.
pub(crate) fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_writer(|| Said).with_ansi(false).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// What was logged in this thread.
pub(crate) fn said() -> String {
    SAID.with_borrow(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

struct Said;

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        SAID.with_borrow_mut(|said| said.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
