//! Owns Markdown: a document as text that no text from outside can break out of.
//!
//! In running text `\`, `<`, `[` and `|` are escaped, so that there is no HTML, no link, no image and no cell that
//! somebody else wrote; a line never begins with what makes it a heading, a list, a quotation or a fence. Verbatim
//! text stands in a fence longer than any run of backticks in it.

use std::fmt::Write as _;

use super::document::{Block, Language};
use super::text::{clean, one_line};

/// The shortest fence.
const FENCE_MIN: usize = 3;

/// Renders a document.
pub(super) fn render(blocks: &[Block]) -> String {
    let mut out = String::new();
    for (idx, block) in blocks.iter().enumerate() {
        if idx > 0 {
            out.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = write_block(&mut out, block);
    }
    out
}

fn write_block(out: &mut String, block: &Block) -> std::fmt::Result {
    match block {
        Block::Heading(level, text) => {
            writeln!(out, "{} {}", "#".repeat(usize::from(*level)), inline(text))
        }
        Block::Text(text) => writeln!(out, "{}", line(text)),
        Block::List(items) => items.iter().try_for_each(|item| writeln!(out, "- {}", line(item))),
        Block::Table(header, rows) => {
            let columns = rows.first().map_or(header.len(), Vec::len);
            let head: Vec<&str> = (0..columns).map(|idx| header.get(idx).copied().unwrap_or("")).collect();
            writeln!(out, "| {} |", head.join(" | "))?;
            writeln!(out, "|{}", "---|".repeat(columns))?;
            rows.iter().try_for_each(|row| {
                let cells: Vec<String> = row.iter().map(|cell| inline(cell)).collect();
                writeln!(out, "| {} |", cells.join(" | "))
            })
        }
        Block::Verbatim(language, text) => {
            let text = clean(text);
            let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(FENCE_MIN.max(longest + 1));
            let word = match language {
                Language::Bash => "bash",
                Language::Output => "text",
                Language::Diff => "diff",
            };
            writeln!(out, "{fence}{word}\n{}\n{fence}", text.trim_end())
        }
    }
}

/// Running text on one line.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for letter in one_line(text).chars() {
        if matches!(letter, '\\' | '<' | '[' | '|') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// Running text at the beginning of a line.
fn line(text: &str) -> String {
    let text = inline(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let opens = match text.as_bytes().get(digits) {
        Some(b'.' | b')') if digits > 0 => Some(digits),
        Some(b'#' | b'>' | b'-' | b'+' | b'*' | b'_' | b'=' | b'~') if digits == 0 => Some(0),
        Some(b'`') if text.starts_with("```") => Some(0),
        _ => None,
    };
    match opens {
        Some(at) => format!("{}\\{}", &text[..at], &text[at..]),
        None => text,
    }
}
