//! Owns asking a Java machine by the tool of its own JDK: how much of its heap is used, and whether threads wait for each other.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diagnosis::{Finding, Severity, kind};
use host::runtime::Runtime;

use crate::WITHIN;

/// A machine with thousands of threads says more; what is looked for stands at the end, so all of it is read up to this.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
const POLL: Duration = Duration::from_millis(10);
const HEAP_HIGH_PERCENT: f64 = 95.0;

/// What the machine of this process says. `runtime` has to be a Java machine: another program would be ended by the question.
pub(crate) fn found(runtime: &Runtime, server: &str) -> Vec<Finding> {
    let Some(tool) = tool(runtime) else { return Vec::new() };
    let ask = |command: &str| ask(&tool, runtime.pid, &[command], WITHIN);
    let heap = ask("GC.heap_info").and_then(|text| heap_used(&text, runtime.heap_limit_bytes));
    let mut found: Vec<Finding> = heap.map(|heap| heap.finding(runtime.pid, server)).into_iter().collect();
    found.extend(ask("Thread.print").map(|text| deadlock(&text, runtime.pid, server)));
    found
}

/// `jcmd` of the JDK that the process itself runs: `HOME/lib/server/libjvm.so` lies beside `HOME/bin/jcmd`, seen as the
/// process sees it. One in a container has mounts of its own, and its tool does not run out here.
pub(crate) fn tool(runtime: &Runtime) -> Option<PathBuf> {
    let home = runtime.file.ancestors().find(|folder| folder.join("bin/jcmd").is_file())?;
    Some(home.join("bin/jcmd"))
}

/// What the tool says; nothing where it does not end well in time.
pub(crate) fn ask(tool: &Path, pid: i32, command: &[&str], within: Duration) -> Option<String> {
    let mut asking = Command::new(tool);
    asking.arg(pid.to_string()).args(command).env_clear();
    let spawned = asking.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = spawned.ok()?;
    let stdout = child.stdout.take()?;
    let reading = thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut text);
        read.ok().map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let ended_well = ends_within(&mut child, within);
    // The tool is gone by now, and with it the other end.
    let text = reading.join().ok()??;
    ended_well.then_some(text)
}

