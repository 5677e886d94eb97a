//! Owns who is at the other end of the local socket, as the kernel says: its mode keeps strangers out, and this does where somebody
//! has changed that.

use std::fmt;

use axum::extract::Request;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use super::problem::Failure;

/// The process that has connected; nothing where the kernel does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalPeer(Option<(u32, Option<i32>)>);

// === impl LocalPeer ===

impl Connected<IncomingStream<'_, UnixListener>> for LocalPeer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Self(stream.io().peer_cred().ok().map(|peer| (peer.uid(), peer.pid())))
    }
}

impl LocalPeer {
    /// Root and the user of `serve`, who may read the journal and every secret anyway.
    fn may_ask(self, own: u32) -> bool {
        self.0.is_some_and(|(user, _)| user == 0 || user == own)
    }
}

impl fmt::Display for LocalPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((user, Some(pid))) => write!(f, "the local socket (user {user}, process {pid})"),
            Some((user, None)) => write!(f, "the local socket (user {user})"),
            None => f.write_str("the local socket"),
        }
    }
}

/// Lets in who may ask.
pub(super) async fn admit(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<LocalPeer>>().map_or(LocalPeer(None), |peer| peer.0);
    if peer.may_ask(rustix::process::geteuid().as_raw()) {
        return next.run(request).await;
    }
    tracing::warn!(event = "audit", from = %peer, outcome = 403, "somebody asked who is neither root nor of this user");
    let words = "the local socket is for root and the user of `serve`: over the network there are tokens";
    Failure::new(StatusCode::FORBIDDEN, words).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_own_user_may_ask() {
        for (peer, own, expect) in [
            (Some((0, Some(1))), 1000, true),
            (Some((1000, None)), 1000, true),
            (Some((1001, Some(1))), 1000, false),
            (Some((65_534, Some(1))), 0, false),
            (None, 0, false),
        ] {
            assert_eq!(LocalPeer(peer).may_ask(own), expect, "{peer:?} {own}");
        }
    }
}
