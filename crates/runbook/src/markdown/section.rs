//! Owns sections: which second-level heading is a procedure, and what its third-level headings are.

use super::blocks::{Block, Line};
use super::{Reading, alert, steps};
use crate::diagnostic::Remarks;
use crate::duration::split_window;
use crate::procedure::{AlertSpec, Phase, Procedure};

/// What stands under one heading; the blocks end before the next heading of its level.
pub(super) struct Section<'b> {
    pub(super) title: &'b str,
    offset: usize,
    blocks: &'b [Block],
}

impl<'b> Section<'b> {
    /// Cuts a document at its second-level headings; a first-level heading ends a section as well.
    pub(super) fn split(blocks: &'b [Block]) -> Vec<Self> {
        cut(blocks, 2)
    }

    /// Reads the section as a procedure; `None` if no alert is in it.
    pub(super) fn procedure(&self, reading: &mut Reading<'_>) -> Option<Procedure> {
        let parts = cut(self.blocks, 3);
        let first_alert = parts.iter().position(|part| alert_name(part.title).is_some())?;
        let mut procedure = Procedure {
            id: slug(self.title),
            title: self.title.to_owned(),
            line: reading.lines.line(self.offset),
            alert: None,
            phases: Vec::new(),
            escalation: Vec::new(),
            duties: Vec::new(),
        };
        let mut counter = steps::Counter::default();
        for (idx, part) in parts.iter().enumerate() {
            let title = part.title.to_ascii_lowercase();
            if alert_name(part.title).is_some() {
                if idx == first_alert {
                    procedure.alert = part.alert(&mut reading.remarks);
                } else {
                    reading.remarks.error(part.offset, "a procedure answers one alert; this one is left out");
                }
            } else if title.starts_with("escalation") {
                procedure.escalation = part.items(&mut reading.remarks);
                continue;
            } else if title.starts_with("documentation") {
                procedure.duties = part.items(&mut reading.remarks);
                continue;
            }
            procedure.phases.extend(part.phase(reading, &mut counter));
        }
        if procedure.phases.is_empty() {
            reading.remarks.warning(self.offset, format!("procedure `{}` has no steps", self.title));
        }
        Some(procedure)
    }

    fn alert(&self, remarks: &mut Remarks) -> Option<AlertSpec> {
        alert_name(self.title).map(|name| alert::read(name, self.offset, self.blocks, remarks))
    }

    fn phase(&self, reading: &mut Reading<'_>, counter: &mut steps::Counter) -> Option<Phase> {
        let (title, window) = split_window(self.title);
        let steps = steps::read(self.blocks, reading, counter);
        if steps.is_empty() {
            if window.is_some() {
                reading.remarks.warning(self.offset, format!("phase `{title}` has no steps"));
            }
            return None;
        }
        match window {
            None => reading.remarks.warning(self.offset, format!("phase `{title}` has no time window")),
            Some(window) if window.end_s.is_some_and(|end_s| end_s <= window.start_s) => {
                reading.remarks.warning(self.offset, format!("phase `{title}` ends before it begins"));
            }
            Some(_) => {}
        }
        Some(Phase { title: title.to_owned(), window, steps })
    }

    /// Returns the items of the lists in the section, one text each.
    fn items(&self, remarks: &mut Remarks) -> Vec<String> {
        let lists = self.blocks.iter().filter_map(|block| match block {
            Block::List { items, .. } => Some(items),
            _ => None,
        });
        let items = lists.flatten().filter_map(|item| match item.blocks.first() {
            Some(Block::Paragraph(paragraph)) => {
                Some(paragraph.lines.iter().map(Line::marked).collect::<Vec<_>>().join(" ").trim().to_owned())
            }
            _ => None,
        });
        let items: Vec<String> = items.collect();
        if items.is_empty() {
            remarks.warning(self.offset, format!("`{}` holds no list", self.title));
        }
        items
    }
}

/// Cuts blocks at the headings of a level; what stands before the first is left out, a higher heading ends a part.
fn cut(blocks: &[Block], wanted: u8) -> Vec<Section<'_>> {
    let headings = blocks.iter().enumerate().filter_map(|(idx, block)| match block {
        Block::Heading { level, text, offset } if *level <= wanted => Some((idx, *level, text, *offset)),
        _ => None,
    });
    let headings: Vec<_> = headings.collect();
    let mut sections = Vec::new();
    for (at, (idx, level, title, offset)) in headings.iter().enumerate() {
        let end = headings.get(at + 1).map_or(blocks.len(), |next| next.0);
        if *level == wanted {
            sections.push(Section { title, offset: *offset, blocks: &blocks[idx + 1..end] });
        }
    }
    sections
}

fn alert_name(heading: &str) -> Option<&str> {
    let (word, name) = heading.split_once(':')?;
    (word.trim().eq_ignore_ascii_case("alert") && !name.trim().is_empty()).then(|| name.trim())
}

/// Returns a title in lower case, with `-` for whatever is no letter or digit.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "procedure".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_and_alert_names() {
        for (title, expect) in [
            ("Server Down Incident", "server-down-incident"),
            ("  A -- B! ", "a-b"),
            ("§", "procedure"),
            ("Ä1", "ä1"),
        ] {
            assert_eq!(slug(title), expect);
        }
        assert_eq!(alert_name("Alert: MCPServerDown"), Some("MCPServerDown"));
        assert_eq!(alert_name("ALERT : x"), Some("x"));
        assert_eq!(alert_name("Alert:"), None);
        assert_eq!(alert_name("Alerting"), None);
    }
}
