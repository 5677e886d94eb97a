//! Owns what a store has taken and nobody has written to a disk yet: records for the log, as bytes.
//!
//! A segment of the log stands for itself: it defines a series before it mentions it for the first time,
//! and writes each label once (`labels::LabelWriter`).
//!
//! ```text
//! record   kind, then
//!   1 definitions   (number, labels)…
//!   2 scrape        state 0 goes on, 1 succeeded, 2 failed; labels of the target; time; samples
//!   3 appended      time; samples: the responder's own
//!   4 forgotten     name and value of a label
//! sample   number of the series less that of the sample before, zigzag << 3 | has a time of its own << 2 | value:
//!            0 as before, 1 a whole number: the difference follows, 2 eight bytes follow, 3 the end of the series
//! ```
//!
//! A value is one relative to the last one of its series in this segment, 0 at first.

use super::chunk::whole;
use super::series::{Series, is_stale};
use crate::code::{put_bytes, put_number, put_signed, zigzag};
use crate::frame;
use crate::labels::{LabelWriter, Labels};

/// Without anybody who writes them down, records are kept up to here; then they are given up, and counted.
const WAITING_BYTES_MAX: usize = 16 << 20;

pub(super) const DEFINITIONS: u8 = 1;
pub(super) const SCRAPE: u8 = 2;
pub(super) const APPENDED: u8 = 3;
pub(super) const FORGOTTEN: u8 = 4;

/// How a scrape stands at the end of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    GoesOn,
    Succeeded,
    Failed,
}

/// Records that wait to be written.
#[derive(Debug)]
pub(super) struct Batch {
    segment: u32,
    /// What this segment has of labels.
    labels: LabelWriter,
    records: Vec<u8>,
    /// Of the record that is being made.
    definitions: Vec<u8>,
    samples: Vec<u8>,
    base_ms: i64,
    last_number: u32,
    /// How often records were given up.
    pub(super) overflows: u64,
}

// === impl Stand ===

impl Stand {
    pub(super) fn of(byte: u8) -> Option<Self> {
        [Self::GoesOn, Self::Succeeded, Self::Failed].into_iter().find(|stand| *stand as u8 == byte)
    }
}

// === impl Batch ===

impl Batch {
    /// Begins the segment of this number, 1 or more.
    pub(super) fn new(segment: u32) -> Self {
        Self {
            segment,
            labels: LabelWriter::default(),
            records: Vec::new(),
            definitions: Vec::new(),
            samples: Vec::new(),
            base_ms: 0,
            last_number: 0,
            overflows: 0,
        }
    }

    /// Begins a record; `base_ms` is when most of its samples were taken.
    pub(super) fn begin(&mut self, base_ms: i64) {
        self.base_ms = base_ms;
        self.last_number = 0;
    }

    /// Adds a sample that a series is about to take, or has just taken after `last`.
    #[inline]
    pub(super) fn sample(
        &mut self,
        number: u32,
        series: &mut Series,
        last: Option<f64>,
        (at_ms, value): (i64, f64),
    ) {
        let mut last = last.unwrap_or_default();
        if series.defined_in != self.segment {
            series.defined_in = self.segment;
            put_number(&mut self.definitions, u64::from(number));
            self.labels.put(&mut self.definitions, series.labels());
            last = 0.0;
        }
        let step = zigzag(i64::from(number) - i64::from(self.last_number));
        self.last_number = number;
        let after_ms = at_ms.wrapping_sub(self.base_ms);
        let difference = whole(last).zip(whole(value)).map(|(last, value)| value - last);
        let code = match difference {
            _ if value.to_bits() == last.to_bits() => 0,
            Some(_) => 1,
            None if is_stale(value) => 3,
            None => 2,
        };
        put_number(&mut self.samples, step << 3 | u64::from(after_ms != 0) << 2 | code);
        if after_ms != 0 {
            put_signed(&mut self.samples, after_ms);
        }
        match (code, difference) {
            (1, Some(difference)) => put_signed(&mut self.samples, difference),
            (2, _) => self.samples.extend(value.to_bits().to_le_bytes()),
            _ => {}
        }
    }

    /// Ends a record of a scrape.
    pub(super) fn scraped(&mut self, target: &Labels, stand: Stand) {
        let base_ms = self.base_ms;
        self.end(|payload, labels| {
            payload.extend([SCRAPE, stand as u8]);
            labels.put(payload, target);
            put_signed(payload, base_ms);
        });
    }

    /// Ends a record of samples of the responder's own.
    pub(super) fn appended(&mut self) {
        if !self.samples.is_empty() {
            let base_ms = self.base_ms;
            self.end(|payload, _| {
                payload.push(APPENDED);
                put_signed(payload, base_ms);
            });
        }
    }

    pub(super) fn forgotten(&mut self, label: &str, value: &str) {
        self.end(|payload, _| {
            payload.push(FORGOTTEN);
            put_bytes(payload, label.as_bytes());
            put_bytes(payload, value.as_bytes());
        });
    }

    fn end(&mut self, write: impl FnOnce(&mut Vec<u8>, &mut LabelWriter)) {
        let (definitions, samples) = (&mut self.definitions, &mut self.samples);
        if !definitions.is_empty() {
            frame::put(&mut self.records, |payload| {
                payload.push(DEFINITIONS);
                payload.append(definitions);
            });
        }
        frame::put(&mut self.records, |payload| {
            write(payload, &mut self.labels);
            payload.append(samples);
        });
        if self.records.len() > WAITING_BYTES_MAX {
            self.records = Vec::new();
            self.overflows += 1;
            self.turn();
        }
    }

    /// Begins the next segment: every series is defined anew.
    fn turn(&mut self) {
        self.segment += 1;
        self.labels = LabelWriter::default();
    }

    /// Takes what waits, and the number of the segment that it belongs to.
    pub(super) fn take(&mut self) -> (u32, Vec<u8>) {
        (self.segment, std::mem::take(&mut self.records))
    }

    /// Takes what waits, and begins the next segment, whose number is returned with it.
    pub(super) fn take_and_turn(&mut self) -> ((u32, Vec<u8>), u32) {
        let taken = self.take();
        self.turn();
        (taken, self.segment)
    }
}
