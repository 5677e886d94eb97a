//! Owns cores: the memory of a process that a bundle holds in pieces, as the one file that debuggers open (ELF, `ET_CORE`).
//!
//! Nothing was stopped when it was taken, so registers are known only of threads that waited in the kernel, and of those only
//! where they stood (`pc`, `sp`); all others are zero. What was left out of the memory is there without bytes, as the kernel
//! does it with what a file has.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Deserialize;

/// Where the sum of pieces is so large, nobody waits for a second copy.
const RUNS_MAX: usize = 1_000_000;
const PAGE: u64 = 4096;
const EHDR: u64 = 64;
const PHDR: u64 = 56;
const SHDR: u64 = 64;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const NT_PRSTATUS: u32 = 1;
const NT_AUXV: u32 = 6;
/// More program headers than this are counted in the first section header.
const PN_XNUM: u64 = 0xffff;

/// What differs from one architecture to the next: its number in ELF, its general registers, and which of them are `sp` and `pc`.
/// Sources: `elf.h`, `sys/user.h` and `sys/procfs.h` of the GNU C library.
struct Machine {
    number: u16,
    registers: usize,
    sp: usize,
    pc: usize,
}

/// That of bundles of this host.
const MACHINE: Option<Machine> = if cfg!(target_arch = "x86_64") {
    Some(Machine { number: 62, registers: 27, sp: 19, pc: 16 })
} else if cfg!(target_arch = "aarch64") {
    Some(Machine { number: 183, registers: 34, sp: 31, pc: 32 })
} else {
    None
};

/// A line of the index of memory.
#[derive(Debug, Deserialize)]
struct Run {
    pid: i32,
    item: Option<String>,
    #[serde(default)]
    at: usize,
    address: String,
    bytes: u64,
    #[serde(default)]
    permissions: String,
}

#[derive(Debug, Deserialize)]
struct Thread {
    tid: i32,
    sp: Option<String>,
    pc: Option<String>,
}

/// One process: what is where, in the order in which it was taken.
#[derive(Debug, Default)]
pub(crate) struct Core {
    runs: Vec<Run>,
}

/// The processes whose memory an index tells of.
pub(crate) fn processes(index: &[u8]) -> BTreeMap<i32, Core> {
    let mut cores: BTreeMap<i32, Core> = BTreeMap::new();
    let lines = index.split(|byte| *byte == b'\n').take(RUNS_MAX);
    for run in lines.filter_map(|line| serde_json::from_slice::<Run>(line).ok()) {
        cores.entry(run.pid).or_default().runs.push(run);
    }
    cores
}

// === impl Core ===

impl Core {
    /// Writes it; `read` gives an item of the bundle by its name. Nothing is written on an architecture that is not known here.
    ///
    /// # Errors
    /// When it cannot be written, or a piece is not as long as the index says.
    pub(crate) fn write(
        &self,
        pid: i32,
        read: &dyn Fn(&str) -> Option<Vec<u8>>,
        to: &mut impl Write,
    ) -> io::Result<()> {
        let Some(machine) = MACHINE else { return Ok(()) };
        let notes = notes(pid, read, &machine);
        let n_headers = 1 + self.runs.len() as u64;
        let many = n_headers >= PN_XNUM;
        let headers_end = EHDR + n_headers * PHDR;
        let notes_at = headers_end + if many { SHDR } else { 0 };
        let mut data_at = (notes_at + notes.len() as u64).next_multiple_of(PAGE);
        let padding = data_at - notes_at - notes.len() as u64;
        let mut head = elf_header(machine.number, n_headers, many.then_some(headers_end));
        program_header(&mut head, PT_NOTE, 0, notes_at, 0, notes.len() as u64, notes.len() as u64);
        for run in &self.runs {
            let address = u64::from_str_radix(&run.address, 16).map_err(io::Error::other)?;
            let in_file = if run.item.is_some() { run.bytes } else { 0 };
            program_header(&mut head, PT_LOAD, flags(&run.permissions), data_at, address, in_file, run.bytes);
            data_at += in_file;
        }
        if many {
            // `sh_info` of the first section header counts them.
            let mut section = vec![0; SHDR as usize];
            section[44..48]
                .copy_from_slice(&u32::try_from(n_headers).map_err(io::Error::other)?.to_le_bytes());
            head.extend(section);
        }
        to.write_all(&head)?;
        to.write_all(&notes)?;
        to.write_all(&vec![0; padding as usize])?;
        self.write_data(read, to)
    }

