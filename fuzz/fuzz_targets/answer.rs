//! Owns throwing any bytes at the reader of an upstream's answers: in whatever parts they come, it is the same answer, with the
//! body that hyper's own client reads, or none.
#![no_main]

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The status and the body, as hyper reads them; none where it refuses the answer.
async fn of_hyper(text: &[u8]) -> Option<(u16, Vec<u8>)> {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (mut read, mut write) = tokio::io::split(theirs);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.ok()?;
    let connected = tokio::spawn(connection);
    let request = http::Request::get("/").body(Empty::<Bytes>::new()).ok()?;
    let answered = async {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        Some((head.status.as_u16(), body.collect().await.ok()?.to_bytes().to_vec()))
    };
    let said = async {
        let _ = read.read(&mut [0; 1024]).await;
        let _ = write.write_all(text).await;
        let _ = write.shutdown().await;
        read
    };
    let (answered, read) = tokio::join!(answered, said);
    drop((read, connected));
    answered
}

fuzz_target!(|input: (u8, &[u8])| {
    let (part_bytes, text) = input;
    let whole = guard::fuzz::answer([text].into_iter());
    assert_eq!(guard::fuzz::answer(text.chunks(usize::from(part_bytes).max(1))), whole);
    if let Some(whole) = whole {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert_eq!(runtime.block_on(of_hyper(text)), Some(whole));
    }
});
