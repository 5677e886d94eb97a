//! Owns turning a fence into units: their ids, lines and effects, seen in the light of what ran before them in the procedure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Reading;
use super::blocks::{Closing, RawFence};
use crate::attributes::{self, Attributes};
use crate::bash::Script;
use crate::diagnostic::{Level, Remark};
use crate::effect::{self, Assessment, Effect, Known, Table};
use crate::shell::{self, Statement};
use crate::step::{Fence, Language, Unit};

/// What the fences of one procedure have in common.
#[derive(Debug, Default)]
pub(super) struct History {
    step: u32,
    units: u32,
    ids: BTreeSet<String>,
    hijack: Option<Hijack>,
    known: Known,
}

/// The first statement after which words may no longer mean the programs of their names.
#[derive(Debug)]
struct Hijack {
    line: usize,
    reason: String,
}

impl History {
    pub(super) fn start_step(&mut self, number: u32) {
        self.step = number;
        self.units = 0;
    }

    fn next_id(&mut self) -> String {
        self.units += 1;
        format!("{}.{}", self.step, self.units)
    }
}

/// Whether a fence would be run if it stood in a step.
pub(super) fn is_run(raw: &RawFence, text: &str) -> bool {
    let (language, ..) = attributes::read(&text[raw.info.clone()]);
    matches!(language, "bash" | "sh")
}

/// Reads a fence of a step.
pub(super) fn read(raw: &RawFence, reading: &mut Reading<'_>, history: &mut History) -> Fence {
    let (name, attributes, said) = attributes::read(&reading.text[raw.info.clone()]);
    let language = Language::from_name(name);
    let runs = !matches!(language, Language::Other(_));
    let line = reading.lines.line(raw.offset);
    let mut doubt = None;
    if runs {
        doubt = said.iter().find(|remark| remark.level == Level::Error).map(|remark| remark.message.clone());
        remark(raw, &attributes, said, reading, history);
        if raw.closing == Closing::Open {
            doubt = Some("its fence is not closed".to_owned());
        }
    } else if name.is_empty() {
        reading.remarks.info(raw.offset, "this fence names no language and is not run");
    }
    history.known.forget_values();
    let shell::Reading { script, statements } = shell::read(&language, &raw.source);
    if statements.is_empty() && runs {
        reading.remarks.info(raw.offset, "nothing in this fence is executable");
    }
    let mut units = Vec::with_capacity(statements.len());
    let mut place = Place { offset: 0, line: line + 1 };
    for statement in statements {
        let line = place.line_of(&raw.source, statement.range.start);
        let source = raw.source[statement.range.clone()].to_owned();
        if let Some(problem) = &statement.problem {
            reading
                .remarks
                .warning(raw.offset, format!("this fence is taken as one unknown unit: {problem}"));
        }
        let assessment = assess(&script, &statement, line, &attributes, doubt.as_deref(), history);
        units.push(unit(statement, source, line, assessment, history));
    }
    Fence { language, attributes, source: raw.source.clone(), line, units, script: Arc::new(script) }
}

fn unit(
    statement: Statement,
    source: String,
    line: usize,
    assessment: Assessment,
    history: &mut History,
) -> Unit {
    Unit {
        id: history.next_id(),
        source,
        comment: statement.comment,
        line,
        effect: assessment.effect,
        reason: assessment.reason,
        trusts: assessment.trusts,
        program: statement.program,
        background: statement.background,
        reads: statement.reads,
        sets: statement.sets,
        needs: statement.needs,
    }
}

/// The effect of a statement by itself, then of what ran before it, then of what its author says.
fn assess(
    script: &Script,
    statement: &Statement,
    line: usize,
    attributes: &Attributes,
    doubt: Option<&str>,
    history: &mut History,
) -> Assessment {
    let mut assessment = match &statement.problem {
        Some(problem) => Assessment::unknown(format!("the fence can not be read: {problem}")),
        None => {
            let items = &script.items[statement.items.clone()];
            effect::assess(script, items, Table::builtin(), &mut history.known)
        }
    };
    let is_unread = assessment.effect == Effect::Unknown;
    if let Some(Hijack { line, reason }) = &history.hijack {
        assessment
            .raise(Effect::Unknown, || format!("words may mean something else since line {line}: {reason}"));
    }
    if let Some(doubt) = doubt {
        assessment.raise(Effect::Unknown, || doubt.to_owned());
    }
    if let Some(effect) = attributes.effect {
        assessment.raise(effect, || format!("its author says `{effect}`"));
    }
    // A statement whose every word was understood does nothing of the kind.
    if is_unread && history.hijack.is_none() {
        history.hijack = statement.hijack(script).map(|reason| Hijack { line, reason });
    }
    assessment
}

fn remark(
    raw: &RawFence,
    attributes: &Attributes,
    said: Vec<Remark>,
    reading: &mut Reading<'_>,
    history: &mut History,
) {
    reading.remarks.extend(raw.info.start, said);
    if raw.closing == Closing::Open {
        reading.remarks.error(raw.offset, "this fence is not closed");
    }
    if let Some(id) = &attributes.id
        && !history.ids.insert(id.clone())
    {
        reading.remarks.error(raw.info.start, format!("two fences of the procedure are called `{id}`"));
    }
}

/// Counts lines while offsets grow.
struct Place {
    offset: usize,
    line: usize,
}

impl Place {
    fn line_of(&mut self, source: &str, offset: usize) -> usize {
        self.line += memchr::memchr_iter(b'\n', &source.as_bytes()[self.offset..offset]).count();
        self.offset = offset;
        self.line
    }
}