    fn write_data(&self, read: &dyn Fn(&str) -> Option<Vec<u8>>, to: &mut impl Write) -> io::Result<()> {
        // A piece holds many runs, one after the other.
        let mut piece: Option<(&str, Vec<u8>)> = None;
        for run in &self.runs {
            let Some(item) = run.item.as_deref() else { continue };
            if piece.as_ref().is_none_or(|(name, _)| *name != item) {
                let bytes = read(item).ok_or_else(|| io::Error::other(format!("`{item}` cannot be read")))?;
                piece = Some((item, bytes));
            }
            let end = usize::try_from(run.bytes).ok().and_then(|length| run.at.checked_add(length));
            let bytes = piece.as_ref().zip(end).and_then(|((_, bytes), end)| bytes.get(run.at..end));
            let bytes =
                bytes.ok_or_else(|| io::Error::other(format!("`{item}` is shorter than its index says")))?;
            to.write_all(bytes)?;
        }
        to.flush()
    }
}

fn elf_header(machine: u16, n_headers: u64, section_at: Option<u64>) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    head.extend(4u16.to_le_bytes()); // ET_CORE
    head.extend(machine.to_le_bytes());
    head.extend(1u32.to_le_bytes());
    head.extend(0u64.to_le_bytes()); // No entry.
    head.extend(EHDR.to_le_bytes());
    head.extend(section_at.unwrap_or(0).to_le_bytes());
    head.extend(0u32.to_le_bytes());
    let counted = n_headers.min(PN_XNUM) as u16;
    let (sections, section_bytes) = if section_at.is_some() { (1, SHDR as u16) } else { (0, 0) };
    for half in [EHDR as u16, PHDR as u16, counted, section_bytes, sections, 0] {
        head.extend(half.to_le_bytes());
    }
    head
}

fn program_header(
    head: &mut Vec<u8>,
    kind: u32,
    flags: u32,
    at: u64,
    address: u64,
    in_file: u64,
    in_memory: u64,
) {
    head.extend(kind.to_le_bytes());
    head.extend(flags.to_le_bytes());
    let align = if kind == PT_LOAD { 1 } else { 4 };
    for word in [at, address, 0, in_file, in_memory, align] {
        head.extend(word.to_le_bytes());
    }
}

/// As `maps` writes them: `PF_X` is 1, `PF_W` 2, `PF_R` 4.
fn flags(permissions: &str) -> u32 {
    let has = |letter: char, flag: u32| if permissions.contains(letter) { flag } else { 0 };
    has('r', 4) | has('w', 2) | has('x', 1)
}

/// The threads, the process itself first, and what the kernel gave it at its start.
fn notes(pid: i32, read: &dyn Fn(&str) -> Option<Vec<u8>>, machine: &Machine) -> Vec<u8> {
    let lines = read(&format!("t2/memory/{pid}/threads.jsonl")).unwrap_or_default();
    let mut threads: Vec<Thread> =
        lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    threads.sort_by_key(|thread| (thread.tid != pid, thread.tid));
    if threads.is_empty() {
        threads.push(Thread { tid: pid, sp: None, pc: None });
    }
    let mut notes = Vec::new();
    for thread in &threads {
        note(&mut notes, NT_PRSTATUS, &status(pid, thread, machine));
    }
    if let Some(auxv) = read(&format!("t2/memory/{pid}/auxv")) {
        note(&mut notes, NT_AUXV, &auxv);
    }
    notes
}

