//! Owns the guard's part of a containment: what it refuses by it, and that exactly this is taken back.

use std::path::Path;
use std::time::Duration;

use ::server::control_socket;
use containment::{Refused, State};
use guard::{Block, BlockKind, Controls, EVERYBODY, Set};
use process::ProcessId;
use process::control::{Client, Message, Status};

use super::Ward;
use super::wanted::Wanted;
use crate::commands::controls::Place;
use crate::context;
use crate::fail::{Code, Failure};

/// How long a guard may take to say how it is.
const HELLO_MAX: Duration = Duration::from_secs(5);

/// The guard of a server, if there can be one.
pub(super) struct Guarded {
    /// None for an upstream that stands alone.
    pub(super) place: Option<Place>,
    /// Its server, where it runs one.
    pub(super) child: Option<ProcessId>,
}

// === impl Guarded ===

impl Guarded {
    pub(super) fn find(ward: &Ward) -> Result<Self, Failure> {
        let place = match Place::find(&ward.name, ward.named.clone(), Duration::ZERO) {
            Ok(place) => Some(place),
            // Nobody stands between it and its clients: what there is to do is the kernel's.
            Err(failure) if failure.code() == Code::Refused => None,
            Err(failure) => return Err(failure),
        };
        let status = context::runtime()?.block_on(hello(&control_socket(&ward.config, &ward.name)));
        Ok(Self { place, child: status.and_then(|status| status.child) })
    }

    /// Has the guard refuse what is wanted, beside what it refuses already; says in the state what that is.
    pub(super) fn refuse(&self, ward: &Ward, wanted: &Wanted, state: &mut State) -> Result<(), Failure> {
        if wanted.refused.is_empty() {
            return self.prolong(ward, state);
        }
        let Some(place) = &self.place else {
            let named = wanted
                .refused
                .iter()
                .find(|(kind, _)| !matches!(kind, BlockKind::Everybody | BlockKind::Address));
            return match named {
                Some((kind, name)) => {
                    let words = format!(
                        "no guard stands in front of `{}`, so nobody can refuse {} `{name}`",
                        ward.name,
                        kind.name()
                    );
                    Err(Failure::new(Code::Refused, anyhow::anyhow!(words)))
                }
                None => Ok(()),
            };
        };
        let (by, until_ms, reason) = (state.by.clone(), state.until_ms, state.reason.clone());
        place.is_changed(ward.output, |controls, now_ms| {
            for (kind, name) in &wanted.refused {
                let is_ours = state.refused.iter().any(|one| is(one, *kind, name));
                let is_there = controls.blocks.iter().any(|one| one.kind == *kind && one.name == *name);
                // What somebody has laid down before stays theirs.
                if is_there && !is_ours {
                    continue;
                }
                let set = Set::new(&by, now_ms, reason.as_deref());
                controls.block(Block { kind: *kind, name: name.clone(), until_ms, set }, now_ms)?;
                if !is_ours {
                    state.refused.push(Refused { kind: kind.name().to_owned(), name: name.clone() });
                }
            }
            prolong(controls, state);
            Ok(())
        })?;
        Ok(())
    }

    /// Has the guard hold what it refuses by the state as long as the state says.
    pub(super) fn prolong(&self, ward: &Ward, state: &State) -> Result<(), Failure> {
        let Some(place) = &self.place else { return Ok(()) };
        place.is_changed(ward.output, |controls, _| {
            prolong(controls, state);
            Ok(())
        })?;
        Ok(())
    }

    /// Lets in again what was refused by the state, and whoever was shut out with everybody. Returns whether anything was.
    pub(super) fn let_in(&self, ward: &Ward, state: Option<&State>) -> Result<bool, Failure> {
        let Some(place) = &self.place else { return Ok(false) };
        let everybody = Refused { kind: EVERYBODY.to_owned(), name: EVERYBODY.to_owned() };
        let refused = state.map_or_else(|| vec![everybody], |state| state.refused.clone());
        let mut opened = false;
        place.is_changed(ward.output, |controls, now_ms| {
            for one in &refused {
                let Some(block) = controls.blocks.iter().find(|block| is(one, block.kind, &block.name)).cloned() else {
                    if state.is_some() {
                        anstream::eprintln!(
                            "paramedic: the guard had let {} `{}` in already: its time was up, or somebody did it",
                            one.kind,
                            one.name
                        );
                    }
                    continue;
                };
                if let Some(state) = state.filter(|state| state.by != block.set.by) {
                    anstream::eprintln!(
                        "paramedic: {} `{}` was blocked anew since, {}; {}'s is taken back",
                        one.kind,
                        one.name,
                        block.set,
                        state.by
                    );
                }
                opened |= controls.unblock(block.kind, &block.name, now_ms);
            }
            Ok(())
        })?;
        Ok(opened)
    }
}

fn prolong(controls: &mut Controls, state: &State) {
    for block in &mut controls.blocks {
        if state.refused.iter().any(|one| is(one, block.kind, &block.name)) {
            block.until_ms = state.until_ms;
        }
    }
}

fn is(one: &Refused, kind: BlockKind, name: &str) -> bool {
    one.kind == kind.name() && one.name == name
}

/// What a guard says of itself; none where none answers.
async fn hello(path: &Path) -> Option<Status> {
    let said = async {
        let (_client, mut messages) = Client::connect(path).await.ok()?;
        match messages.recv().await? {
            Message::Hello { status } => Some(status),
            _ => None,
        }
    };
    tokio::time::timeout(HELLO_MAX, said).await.ok()?
}
