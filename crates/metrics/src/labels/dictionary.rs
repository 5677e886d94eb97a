//! Owns how label sets are written where there are many: each label once, and by its number from then on.
//!
//! A set is the count of its labels, then for each one its number, counted from 1; or 0, name and value, which gives it the
//! next number.

use std::collections::HashMap;

use super::Labels;
use super::symbol::Symbol;
use crate::code::{Bytes, put_bytes, put_number};
use crate::hash::Given;

/// No label set has as many labels, whatever the bytes say.
const LABELS_MAX: u64 = 1 << 12;

/// The labels that were written so far.
#[derive(Default)]
pub(crate) struct LabelWriter(HashMap<Symbol, u64, Given>);

/// The labels that were read so far.
#[derive(Default)]
pub(crate) struct LabelReader(Vec<Symbol>);

// === impl LabelWriter ===

impl LabelWriter {
    pub(crate) fn put(&mut self, bytes: &mut Vec<u8>, labels: &Labels) {
        put_number(bytes, labels.len() as u64);
        for label in labels.0.iter() {
            if let Some(number) = self.0.get(label) {
                put_number(bytes, *number);
                continue;
            }
            put_number(bytes, 0);
            put_bytes(bytes, label.name().as_bytes());
            put_bytes(bytes, label.value().as_bytes());
            self.0.insert(label.clone(), self.0.len() as u64 + 1);
        }
    }
}

// === impl LabelReader ===

impl LabelReader {
    pub(crate) fn take(&mut self, bytes: &mut Bytes<'_>) -> Option<Labels> {
        let count = bytes.number()?;
        if count > LABELS_MAX {
            return None;
        }
        let labels: Option<Vec<Symbol>> = (0..count).map(|_| self.label(bytes)).collect();
        Some(Labels::of(labels?))
    }

    fn label(&mut self, bytes: &mut Bytes<'_>) -> Option<Symbol> {
        if let Some(index) = bytes.number()?.checked_sub(1) {
            return self.0.get(usize::try_from(index).ok()?).cloned();
        }
        let label = Symbol::new(bytes.text()?, bytes.text()?);
        self.0.push(label.clone());
        Some(label)
    }
}

impl std::fmt::Debug for LabelWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} labels", self.0.len())
    }
}

impl std::fmt::Debug for LabelReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} labels", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_come_back_and_known_labels_are_short(
            sets in prop::collection::vec(prop::collection::btree_map("[a-c]", "[x-zé]{1,2}", 0..4), 0..9),
        ) {
            let sets: Vec<Labels> = sets.into_iter().map(|set| set.into_iter().collect()).collect();
            let (mut written, mut read, mut bytes) = (LabelWriter::default(), LabelReader::default(), Vec::new());
            sets.iter().for_each(|labels| written.put(&mut bytes, labels));
            let length = bytes.len();
            sets.iter().for_each(|labels| written.put(&mut bytes, labels));
            let n_labels: usize = sets.iter().map(|labels| labels.len() + 1).sum();
            prop_assert_eq!(bytes.len() - length, n_labels, "a byte each");
            let mut rest = Bytes(&bytes);
            for labels in sets.iter().chain(&sets) {
                prop_assert_eq!(read.take(&mut rest), Some(labels.clone()));
            }
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let (mut read, mut rest) = (LabelReader::default(), Bytes(&bytes));
            while !rest.is_empty() && read.take(&mut rest).is_some() {}
        }
    }
}
