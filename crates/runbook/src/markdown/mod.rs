//! Owns the way from the bytes of a Markdown document to a [`Runbook`]: it never fails, and says what it did not understand.

mod alert;
mod blocks;
mod fence;
mod section;
mod steps;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use checksum::Digest;

use crate::diagnostic::{Diagnostic, Lines, Remarks};
use crate::front::{self, FrontMatter};
use crate::procedure::{Procedure, Runbook};
use section::Section;

/// A larger document is no runbook; the rest of it is not read.
const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What is needed while a document is read.
struct Reading<'t> {
    text: &'t str,
    lines: Lines<'t>,
    remarks: Remarks,
}

/// Reads a document.
///
/// Never fails and never panics: what is not understood is left out or taken as unknown, and named in the diagnostics.
pub fn parse(name: &str, bytes: &[u8]) -> (Runbook, Vec<Diagnostic>) {
    let mut runbook = Runbook {
        name: name.to_owned(),
        sha256: Digest::of(bytes).to_string(),
        front: FrontMatter::default(),
        procedures: Vec::new(),
        reference: Vec::new(),
    };
    let bytes_read = &bytes[..bytes.len().min(DOCUMENT_BYTES_MAX)];
    let text = lossy(bytes_read);
    let mut reading = Reading { text: &text, lines: Lines::new(&text), remarks: Remarks::default() };
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let said = format!("the document is longer than {DOCUMENT_BYTES_MAX} bytes, and is not read");
        reading.remarks.error(0, said);
        return (runbook, reading.remarks.finish(&reading.lines));
    }
    if let Err(error) = str::from_utf8(bytes_read) {
        reading.remarks.error(error.valid_up_to(), "the document is not UTF-8 from here on");
    }
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let (front, body) = front::read(&text[mark..], &mut reading.remarks);
    runbook.front = front;
    let blocks = blocks::read(&text, mark + body, &mut reading.remarks);
    for section in Section::split(&blocks) {
        match section.procedure(&mut reading) {
            Some(procedure) => runbook.procedures.push(procedure),
            None => runbook.reference.push(section.title.to_owned()),
        }
    }
    if runbook.procedures.is_empty() {
        reading
            .remarks
            .warning(0, "the document holds no procedure: no `## ` section has an `### Alert: ` heading");
    }
    finish(&mut runbook.procedures, &mut reading);
    (runbook, reading.remarks.finish(&reading.lines))
}

/// The text of a document, with a stand-in for what is not UTF-8. Asking first is several times faster.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Looks at the procedures together: unique ids and alerts, inherited criteria and duties.
fn finish(procedures: &mut [Procedure], reading: &mut Reading<'_>) {
    let mut ids = BTreeSet::new();
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    let mut alerts = BTreeSet::new();
    for procedure in procedures.iter_mut() {
        let offset = reading.lines.start(procedure.line);
        if !ids.insert(procedure.id.clone()) {
            reading.remarks.warning(offset, format!("two procedures are called `{}`", procedure.title));
            let copy = copies.entry(procedure.id.clone()).or_insert(1);
            procedure.id = loop {
                *copy += 1;
                let id = format!("{}-{copy}", procedure.id);
                if ids.insert(id.clone()) {
                    break id;
                }
            };
        }
        let Some(alert) = &procedure.alert else { continue };
        if !alerts.insert(alert.name.to_ascii_lowercase()) {
            let said = format!("two procedures answer the alert `{}`; the first one is used", alert.name);
            reading.remarks.error(offset, said);
        }
    }
    let given = |of: fn(&Procedure) -> &Vec<String>| {
        procedures.iter().map(of).find(|list| !list.is_empty()).cloned().unwrap_or_default()
    };
    let (escalation, duties) = (given(|p| &p.escalation), given(|p| &p.duties));
    for procedure in procedures {
        let offset = reading.lines.start(procedure.line);
        if procedure.escalation.is_empty() && !escalation.is_empty() {
            procedure.escalation.clone_from(&escalation);
            let said = format!("`{}` names no escalation criteria; it inherits them", procedure.title);
            reading.remarks.info(offset, said);
        }
        if procedure.duties.is_empty() && !duties.is_empty() {
            procedure.duties.clone_from(&duties);
            let said = format!("`{}` names no documentation requirements; it inherits them", procedure.title);
            reading.remarks.info(offset, said);
        }
    }
}
