//! Owns the waterfall: a trace as lines of text, each span below the one that it was done for, with a bar that shows when.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::query::reason;
use crate::{Kind, Span, SpanId};

/// More rows nobody reads; how many more there are is said.
const ROWS_MAX: usize = 500;
/// Spans are moved to the right so often, and no further.
const INDENT_MAX: usize = 24;
/// The fewest columns of a bar.
const BAR_MIN: usize = 10;
/// The most columns of what stands before the bars.
const LABEL_MAX: usize = 60;

/// One span, and how deep it is below the one that began it all.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// How deep.
    pub depth: usize,
    /// The span.
    pub span: &'a Span,
    /// What it was done for is not here.
    pub is_orphan: bool,
}

/// Returns the waterfall of the spans of one trace, in lines of `width` columns. Whatever stands in names and messages,
/// nothing in it moves the cursor.
pub fn waterfall(spans: &[Arc<Span>], width: usize) -> String {
    let Some(start_ns) = spans.iter().map(|span| span.start_ns).min() else { return String::new() };
    let end_ns = spans.iter().map(|span| span.end_ns).max().unwrap_or(start_ns);
    let rows = rows(spans);
    let shown = &rows[..rows.len().min(ROWS_MAX)];
    let labels: Vec<String> = shown.iter().map(label).collect();
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let columns = longest.min(LABEL_MAX).min(width.saturating_sub(BAR_MIN + 13).max(20));
    let bar_columns = width.saturating_sub(columns + 13).max(BAR_MIN);
    let whole = Duration::from_nanos(end_ns - start_ns);
    let mut text = format!("{:columns$}  {:>9}  0", "", "took");
    let end = told(whole);
    let gap = bar_columns.saturating_sub(1 + end.chars().count()).max(1);
    text.push_str(&format!("{}{end}\n", " ".repeat(gap)));
    for (row, label) in shown.iter().zip(&labels) {
        let bar = bar(row.span, start_ns, whole, bar_columns);
        let took = told(row.span.took());
        text.push_str(&format!("{}  {took:>9}  {bar}", fitted(label, columns)));
        if row.span.is_error() {
            let note = format!("! {}", clean(reason(row.span)));
            let (before, room) = (columns + 13, width.saturating_sub(columns + 13).max(BAR_MIN));
            // Behind the bar where it fits, otherwise below it.
            if bar.chars().count() + 2 + note.chars().count() <= room {
                text.push_str(&format!("  {note}"));
            } else {
                text.push_str(&format!("\n{:before$}{}", "", fitted(&note, room)));
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if rows.len() > shown.len() {
        text.push_str(&format!("and {} more\n", rows.len() - shown.len()));
    }
    text
}

/// Spans in the order in which they are shown. Each is there once, whatever they say of each other.
pub fn rows(spans: &[Arc<Span>]) -> Vec<Row<'_>> {
    let ids: HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
    let mut children: HashMap<SpanId, Vec<&Span>> = HashMap::new();
    let mut roots: Vec<&Span> = Vec::new();
    let mut sorted: Vec<&Span> = spans.iter().map(|span| &**span).collect();
    sorted.sort_by_key(|span| (span.start_ns, std::cmp::Reverse(span.end_ns), span.id));
    for span in &sorted {
        match span.parent.filter(|parent| ids.contains(parent) && *parent != span.id) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => roots.push(span),
        }
    }
    let (mut rows, mut seen) = (Vec::with_capacity(spans.len()), HashSet::new());
    // Spans that name each other as parents have no beginning: they come last.
    for root in roots.into_iter().chain(sorted) {
        below(root, &children, &mut seen, &mut rows);
    }
    rows
}

fn below<'a>(
    root: &'a Span,
    children: &HashMap<SpanId, Vec<&'a Span>>,
    seen: &mut HashSet<SpanId>,
    rows: &mut Vec<Row<'a>>,
) {
    let mut waiting = vec![(0, root)];
    while let Some((depth, span)) = waiting.pop() {
        if !seen.insert(span.id) {
            continue;
        }
        rows.push(Row { depth, span, is_orphan: depth == 0 && span.parent.is_some() });
        let below = children.get(&span.id).into_iter().flatten().rev();
        waiting.extend(below.map(|child| (depth + 1, *child)));
    }
}

fn label(row: &Row<'_>) -> String {
    let indent = "  ".repeat(row.depth.min(INDENT_MAX));
    let mark = if row.is_orphan { "… " } else { "" };
    let kind = match row.span.kind {
        Kind::Unspecified | Kind::Internal => "",
        kind => kind.name(),
    };
    let text = format!("{indent}{mark}{} {kind}: {}", row.span.service(), row.span.name).replace(" : ", ": ");
    clean(&text)
}

/// A text in so many columns.
fn fitted(text: &str, columns: usize) -> String {
    let count = text.chars().count();
    if count <= columns {
        return format!("{text:columns$}");
    }
    text.chars().take(columns.saturating_sub(1)).chain(['…']).collect()
}

fn bar(span: &Span, start_ns: u64, whole: Duration, columns: usize) -> String {
    let whole_ns = whole.as_nanos().max(1);
    let at = |ns: u64| (u128::from(ns - start_ns) * columns as u128 / whole_ns) as usize;
    let from = at(span.start_ns).min(columns - 1);
    let to = at(span.end_ns).clamp(from + 1, columns);
    let sign = if span.took().is_zero() { "|" } else { "█" };
    format!("{}{}", " ".repeat(from), sign.repeat(to - from))
}

/// A time as a person says it, with three digits.
fn told(took: Duration) -> String {
    let ns = took.as_nanos();
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (took.as_secs_f64(), "s"),
    };
    match value {
        100.0.. => format!("{value:.0} {unit}"),
        10.0.. => format!("{value:.1} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

/// A text without what would move the cursor or hide it.
fn clean(text: &str) -> String {
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().map(|c| if c.is_control() || hidden(c) { '·' } else { c }).collect()
}
