//! Owns the samples of what each server's process tree uses: memory, processor, descriptors.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::{Census, Roots, Usage, listeners};
use process::ProcessId;

use super::Watch;
use crate::fleet::{Fleet, Member};
use crate::world::ServeWorld;

/// How often it is looked for who listens for a server that nobody here has started: that costs more than the rest.
const LISTENERS_EVERY: u32 = 6;

/// What a server's process tree uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Vitals {
    /// Memory that is not swapped out.
    pub(crate) rss_bytes: u64,
    /// Of one processor; 200 are two. None at the first look.
    pub(crate) cpu_percent: Option<f64>,
    /// Open descriptors, where they are ours to see.
    pub(crate) descriptors: Option<u64>,
}

/// The look before.
#[derive(Default)]
struct Before {
    at: Option<Instant>,
    usages: HashMap<String, Usage>,
    /// Who listens for a server that nobody here has started.
    found: HashMap<String, ProcessId>,
    looks: u32,
}

/// Looks at what all servers use, at the interval of scrapes, until the task is dropped.
pub(crate) async fn take_vitals(world: Arc<ServeWorld>, watch: Arc<Watch>, fleet: Arc<Fleet>) {
    let mut ticks = tokio::time::interval(world.config.metrics.scrape_interval.get());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before = Before::default();
    loop {
        ticks.tick().await;
        let members: Vec<Arc<Member>> = fleet.members().filter(|member| !member.is_absent()).collect();
        let looked = tokio::task::spawn_blocking(move || {
            let taken = before.look(&members);
            (before, taken)
        });
        let Ok((after, taken)) = looked.await else { return };
        before = after;
        watch.keep_vitals(taken);
    }
}

// === impl Watch ===

impl Watch {
    /// What is not there any more has no vitals.
    fn keep_vitals(&self, taken: HashMap<String, Vitals>) {
        for (server, vitals) in &taken {
            let server = ("server_name", server.as_str());
            let memory = [("memory_type", "rss"), server];
            self.sample("mcp_server_memory_usage_bytes", &memory, vitals.rss_bytes as f64);
            if let Some(percent) = vitals.cpu_percent {
                self.sample("mcp_server_cpu_usage_percent", &[server], percent);
            }
            if let Some(descriptors) = vitals.descriptors {
                self.sample("mcp_server_file_descriptors", &[server], descriptors as f64);
            }
        }
        *self.vitals.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = taken;
    }

    /// What the process tree of a server used at the last look.
    pub(crate) fn vitals(&self, server: &str) -> Option<Vitals> {
        self.vitals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(server).copied()
    }
}

// === impl Before ===

impl Before {
    fn look(&mut self, members: &[Arc<Member>]) -> HashMap<String, Vitals> {
        let roots = Roots::default();
        if self.looks.is_multiple_of(LISTENERS_EVERY) {
            self.found = strangers(&roots, members);
        }
        self.looks = self.looks.wrapping_add(1);
        let (census, now) = (Census::take(&roots), Instant::now());
        let elapsed = self.at.replace(now).map(|at| now - at);
        let mut usages = HashMap::new();
        let mut taken = HashMap::new();
        for member in members {
            let name = &member.config.name;
            let supervised = member.supervised();
            let guarded = supervised.status.as_ref().and_then(|status| status.child);
            let Some(top) = supervised.child().or_else(|| self.found.get(name).copied()) else { continue };
            let usage = match guarded {
                Some(child) => census.usage_below_lifeline(&roots, child),
                None => census.usage(&roots, top),
            };
            let Some(usage) = usage else { continue };
            let before = self.usages.get(name).filter(|before| before.cpu.contains_key(&top)).zip(elapsed);
            let vitals = Vitals {
                rss_bytes: usage.rss_bytes,
                cpu_percent: before.map(|(before, elapsed)| percent(usage.cpu_ms_since(before), elapsed)),
                descriptors: usage.descriptors,
            };
            taken.insert(name.clone(), vitals);
            usages.insert(name.clone(), usage);
        }
        self.usages = usages;
        taken
    }
}

fn percent(cpu_ms: u64, elapsed: Duration) -> f64 {
    let elapsed_ms = elapsed.as_secs_f64() * 1e3;
    if elapsed_ms > 0.0 { 100.0 * cpu_ms as f64 / elapsed_ms } else { 0.0 }
}

/// Who listens on this machine at the addresses of servers of which no process is known.
fn strangers(roots: &Roots, members: &[Arc<Member>]) -> HashMap<String, ProcessId> {
    let unknown: Vec<(&String, SocketAddr)> = members
        .iter()
        .filter(|member| member.child().is_none())
        .filter_map(|member| Some((&member.config.name, member.address()?)))
        .collect();
    if unknown.is_empty() {
        return HashMap::new();
    }
    let listeners = listeners(roots);
    let of = |address: SocketAddr| {
        let takes = |at: SocketAddr| {
            at.port() == address.port() && (at.ip() == address.ip() || at.ip().is_unspecified())
        };
        listeners.iter().find(|one| takes(one.address))?.process.as_ref().map(|process| process.id)
    };
    unknown.into_iter().filter_map(|(name, address)| Some((name.clone(), of(address)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_of_one_processor() {
        assert_eq!(percent(500, Duration::from_secs(1)), 50.0);
        assert_eq!(percent(4_000, Duration::from_secs(2)), 200.0);
        assert_eq!(percent(10, Duration::ZERO), 0.0);
    }
}
