//! Owns giving the password of a dependency to whoever asks it: read anew each time, from where the configuration says it is.

use std::pin::Pin;

use probe::Reveal;

use crate::config::Secret;
use crate::secrets::Secrets;

/// Where it is.
pub(super) struct Kept(pub(super) Secret);

// === impl Kept ===

impl Reveal for Kept {
    fn reveal(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>> {
        Box::pin(async {
            // Only a command needs this program, which holds it to its deadline.
            let exe = std::env::current_exe().unwrap_or_default();
            let revealed = Secrets::of_process(&exe).read(&self.0).await;
            revealed.map(|found| found.reveal().to_owned()).map_err(|error| incident::error_chain(&error))
        })
    }

    fn place(&self) -> String {
        self.0.to_string()
    }
}
