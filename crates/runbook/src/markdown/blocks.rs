//! Owns the blocks of a Markdown document: headings, paragraphs, lists and fences, as a reader sees them.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::diagnostic::Remarks;

/// A block of a document; offsets are bytes of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Heading { level: u8, text: String, offset: usize },
    Paragraph(Paragraph),
    Fence(RawFence),
    List { start: Option<u64>, items: Vec<Item> },
    Quote(Vec<Block>),
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) blocks: Vec<Block>,
    pub(super) offset: usize,
}

/// Lines of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Paragraph {
    pub(super) lines: Vec<Line>,
}

/// A line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) spans: Vec<Span>,
    pub(super) offset: usize,
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Span {
    Text(String),
    Strong(String),
    Code(String),
}

/// A fence before its text is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawFence {
    /// Bytes of the document that hold the info string.
    pub(super) info: Range<usize>,
    /// The text without the indentation of what is around it.
    pub(super) source: String,
    pub(super) offset: usize,
    pub(super) closing: Closing,
}

/// Whether a fence is closed, or just ends with what is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    Closed,
    Open,
}

/// Lists in lists in lists: deeper ones hold nothing that a person would find.
const DEPTH_MAX: usize = 16;

/// Reads the blocks of `text` from byte `start` on.
pub(super) fn read(text: &str, start: usize, remarks: &mut Remarks) -> Vec<Block> {
    let mut builder = Builder {
        text,
        remarks,
        stack: vec![Frame {
            container: Container::Root,
            blocks: Vec::new(),
            items: Vec::new(),
            offset: start,
        }],
        paragraph: Paragraph::default(),
        strong: 0,
        fence: None,
        skipping: 0,
    };
    for (event, range) in Parser::new_ext(&text[start..], Options::empty()).into_offset_iter() {
        builder.event(event, start + range.start..start + range.end);
    }
    builder.finish()
}

struct Builder<'t, 'r> {
    text: &'t str,
    remarks: &'r mut Remarks,
    stack: Vec<Frame>,
    paragraph: Paragraph,
    strong: usize,
    fence: Option<RawFence>,
    /// Open containers that are too deep to be read.
    skipping: usize,
}

struct Frame {
    container: Container,
    blocks: Vec<Block>,
    items: Vec<Item>,
    offset: usize,
}

enum Container {
    Root,
    List(Option<u64>),
    Item,
    Quote,
}

