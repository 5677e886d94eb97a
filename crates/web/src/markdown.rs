//! Owns Markdown as HTML, with a place beside each block for what belongs to its lines.
//!
//! Whoever wrote the document may be anybody: HTML in it is text, a link leads where a browser may go and nowhere else, and a
//! picture is the link to it.

use std::ops::Range;

use incident::plain;
use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// What kind of block something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A heading.
    Heading,
    /// A paragraph.
    Paragraph,
    /// An item of a list, with all that is in it.
    Item,
    /// A block of code.
    Code,
    /// A table.
    Table,
}

/// A block of the document, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What it is.
    pub kind: Kind,
    /// Its first line and the one behind its last, from 1.
    pub lines: Range<usize>,
}

/// What stands beside blocks.
pub trait Beside {
    /// What stands before what is in a block; of a block of code, before it.
    fn before(&mut self, _block: &Block) -> Markup {
        PreEscaped(String::new())
    }

    /// What stands in the place of a block of code.
    fn instead(&mut self, _code: &Block) -> Option<Markup> {
        None
    }

    /// What stands behind a block; of an item of a list, in it.
    fn after(&mut self, _block: &Block) -> Markup {
        PreEscaped(String::new())
    }
}

/// Nothing stands beside any block.
impl Beside for () {}

/// The document as HTML. Headings are one level lower than they are written: the page has a title. The first block that
/// begins at a line has the id `line-NUMBER`.
pub fn markdown(text: &str, beside: &mut dyn Beside) -> Markup {
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut writer = Writer {
        out: String::new(),
        starts,
        beside,
        open: Vec::new(),
        last_id: 0,
        is_head: false,
        is_replaced: false,
    };
    for (event, bytes) in Parser::new_ext(text, options).into_offset_iter() {
        writer.take(event, bytes);
    }
    PreEscaped(writer.out)
}

struct Writer<'b> {
    out: String,
    /// Where lines begin.
    starts: Vec<usize>,
    beside: &'b mut dyn Beside,
    /// The blocks that have begun.
    open: Vec<Block>,
    /// The line of the last block that has an id.
    last_id: usize,
    /// In the head of a table.
    is_head: bool,
    /// In a block of code in whose place something else stands.
    is_replaced: bool,
}

// === impl Writer ===

