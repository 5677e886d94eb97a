//! Owns telling what is unusual in how much a client asks for: it is never refused for that, which `[limits]` is for.

use std::time::Instant;

use threats::{Asking, Sign};

use crate::audit::Asked;
use crate::envelope;
use crate::mcp::gate::{Told, tell};
use crate::own::Own;
use crate::security::Seen;
use crate::state::Guard;
use crate::taken::Taker;

/// A client calls a tool.
pub(crate) fn called(guard: &Guard, own: &Own, taker: Taker<'_>, tool: &str, params: Option<&str>) {
    let asking = Asking { tool, arguments: arguments(params) };
    let signs = guard.clients_usage().called(&own.security.usual, &taker.key(), asking, Instant::now());
    told(guard, signs, Told { tool, client: taker.client, session: taker.session });
}

/// A client is refused something.
pub(crate) fn refused(guard: &Guard, taker: Taker<'_>, tool: Option<&str>) {
    let sign = guard.clients_usage().refused(&guard.own().security.usual, &taker.key(), Instant::now());
    let about = Told { tool: tool.unwrap_or_default(), client: taker.client, session: taker.session };
    told(guard, sign.into_iter().collect(), about);
}

/// A client is answered with so many bytes.
pub(crate) fn answered(guard: &Guard, asked: &Asked, about: Told<'_>, bytes: usize) {
    let own = guard.own();
    // Nearly every answer ends here.
    if !own.security.usual.is_large(bytes) {
        return;
    }
    let taker =
        Taker { user: asked.user.as_ref(), address: asked.address, client: &asked.client, session: "" };
    let sign = guard.clients_usage().answered(&own.security.usual, &taker.key(), bytes, Instant::now());
    told(guard, sign.into_iter().collect(), about);
}

/// The arguments of a call, as JSON.
pub(crate) fn arguments(params: Option<&str>) -> &str {
    params.and_then(|params| envelope::member(params, "arguments").ok().flatten()).unwrap_or_default()
}

fn told(guard: &Guard, signs: Vec<Sign>, about: Told<'_>) {
    if let Some(seen) = Seen::likely(signs) {
        tell(guard, &seen, about);
    }
}