// === impl Builder ===

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) if self.skipping > 0 => self.skipping += usize::from(is_container(&tag)),
            Event::End(tag) if self.skipping > 0 => self.skipping -= usize::from(ends_container(tag)),
            _ if self.skipping > 0 => {}
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.fence {
                Some(fence) => fence.source.push_str(&text),
                None => self.push(Span::Text(text.into_string()), range.start),
            },
            Event::Code(code) => self.push(Span::Code(code.into_string()), range.start),
            Event::SoftBreak | Event::HardBreak => {
                self.paragraph.lines.push(Line { spans: Vec::new(), offset: range.end });
            }
            // Raw HTML is invisible to a reader, and so are rules; the other events belong to extensions.
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::Strong => {
                self.strong += 1;
                if self.strong == 1 {
                    self.line(range.start).spans.push(Span::Strong(String::new()));
                }
            }
            Tag::Emphasis | Tag::Link { .. } | Tag::Image { .. } => {}
            Tag::List(start) => self.open(Container::List(start), range.start),
            Tag::Item => self.open(Container::Item, range.start),
            Tag::BlockQuote(_) => self.open(Container::Quote, range.start),
            Tag::CodeBlock(kind) => {
                self.flush();
                // Text that is only indented is prose.
                if matches!(kind, CodeBlockKind::Fenced(_)) {
                    let info = info_range(self.text, range.start);
                    let closing = closing(&self.text[range.clone()]);
                    let source = String::with_capacity(range.len());
                    self.fence = Some(RawFence { info, source, offset: range.start, closing });
                }
            }
            _ => self.flush(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Emphasis | TagEnd::Link | TagEnd::Image => {}
            TagEnd::Heading(level) => {
                let paragraph = std::mem::take(&mut self.paragraph);
                let offset = paragraph.lines.first().map_or(0, |line| line.offset);
                let text =
                    paragraph.lines.iter().map(Line::plain).collect::<Vec<_>>().join(" ").trim().to_owned();
                self.block(Block::Heading { level: heading_level(level), text, offset });
            }
            TagEnd::CodeBlock => match self.fence.take() {
                Some(mut fence) => {
                    if fence.source.contains('\r') {
                        fence.source = fence.source.replace("\r\n", "\n");
                    }
                    self.block(Block::Fence(fence));
                }
                None => self.flush(),
            },
            TagEnd::List(_) | TagEnd::Item | TagEnd::BlockQuote(_) => self.close(),
            _ => self.flush(),
        }
    }

    fn open(&mut self, container: Container, offset: usize) {
        self.flush();
        if self.stack.len() > DEPTH_MAX {
            self.remarks.warning(
                offset,
                format!("lists are nested deeper than {DEPTH_MAX} levels; the rest is not read"),
            );
            self.skipping = 1;
            return;
        }
        self.stack.push(Frame { container, blocks: Vec::new(), items: Vec::new(), offset });
    }

    fn close(&mut self) {
        self.flush();
        if self.stack.len() < 2 {
            return;
        }
        let Some(frame) = self.stack.pop() else { return };
        match frame.container {
            Container::Root => {}
            Container::List(start) => self.block(Block::List { start, items: frame.items }),
            Container::Quote => self.block(Block::Quote(frame.blocks)),
            Container::Item => {
                if let Some(list) = self.stack.last_mut() {
                    list.items.push(Item { blocks: frame.blocks, offset: frame.offset });
                }
            }
        }
    }

    fn finish(mut self) -> Vec<Block> {
        while self.stack.len() > 1 {
            self.close();
        }
        self.flush();
        self.stack.pop().map(|root| root.blocks).unwrap_or_default()
    }

    /// Ends the paragraph that is being read, if there is one.
    fn flush(&mut self) {
        self.strong = 0;
        let paragraph = std::mem::take(&mut self.paragraph);
        if paragraph.lines.iter().any(|line| !line.spans.is_empty()) {
            self.block(Block::Paragraph(paragraph));
        }
    }

    fn block(&mut self, block: Block) {
        if let Some(frame) = self.stack.last_mut() {
            frame.blocks.push(block);
        }
    }

    fn line(&mut self, offset: usize) -> &mut Line {
        if self.paragraph.lines.is_empty() {
            self.paragraph.lines.push(Line { spans: Vec::new(), offset });
        }
        self.paragraph.lines.last_mut().expect("a line was just pushed")
    }

    fn push(&mut self, span: Span, offset: usize) {
        let is_strong = self.strong > 0;
        let line = self.line(offset);
        if line.spans.is_empty() {
            line.offset = offset;
        }
        match (line.spans.last_mut(), span) {
            (Some(Span::Strong(text)), Span::Text(piece) | Span::Code(piece)) if is_strong => {
                text.push_str(&piece)
            }
            (Some(Span::Text(text)), Span::Text(piece)) if !is_strong => text.push_str(&piece),
            (_, Span::Text(piece)) if is_strong => line.spans.push(Span::Strong(piece)),
            (_, span) => line.spans.push(span),
        }
    }
}

// === impl Line ===

impl Line {
    /// Returns the text of the line, code without its backticks.
    pub(super) fn plain(&self) -> String {
        let pieces = self.spans.iter().map(|span| match span {
            Span::Text(text) | Span::Strong(text) | Span::Code(text) => text.as_str(),
        });
        pieces.collect()
    }

    /// Returns the text of the line, code in backticks.
    pub(super) fn marked(&self) -> String {
        let pieces = self.spans.iter().map(|span| match span {
            Span::Text(text) | Span::Strong(text) => text.clone(),
            Span::Code(text) => format!("`{text}`"),
        });
        pieces.collect()
    }
}

fn is_container(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::List(_) | Tag::Item | Tag::BlockQuote(_))
}

fn ends_container(tag: TagEnd) -> bool {
    matches!(tag, TagEnd::List(_) | TagEnd::Item | TagEnd::BlockQuote(_))
}

fn heading_level(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

/// Finds the info string as it is written: the parser would resolve escapes in it, which belong to the attributes.
fn info_range(text: &str, fence: usize) -> Range<usize> {
    let line = text[fence..].lines().next().unwrap_or_default();
    let marks = line.trim_start().trim_start_matches(['`', '~']);
    let start = fence + line.len() - marks.len();
    start..start + marks.trim_end().len()
}

/// Looks whether the last line of a fence closes it.
fn closing(fence: &str) -> Closing {
    let mark = if fence.trim_start().starts_with('~') { '~' } else { '`' };
    let mut lines = fence.trim_end().lines();
    let first = lines.next().unwrap_or_default().trim_start();
    let opened = first.len() - first.trim_start_matches(mark).len();
    let last = lines.next_back().unwrap_or_default().trim_start_matches([' ', '\t', '>']);
    if last.len() >= opened && last.chars().all(|c| c == mark) { Closing::Closed } else { Closing::Open }
}
