//! Owns how a store comes back: from a checkpoint, which holds its series as they were, and from the log after it.
//!
//! ```text
//! record of a checkpoint   kind, then
//!   1 series   number, source, owner, labels, count of chunks; each: first time, span, count of samples, bytes
//!   2 target   source, labels, time of the last attempt, 0 or 1 and the time of the last success, numbers of the
//!              series that end when they are not on its page any more
//! ```

use std::collections::HashMap;

use super::batch::{APPENDED, Batch, DEFINITIONS, FORGOTTEN, SCRAPE, Stand};
use super::chunk::{Chunk, whole};
use super::intake::{FUTURE_MS_MAX, Known};
use super::scrape::Target;
use super::series::{Owner, Series, Written, stale};
use super::table::SeriesId;
use super::{Counters, RESPONDER, Store};
use crate::code::{Bytes, put_bytes, put_number, put_signed, unzigzag};
use crate::frame;
use crate::hash::Given;
use crate::labels::{LabelReader, LabelWriter, Labels};

const SERIES: u8 = 1;
const TARGET: u8 = 2;

/// Reads the records of one segment of the log, or of one checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    labels: LabelReader,
    defined: HashMap<u64, Defined, Given>,
    /// Series of scrapes that were not over at the end of their record.
    begun: HashMap<Labels, Vec<Known>>,
    /// The numbers that sources have now, by those that they had: whatever a file says, none comes to its end.
    sources: HashMap<u32, u32, Given>,
    /// Samples that came back.
    pub(crate) n_samples: usize,
}

#[derive(Debug)]
struct Defined {
    labels: Labels,
    id: Option<SeriesId>,
    last: f64,
}

// === impl Store ===

impl Store {
    /// Ends the recovery: what is too old goes, and what is taken from now on is recorded for the segment of this number.
    /// Returns how many series are dropped because the clock was ahead when they were written: until it is there again,
    /// they would refuse every sample.
    pub(crate) fn recovered(&mut self, segment: u32, now_ms: i64) -> usize {
        let latest_ms = now_ms.saturating_add(FUTURE_MS_MAX);
        let n_before = self.table.len();
        self.table.retain(|series| series.last().is_none_or(|(last_ms, _)| last_ms <= latest_ms));
        let n_dropped = n_before - self.table.len();
        self.targets.retain(|_, target| target.attempted_ms <= latest_ms);
        self.prune(now_ms);
        self.counters = Counters::default();
        self.batch = Some(Batch::new(segment));
        n_dropped
    }

    /// Takes the records that wait, the segment that they belong to, and how often some were given up.
    pub(crate) fn take_records(&mut self) -> (u32, Vec<u8>, u64) {
        self.batch.as_mut().map_or_else(Default::default, |batch| {
            let (segment, records) = batch.take();
            (segment, records, batch.overflows)
        })
    }

    /// Takes the records that wait, and their segment; returns the segment that begins with it.
    pub(crate) fn turn_records(&mut self) -> ((u32, Vec<u8>), u32) {
        self.batch.as_mut().map_or_else(Default::default, Batch::take_and_turn)
    }

    /// Returns the records of the series in places `from` and after, as many as `count`; none if there are no places
    /// any more.
    pub(crate) fn series_records(
        &self,
        from: usize,
        count: usize,
        written: &mut LabelWriter,
    ) -> Option<Vec<u8>> {
        let mut records = Vec::new();
        for (number, series) in self.table.range(from, count)? {
            frame::put(&mut records, |payload| put_series(payload, number, series, written));
        }
        Some(records)
    }

    /// Returns the records of all targets.
    pub(crate) fn target_records(&self, written: &mut LabelWriter) -> Vec<u8> {
        let mut records = Vec::new();
        for (labels, target) in &self.targets {
            frame::put(&mut records, |payload| {
                payload.push(TARGET);
                put_number(payload, u64::from(target.source));
                written.put(payload, labels);
                put_signed(payload, target.attempted_ms);
                put_number(payload, u64::from(target.succeeded_ms.is_some()));
                put_signed(payload, target.succeeded_ms.unwrap_or_default());
                for known in target.known.iter().filter(|known| known.is_live) {
                    put_number(payload, u64::from(known.id.index()));
                }
            });
        }
        records
    }
}