impl Writer<'_> {
    fn take(&mut self, event: Event<'_>, bytes: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, bytes),
            Event::End(tag) => self.end(tag),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.text(&text),
            Event::Code(text) => {
                self.out.push_str("<code>");
                self.text(&text);
                self.out.push_str("</code>");
            }
            Event::SoftBreak => self.out.push('\n'),
            Event::HardBreak => self.out.push_str("<br>"),
            Event::Rule => self.out.push_str("<hr>"),
            Event::TaskListMarker(done) => self.out.push_str(if done { "☑ " } else { "☐ " }),
        }
    }

    fn text(&mut self, text: &str) {
        if self.is_replaced {
            return;
        }
        self.out.push_str(&html! { (plain(text)) }.into_string());
    }

    fn start(&mut self, tag: Tag<'_>, bytes: Range<usize>) {
        match tag {
            Tag::Paragraph => self.begin("p", Kind::Paragraph, bytes),
            Tag::Heading { level, .. } => self.begin(heading(level), Kind::Heading, bytes),
            Tag::Item => self.begin("li", Kind::Item, bytes),
            Tag::CodeBlock(kind) => self.begin_code(&kind, bytes),
            Tag::Table(_) => self.begin("table", Kind::Table, bytes),
            Tag::TableHead => {
                self.is_head = true;
                self.out.push_str("<thead><tr>");
            }
            Tag::TableRow => self.out.push_str("<tr>"),
            Tag::TableCell => self.out.push_str(if self.is_head { "<th scope=\"col\">" } else { "<td>" }),
            Tag::List(None) => self.out.push_str("<ul>"),
            Tag::List(Some(first)) => self.out.push_str(&format!("<ol start=\"{first}\">")),
            Tag::BlockQuote(_) => self.out.push_str("<blockquote>"),
            Tag::Emphasis => self.out.push_str("<em>"),
            Tag::Strong => self.out.push_str("<strong>"),
            Tag::Strikethrough => self.out.push_str("<s>"),
            Tag::MetadataBlock(_) => self.out.push_str("<pre class=\"front\">"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.begin_link(&dest_url),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.finish("</p>"),
            TagEnd::Heading(level) => self.finish(&format!("</{}>", heading(level))),
            TagEnd::CodeBlock => {
                let end = if std::mem::take(&mut self.is_replaced) { "" } else { "</code></pre>" };
                self.finish(end);
            }
            TagEnd::Table => self.finish("</tbody></table>"),
            TagEnd::Item => {
                if let Some(block) = self.open.pop() {
                    let after = self.beside.after(&block);
                    self.out.push_str(&after.into_string());
                }
                self.out.push_str("</li>");
            }
            TagEnd::TableHead => {
                self.is_head = false;
                self.out.push_str("</tr></thead><tbody>");
            }
            TagEnd::TableRow => self.out.push_str("</tr>"),
            TagEnd::TableCell => self.out.push_str(if self.is_head { "</th>" } else { "</td>" }),
            TagEnd::List(true) => self.out.push_str("</ol>"),
            TagEnd::List(false) => self.out.push_str("</ul>"),
            TagEnd::BlockQuote(_) => self.out.push_str("</blockquote>"),
            TagEnd::Emphasis => self.out.push_str("</em>"),
            TagEnd::Strong => self.out.push_str("</strong>"),
            TagEnd::Strikethrough => self.out.push_str("</s>"),
            TagEnd::MetadataBlock(_) => self.out.push_str("</pre>"),
            TagEnd::Link | TagEnd::Image => self.out.push_str("</a>"),
            _ => {}
        }
    }

    /// Begins a block: its element, and what stands before what is in it.
    fn begin(&mut self, name: &str, kind: Kind, bytes: Range<usize>) {
        let block = self.block(kind, bytes);
        let id = self.id(&block);
        self.out.push_str(&format!("<{name}{id}>"));
        self.enter(block);
    }

    fn begin_code(&mut self, kind: &CodeBlockKind<'_>, bytes: Range<usize>) {
        let block = self.block(Kind::Code, bytes);
        let id = self.id(&block);
        self.enter(block.clone());
        if let Some(instead) = self.beside.instead(&block) {
            self.out.push_str(&instead.into_string());
            self.is_replaced = true;
            return;
        }
        self.out.push_str(&format!("<pre{id} tabindex=\"0\""));
        if let CodeBlockKind::Fenced(info) = kind
            && !info.is_empty()
        {
            // What stands behind the fence says how it is run.
            let said = html! { span.fence { (plain(info)) } }.into_string();
            self.out.push_str(&format!(">{said}<code>"));
        } else {
            self.out.push_str("><code>");
        }
    }

    /// A link where a browser may go; others are a link to nowhere, and their words stay.
    fn begin_link(&mut self, to: &str) {
        let is_way = ["https://", "http://", "mailto:", "#"].iter().any(|begin| to.starts_with(begin));
        let link = if is_way {
            html! { a href=(to) rel="noreferrer noopener" {} }.into_string()
        } else {
            html! { a title=(plain(to)) {} }.into_string()
        };
        self.out.push_str(link.trim_end_matches("</a>"));
    }

    fn enter(&mut self, block: Block) {
        let before = self.beside.before(&block);
        self.out.push_str(&before.into_string());
        self.open.push(block);
    }

    fn finish(&mut self, end: &str) {
        self.out.push_str(end);
        if let Some(block) = self.open.pop() {
            let after = self.beside.after(&block);
            self.out.push_str(&after.into_string());
        }
    }

    fn block(&self, kind: Kind, bytes: Range<usize>) -> Block {
        let line = |at: usize| self.starts.partition_point(|start| *start <= at).max(1);
        // The end of the last line belongs to it.
        let last = bytes.end.saturating_sub(1).max(bytes.start);
        Block { kind, lines: line(bytes.start)..line(last) + 1 }
    }

    /// The id of a block, where no block before it begins at its line.
    fn id(&mut self, block: &Block) -> String {
        let line = block.lines.start;
        if line <= self.last_id {
            return String::new();
        }
        self.last_id = line;
        format!(" id=\"line-{line}\"")
    }
}

