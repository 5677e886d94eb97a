//! Owns what is found about the processes of a server: whether they run, are stuck, and how much they hold.

use diagnosis::{Finding, Severity, kind};

use super::{Subject, critical_if, size, warning_if};
use crate::container::Container;
use crate::processes::{Process, State};
use crate::quota::TaskLimit;
use crate::snapshot::{Snapshot, TargetTree};
use crate::sockets::{Protocol, SocketState};
use crate::threads::summary;

/// As the rules see it.
const DESCRIPTORS_HIGH_PERCENT: f64 = 90.0;
const LIMIT_HIGH_PERCENT: f64 = 95.0;
const THROTTLED_HIGH_PERCENT: f64 = 50.0;
const TASKS_HIGH_PERCENT: f64 = 95.0;
const ZOMBIES_SOME: usize = 3;
const ACCEPT_QUEUE_LONG: u64 = 5;

pub(super) fn found(snapshot: &Snapshot, subject: &Subject) -> Vec<Finding> {
    let Some(target) = &snapshot.target else { return Vec::new() };
    let about = About { snapshot, subject, target };
    let found = [
        about.state(),
        about.blocked(),
        about.unread(),
        about.threads(),
        about.event_loop(),
        about.zombies(),
        about.descriptors(),
        about.memory(),
        about.limit(),
        about.address_space(),
        about.queue(),
        about.runtime(),
        about.container(),
        about.throttled(),
        about.tasks(),
        about.folder(),
    ];
    found.into_iter().flatten().collect()
}

struct About<'s> {
    snapshot: &'s Snapshot,
    subject: &'s Subject,
    target: &'s TargetTree,
}

