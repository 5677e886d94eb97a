//! Owns what of a containment is done for others: the server has to be listed, and all that is named has to be its own,
//! which is looked up here.
//!
//! Whoever controls `serve` could otherwise shut anybody out of anything: a port of somebody else, a process, the
//! people who respond.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path};

use containment::{Hold, Network, Scene, State};
use host::{Listener, Roots};
use process::ProcessId;
use systemd::UnitName;

use crate::allowed::Allowed;
use crate::request::{Answer, Before};

/// How the groups are called that are made for this.
const GROUP_PREFIX: &str = "paramedic-contained-";
/// Ports below it are of services of the machine.
const PORTS_FROM: u16 = 1024;

/// How a server is to be contained, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Containing<'a> {
    pub(crate) server: &'a str,
    pub(crate) own: &'a [Network],
    pub(crate) to: Option<&'a State>,
    pub(crate) over: Option<&'a State>,
}

// === impl Containing ===

impl Containing<'_> {
    /// Has the kernel do it, where all of it is the server's own.
    pub(crate) fn carry_out(&self, allowed: &Allowed, now_ms: i64) -> Answer {
        let refused = |reason: String| Answer::Refused { reason, before: None };
        if !allowed.has_server(self.server) {
            return refused(format!("the server `{}` is not on the list (`contain`)", self.server));
        }
        let wrong = self.to.and_then(|to| self.wrong_with(to, allowed));
        if let Some(reason) = wrong.or_else(|| self.over.and_then(|over| self.foreign_in(over, allowed))) {
            return refused(reason);
        }
        // Those whom root has listed, and those whom the sender wants to get through: that shuts nobody out.
        let own: Vec<Network> = allowed.responders().iter().chain(self.own).copied().collect();
        let scene = Scene { server: self.server, own: &own, now_ms };
        match containment::carry_out(scene, self.over, self.to) {
            Ok(told) => Answer::Done { before: Before::Told(told) },
            Err(error) => Answer::Failed { reason: crate::words(&error), before: None },
        }
    }

    /// Why this may not be, if it may not.
    fn wrong_with(&self, to: &State, allowed: &Allowed) -> Option<String> {
        let here = containment::here(Path::new("/"));
        let bad = to.blocked.iter().find_map(|network| network.check(&here, allowed.responders()).err());
        if let Some(error) = bad {
            return Some(error.to_string());
        }
        if let Some(process) = to.process.filter(|process| !is_theirs(*process, allowed)) {
            return Some(format!("process {} is none of a listed server, or has ended", process.pid));
        }
        if let Some(port) = self.port_of_others(&to.ports, allowed) {
            return Some(format!("port {port} is not of a listed server"));
        }
        if let Some(user) = to.user {
            let owner = to.process.and_then(|process| uid(process.pid));
            if user == 0 || owner != Some(user) || allowed.is_user(user) {
                return Some(format!("user {user} has other processes than those of the server"));
            }
        }
        self.foreign_in(to, allowed)
    }

    /// Why what is held is none of the server, if it is none.
    fn foreign_in(&self, state: &State, allowed: &Allowed) -> Option<String> {
        match state.hold.as_ref()? {
            Hold::Group { group, .. } => {
                let wanted = format!("{GROUP_PREFIX}{}", self.server);
                let is_plain = group
                    .path
                    .components()
                    .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
                let is_group = group.path.starts_with("/sys/fs/cgroup") && group.path.ends_with(&wanted);
                // What is made is made below the group of the process; what is there may be given back.
                let is_its = group.path.is_dir()
                    || state.process.is_some_and(|process| {
                        containment::Group::find(Path::new("/"), self.server, process.pid)
                            .is_ok_and(|found| found == *group)
                    });
                (!(is_plain && is_group && is_its))
                    .then(|| format!("`{}` is no group of `{}`", group.path.display(), self.server))
            }
            Hold::Signals { processes } => {
                let foreign = processes.iter().find(|one| one.is_alive() && !is_theirs(**one, allowed))?;
                Some(format!("process {} is none of a listed server", foreign.pid))
            }
        }
    }

    fn port_of_others(&self, ports: &[u16], allowed: &Allowed) -> Option<u16> {
        let listeners = host::listeners(&Roots::default());
        let is_own = |listener: &Listener| {
            listener.process.as_ref().is_some_and(|process| is_theirs(process.id, allowed))
        };
        ports.iter().copied().find(|port| {
            let mut there = listeners.iter().filter(|one| one.address.port() == *port).peekable();
            if there.peek().is_none() { *port < PORTS_FROM } else { !there.all(is_own) }
        })
    }
}

