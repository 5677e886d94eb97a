//! Owns the page: one file that needs no other, without a script, for a small screen, a printer and the dark.

use std::fmt::Write as _;

use super::document::{Block, Language};
use super::model::Report;
use super::text::{clean, one_line};

/// Verbatim text of more lines is folded: it opens with a click.
const OPEN_LINES_MAX: usize = 12;

/// Names as they stand in the page; the rest is left to the browser.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2024;--soft:#60646c;--line:#d9dce0;--pane:#f4f5f7;--paper:#fff;--good:#18794e;--bad:#c0262d}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9ba1a6;--line:#35393e;--pane:#1d2125;--paper:#131619;--good:#4cc38a;--bad:#ff8589}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:60rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.4rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--line)}h3{font-size:1rem;margin:1.25rem 0 .25rem}
p,ul{margin:.5rem 0}ul{padding-left:1.25rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;color:var(--soft);font-weight:500}
th,td{padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
.times td:nth-child(-n+2){white-space:nowrap;font-variant-numeric:tabular-nums}
.times th:nth-child(-n+2){white-space:nowrap}
.facts td:first-child{color:var(--soft);width:7em}
.bad{color:var(--bad);font-weight:600}.good{color:var(--good)}
.state{display:inline-block;padding:.1rem .6rem;border:1px solid;border-radius:1rem;font-size:.85rem}
code,pre{font:.85rem/1.45 ui-monospace,monospace}
code{background:var(--pane);padding:.05rem .25rem;border-radius:.2rem}
pre{background:var(--pane);padding:.6rem .75rem;border-radius:.4rem;overflow-x:auto;white-space:pre;margin:.4rem 0}
pre code{padding:0;background:none}
summary{cursor:pointer;color:var(--soft);font-size:.9rem}
ins,del{text-decoration:none}ins{color:var(--good)}del{color:var(--bad)}
@media(max-width:36rem){body{padding:.75rem}table{font-size:.8rem}th,td{padding-right:.5rem}}
@media print{body{max-width:none}pre{white-space:pre-wrap}}
";

/// Renders a document.
pub(super) fn render(report: &Report, blocks: &[Block]) -> String {
    let title = escape(&one_line(&format!("Incident {}: {}", report.id, report.title)));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    for block in blocks {
        // Writing to a string cannot fail.
        let _ = write_block(&mut out, block);
        if matches!(block, Block::Heading(1, _)) {
            let tone = if report.state.is_open() { "bad" } else { "good" };
            let _ = writeln!(out, "<p><span class=\"state {tone}\">{}</span></p>", report.state);
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn write_block(out: &mut String, block: &Block) -> std::fmt::Result {
    match block {
        Block::Heading(level, text) => writeln!(out, "<h{level}>{}</h{level}>", inline(text)),
        Block::Text(text) => writeln!(out, "<p>{}</p>", inline(text)),
        Block::List(items) => {
            out.push_str("<ul>\n");
            items.iter().try_for_each(|item| writeln!(out, "<li>{}</li>", inline(item)))?;
            writeln!(out, "</ul>")
        }
        Block::Table(header, rows) => write_table(out, header, rows),
        Block::Verbatim(language, text) => {
            let text = clean(text);
            let lines = text.trim_end().lines().count();
            let block =
                format!("<pre tabindex=\"0\"><code>{}</code></pre>", verbatim(*language, text.trim_end()));
            match language {
                Language::Output if lines > OPEN_LINES_MAX => {
                    writeln!(out, "<details><summary>{lines} lines</summary>{block}</details>")
                }
                _ => writeln!(out, "{block}"),
            }
        }
    }
}

fn write_table(out: &mut String, header: &[&str], rows: &[Vec<String>]) -> std::fmt::Result {
    if header.is_empty() {
        out.push_str("<table class=\"facts\">\n");
    } else {
        let cells: String = header.iter().map(|cell| format!("<th>{}</th>", escape(cell))).collect();
        let class = if header.contains(&"after") { " class=\"times\"" } else { "" };
        writeln!(out, "<table{class}>\n<tr>{cells}</tr>")?;
    }
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", marked(cell))).collect();
        writeln!(out, "<tr>{cells}</tr>")?;
    }
    writeln!(out, "</table>")
}

/// What is late or lacks is to be seen at a glance; these are words of the report itself.
fn marked(cell: &str) -> String {
    let text = inline(cell);
    match text.strip_prefix("NOT met") {
        Some(rest) => format!("<span class=\"bad\">NOT met</span>{rest}"),
        None => text,
    }
}

/// Running text; what stands between backticks is code.
fn inline(text: &str) -> String {
    let text = one_line(text);
    let parts: Vec<&str> = text.split('`').collect();
    let mut out = String::new();
    for (idx, part) in parts.iter().enumerate() {
        let is_last = idx + 1 == parts.len();
        match idx % 2 {
            1 if !is_last => out.push_str(&format!("<code>{}</code>", escape(part))),
            // A backtick without a second one is only itself.
            1 => out.push_str(&format!("`{}", escape(part))),
            _ => out.push_str(&escape(part)),
        }
    }
    out
}

fn verbatim(language: Language, text: &str) -> String {
    if language != Language::Diff {
        return escape(text);
    }
    let line = |line: &str| match line.as_bytes().first() {
        Some(b'-') => format!("<del>{}</del>", escape(line)),
        Some(b'+') => format!("<ins>{}</ins>", escape(line)),
        _ => escape(line),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