impl About<'_> {
    fn finding(&self, kind: diagnosis::Kind) -> Finding {
        Finding::new(kind, &self.subject.name)
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        let of_tree = |pid| self.target.tree.iter().any(|details| details.id.pid == pid);
        self.snapshot.processes.iter().filter(move |process| of_tree(process.id.pid))
    }

    /// A wrapper waits for its child, so the one that somebody has stopped may be any of them.
    fn state(&self) -> Option<Finding> {
        let is = |state: State| self.processes().find(|process| process.state == Some(state));
        let top = self.processes().find(|process| process.id.pid == self.target.pid)?;
        let (word, process) = match (is(State::Stopped), is(State::Traced), top.state) {
            (Some(process), ..) => ("stopped", process),
            (None, Some(process), _) => ("traced", process),
            (None, None, Some(State::Zombie | State::Dead)) => ("zombie", top),
            _ => ("running", top),
        };
        let how = match word {
            "stopped" => "is stopped by a signal: it goes on with SIGCONT",
            "traced" => "is held by a debugger",
            "zombie" => "has ended, and its parent has not asked for its end",
            _ => "runs",
        };
        let message = format!("process {} ({}) {how}", process.id.pid, process.comm);
        let severity = if word == "running" { Severity::Info } else { Severity::Critical };
        Some(
            self.finding(kind::PROCESS_STATE).with_value(word).with_severity(severity).with_message(&message),
        )
    }

    fn runtime(&self) -> Option<Finding> {
        let first = self.target.runtimes.first()?;
        let file = first.file.display();
        let heap = first.heap_limit_bytes.map(|bytes| format!(", with a heap of {} at most", size(bytes)));
        let message = format!("process {} runs in {file}{}", first.pid, heap.unwrap_or_default());
        Some(self.finding(kind::RUNTIME).with_value(first.kind.name()).with_message(&message))
    }

    fn container(&self) -> Option<Finding> {
        let top = self.processes().find(|process| process.id.pid == self.target.pid)?;
        let Container { maker, id } = Container::of_group(top.cgroup.as_deref()?)?;
        let message = format!("process {} lives in a container of {maker}", top.id.pid);
        Some(self.finding(kind::CONTAINER).with_value(id.as_str()).with_message(&message))
    }

    fn blocked(&self) -> Option<Finding> {
        let blocked = &self.target.blocked;
        let finding = self.finding(kind::BLOCKED_TASKS).with_value(blocked.len() as u64);
        let Some(first) = blocked.first() else { return Some(finding) };
        let place = first.wait_channel.as_deref().unwrap_or("a place that the kernel does not name");
        let above: String =
            first.kernel_stack.iter().skip(1).take(3).map(|function| format!(" < {function}")).collect();
        let message =
            format!("thread {} ({}) of process {} waits in {place}{above}", first.tid, first.comm, first.pid);
        Some(finding.with_severity(Severity::Critical).with_message(&message))
    }

    fn unread(&self) -> Option<Finding> {
        let unread = &self.target.unread;
        let finding = self.finding(kind::UNREAD_WRITES).with_value(unread.len() as u64);
        let Some(first) = unread.first() else { return Some(finding) };
        let call = first.thread.syscall.as_ref()?;
        let who = match first.reader {
            Some(pid) => {
                let name = self.snapshot.processes.iter().find(|process| process.id.pid == pid);
                format!("process {pid} ({})", name.map(|process| process.comm.as_str()).unwrap_or_default())
            }
            None => "somebody".to_owned(),
        };
        let message = format!(
            "thread {} ({}) of process {} waits until {who} reads {}, its descriptor {}",
            first.thread.tid,
            first.thread.comm,
            first.thread.pid,
            call.on.as_deref().unwrap_or_default(),
            call.descriptor.unwrap_or_default()
        );
        Some(finding.with_severity(Severity::Critical).with_message(&message))
    }

    fn threads(&self) -> Option<Finding> {
        let threads = &self.target.threads;
        let finding = self.finding(kind::THREADS).with_value(threads.len() as u64);
        (!threads.is_empty()).then(|| finding.with_message(&summary(threads)))
    }

    /// The busiest of its loops; none where all of them had nothing to do at the first look.
    fn event_loop(&self) -> Option<Finding> {
        let found = self.target.event_loops.iter().filter_map(|one| Some((one, one.busy.as_ref()?)));
        let (one, busy) = found.max_by(|one, other| one.1.percent.total_cmp(&other.1.percent))?;
        let message = format!(
            "thread {} ({}) of process {} ({}), {:.0} % of it without a processor; its other threads took {:.0} %",
            busy.tid,
            busy.comm,
            one.pid,
            one.kind.name(),
            busy.waiting_percent,
            busy.others_percent
        );
        let finding = self.finding(kind::EVENT_LOOP_BUSY_PERCENT).with_value(super::rounded(busy.percent));
        Some(finding.with_message(&message))
    }

    fn zombies(&self) -> Option<Finding> {
        let zombies = &self.target.zombies;
        let finding = self.finding(kind::ZOMBIE_CHILDREN).with_value(zombies.len() as u64);
        let Some(first) = zombies.first() else { return Some(finding) };
        let process = self.snapshot.processes.iter().find(|process| process.id == *first)?;
        let parent = process.parent.unwrap_or_default();
        let message = format!(
            "process {parent} has not asked for the end of its child {} ({})",
            first.pid, process.comm
        );
        Some(finding.with_severity(warning_if(zombies.len() >= ZOMBIES_SOME)).with_message(&message))
    }

    fn descriptors(&self) -> Option<Finding> {
        let of = |details: &crate::details::Details| {
            let open = details.descriptors.as_ref()?.count;
            let limit = details.limits.as_ref()?.get("Max open files")?.soft.filter(|limit| *limit > 0)?;
            Some((open as f64 * 100.0 / limit as f64, open, limit, details.id.pid))
        };
        let most = self.target.tree.iter().filter_map(of).max_by(|one, other| one.0.total_cmp(&other.0));
        let (percent, open, limit, pid) = most?;
        let message = format!("process {pid} has {open} of {limit} open{}", self.mostly(pid));
        let finding = self.finding(kind::DESCRIPTORS_USED_PERCENT).with_value(super::rounded(percent));
        Some(finding.with_severity(critical_if(percent >= DESCRIPTORS_HIGH_PERCENT)).with_message(&message))
    }

    /// What most of the descriptors of a process are, where there are many.
    fn mostly(&self, pid: i32) -> String {
        let details = self.target.tree.iter().find(|details| details.id.pid == pid);
        let listed: Vec<&str> = details
            .and_then(|details| details.descriptors.as_ref())
            .into_iter()
            .flat_map(|all| all.listed.iter().filter_map(|one| one.target.as_deref()))
            .collect();
        let sockets = listed.iter().filter(|target| target.starts_with("socket:")).count();
        let pipes = listed.iter().filter(|target| target.starts_with("pipe:")).count();
        let files = listed.iter().filter(|target| target.starts_with('/')).count();
        if listed.len() < 100 {
            return String::new();
        }
        format!(": {files} files, {sockets} sockets, {pipes} pipes of those looked at")
    }

    fn memory(&self) -> Option<Finding> {
        let sum = self.processes().filter_map(|process| process.rss_bytes).fold(0, u64::saturating_add);
        let largest = self.processes().max_by_key(|process| process.rss_bytes.unwrap_or_default())?;
        let count = self.target.tree.len();
        let message = format!(
            "{} in {count} process(es); the largest is {} ({}) with {}",
            size(sum),
            largest.id.pid,
            largest.comm,
            size(largest.rss_bytes.unwrap_or_default())
        );
        Some(self.finding(kind::RSS_BYTES).with_value(sum).with_message(&message))
    }

    fn limit(&self) -> Option<Finding> {
        let group = self.target.cgroup_memory.as_ref()?;
        let percent = group.used_percent()?;
        let limit = group.limit_above_bytes?;
        let message = format!("its control group {} may have {}", group.path, size(limit));
        let finding = self.finding(kind::MEMORY_LIMIT_USED_PERCENT).with_value(percent);
        Some(finding.with_severity(warning_if(percent >= LIMIT_HIGH_PERCENT)).with_message(&message))
    }

    /// The process that is nearest to its limit of all that it may map.
    fn address_space(&self) -> Option<Finding> {
        let limited = self.target.tree.iter().filter_map(|one| Some((one.id.pid, one.address_space()?)));
        let percent = |(taken, most): (u64, u64)| taken as f64 * 100.0 / most.max(1) as f64;
        let (pid, of) = limited.max_by(|one, other| percent(one.1).total_cmp(&percent(other.1)))?;
        let message = format!("process {pid} has mapped {} of {}", size(of.0), size(of.1));
        let finding = self.finding(kind::ADDRESS_SPACE_USED_PERCENT).with_value(super::rounded(percent(of)));
        Some(finding.with_severity(warning_if(percent(of) >= LIMIT_HIGH_PERCENT)).with_message(&message))
    }

    fn throttled(&self) -> Option<Finding> {
        let cpu = self.target.quota.cpu.as_ref()?;
        let percent = cpu.throttled_percent()?;
        let group = cpu.group.display();
        let message =
            format!("its control group {group} had used up its time in so many of the last periods");
        let finding = self.finding(kind::CPU_THROTTLED_PERCENT).with_value(percent);
        Some(finding.with_severity(warning_if(percent >= THROTTLED_HIGH_PERCENT)).with_message(&message))
    }

    fn tasks(&self) -> Option<Finding> {
        let TaskLimit { of, now, most } = self.target.quota.tasks.as_ref()?;
        let percent = *now as f64 * 100.0 / *most as f64;
        let message = format!("{of} has {now} of {most} processes and threads");
        let finding = self.finding(kind::TASKS_USED_PERCENT).with_value(super::rounded(percent));
        Some(finding.with_severity(critical_if(percent >= TASKS_HIGH_PERCENT)).with_message(&message))
    }

    /// Whoever works in a folder that is gone finds nothing that is named relative to it.
    fn folder(&self) -> Option<Finding> {
        let gone = |details: &&crate::details::Details| {
            details.cwd.as_deref().is_some_and(|folder| folder.ends_with(" (deleted)"))
        };
        let first = self.target.tree.iter().find(gone)?;
        let folder = first.cwd.as_deref().unwrap_or_default().trim_end_matches(" (deleted)");
        let message = format!("process {} works in {folder}, which was deleted", first.id.pid);
        let finding = self.finding(kind::WORK_FOLDER).with_value("deleted");
        Some(finding.with_severity(Severity::Warning).with_message(&message))
    }

    /// What waits at the listening sockets of the tree.
    fn queue(&self) -> Option<Finding> {
        let own = |pid: Option<i32>| {
            pid.is_some_and(|pid| self.target.tree.iter().any(|details| details.id.pid == pid))
        };
        let sockets = self.target.sockets.as_ref()?.listed.iter();
        let listening = sockets.filter(|socket| {
            socket.state == SocketState::Listen && socket.protocol != Protocol::Unix && own(socket.pid)
        });
        let longest = listening.max_by_key(|socket| socket.receive_queue)?;
        let waiting = longest.receive_queue?;
        let message = format!("at {}", longest.local.as_deref().unwrap_or("an address that is not known"));
        let finding = self.finding(kind::ACCEPT_QUEUE).with_value(waiting);
        Some(finding.with_severity(warning_if(waiting >= ACCEPT_QUEUE_LONG)).with_message(&message))
    }
}
