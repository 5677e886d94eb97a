//! Owns what the runtimes of a server say of themselves, as findings: where Python is, and what a Java machine holds and
//! whether its threads wait for each other.
//!
//! Nothing in a look stops, changes or slows down what it looks at; what does is [`heap`], on a person's word. Python is read from outside, without a pause
//! (`process_vm_readv`). A Java machine is asked by the `jcmd` of its own JDK, and only where the process certainly is one
//! ([`host::runtime`]): the signal by which it is asked would end another program. Node has nothing that can be read without
//! a word to it; the limit of its heap is known from its start.
//!
//! All of it blocks, each process for [`WITHIN`] at most.

pub mod heap;
mod jvm;
mod python;

use std::time::Duration;

use diagnosis::Finding;
use host::Snapshot;
use host::runtime::{Kind, Runtime};

/// How long one process is looked at. A machine under load takes some hundred milliseconds to read the symbols of Python.
pub const WITHIN: Duration = Duration::from_secs(2);

/// A server has one or two processes of a runtime; a pool of workers does in each what it does in one.
const PROCESSES_MAX: usize = 4;

/// Looks into the runtimes of the tree that a snapshot has looked at. What cannot be read is absent.
pub fn look(snapshot: &Snapshot, server: &str) -> Vec<Finding> {
    let runtimes = snapshot.target.iter().flat_map(|target| &target.runtimes).take(PROCESSES_MAX);
    let mut found: Vec<Finding> = Vec::new();
    for runtime in runtimes {
        for finding in of_process(runtime, server) {
            // A finding is known by its kind and subject; the first process, the parent of the others, speaks for all.
            if !found.iter().any(|one| one.kind() == finding.kind()) {
                found.push(finding);
            }
        }
    }
    found
}

fn of_process(runtime: &Runtime, server: &str) -> Vec<Finding> {
    match runtime.kind {
        Kind::Python => python::found(runtime.pid, server).into_iter().collect(),
        Kind::Jvm => jvm::found(runtime, server),
        Kind::Node => Vec::new(),
    }
}
