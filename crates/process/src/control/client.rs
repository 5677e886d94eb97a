//! Owns a client's end of a control socket.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Mutex, mpsc};

use super::{LINE_BYTES_MAX, Message, Request};

/// A client that is slow to read makes the guard wait no longer than its socket's buffer; this many messages more
/// are held here.
const MESSAGES_MAX: usize = 64;

/// A connection to one guard. The connection ends when the client is dropped.
#[derive(Debug)]
pub struct Client {
    writer: Mutex<OwnedWriteHalf>,
    reader: tokio::task::JoinHandle<()>,
}

// === impl Client ===

impl Client {
    /// Connects to the guard whose control socket is `path`. The first message is always `hello`; the messages end
    /// when the guard does, or says something that is not a message.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(path: &Path) -> io::Result<(Self, mpsc::Receiver<Message>)> {
        let (reader, writer) = UnixStream::connect(path).await?.into_split();
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let reader = tokio::spawn(read(reader, sender));
        Ok((Self { writer: Mutex::new(writer), reader }, messages))
    }

    /// Sends one request; its reply comes as a message with the same id.
    ///
    /// # Errors
    /// When the guard is gone, or the request is longer than 1 MiB.
    pub async fn send(&self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        if line.len() >= LINE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the request is longer than a line may be",
            ));
        }
        line.push(b'\n');
        self.writer.lock().await.write_all(&line).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(reader: OwnedReadHalf, messages: mpsc::Sender<Message>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX as u64);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return tracing::debug!(%error, "a control connection broke"),
        }
        match serde_json::from_slice(&line) {
            Ok(message) => {
                if messages.send(message).await.is_err() {
                    return;
                }
            }
            Err(error) => return tracing::warn!(%error, "a guard said something that is not a message"),
        }
    }
}