/// Waits for the end of the tool; one that takes too long is ended, and only the tool: the machine goes on.
fn ends_within(child: &mut Child, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < until => thread::sleep(POLL),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Heap {
    used_kib: u64,
    /// What it may become; where that is not known, what it is.
    limit_kib: u64,
}

impl Heap {
    fn finding(self, pid: i32, server: &str) -> Finding {
        let percent = (self.used_kib as f64 * 1000.0 / self.limit_kib.max(1) as f64).round() / 10.0;
        let message =
            format!("Java process {pid} uses {} of {} MiB", self.used_kib >> 10, self.limit_kib >> 10);
        let severity = if percent >= HEAP_HIGH_PERCENT { Severity::Warning } else { Severity::Info };
        let finding = Finding::new(kind::HEAP_USED_PERCENT, server).with_value(percent);
        finding.with_severity(severity).with_message(&message)
    }
}

/// The lines of the heap itself; what lies outside of it, such as `Metaspace`, is no heap. Collectors word it differently:
/// `garbage-first heap total 260096K, used 1234K`, `PSYoungGen total 76288K, used 1310K` and `ParOldGen …`,
/// `def new generation …` and `tenured generation …`.
fn heap_used(text: &str, limit_bytes: Option<u64>) -> Option<Heap> {
    const HEAPS: [&str; 7] =
        ["garbage-first", "PSYoungGen", "ParOldGen", "PSOldGen", "def new", "DefNew", "tenured"];
    let is_heap = |line: &&str| {
        HEAPS.iter().any(|start| line.trim_start().starts_with(start)) || line.contains("Tenured")
    };
    let (mut used_kib, mut total_kib) = (0_u64, 0_u64);
    for line in text.lines().filter(is_heap) {
        used_kib = used_kib.saturating_add(kib_behind(line, "used ")?);
        total_kib =
            total_kib.saturating_add(kib_behind(line, "total ").or_else(|| kib_behind(line, "committed "))?);
    }
    let limit_kib = limit_bytes.map_or(total_kib, |bytes| bytes >> 10);
    (total_kib > 0).then_some(Heap { used_kib, limit_kib })
}

fn kib_behind(line: &str, word: &str) -> Option<u64> {
    let rest = &line[line.find(word)? + word.len()..];
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let factor = match rest[digits..].chars().next() {
        Some('M') => 1024,
        Some('G') => 1 << 20,
        _ => 1,
    };
    rest[..digits].parse::<u64>().ok()?.checked_mul(factor)
}

/// The machine looks for circles of locks itself, and names who is in them.
fn deadlock(text: &str, pid: i32, server: &str) -> Finding {
    let finding = Finding::new(kind::DEADLOCK, server);
    let Some((_, circle)) = text.split_once("Java-level deadlock:") else { return finding.with_value(false) };
    let named = circle.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix("\":"));
    let mut names: Vec<&str> = Vec::new();
    for name in named {
        if !names.contains(&name) && names.len() < 4 {
            names.push(name);
        }
    }
    let message = format!("threads of Java process {pid} wait for each other: {}", names.join(", "));
    finding.with_value(names.len() as u64).with_severity(Severity::Critical).with_message(&message)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use host::Roots;

    use super::*;

    #[test]
    fn heaps_of_several_collectors() {
        for (text, expect) in [
            (
                " garbage-first heap   total 260096K, used 1234K [0x0, 0x1)\n Metaspace       used 9999K\n",
                (1234, 260_096),
            ),
            (
                " PSYoungGen      total 76288K, used 1310K [0x\n  eden space 65536K, 2% used\n ParOldGen       total 175104K, used 90K\n",
                (1400, 251_392),
            ),
            (
                " def new generation   total 9792K, used 1K\n tenured generation   total 21888K, used 2K\n",
                (3, 31_680),
            ),
        ] {
            let heap = heap_used(text, None).unwrap();
            assert_eq!((heap.used_kib, heap.limit_kib), expect, "{text}");
        }
        assert_eq!(
            heap_used(" garbage-first heap   total 9K, used 8K", Some(16 << 10)).unwrap().limit_kib,
            16
        );
        assert_eq!(heap_used("1234:\nno heap\n", None), None);
        assert_eq!(heap_used(" garbage-first heap   total , used K", None), None);
    }

    const DEADLOCK: &str = "\
public class Locks {
  static final Object A = new Object(), B = new Object();
  static final java.util.concurrent.CountDownLatch both = new java.util.concurrent.CountDownLatch(2);
  static void take(Object first, Object second) {
    synchronized (first) {
      both.countDown();
      try { both.await(); } catch (InterruptedException e) { return; }
      synchronized (second) { System.out.println(\"never\"); }
    }
  }
  public static void main(String[] args) throws Exception {
    new Thread(() -> take(A, B), \"left\").start();
    new Thread(() -> take(B, A), \"right\").start();
    both.await();
    System.out.println(\"ready\");
  }
}
";

    /// A real machine, where there is a JDK.
    #[test]
    fn threads_that_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("Locks.java");
        std::fs::write(&source, DEADLOCK).unwrap();
        let spawned = Command::new("java").args(["-Xmx256m"]).arg(&source).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else {
            println!("SKIPPED: there is no java");
            return;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let runtime = Runtime::of(&Roots::default(), pid);
        let is_development_kit = line == "ready\n" && runtime.as_ref().and_then(tool).is_some();
        let until = Instant::now() + Duration::from_secs(60);
        // They have both begun to wait, and may not yet be seen to do so.
        let mut found = Vec::new();
        while is_development_kit && Instant::now() < until {
            found = super::found(runtime.as_ref().unwrap(), "notes");
            if found.iter().any(|one| one.kind() == "deadlock" && one.severity() == Severity::Critical) {
                break;
            }
        }
        let still_runs = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        if !is_development_kit {
            println!("SKIPPED: there is a java, and no JDK");
            return;
        }
        assert!(still_runs, "the machine was not ended by being asked");
        let told = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(told.contains("left") && told.contains("right") && told.contains("of 256 MiB"), "{told}");
    }
}