// === impl Replay ===

impl Replay {
    /// Does again what a record of the log says; nothing if it says nothing that is understood.
    pub(crate) fn log_record(&mut self, store: &mut Store, payload: &[u8]) -> Option<()> {
        let mut bytes = Bytes(payload);
        match bytes.byte()? {
            DEFINITIONS => {
                while !bytes.is_empty() {
                    let number = bytes.number()?;
                    let labels = self.labels.take(&mut bytes)?;
                    self.defined.insert(number, Defined { labels, id: None, last: 0.0 });
                }
            }
            SCRAPE => self.scrape(store, bytes)?,
            APPENDED => {
                let base_ms = bytes.signed()?;
                self.samples(store, bytes, base_ms, RESPONDER, &mut |_| {})?;
            }
            FORGOTTEN => store.forget(bytes.text()?, bytes.text()?),
            _ => return None,
        }
        Some(())
    }

    fn scrape(&mut self, store: &mut Store, mut bytes: Bytes<'_>) -> Option<()> {
        let stand = Stand::of(bytes.byte()?)?;
        let labels = self.labels.take(&mut bytes)?;
        let now_ms = bytes.signed()?;
        let mut target = store.targets.remove(&labels).unwrap_or_else(|| store.meet());
        let mut live = self.begun.remove(&labels).unwrap_or_default();
        let read = self.samples(store, bytes, now_ms, target.source, &mut |known| live.push(known));
        if stand == Stand::GoesOn {
            self.begun.insert(labels.clone(), live);
        } else {
            target.attempted_ms = now_ms;
            target.known = live.into();
            if stand == Stand::Succeeded {
                target.succeeded_ms = Some(now_ms);
            }
        }
        store.targets.insert(labels, target);
        read
    }

    fn samples(
        &mut self,
        store: &mut Store,
        mut bytes: Bytes<'_>,
        base_ms: i64,
        source: u32,
        live: &mut dyn FnMut(Known),
    ) -> Option<()> {
        let owner = if source == RESPONDER { Owner::Responder } else { Owner::Target };
        let mut number = 0i64;
        while !bytes.is_empty() {
            let code = bytes.number()?;
            number = number.checked_add(unzigzag(code >> 3))?;
            let defined = self.defined.get_mut(&u64::try_from(number).ok()?)?;
            let after_ms = if code & 4 == 0 { 0 } else { bytes.signed()? };
            let at_ms = base_ms.checked_add(after_ms)?;
            let value = match code & 3 {
                0 => defined.last,
                1 => whole(defined.last)?.checked_add(bytes.signed()?)? as f64,
                2 => f64::from_bits(bytes.word()?),
                _ => stale(),
            };
            defined.last = value;
            let known = defined.id.filter(|id| store.table.get(*id).is_some());
            // What finds no room now had some before; the limits may have been changed.
            let Some(id) = known.or_else(|| store.find_or_insert(&defined.labels, source).ok()) else {
                continue;
            };
            defined.id = Some(id);
            // What the checkpoint had as well is refused.
            let written = store.write(owner, id, at_ms, value);
            self.n_samples += usize::from(written == Ok(Written::Stored));
            if after_ms == 0 && code & 3 != 3 && written != Ok(Written::Owned) {
                live(Known::live(id));
            }
        }
        Some(())
    }

    /// Puts back what a record of a checkpoint holds; nothing if it holds nothing that is understood.
    pub(crate) fn checkpoint_record(&mut self, store: &mut Store, payload: &[u8]) -> Option<()> {
        let mut bytes = Bytes(payload);
        match bytes.byte()? {
            SERIES => self.series(store, bytes),
            TARGET => self.target(store, bytes),
            _ => None,
        }
    }

