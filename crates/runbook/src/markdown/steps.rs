//! Owns steps as they are written: items of a numbered list with a bold title, their prose and their fences.

use super::blocks::{Block, Item, Line, Paragraph, RawFence, Span};
use super::{Reading, fence};
use crate::step::{Fence, Step};

/// What goes on from step to step and from phase to phase of one procedure.
#[derive(Debug, Default)]
pub(super) struct Counter {
    last_number: u32,
    pub(super) history: fence::History,
}

/// Reads the steps among the blocks of a phase.
pub(super) fn read(blocks: &[Block], reading: &mut Reading<'_>, counter: &mut Counter) -> Vec<Step> {
    let mut steps = Vec::new();
    for block in blocks {
        match block {
            Block::List { start: Some(start), items } => {
                for (idx, item) in items.iter().enumerate() {
                    let wanted = start.saturating_add(idx as u64);
                    steps.push(step(item, wanted, reading, counter));
                }
            }
            other => outside(other, reading),
        }
    }
    steps
}

/// Says that fences outside steps are not carried out.
fn outside(block: &Block, reading: &mut Reading<'_>) {
    match block {
        Block::Fence(fence) if fence::is_run(fence, reading.text) => {
            let said = "this fence stands outside every step and is not run; indent it under its step";
            reading.remarks.warning(fence.offset, said);
        }
        Block::List { items, .. } => {
            items.iter().flat_map(|item| &item.blocks).for_each(|block| outside(block, reading));
        }
        Block::Quote(blocks) => blocks.iter().for_each(|block| outside(block, reading)),
        _ => {}
    }
}

fn step(item: &Item, wanted: u64, reading: &mut Reading<'_>, counter: &mut Counter) -> Step {
    let next = counter.last_number.saturating_add(1);
    let number = u32::try_from(wanted).unwrap_or(u32::MAX);
    if number < next {
        let said =
            format!("step {wanted} comes after step {}; it is taken as step {next}", counter.last_number);
        reading.remarks.warning(item.offset, said);
    } else if number > next {
        reading.remarks.warning(item.offset, format!("step {next} is missing before step {number}"));
    }
    let number = number.max(next);
    counter.last_number = number;
    counter.history.start_step(number);
    let (title, mut instruction) = title(item, number, reading);
    let mut fences = Vec::new();
    let rest = item.blocks.iter().skip(usize::from(matches!(item.blocks.first(), Some(Block::Paragraph(_)))));
    for block in rest {
        content(block, reading, counter, &mut instruction, &mut fences);
    }
    let line = reading.lines.line(item.offset);
    Step { number, title, instruction: instruction.join("\n\n"), fences, line }
}

/// Returns the title of a step and the prose that follows it in the same paragraph.
fn title(item: &Item, number: u32, reading: &mut Reading<'_>) -> (String, Vec<String>) {
    let Some(Block::Paragraph(Paragraph { lines })) = item.blocks.first() else {
        reading.remarks.warning(item.offset, "this step has no title");
        return (format!("Step {number}"), Vec::new());
    };
    let (first, others) = lines.split_first().expect("a paragraph is never empty");
    let others = others.iter().map(Line::marked);
    if let Some((Span::Strong(title), rest)) = first.spans.split_first() {
        let rest = Line { spans: rest.to_vec(), offset: first.offset }.marked();
        let rest = rest.trim_start_matches([':', '.', ' ', '-', '–', '—']).to_owned();
        let prose = std::iter::once(rest).chain(others).collect::<Vec<_>>().join("\n").trim().to_owned();
        let title = title.trim().trim_end_matches(':').to_owned();
        return (title, if prose.is_empty() { Vec::new() } else { vec![prose] });
    }
    reading.remarks.warning(item.offset, "the title of this step is not bold");
    let prose = others.collect::<Vec<_>>().join("\n");
    let title = Some(first.plain().trim().to_owned()).filter(|title| !title.is_empty());
    let title = title.unwrap_or_else(|| format!("Step {number}"));
    (title, if prose.is_empty() { Vec::new() } else { vec![prose] })
}

/// Reads a block of a step: prose into the instruction, fences into the fences.
fn content(
    block: &Block,
    reading: &mut Reading<'_>,
    counter: &mut Counter,
    instruction: &mut Vec<String>,
    fences: &mut Vec<Fence>,
) {
    match block {
        Block::Paragraph(paragraph) => instruction.push(prose(paragraph)),
        Block::Heading { text, .. } => instruction.push(text.clone()),
        Block::Fence(raw) => fences.push(read_fence(raw, reading, counter)),
        Block::List { start, items } => {
            let mut points = Vec::new();
            for (idx, item) in items.iter().enumerate() {
                let mut point = Vec::new();
                for block in &item.blocks {
                    content(block, reading, counter, &mut point, fences);
                }
                let mark =
                    start.map_or("-".to_owned(), |start| format!("{}.", start.saturating_add(idx as u64)));
                points.push(format!("{mark} {}", point.join("\n").replace('\n', "\n  ")));
            }
            instruction.push(points.join("\n"));
        }
        Block::Quote(blocks) => {
            outside(block, reading);
            let quoted = blocks.iter().filter_map(|block| match block {
                Block::Paragraph(paragraph) => Some(format!("> {}", prose(paragraph))),
                _ => None,
            });
            instruction.extend(quoted);
        }
    }
}

fn read_fence(raw: &RawFence, reading: &mut Reading<'_>, counter: &mut Counter) -> Fence {
    fence::read(raw, reading, &mut counter.history)
}

fn prose(paragraph: &Paragraph) -> String {
    paragraph.lines.iter().map(Line::marked).collect::<Vec<_>>().join("\n").trim().to_owned()
}