/// `struct elf_prstatus`.
fn status(pid: i32, thread: &Thread, machine: &Machine) -> Vec<u8> {
    const PID_AT: usize = 32;
    const REGISTERS_AT: usize = 112;
    let mut status = vec![0; REGISTERS_AT + machine.registers * 8 + 8];
    status[PID_AT..PID_AT + 4].copy_from_slice(&thread.tid.to_le_bytes());
    status[PID_AT + 8..PID_AT + 12].copy_from_slice(&pid.to_le_bytes());
    for (register, value) in [(machine.sp, &thread.sp), (machine.pc, &thread.pc)] {
        let value =
            value.as_deref().and_then(|value| u64::from_str_radix(value.strip_prefix("0x")?, 16).ok());
        let at = REGISTERS_AT + register * 8;
        status[at..at + 8].copy_from_slice(&value.unwrap_or(0).to_le_bytes());
    }
    status
}

fn note(notes: &mut Vec<u8>, kind: u32, content: &[u8]) {
    for word in [5, content.len() as u32, kind] {
        notes.extend(word.to_le_bytes());
    }
    notes.extend(b"CORE\0\0\0\0");
    notes.extend(content);
    notes.resize(notes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::{Core, EHDR, PHDR, processes};

    fn word(core: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(core[at..at + 8].try_into().unwrap())
    }

    fn written(core: &Core, piece: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        core.write(7, &|name| name.ends_with("/0000").then(|| piece.to_vec()), &mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn what_was_left_out_has_its_place_and_no_bytes() {
        let index = br#"{"pid":7,"address":"1000","bytes":4096,"permissions":"r-xp","name":"/x","left_out":"its file has it"}
{"pid":7,"item":"t2/memory/7/0000","at":2,"address":"5000","bytes":3,"permissions":"rw-p","name":""}
no line
{"pid":8,"item":"t2/memory/8/0000","at":0,"address":"5000","bytes":3,"permissions":"rw-p","name":""}
"#;
        let cores = processes(index);
        assert_eq!(cores.keys().collect::<Vec<_>>(), [&7, &8]);
        let core = written(&cores[&7], b"..abc..").unwrap();
        let header = |n: u64| usize::try_from(EHDR + n * PHDR).unwrap();
        let of = |n: u64| [16, 32, 40].map(|at| word(&core, header(n) + at));
        assert_eq!(of(1), [0x1000, 0, 4096]);
        assert_eq!(of(2), [0x5000, 3, 3]);
        assert_eq!(core[header(1) + 4], 5, "it was read and executed");
        let at = usize::try_from(word(&core, header(2) + 8)).unwrap();
        assert_eq!(&core[at..], b"abc");
        let error = written(&cores[&7], b"..a").unwrap_err();
        assert!(error.to_string().contains("shorter than its index says"), "{error}");
        assert!(written(&cores[&8], b"").is_err());
    }

    #[test]
    fn very_many_regions_are_counted_elsewhere() {
        let line = |n: u64| {
            format!(
                "{{\"pid\":7,\"item\":\"t2/memory/7/0000\",\"at\":0,\"address\":\"{:x}\",\"bytes\":1}}\n",
                n * 8192
            )
        };
        let index: String = (0..70_000).map(line).collect();
        let core = written(&processes(index.as_bytes())[&7], b"x").unwrap();
        let half = |at: usize| u16::from_le_bytes([core[at], core[at + 1]]);
        assert_eq!((half(56), half(58), half(60)), (0xffff, 64, 1));
        let section = usize::try_from(word(&core, 40)).unwrap();
        assert_eq!(core[section + 44..section + 48], 70_001u32.to_le_bytes());
        let last = usize::try_from(EHDR + 70_000 * PHDR + 8).unwrap();
        assert_eq!(core[usize::try_from(word(&core, last)).unwrap()..], *b"x");
    }
}
