//! Owns whether the one thread in which a server of Node or Python answers has no time left: how much of a processor it takes
//! between two looks.
//!
//! Node answers in its first thread. In Python whoever computes holds the one lock of the interpreter, so its threads
//! count together as long as they take one processor at most; where they take more, libraries compute without that lock,
//! and the busiest thread counts. Time in which a thread waits for a processor is time that it does not have either, as long
//! as it gets half of one: with less it is the machine that has no time. Nothing is asked of the process.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::machine::uptime_ms;
use crate::processes::{Stat, State};
use crate::roots::{FILE_BYTES_MAX, Roots, read};
use crate::runtime::{Kind, Runtime};
use crate::text::{number, words};

/// Of one process; a pool of workers has fewer.
const THREADS_MAX: usize = 256;
/// What threads of one lock can take together, with what the kernel counts too much.
const ONE_LOCK_PERCENT: f64 = 110.0;
/// Who gets less of a processor waits for others more than it computes.
const OWN_PERCENT_MIN: f64 = 50.0;

/// The threads of one process that were computing at the first look, and what they took since.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventLoop {
    /// The process.
    pub pid: i32,
    /// Its runtime.
    pub kind: Kind,
    /// When the first look was, since the start of the machine.
    uptime_ms: u64,
    /// What its threads had taken until then.
    #[serde(skip)]
    before: Vec<Taken>,
    /// What was found at the second look.
    pub busy: Option<Busy>,
}

/// What threads took between two looks, in percent of one processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Busy {
    /// The loop.
    pub percent: f64,
    /// The thread that took most of it.
    pub tid: i32,
    /// Its name.
    pub comm: String,
    /// How much of that it waited for a processor.
    pub waiting_percent: f64,
    /// All other threads of the process.
    pub others_percent: f64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    tid: i32,
    comm: String,
    cpu_ms: u64,
    /// How long it could have run and had no processor; 0 where the kernel does not say.
    waiting_ms: u64,
    is_running: bool,
}

// === impl EventLoop ===

impl EventLoop {
    /// `None` where nothing of it is computing now: then it has time.
    fn begin(roots: &Roots, runtime: &Runtime) -> Option<Self> {
        if runtime.kind == Kind::Jvm {
            return None;
        }
        let uptime_ms = uptime_ms(roots)?;
        let before = taken(roots, runtime.pid);
        let is_computing =
            |one: &Taken| one.is_running && (runtime.kind == Kind::Python || one.tid == runtime.pid);
        let loops = Self { pid: runtime.pid, kind: runtime.kind, uptime_ms, before, busy: None };
        loops.before.iter().any(is_computing).then_some(loops)
    }

    fn look_again(&mut self, roots: &Roots) {
        let elapsed_ms = uptime_ms(roots).and_then(|now| now.checked_sub(self.uptime_ms)).unwrap_or_default();
        let took: Vec<Taken> =
            taken(roots, self.pid).into_iter().map(|now| now.since(&self.before)).collect();
        let busiest = match self.kind {
            Kind::Node => took.iter().find(|thread| thread.tid == self.pid),
            Kind::Python | Kind::Jvm => took.iter().max_by_key(|thread| thread.cpu_ms),
        };
        let Some(thread) = busiest.filter(|_| elapsed_ms > 0) else { return };
        let percent = |ms: u64| ms as f64 * 100.0 / elapsed_ms as f64;
        let all = percent(took.iter().map(|thread| thread.cpu_ms).sum());
        let is_one_lock = self.kind == Kind::Python && all <= ONE_LOCK_PERCENT;
        let own = if is_one_lock { all } else { percent(thread.cpu_ms) };
        let own = own.min(100.0);
        // Of threads that share a lock the one that has it may wait, and no other does.
        let waited = percent(thread.waiting_ms).min(100.0 - own);
        let waiting_percent = if own >= OWN_PERCENT_MIN { waited } else { 0.0 };
        self.busy = Some(Busy {
            percent: own + waiting_percent,
            tid: thread.tid,
            comm: thread.comm.clone(),
            waiting_percent,
            others_percent: (all - own).max(0.0),
        });
    }
}

// === impl Taken ===

impl Taken {
    fn read(folder: &Path) -> Option<Self> {
        let tid = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = Stat::read(folder)?;
        let (cpu_ms, is_running) = (stat.cpu_ms()?, stat.state == Some(State::Running));
        // `RUN WAITED SLICES`, the first two in nanoseconds.
        let scheduled = read(&folder.join("schedstat"), FILE_BYTES_MAX).unwrap_or_default();
        let waiting_ms = words(&scheduled).nth(1).and_then(number).unwrap_or_default() / 1_000_000;
        Some(Self { tid, comm: stat.comm, cpu_ms, waiting_ms, is_running })
    }

    fn since(mut self, before: &[Self]) -> Self {
        if let Some(before) = before.iter().find(|one| one.tid == self.tid) {
            self.cpu_ms = self.cpu_ms.saturating_sub(before.cpu_ms);
            self.waiting_ms = self.waiting_ms.saturating_sub(before.waiting_ms);
        }
        self
    }
}

/// Those that compute at this moment.
pub(crate) fn read_event_loops(roots: &Roots, runtimes: &[Runtime]) -> Vec<EventLoop> {
    runtimes.iter().filter_map(|runtime| EventLoop::begin(roots, runtime)).collect()
}