    fn series(&mut self, store: &mut Store, mut bytes: Bytes<'_>) -> Option<()> {
        let number = bytes.number()?;
        let source = self.source(store, bytes.number()?)?;
        let owner = if bytes.byte()? == 0 { Owner::Target } else { Owner::Responder };
        let labels = self.labels.take(&mut bytes)?;
        let mut chunks = Vec::new();
        for _ in 0..bytes.number()? {
            chunks.push(take_chunk(&mut bytes)?);
        }
        let n_samples: usize = chunks.iter().map(|chunk| usize::from(chunk.n_samples)).sum();
        let Ok(id) = store.find_or_insert(&labels, source) else { return Some(()) };
        if !store.table.get_mut(id)?.restore(owner, chunks) {
            return None;
        }
        self.n_samples += n_samples;
        self.defined.insert(number, Defined { labels, id: Some(id), last: 0.0 });
        Some(())
    }

    /// Returns the number that a source has now; the responder keeps its own.
    fn source(&mut self, store: &mut Store, written: u64) -> Option<u32> {
        let written = u32::try_from(written).ok()?;
        if written == RESPONDER {
            return Some(RESPONDER);
        }
        Some(*self.sources.entry(written).or_insert_with(|| {
            store.last_source += 1;
            store.last_source
        }))
    }

    fn target(&mut self, store: &mut Store, mut bytes: Bytes<'_>) -> Option<()> {
        let source = self.source(store, bytes.number()?).filter(|source| *source != RESPONDER)?;
        let labels = self.labels.take(&mut bytes)?;
        let attempted_ms = bytes.signed()?;
        let succeeded = bytes.number()?;
        let succeeded_ms = Some(bytes.signed()?).filter(|_| succeeded == 1);
        let mut known = Vec::new();
        while !bytes.is_empty() {
            let defined = self.defined.get(&bytes.number()?);
            known.extend(defined.and_then(|defined| defined.id).map(Known::live));
        }
        let known = known.into();
        store.targets.insert(labels, Target { attempted_ms, interval_ms: 0, succeeded_ms, source, known });
        Some(())
    }
}

fn put_series(payload: &mut Vec<u8>, number: u32, series: &Series, written: &mut LabelWriter) {
    payload.push(SERIES);
    put_number(payload, u64::from(number));
    put_number(payload, u64::from(series.source()));
    payload.push(u8::from(series.owner() == Owner::Responder));
    written.put(payload, series.labels());
    let open = series.open_chunk();
    put_number(payload, series.sealed().len() as u64 + u64::from(open.is_some()));
    for chunk in series.sealed().iter().chain(&open) {
        put_signed(payload, chunk.first_ms);
        put_number(payload, chunk.last_ms.wrapping_sub(chunk.first_ms) as u64);
        put_number(payload, u64::from(chunk.n_samples));
        put_bytes(payload, &chunk.bytes);
    }
}

fn take_chunk(bytes: &mut Bytes<'_>) -> Option<Chunk> {
    let first_ms = bytes.signed()?;
    let last_ms = first_ms.wrapping_add(bytes.number()? as i64);
    let n_samples = u16::try_from(bytes.number()?).ok()?;
    Some(Chunk { first_ms, last_ms, n_samples, bytes: bytes.bytes()?.into() })
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    #[test]
    fn no_number_of_a_source_is_the_last_one() {
        let limits = Limits { retention_ms: 1_000, series_max: 10, samples_per_series_max: 10 };
        let mut store = Store::new(limits);
        let mut check = |source: u32, name: &str, expect: Option<u32>| {
            let labels = Labels::from_iter([("server_name", name)]);
            let mut payload = vec![TARGET];
            put_number(&mut payload, u64::from(source));
            LabelWriter::default().put(&mut payload, &labels);
            put_signed(&mut payload, 5);
            put_number(&mut payload, 1);
            put_signed(&mut payload, 5);
            Replay::default().checkpoint_record(&mut store, &payload);
            assert_eq!(store.targets.get(&labels).map(|target| target.source), expect, "{source}");
            assert_ne!(store.meet().source, RESPONDER);
        };
        check(u32::MAX, "a", Some(1));
        check(7, "b", Some(3));
        check(RESPONDER, "c", None);
    }
}
