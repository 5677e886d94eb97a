//! Owns reading the names of the dynamic symbols of a program or library.
//!
//! ELF, 64 bits, little end first, as on all machines that this is built for: a header of 64 bytes names the place of the
//! table of sections and the size and number of its rows; of type 11 is the table of dynamic symbols, whose `link` is the
//! number of the section that has their names, each ended by a zero. A symbol has 24 bytes: where its name begins there in the
//! first four, and in two at 6 the section that it is of, 0 for one that the file only wants from others. No other part is
//! read, so a program of a hundred megabytes costs no more than its names.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const HEADER_BYTES: usize = 64;
const ROW_BYTES: usize = 64;
const DYNAMIC_SYMBOLS: u32 = 11;
/// A program has some dozens of sections.
const ROWS_MAX: usize = 512;
const SYMBOL_BYTES: usize = 24;
/// Node has 75,000 symbols, with three megabytes of names.
const PART_BYTES_MAX: u64 = 16 << 20;

/// The dynamic symbols of a file.
pub(crate) struct Exported {
    symbols: Vec<u8>,
    names: Vec<u8>,
}

// === impl Exported ===

impl Exported {
    /// Whether the file has a symbol of exactly this name itself.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        let whole = |at: &usize| self.names.get(at + name.len()) == Some(&0);
        memchr::memmem::find_iter(&self.names, name).filter(whole).any(|at| self.defines(at))
    }

    fn defines(&self, name_at: usize) -> bool {
        self.symbols.chunks_exact(SYMBOL_BYTES).any(|symbol| {
            let is_it = word(symbol, 0).and_then(|at| usize::try_from(at).ok()) == Some(name_at);
            is_it && short(symbol, 6).is_some_and(|section| section != 0)
        })
    }
}

/// `None` for what is no such file, has no dynamic symbols, or cannot be read.
pub(crate) fn exported(path: &Path) -> Option<Exported> {
    let file = File::open(path).ok()?;
    let read = |offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    };
    names(read)
}

/// Finds the names by a reader of (offset, length); the pure part.
pub(crate) fn names(read: impl Fn(u64, usize) -> Option<Vec<u8>>) -> Option<Exported> {
    let header = read(0, HEADER_BYTES)?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, row_bytes, rows) = (long(&header, 40)?, short(&header, 58)?, short(&header, 60)?);
    if usize::from(row_bytes) != ROW_BYTES || usize::from(rows) > ROWS_MAX {
        return None;
    }
    let table = read(table, ROW_BYTES * usize::from(rows))?;
    let rows: Vec<&[u8]> = table.chunks_exact(ROW_BYTES).collect();
    let symbols = rows.iter().find(|row| word(row, 4) == Some(DYNAMIC_SYMBOLS))?;
    let names = rows.get(usize::try_from(word(symbols, 40)?).ok()?)?;
    let part = |row: &[u8]| {
        let length = long(row, 32).filter(|length| *length <= PART_BYTES_MAX)?;
        read(long(row, 24)?, usize::try_from(length).ok()?)
    };
    Some(Exported { symbols: part(symbols)?, names: part(names)? })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_of_the_file_itself() {
        let symbol = |name_at: u8, section: u8| {
            let mut row = [0; SYMBOL_BYTES];
            (row[0], row[6]) = (name_at, section);
            row
        };
        // The name of the second is the end of that of the first; the third is wanted from others.
        let symbols = [symbol(1, 5), symbol(2, 5), symbol(10, 0)].concat();
        let exported = Exported { symbols, names: b"\0xPy_Main\0JNI\0".to_vec() };
        assert!(exported.has(b"Py_Main") && exported.has(b"xPy_Main"));
        assert!(!exported.has(b"JNI") && !exported.has(b"Py_") && !exported.has(b"Main"));
    }

    #[test]
    fn our_own_c_library_exports_what_it_does() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps
            .lines()
            .find_map(|line| line.split_whitespace().nth(5).filter(|path| path.contains("libc.so")));
        let Some(path) = path else {
            println!("SKIPPED: linked without a C library");
            return;
        };
        let exported = exported(Path::new(path)).unwrap();
        assert!(
            exported.has(b"malloc") && !exported.has(b"mallo") && !exported.has(b"PyRun_SimpleStringFlags")
        );
    }

    #[test]
    fn what_is_no_such_file() {
        let of = |bytes: &[u8]| {
            let read = |offset: u64, length: usize| {
                let from = usize::try_from(offset).ok()?;
                bytes.get(from..from.checked_add(length)?).map(<[u8]>::to_vec)
            };
            names(read).is_some()
        };
        assert!(!of(b"") && !of(b"#!/bin/sh\n") && !of(&[0; 64]));
        let mut header = [0_u8; 64];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[58] = 64;
        header[60] = 1;
        header[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(!of(&header));
    }
}