fn heading(level: HeadingLevel) -> &'static str {
    match level {
        HeadingLevel::H1 => "h2",
        HeadingLevel::H2 => "h3",
        HeadingLevel::H3 => "h4",
        HeadingLevel::H4 => "h5",
        HeadingLevel::H5 | HeadingLevel::H6 => "h6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(markdown(text, &mut ()).into_string(), expect);
    }

    #[test]
    fn documents_are_what_they_were() {
        check(
            "# A\n\nb *c* `d`\ne",
            "<h2 id=\"line-1\">A</h2><p id=\"line-3\">b <em>c</em> <code>d</code>\ne</p>",
        );
        check(
            "1. x\n2. y\n\n- z",
            "<ol start=\"1\"><li id=\"line-1\">x</li><li id=\"line-2\">y</li></ol><ul><li id=\"line-4\">z</li></ul>",
        );
        check(
            "|a|b|\n|-|-|\n|1|2|\n",
            "<table id=\"line-1\"><thead><tr><th scope=\"col\">a</th><th scope=\"col\">b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        );
        check(
            "```bash {verify=\"x\"}\nkill <$PID>\n```",
            "<pre id=\"line-1\" tabindex=\"0\"><span class=\"fence\">bash {verify=&quot;x&quot;}</span><code>kill &lt;$PID&gt;\n</code></pre>",
        );
        check("---\nowner: x\n---\n", "<pre class=\"front\">owner: x\n</pre>");
    }

    #[test]
    fn what_somebody_else_wrote_does_nothing() {
        for text in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<div\n onclick=x>\n\n**b**\n</div>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>)",
            "![x](javascript:alert(1))",
            "[x](//evil.example)",
            "<javascript:alert(1)>",
            "```\" onclick=\"x\n<script>\n```",
            "[x](https://a.example/\"onclick=\"x)",
            "[x][y]\n\n[y]: javascript:x \"<script>\"",
            "---\n<script>: x\n---",
        ] {
            let shown = markdown(text, &mut ()).into_string();
            for bad in [
                "<script",
                "<img",
                "<div",
                "href=\"javascript",
                "href=\"data",
                "href=\"//",
                "\" onclick",
                "href=\"JaVa",
            ] {
                assert!(!shown.contains(bad), "{text}: {shown}");
            }
        }
        check(
            "[x](https://a.example/?b=1&c)",
            "<p id=\"line-1\"><a href=\"https://a.example/?b=1&amp;c\" rel=\"noreferrer noopener\">x</a></p>",
        );
        // What turns the direction of reading is taken out.
        check("a\u{202e}b", "<p id=\"line-1\">ab</p>");
    }

    #[test]
    fn each_block_knows_its_lines() {
        struct Lines(Vec<(Kind, Range<usize>)>);
        impl Beside for Lines {
            fn before(&mut self, block: &Block) -> Markup {
                html! { b { (block.lines.start) } }
            }

            fn after(&mut self, block: &Block) -> Markup {
                self.0.push((block.kind, block.lines.clone()));
                html! { i {} }
            }
        }
        let mut lines = Lines(Vec::new());
        let text = "## T\n\n1. **S**: do\n   it\n\n   ```bash\n   x\n   ```\n\nend";
        let shown = markdown(text, &mut lines).into_string();
        let expect = [
            (Kind::Heading, 1..2),
            (Kind::Paragraph, 3..5),
            (Kind::Code, 6..9),
            (Kind::Item, 3..10),
            (Kind::Paragraph, 10..11),
        ];
        assert_eq!(lines.0, expect, "{shown}");
        assert!(shown.contains("<b>6</b><pre id=\"line-6\" tabindex=\"0\">"), "{shown}");
        assert!(shown.contains("</code></pre><i></i><i></i></li>"), "{shown}");
    }
}