pub(crate) fn look_again(roots: &Roots, loops: &mut [EventLoop]) {
    loops.iter_mut().for_each(|one| one.look_again(roots));
}

fn taken(roots: &Roots, pid: i32) -> Vec<Taken> {
    let Ok(entries) = fs::read_dir(roots.process(pid).join("task")) else { return Vec::new() };
    entries.flatten().take(THREADS_MAX).filter_map(|entry| Taken::read(&entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Threads as `TID STATE TICKS`, of which there are 100 in a second.
    fn machine(roots: &Roots, uptime: &str, threads: &[(i32, char, u64)]) {
        let _ = fs::remove_dir_all(roots.process(9).join("task"));
        for (tid, state, ticks) in threads {
            let folder = roots.process(9).join("task").join(tid.to_string());
            fs::create_dir_all(&folder).unwrap();
            let stat = format!("{tid} (t{tid}) {state} 1 0 0 0 0 0 0 0 0 0 {ticks} 0 0 0 0 0 1 0 5 0 0\n");
            fs::write(folder.join("stat"), stat).unwrap();
        }
        fs::write(roots.proc.join("uptime"), format!("{uptime} 1.00\n")).unwrap();
    }

    fn runtime(kind: Kind) -> Runtime {
        let file = PathBuf::from("/x");
        Runtime { pid: 9, kind, file, heap_limit_bytes: None, dump_signal: None, dump_folder: None }
    }

    /// Two looks, a second apart.
    fn check(
        kind: Kind,
        before: &[(i32, char, u64)],
        now: &[(i32, char, u64)],
        expect: Option<(f64, i32, f64)>,
    ) {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        fs::create_dir_all(&roots.proc).unwrap();
        machine(&roots, "50.00", before);
        let mut loops = read_event_loops(&roots, &[runtime(kind)]);
        machine(&roots, "51.00", now);
        look_again(&roots, &mut loops);
        let found = loops.first().and_then(|one| one.busy.clone());
        let found = found.map(|busy| (busy.percent.round(), busy.tid, busy.others_percent.round()));
        assert_eq!(found, expect, "{kind:?} {before:?} {now:?}");
    }

    #[test]
    fn what_takes_a_whole_processor() {
        let main = [(9, 'R', 100), (10, 'S', 5)];
        check(Kind::Node, &main, &[(9, 'R', 198), (10, 'S', 8)], Some((98.0, 9, 3.0)));
        check(Kind::Node, &main, &[(9, 'S', 130), (10, 'S', 5)], Some((30.0, 9, 0.0)));
        // Workers of Node have loops of their own.
        check(Kind::Node, &[(9, 'S', 1), (10, 'R', 5)], &[(9, 'S', 1), (10, 'R', 105)], None);
        check(
            Kind::Node,
            &[(9, 'R', 1), (10, 'R', 5)],
            &[(9, 'S', 3), (10, 'R', 105)],
            Some((2.0, 9, 100.0)),
        );
        check(Kind::Jvm, &main, &main, None);
    }

    #[test]
    fn threads_of_python_share_one_lock() {
        let two = [(9, 'S', 0), (10, 'R', 0), (11, 'S', 0)];
        check(Kind::Python, &two, &[(9, 'S', 20), (10, 'R', 40), (11, 'S', 38)], Some((98.0, 10, 0.0)));
        // Who takes more than one processor does it without the lock.
        check(Kind::Python, &two, &[(9, 'S', 5), (10, 'R', 95), (11, 'R', 60)], Some((95.0, 10, 65.0)));
        // A thread that has begun since.
        check(Kind::Python, &two, &[(9, 'S', 0), (12, 'R', 97)], Some((97.0, 12, 0.0)));
        check(Kind::Python, &[(9, 'S', 0)], &[(9, 'R', 97)], None);
    }

    #[test]
    fn time_without_a_processor_is_gone_too() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        fs::create_dir_all(&roots.proc).unwrap();
        for (own, waited_ms, expect) in
            [(55, 400, (95.0, 40.0)), (55, 900, (100.0, 45.0)), (45, 550, (45.0, 0.0))]
        {
            let look = |uptime: &str, ticks: u64, waited_ms: u64| {
                machine(&roots, uptime, &[(9, 'R', ticks)]);
                let text = format!("7 {} 3\n", waited_ms * 1_000_000);
                fs::write(roots.process(9).join("task/9/schedstat"), text).unwrap();
            };
            look("50.00", 100, 30);
            let mut loops = read_event_loops(&roots, &[runtime(Kind::Node)]);
            look("51.00", 100 + own, 30 + waited_ms);
            look_again(&roots, &mut loops);
            let busy = loops[0].busy.as_ref().unwrap();
            assert_eq!((busy.percent.round(), busy.waiting_percent.round()), expect, "{own} {waited_ms}");
        }
    }

    #[test]
    fn who_has_ended_or_no_time_passes() {
        check(Kind::Node, &[(9, 'R', 1)], &[], None);
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        fs::create_dir_all(&roots.proc).unwrap();
        machine(&roots, "50.00", &[(9, 'R', 1)]);
        let mut loops = read_event_loops(&roots, &[runtime(Kind::Node)]);
        look_again(&roots, &mut loops);
        assert_eq!(loops[0].busy, None);
    }
}