/// Whether a process is of the user who may ask, or in a listed unit.
fn is_theirs(process: ProcessId, allowed: &Allowed) -> bool {
    if !process.is_alive() {
        return false;
    }
    let is_of_user = uid(process.pid).is_some_and(|uid| allowed.is_user(uid));
    is_of_user || is_in_unit(process.pid, allowed)
}

fn is_in_unit(pid: i32, allowed: &Allowed) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    // systemd has its units in the tree of version 2, or in one of its own name.
    let own = text.lines().filter_map(|line| {
        line.strip_prefix("0::").or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    });
    let mut parts = own.flat_map(|path| path.split('/'));
    parts.any(|part| part.parse::<UnitName>().is_ok_and(|unit| allowed.has_unit(&unit)))
}

fn uid(pid: i32) -> Option<u32> {
    fs::metadata(format!("/proc/{pid}")).ok().map(|metadata| metadata.uid())
}

#[cfg(test)]
mod tests {
    use containment::{Group, State};

    use super::*;

    fn allowed() -> Allowed {
        let me = rustix::process::geteuid().as_raw();
        Allowed::of_text(
            "user = \"ann\"\nunits = [\"mcp-server-*.service\"]\ncontain = [\"notes\", \"mem-*\"]\nresponders = [\"198.51.100.9\"]\n",
            // As root nobody else is at hand; what is root's is refused by its own rule.
            |name| (name == "ann" && me != 0).then_some(me),
        )
    }

    fn judged(server: &str, change: impl FnOnce(&mut State)) -> String {
        let mut state = State::new("ann", 0, "none".to_owned());
        change(&mut state);
        let containing = Containing { server, own: &[], to: Some(&state), over: None };
        match containing.carry_out(&allowed(), 0) {
            Answer::Refused { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_is_the_servers_own() {
        assert!(judged("other", |_| ()).contains("not on the list"));
        assert!(judged("mem", |_| ()).contains("not on the list"), "a beginning is no name");
        let blocked = |text: &str| judged("notes", |state| state.blocked = vec![text.parse().unwrap()]);
        assert!(blocked("198.51.100.0/24").contains("people who respond"));
        assert!(blocked("127.0.0.1").contains("this machine itself"));
        assert!(judged("notes", |state| state.ports = vec![22]).contains("port 22"));
        let first = ProcessId::of(1).unwrap();
        assert!(judged("notes", |state| state.process = Some(first)).contains("process 1"));
        assert!(judged("notes", |state| state.user = Some(0)).contains("user 0"));
        for path in [
            "/sys/fs/cgroup/system.slice",
            "/sys/fs/cgroup/../../etc/paramedic-contained-notes",
            "/tmp/paramedic-contained-notes",
            "/sys/fs/cgroup/paramedic-contained-other",
        ] {
            let hold = Hold::Group { group: Group { path: path.into() }, frozen: true };
            assert!(
                judged("notes", |state| state.hold = Some(hold)).contains("no group of `notes`"),
                "{path}"
            );
        }
        let hold = Hold::Signals { processes: vec![first] };
        assert!(judged("notes", |state| state.hold = Some(hold)).contains("process 1"));
    }
}
