//! Owns `paramedic security contain`, `confirm` and `release`: the guard first, then the kernel; and back in reverse.

mod gate;
mod guarded;
mod kernel;
mod rotate;
mod wanted;

use std::path::PathBuf;

use ::incident::change::{Change, What as Kind};
use ::incident::error_chain;
use ::server::config::Config;
use ::server::{containment_path, now_ms, read_containment};
use containment::State;

use super::far;
use crate::arguments::{ConfirmArguments, ContainArguments, Output, ReleaseArguments, millis};
use crate::commands::incident;
use crate::commands::tune::{Hand, Subject, failure, may_change};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

use guarded::Guarded;
use wanted::Wanted;

pub(in crate::commands) use kernel::Kernel;
pub(in crate::commands) use rotate::{Tokens, rotate};

/// A server that is contained or released.
struct Ward {
    config: Config,
    named: Option<PathBuf>,
    name: String,
    output: Output,
}

pub(in crate::commands) fn contain(
    arguments: &ContainArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let ward = Ward::find(&arguments.name, named, output, "security contain")?;
    let before = ward.state()?;
    let wanted = Wanted::of(&ward.config, arguments, before.as_ref())?;
    let sealed = gate::pass(&ward.config, arguments)?;
    let guarded = Guarded::find(&ward)?;
    let at_ms = now_ms();
    let mut state = before.clone().unwrap_or_else(|| State::new(&actor(), at_ms, sealed.words.clone()));
    let length = arguments.duration.unwrap_or_else(|| ward.config.containment.confirm_within.get());
    let is_confirmed = before.as_ref().is_some_and(|before| before.until_ms.is_none());
    state.until_ms = (!arguments.confirmed && !is_confirmed).then(|| at_ms.saturating_add(millis(length)));
    state.reason = arguments.reason.clone().or(state.reason);
    state.incident = sealed.incident.or(state.incident);
    wanted.fill(&ward.config, &mut state, guarded.child)?;
    // The guard first: it needs nobody's leave, and holds whatever becomes of the rest.
    guarded.refuse(&ward, &wanted, &mut state)?;
    if let Err(failure) = ward.become_(Some(&state)) {
        ward.keep_guarded(&state, before.as_ref());
        return Err(failure);
    }
    ward.tell(&state);
    Ok(Code::Done)
}

pub(in crate::commands) fn confirm(
    arguments: &ConfirmArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let ward = Ward::find(&arguments.name, named, output, "security confirm")?;
    let Some(mut state) = ward.state()? else {
        return Err(Failure::no(anyhow::anyhow!("`{}` is not contained", ward.name)));
    };
    let at_ms = now_ms();
    if state.is_over(at_ms) {
        let words = "is not contained any more: its time was up; `security contain` does it anew";
        return Err(Failure::no(anyhow::anyhow!("`{}` {words}", ward.name)));
    }
    state.until_ms = arguments.duration.map(|length| at_ms.saturating_add(millis(length)));
    Guarded::find(&ward)?.prolong(&ward, &state)?;
    ward.become_(Some(&state))?;
    ward.tell(&state);
    Ok(Code::Done)
}

pub(in crate::commands) fn release(
    arguments: &ReleaseArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let ward = Ward::find(&arguments.name, named, output, "security release")?;
    if arguments.undo {
        ward.with_subject(async |subject| subject.undo(output).await)?;
        return Ok(Code::Done);
    }
    let state = ward.state()?;
    if arguments.all {
        let of = arguments.incident.as_deref().or(state.as_ref().and_then(|state| state.incident.as_deref()));
        let unwound = incident::of_server(ward.named.clone(), &ward.name, of, output)?;
        if unwound.is_none() {
            anstream::eprintln!(
                "paramedic: `{}` has no open incident: name the one that is meant (--incident)",
                ward.name
            );
        }
        // What was laid down outside of the incident is taken back below.
        let rest = ward.let_go(ward.state()?.as_ref())?;
        return Ok(if rest == Code::Done { unwound.unwrap_or(Code::Done) } else { rest });
    }
    ward.let_go(state.as_ref())
}

// === impl Ward ===

impl Ward {
    fn find(name: &str, named: Option<PathBuf>, output: Output, verb: &str) -> Result<Self, Failure> {
        if context::far().is_some() {
            return Err(far::only_there(verb));
        }
        let (config, _) = context::load_or_default(named.clone())?;
        may_change(&config)?;
        Ok(Self { config, named, name: name.to_owned(), output })
    }

    /// Releases it, whatever holds it.
    fn let_go(&self, state: Option<&State>) -> Result<Code, Failure> {
        if state.is_some() {
            self.become_(None)?;
        }
        let opened = Guarded::find(self)?.let_in(self, state)?;
        if state.is_none() && !opened {
            show::line(&format!("{}: nothing to do, it is not contained", self.name));
            return Ok(Code::Done);
        }
        show::line(&format!("{}: released", self.name));
        Ok(Code::Done)
    }

    fn state(&self) -> Result<Option<State>, Failure> {
        read_containment(&self.config, &self.name).map_err(|error| {
            let words = "look at what it says, release that by hand, and remove it";
            Failure::usage(anyhow::anyhow!("{}: {words}", error_chain(&error)))
        })
    }

    /// Brings it into this state, as a change. What holds already is put in place anew, for it may hold no more.
    fn become_(&self, state: Option<&State>) -> Result<(), Failure> {
        let place = (containment_path(&self.config, &self.name), state.map(State::to_text));
        let change = Change::plan(Kind::Containment, &self.name, [place]).map_err(failure)?;
        match change {
            Some(change) => self.with_subject(async |subject| subject.carry_out(&change, self.output).await),
            None => context::runtime()?.block_on(self.kernel().apply(state, state)),
        }
    }

    /// The kernel does not do its part, but the guard has done its own: that is what stands in the file.
    fn keep_guarded(&self, state: &State, before: Option<&State>) {
        if state.refused.is_empty() {
            return;
        }
        let mut kept = before.cloned().unwrap_or_else(|| {
            let mut none = State::new(&state.by, state.at_ms, state.evidence.clone());
            (none.reason, none.incident) = (state.reason.clone(), state.incident.clone());
            none
        });
        (kept.until_ms, kept.refused) = (state.until_ms, state.refused.clone());
        match self.become_(Some(&kept)) {
            Ok(()) => anstream::eprintln!(
                "paramedic: only the guard of `{}` does its part, and holds: {}",
                self.name,
                kept.words()
            ),
            Err(error) => anstream::eprintln!("paramedic: what the guard does is not written down: {error}"),
        }
    }

    fn kernel(&self) -> Kernel<'_> {
        Kernel { config: &self.config, name: &self.name }
    }

    fn with_subject<T>(
        &self,
        run: impl AsyncFnOnce(&Subject<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let client = context::client(self.named.clone())?;
        let subject = Subject {
            config: &self.config,
            client: &client,
            server: Some(&self.name),
            name: &self.name,
            places: vec![containment_path(&self.config, &self.name)],
            hand: Hand::Kernel(self.kernel()),
        };
        context::runtime()?.block_on(run(&subject))
    }

    fn tell(&self, state: &State) {
        let until = match state.until_ms {
            Some(until_ms) => format!(
                "until {} UTC, unless `paramedic security confirm {}` keeps it",
                show::time(until_ms),
                self.name
            ),
            None => format!("until `paramedic security release {}`", self.name),
        };
        match self.output {
            Output::Table => show::line(&format!("{}: {}; {until}", self.name, state.words())),
            _ => show::json(state),
        }
    }
}
