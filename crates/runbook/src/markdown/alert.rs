//! Owns the lines under an alert heading: `**Severity**: Critical`, `**Alert Query**: ...` and their like.

use super::blocks::{Block, Line, Span};
use crate::diagnostic::Remarks;
use crate::duration::{parse_duration, parse_limit};
use crate::procedure::{AlertSpec, Severity};

/// Queries for alerts that name none: a word of the alert's name, and what the product measures for it.
const QUERIES: [(&str, &str); 1] = [("integrity", "mcp_data_integrity_status == 0")];

/// Reads an alert: its name from the heading, the rest from the blocks under it.
pub(super) fn read(name: &str, offset: usize, blocks: &[Block], remarks: &mut Remarks) -> AlertSpec {
    let mut alert = AlertSpec {
        name: name.to_owned(),
        severity: Severity::Warning,
        response_time: None,
        query: None,
        for_: None,
        keep_firing_for: None,
        inhibits: Vec::new(),
        contact: None,
    };
    if name.contains(char::is_whitespace) {
        remarks
            .warning(offset, format!("alert name `{name}` holds blanks, which no label of an alert should"));
    }
    let mut severity = None;
    for line in lines(blocks) {
        let Some(field) = Field::of(line) else { continue };
        if field.key == "severity" {
            severity = Severity::from_name(&field.value);
            if severity.is_none() {
                remarks.error(
                    field.offset,
                    format!("severity `{}` is not critical, warning or info", field.value),
                );
            }
        } else {
            field.set(&mut alert, remarks);
        }
    }
    match severity {
        Some(severity) => alert.severity = severity,
        None => remarks.warning(offset, format!("alert `{name}` has no severity; it is taken as a warning")),
    }
    if alert.query.is_none() {
        bind(&mut alert, offset, remarks);
    }
    alert
}

/// Gives an alert without a query one, where its name says what it is about.
fn bind(alert: &mut AlertSpec, offset: usize, remarks: &mut Remarks) {
    let name = alert.name.to_ascii_lowercase();
    match QUERIES.iter().find(|(word, _)| name.contains(word)) {
        Some((_, query)) => {
            remarks.warning(offset, format!("alert `{}` has no query; it is bound to `{query}`", alert.name));
            alert.query = Some((*query).to_owned());
        }
        None => remarks.error(offset, format!("alert `{}` has no query, so nothing can fire it", alert.name)),
    }
}

/// Lines of paragraphs and of list items, which may hold the fields as well.
fn lines(blocks: &[Block]) -> Vec<&Line> {
    let mut lines = Vec::new();
    for block in blocks {
        match block {
            Block::Paragraph(paragraph) => lines.extend(&paragraph.lines),
            Block::List { start: None, items } => {
                for item in items {
                    if let Some(Block::Paragraph(paragraph)) = item.blocks.first() {
                        lines.extend(&paragraph.lines);
                    }
                }
            }
            _ => {}
        }
    }
    lines
}

/// A bold key and what follows it.
struct Field {
    key: String,
    value: String,
    code: Option<String>,
    offset: usize,
}

impl Field {
    fn of(line: &Line) -> Option<Self> {
        let (Span::Strong(key), rest) = line.spans.split_first()? else { return None };
        let value = Line { spans: rest.to_vec(), offset: line.offset }.plain();
        let value = value.trim().trim_start_matches(':').trim().to_owned();
        let code = rest.iter().find_map(|span| match span {
            Span::Code(code) => Some(code.trim().to_owned()),
            _ => None,
        });
        let key = key.trim().trim_end_matches(':').trim().to_ascii_lowercase();
        Some(Self { key, value, code, offset: line.offset })
    }

    fn set(self, alert: &mut AlertSpec, remarks: &mut Remarks) {
        match self.key.as_str() {
            "response time" => alert.response_time = self.time(parse_limit(&self.value), remarks),
            "for" => alert.for_ = self.time(parse_duration(&self.value), remarks),
            "keep firing for" => alert.keep_firing_for = self.time(parse_duration(&self.value), remarks),
            "alert query" | "query" => self.query(alert, remarks),
            "inhibits" => {
                let names = self.value.split(',').map(str::trim).filter(|name| !name.is_empty());
                alert.inhibits = names.map(str::to_owned).collect();
            }
            "contact" => alert.contact = Some(self.value).filter(|value| !value.is_empty()),
            other => remarks.info(self.offset, format!("`{other}` means nothing under an alert")),
        }
    }

    fn query(self, alert: &mut AlertSpec, remarks: &mut Remarks) {
        let query = match self.code {
            Some(code) => code,
            None => {
                remarks
                    .warning(self.offset, "the query is not in backticks, so Markdown may have changed it");
                self.value
            }
        };
        if query.is_empty() {
            return;
        }
        if let Err(error) = metrics::Query::parse(&query) {
            remarks.error(
                self.offset,
                format!("the query of alert `{}` can not be evaluated: {error}", alert.name),
            );
        }
        alert.query = Some(query);
    }

    fn time<T>(&self, parsed: Option<T>, remarks: &mut Remarks) -> Option<T> {
        if parsed.is_none() {
            remarks.warning(self.offset, format!("`{}` of `{}` is not a time", self.value, self.key));
        }
        parsed
    }
}
