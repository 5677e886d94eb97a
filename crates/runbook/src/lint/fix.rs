//! Owns mending a text by the edits of findings.

use super::{Edit, Finding};

/// Returns the text with the edits of all findings carried out, and how many findings that mends; where two edits
/// overlap, the first one wins, and another pass may mend the rest.
pub fn apply(text: &str, findings: &[Finding]) -> (String, usize) {
    let mut edits: Vec<&Edit> = Vec::new();
    let mut n_mended = 0;
    for finding in findings.iter().filter(|finding| !finding.fix.is_empty()) {
        let is_free = |edit: &Edit| {
            let overlaps =
                |other: &&Edit| edit.bytes.start < other.bytes.end && other.bytes.start < edit.bytes.end;
            let touches = |other: &&Edit| edit.bytes == other.bytes;
            !edits.iter().any(|other| overlaps(other) || touches(other))
                && text.get(edit.bytes.clone()).is_some()
        };
        if finding.fix.iter().all(is_free) {
            edits.extend(&finding.fix);
            n_mended += 1;
        }
    }
    edits.sort_by_key(|edit| edit.bytes.start);
    let mut mended = String::with_capacity(text.len() + 16);
    let mut end = 0;
    for edit in edits {
        mended.push_str(&text[end..edit.bytes.start]);
        mended.push_str(&edit.text);
        end = edit.bytes.end;
    }
    mended.push_str(&text[end..]);
    (mended, n_mended)
}
