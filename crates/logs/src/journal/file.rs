//! Owns one file of the systemd journal: its header and objects, found and checked, as
//! <https://systemd.io/JOURNAL_FILE_FORMAT/> describes them.
//!
//! A file is a header and objects behind it, each with its kind, flags and size; numbers are little-endian. Every `NAME=value`
//! is one DATA object, however many entries have it; a hash table finds it, and it has the list of its entries: the first by
//! itself, the others in a chain of arrays, each longer than the one before. An ENTRY has its times and the offsets of its
//! data. Objects are only ever added, so every chain goes forward, which is checked: there are no circles.
//!
//! The file may be written meanwhile, cut, or be anything: it is read by `pread` and never mapped, what is not where it should
//! be is not there, and nothing is written.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::hash::Hasher as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::rc::Rc;

use super::Error;
use super::entry::Field;

const SIGNATURE: &[u8; 8] = b"LPKSHHRH";
/// Up to the time of the last entry, which all versions have.
const HEADER_BYTES: usize = 208;
const KEYED_HASH: u32 = 4;
const COMPRESSED_ZSTD: u32 = 8;
const COMPACT: u32 = 16;
/// The flag of an object whose data are compressed so; 1 and 2 are XZ and LZ4.
const OBJECT_ZSTD: u8 = 4;
const OBJECT_COMPRESSED: u8 = 7;
const DATA: u8 = 1;
const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;
const OBJECT_HEAD_BYTES: u64 = 16;
const ENTRY_HEAD_BYTES: usize = 64;
/// journald allows far more for core dumps, which are not read from here.
const FIELDS_MAX: usize = 1024;
/// Of one value; what is longer is cut.
pub(super) const VALUE_BYTES_MAX: usize = 1 << 20;
const PAGE_BYTES: usize = 64 << 10;
/// A file of the usual size is held whole after its first look, and no more than 64 MiB of any.
const PAGES_MAX: usize = 1024;

/// Most data of an entry are those of many others (its unit, its program): so many short ones are held.
const FIELDS_HELD_MAX: usize = 16_384;
const FIELD_HELD_BYTES_MAX: usize = 512;

/// One open file.
pub(super) struct JournalFile {
    file: File,
    bytes: u64,
    pages: Vec<Option<Box<[u8]>>>,
    pages_held: usize,
    header: Header,
    fields: HashMap<u64, Rc<Field>>,
    unpacking: zstd::bulk::Decompressor<'static>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    file_id: [u8; 16],
    is_compact: bool,
    header_bytes: u64,
    hash_table: u64,
    hash_buckets: u64,
    entries: u64,
    entry_array: u64,
    seqnum_id: [u8; 16],
    first_us: u64,
    last_us: u64,
}

/// What an entry has beside its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) offset: u64,
    pub(super) seqnum_id: [u8; 16],
    pub(super) seqnum: u64,
    pub(super) realtime_us: u64,
    pub(super) monotonic_us: u64,
    pub(super) boot_id: [u8; 16],
    pub(super) xor_hash: u64,
}

/// The entries that have one thing, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct EntryList {
    /// The first, which stands apart; 0 where there is none.
    first: u64,
    /// Where the items of each array begin, and how many entries are before it and in it.
    arrays: Vec<(u64, u64, u64)>,
    pub(super) len: u64,
}

// === impl JournalFile ===

