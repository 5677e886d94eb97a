//! Owns how a connection ends when the guard does: what was asked is answered, and nothing more is taken.

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1::Connection;
use hyper::service::HttpService;
use tokio::sync::watch;

/// A client that has just connected is sending its first request: so long is waited for that.
const FIRST_REQUEST: Duration = Duration::from_millis(200);

/// Returns when the guard ends.
pub(crate) async fn told(leaving: &mut watch::Receiver<bool>) {
    // A sender that is gone has left as well.
    let _ = leaving.wait_for(|leaving| *leaving).await;
}

/// Serves a connection until one of both sides has enough. `asked` says whether a request has come over it yet.
pub(crate) async fn serve<I, S, B>(
    connection: Connection<I, S>,
    asked: &AtomicBool,
    mut leaving: watch::Receiver<bool>,
) -> hyper::Result<()>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut connection = pin!(connection);
    let seen = leaving.clone();
    let mut told = pin!(told(&mut leaving));
    let mut listens = false;
    let ended = poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        // It wakes this task when there is something to hear: asking it at every turn would cost each call.
        let may_hear = !std::mem::replace(&mut listens, true) || seen.has_changed().unwrap_or(true);
        if may_hear { told.as_mut().poll(context).map(|()| None) } else { Poll::Pending }
    });
    if let Some(ended) = ended.await {
        return ended;
    }
    // hyper closes a connection over which nothing has come yet, and a client that has sent something would get nothing.
    let first = poll_fn(|context| match connection.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if asked.load(Ordering::Relaxed) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    if let Ok(Some(ended)) = tokio::time::timeout(FIRST_REQUEST, first).await {
        return ended;
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What a client gets that has said this when the guard is about to end.
    async fn check(said: &str, begins: &str) {
        let (mut client, server) = tokio::io::duplex(4096);
        let asked = Arc::new(AtomicBool::new(false));
        let has_asked = Arc::clone(&asked);
        let service = service_fn(move |_: Request<Incoming>| {
            has_asked.store(true, Ordering::Relaxed);
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"an answer")))) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(server), service);
        let (_leave, leaving) = watch::channel(true);
        client.write_all(said.as_bytes()).await.unwrap();
        serve(connection, &asked, leaving).await.unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).await.unwrap();
        assert!(got.starts_with(begins) && got.is_empty() == begins.is_empty(), "{said:?}: {got}");
        assert_eq!(got.ends_with("an answer"), !begins.is_empty(), "{got}");
    }

    #[tokio::test]
    async fn who_has_asked_is_answered_and_nobody_is_kept() {
        check("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n").await;
        check("", "").await;
    }
}
