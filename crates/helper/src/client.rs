//! Owns asking the helper: one connection, one request, one answer, and whether it is root who listens.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::request::{Answer, Request};

/// Where systemd listens for it: in a folder that is root's, so that nobody else can put a socket there.
pub const SOCKET: &str = "/run/paramedic-helper.sock";

/// Where it is asked to contain a server: a service apart, because it takes more.
pub const CONTAIN_SOCKET: &str = "/run/paramedic-contain.sock";

/// How long the helper may take in all; it has its own deadlines below this.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 128 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error(
        "that takes root, and the helper is not installed (`{}`): install `paramedic-helper.socket`, \
         `paramedic-helper.service` and `helper.toml` (deploy/README.md), then `systemctl enable --now \
         paramedic-helper.socket`; or do it as root", .0.display()
    )]
    Absent(PathBuf),
    /// This user may not ask.
    #[error("this user may not ask the helper (`{}`): root may, and the user of `serve`", .0.display())]
    Denied(PathBuf),
    /// Somebody else than root listens there.
    #[error("user {uid} listens at `{}`, and not root: nothing was asked", path.display())]
    Impostor {
        /// Where.
        path: PathBuf,
        /// Who.
        uid: u32,
    },
    /// The connection broke.
    #[error("the helper did not answer; whether it was done is not known")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("the helper did not answer within {ANSWER_MAX:?}; whether it was done is not known")]
    Deadline,
    /// It said something else.
    #[error("the answer of the helper is not understood")]
    Content(#[from] serde_json::Error),
}

/// Asks the helper at `socket`, normally [`SOCKET`]. `owner` is who has to listen there, normally
/// [`crate::OWNER`].
///
/// # Errors
/// Where nobody or somebody else listens, this user may not ask, or no answer comes.
pub async fn ask(socket: &Path, owner: u32, request: &Request) -> Result<Answer, ClientError> {
    tokio::time::timeout(ANSWER_MAX, talk(socket, owner, request)).await.unwrap_or(Err(ClientError::Deadline))
}

async fn talk(socket: &Path, owner: u32, request: &Request) -> Result<Answer, ClientError> {
    let mut stream = UnixStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => ClientError::Denied(socket.to_owned()),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::Absent(socket.to_owned()),
        _ => ClientError::Io(error),
    })?;
    let uid = stream.peer_cred()?.uid();
    if uid != owner {
        return Err(ClientError::Impostor { path: socket.to_owned(), uid });
    }
    // Where it has refused before the end of the request, its reason can still be read.
    let _ = stream.write_all(request.to_line().as_bytes()).await;
    let _ = stream.shutdown().await;
    let mut text = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut text).await?;
    Ok(serde_json::from_str(text.trim_end())?)
}