impl JournalFile {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let open = |source| Error::Open { path: path.to_owned(), source };
        // A FIFO in the place of a file keeps nobody waiting.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(open)?;
        let metadata = file.metadata().map_err(open)?;
        let unknown = |what| Error::Unknown { path: path.to_owned(), what };
        if !metadata.is_file() {
            return Err(unknown("it is no file"));
        }
        let mut head = [0; HEADER_BYTES];
        file.read_exact_at(&mut head, 0).map_err(|_| unknown("it has no header"))?;
        let header = Header::read(&head).map_err(unknown)?;
        let bytes = metadata.len();
        let unpacking = zstd::bulk::Decompressor::new().map_err(open)?;
        Ok(Self { file, bytes, pages: Vec::new(), pages_held: 0, header, fields: HashMap::new(), unpacking })
    }

    /// When its first and its last entry were written, by its header.
    pub(super) fn times_us(&self) -> (u64, u64) {
        (self.header.first_us, self.header.last_us)
    }

    /// All of its entries.
    pub(super) fn entries(&mut self) -> EntryList {
        let Header { entry_array, entries, .. } = self.header;
        self.list(0, entry_array, entries)
    }

    /// The entries that have exactly this `NAME=value`.
    pub(super) fn entries_with(&mut self, data: &[u8]) -> EntryList {
        let Some(at) = self.find(data) else { return EntryList::default() };
        let (first, array) = (self.number(at + 40), self.number(at + 48));
        let len = self.number(at + 56).unwrap_or_default();
        self.list(first.unwrap_or_default(), array.unwrap_or_default(), len)
    }

    /// Where this `NAME=value` is.
    pub(super) fn find(&mut self, data: &[u8]) -> Option<u64> {
        let hash = self.hash(data);
        let bucket = hash.checked_rem(self.header.hash_buckets)?;
        let mut at = self.number(self.header.hash_table.checked_add(bucket.checked_mul(16)?)?)?;
        let mut last = 0;
        let mut found = Vec::new();
        while at > last {
            self.object(at, DATA)?;
            if self.number(at + 16)? == hash && self.payload(at, &mut found).is_some() && found == data {
                return Some(at);
            }
            (last, at) = (at, self.number(at + 24)?);
        }
        None
    }

    /// SipHash 2-4, keyed with the name of the file.
    #[expect(deprecated, reason = "the format wants this very hash, which the newer one of std is not")]
    fn hash(&self, data: &[u8]) -> u64 {
        let half = |from: usize| {
            self.header.file_id[from..from + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let mut hasher = std::hash::SipHasher::new_with_keys(half(0), half(8));
        hasher.write(data);
        hasher.finish()
    }

    fn list(&mut self, first: u64, mut array: u64, len: u64) -> EntryList {
        let mut list = EntryList { first, arrays: Vec::new(), len: u64::from(first != 0) };
        let item_bytes = if self.header.is_compact { 4 } else { 8 };
        let mut last = 0;
        while list.len < len && array > last {
            let Some((size, _)) = self.object(array, ENTRY_ARRAY) else { break };
            let capacity = size.saturating_sub(24) / item_bytes;
            let used = capacity.min(len - list.len);
            list.arrays.push((array + 24, list.len, used));
            list.len += used;
            last = array;
            array = self.number(array + 16).unwrap_or_default();
        }
        list
    }

    /// The entry with this number in a list; `None` where it is not written yet, or is none.
    pub(super) fn entry(&mut self, list: &EntryList, number: u64) -> Option<Head> {
        let offset = if number == 0 && list.first != 0 {
            list.first
        } else {
            let (at, before, _) =
                *list.arrays.iter().find(|(_, before, used)| (*before..before + used).contains(&number))?;
            if self.header.is_compact {
                self.short(at + (number - before) * 4)?
            } else {
                self.number(at + (number - before) * 8)?
            }
        };
        self.head(offset)
    }

    fn head(&mut self, offset: u64) -> Option<Head> {
        self.object(offset, ENTRY)?;
        let mut bytes = [0; ENTRY_HEAD_BYTES];
        self.read(offset, &mut bytes)?;
        Some(Head {
            offset,
            seqnum_id: self.header.seqnum_id,
            seqnum: number(&bytes, 16),
            realtime_us: number(&bytes, 24),
            monotonic_us: number(&bytes, 32),
            boot_id: id(&bytes, 40),
            xor_hash: number(&bytes, 56),
        })
    }

    /// Where the data of an entry are.
    pub(super) fn data_of(&mut self, entry: u64, into: &mut Vec<u64>) -> Option<()> {
        into.clear();
        let (size, _) = self.object(entry, ENTRY)?;
        let item_bytes = if self.header.is_compact { 4 } else { 16 };
        let items =
            usize::try_from(size.saturating_sub(64)).unwrap_or(usize::MAX).min(FIELDS_MAX * item_bytes);
        let mut bytes = vec![0; items];
        self.read(entry + 64, &mut bytes)?;
        let offset = |item: &[u8]| match item.first_chunk::<8>() {
            Some(long) => u64::from_le_bytes(*long),
            None => item.first_chunk().map_or(0, |short| u64::from(u32::from_le_bytes(*short))),
        };
        into.extend(bytes.chunks_exact(item_bytes).map(offset));
        Some(())
    }

    /// One of the data of an entry; those that many entries have are held.
    pub(super) fn field(&mut self, offset: u64) -> Option<Rc<Field>> {
        if let Some(known) = self.fields.get(&offset) {
            return Some(Rc::clone(known));
        }
        let mut bytes = Vec::new();
        self.payload(offset, &mut bytes)?;
        let is_short = bytes.len() <= FIELD_HELD_BYTES_MAX;
        let field = Rc::new(Field::of(bytes)?);
        if is_short {
            if self.fields.len() >= FIELDS_HELD_MAX {
                self.fields.clear();
            }
            self.fields.insert(offset, Rc::clone(&field));
        }
        Some(field)
    }

    /// `NAME=value` of a DATA object, unpacked, cut at [`VALUE_BYTES_MAX`].
    pub(super) fn payload(&mut self, offset: u64, into: &mut Vec<u8>) -> Option<()> {
        into.clear();
        let (size, flags) = self.object(offset, DATA)?;
        let head: u64 = if self.header.is_compact { 72 } else { 64 };
        let bytes = usize::try_from(size.checked_sub(head)?).ok()?;
        let is_packed = flags & OBJECT_COMPRESSED != 0;
        into.resize(if is_packed { bytes.min(2 * VALUE_BYTES_MAX) } else { bytes.min(VALUE_BYTES_MAX) }, 0);
        self.read(offset + head, into)?;
        if is_packed {
            if flags & OBJECT_COMPRESSED != OBJECT_ZSTD {
                return None;
            }
            let unpacked = zstd::zstd_safe::get_frame_content_size(into).ok()??;
            let unpacked = usize::try_from(unpacked).ok().filter(|bytes| *bytes <= VALUE_BYTES_MAX)?;
            *into = self.unpacking.decompress(into, unpacked).ok()?;
        }
        Some(())
    }

    /// The size and the flags of an object of this kind.
    fn object(&mut self, offset: u64, kind: u8) -> Option<(u64, u8)> {
        if offset < self.header.header_bytes || !offset.is_multiple_of(8) {
            return None;
        }
        let mut head = [0; 16];
        self.read(offset, &mut head)?;
        let size = number(&head, 8);
        let fits = size >= OBJECT_HEAD_BYTES && offset.checked_add(size)? <= self.bytes;
        (head[0] == kind && fits).then_some((size, head[1]))
    }

    fn number(&mut self, offset: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes)?;
        Some(u64::from_le_bytes(bytes))
    }

    fn short(&mut self, offset: u64) -> Option<u64> {
        let mut bytes = [0; 4];
        self.read(offset, &mut bytes)?;
        Some(u64::from(u32::from_le_bytes(bytes)))
    }

    /// Reads by pages, which are held; `None` where the file has ended before.
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Option<()> {
        let mut done = 0;
        while done < into.len() {
            let at = offset.checked_add(done as u64)?;
            let page = usize::try_from(at / PAGE_BYTES as u64).ok()?;
            let from = usize::try_from(at % PAGE_BYTES as u64).ok()?;
            let part = self.page(page)?.get(from..).filter(|part| !part.is_empty())?;
            let taken = part.len().min(into.len() - done);
            into[done..done + taken].copy_from_slice(&part[..taken]);
            done += taken;
        }
        Some(())
    }

    fn page(&mut self, number: usize) -> Option<&[u8]> {
        if self.pages.get(number).is_none_or(Option::is_none) {
            let begin = number as u64 * PAGE_BYTES as u64;
            let bytes = usize::try_from(self.bytes.checked_sub(begin)?).ok()?.min(PAGE_BYTES);
            if self.pages_held >= PAGES_MAX {
                self.pages.clear();
                self.pages_held = 0;
            }
            let mut page = vec![0; bytes].into_boxed_slice();
            self.file.read_exact_at(&mut page, begin).ok()?;
            if self.pages.len() <= number {
                self.pages.resize_with(number + 1, || None);
            }
            self.pages[number] = Some(page);
            self.pages_held += 1;
        }
        self.pages[number].as_deref()
    }
}

// === impl Header ===

impl Header {
    /// The error says what is not known here.
    fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if !bytes.starts_with(SIGNATURE) {
            return Err("it is no journal");
        }
        let flags = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        if flags & KEYED_HASH == 0 {
            return Err("its hash has no key, as before systemd 246");
        }
        if flags & !(KEYED_HASH | COMPRESSED_ZSTD | COMPACT) != 0 {
            return Err("it is compressed with XZ or LZ4, or newer than this program");
        }
        Ok(Self {
            file_id: id(bytes, 24),
            is_compact: flags & COMPACT != 0,
            seqnum_id: id(bytes, 72),
            header_bytes: number(bytes, 88),
            hash_table: number(bytes, 104),
            hash_buckets: number(bytes, 112) / 16,
            entries: number(bytes, 152),
            entry_array: number(bytes, 176),
            first_us: number(bytes, 184),
            last_us: number(bytes, 192),
        })
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let part = bytes.get(at..at + 8).and_then(|part| part.try_into().ok());
    part.map_or(0, u64::from_le_bytes)
}

fn id(bytes: &[u8], at: usize) -> [u8; 16] {
    bytes.get(at..at + 16).and_then(|part| part.try_into().ok()).unwrap_or_default()
}
