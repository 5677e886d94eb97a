//! Owns frames of several messages (revision 2025-03-26), and what becomes of them when a message is kept or changed.

use serde_json::value::RawValue;

/// What to do with a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Drop,
    /// Pass these bytes on in its place.
    Instead(Vec<u8>),
}

/// The messages of a frame: one, or those of a batch.
pub(crate) fn messages(frame: &[u8]) -> Result<Vec<&str>, &'static str> {
    let text = std::str::from_utf8(frame).map_err(|_| "not UTF-8")?;
    if !text.trim_ascii_start().starts_with('[') {
        return Ok(if text.trim_ascii().is_empty() { Vec::new() } else { vec![text] });
    }
    let batch: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| "not JSON")?;
    Ok(batch.into_iter().map(RawValue::get).collect())
}

/// What becomes of a frame when each of its messages has a verdict.
pub(crate) fn rebuilt(frame: &[u8], mut verdicts: Vec<(&str, Verdict)>) -> Verdict {
    if verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Pass) {
        return Verdict::Pass;
    }
    let batch = frame.trim_ascii_start().starts_with(b"[");
    if let (false, [(_, verdict)]) = (batch, verdicts.as_mut_slice()) {
        return std::mem::replace(verdict, Verdict::Pass);
    }
    let kept = verdicts.into_iter().filter_map(|(text, verdict)| match verdict {
        Verdict::Pass => Some(text.as_bytes().to_vec()),
        Verdict::Instead(bytes) => Some(bytes),
        Verdict::Drop => None,
    });
    let kept: Vec<Vec<u8>> = kept.collect();
    if kept.is_empty() {
        return Verdict::Drop;
    }
    let mut line = b"[".to_vec();
    line.extend(kept.join(&b','));
    line.extend(b"]\n");
    Verdict::Instead(line)
}
