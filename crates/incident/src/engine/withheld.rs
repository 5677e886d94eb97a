//! Owns what is written down of a unit that policy keeps from being run: what would have been done with it.

use super::ready::Ready;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::record::Withheld;
use crate::world::World;

impl<W: World> Engine<W> {
    /// What the policy would have done with a unit that it keeps from being run; `doubt` is why its condition cannot be
    /// decided, where it cannot.
    pub(super) async fn withheld(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
        doubt: Option<&str>,
    ) -> Result<Option<Withheld>, EngineError> {
        let untrusted = ready.untrusted(walk.procedure, &self.inner.world.environment());
        let request = self.request_trusting(walk, ready, untrusted.as_deref()).await?;
        let policy = self.inner.world.policy(&walk.server);
        let missing = (!ready.missing.is_empty()).then(|| format!("it needs {}", ready.missing.join(", ")));
        Ok(policy.withheld(&request, &ready.values, missing, doubt))
    }
}
