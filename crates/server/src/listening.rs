//! Owns the connections of the network address: so many at once, and none that is held without asking anything. Whoever
//! comes while all places are taken waits; the local socket has its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// What holds for all connections.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// So many at once: pages that are looked at hold one each.
    connections: usize,
    /// How long the head of a request may take to arrive, and how long a connection may stand between two.
    head: Duration,
}

const BOUNDS: Bounds = Bounds { connections: 1_024, head: Duration::from_secs(30) };
/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long nobody is let in after that has failed: there are no descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers whoever comes to the listener, as long as it is polled.
pub(crate) async fn answer(listener: TcpListener, router: Router) {
    answer_within(BOUNDS, listener, router).await;
}

async fn answer_within(bounds: Bounds, listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    // It is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(connection(bounds.head, stream, peer, router.clone(), place));
            }
            Err(error) => {
                tracing::warn!(%error, "nobody can be let in at this time");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    head_max: Duration,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    _place: OwnedSemaphorePermit,
) {
    let router = Router::new().fallback_service(router).layer(Extension(ConnectInfo(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_max)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "a connection has ended");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

    async fn listening(bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().route("/", get(async |peer: ConnectInfo<SocketAddr>| peer.0.ip().to_string()));
        tokio::spawn(answer_within(bounds, listener, router));
        address
    }

    #[tokio::test]
    async fn who_comes_while_all_places_are_taken_waits_for_one() {
        let address = listening(Bounds { connections: 3, ..BOUNDS }).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(ASK).await.unwrap();
        let mut text = String::new();
        let early = tokio::time::timeout(Duration::from_millis(300), late.read_to_string(&mut text)).await;
        assert!(early.is_err(), "all places are taken: {text}");
        held.truncate(2);
        late.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("127.0.0.1"), "{text}");
    }

    #[tokio::test]
    async fn a_connection_whose_head_does_not_come_is_closed() {
        let address = listening(Bounds { head: Duration::from_millis(100), ..BOUNDS }).await;
        for sent in [b"".as_slice(), b"GET / HTTP/1.1\r\nx-drip: "] {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(sent).await.unwrap();
            let mut text = Vec::new();
            slow.read_to_end(&mut text).await.unwrap();
            assert!(!text.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&text));
        }
    }
}
