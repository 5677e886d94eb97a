//! Owns reading an answer's body up to a limit.

use reqwest::Response;

/// Health answers have some hundred bytes, and the longest `initialize` answers some ten thousand.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why a body could not be had.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is longer than this.
    TooLong(usize),
    /// The connection broke.
    Broken(reqwest::Error),
}

/// The whole body.
pub(crate) async fn read(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Broken)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(BodyError::TooLong(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
