//! Owns `paramedic security rotate`: new tokens for the clients of a server. What is written down of them is whose they are,
//! when and by whom, and the beginning of their hash; never a word.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::server::{RANDOM_BYTES, now_ms, random_token, rotated_path};
use containment::{Refused, State};
use guard::{BlockKind, Made, Rotation, RotationError};
use incident::change::{Change, What as Kind, read_place};
use serde::{Deserialize, Serialize};

use super::guarded::Guarded;
use super::kernel::give;
use super::{Ward, may_change};
use crate::arguments::{Output, RotateArguments, millis};
use crate::commands::controls::Place;
use crate::commands::tune::{Hand, Subject, failure};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// An old token that is taken for longer was not replaced.
const OVERLAP_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The length of a word, in bytes before it is written as digits.
const WORD_BYTES: usize = 32;

/// Which tokens were made anew last: the file of a change, which holds no word.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    clients: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    at_ms: i64,
    by: String,
    /// The beginning of the SHA-256 of the new token.
    sha256: String,
    /// Until when the one before is taken as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overlap_until_ms: Option<i64>,
}

/// The hand that makes the tokens anew, together with what is written down of it.
pub(in crate::commands) struct Tokens<'a> {
    rotation: &'a Rotation,
    until_ms: Option<i64>,
    data_dir: &'a Path,
}

/// What is told, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    client: &'a str,
    file: &'a Path,
    sha256: &'a str,
    overlap_until_ms: Option<i64>,
}

pub(in crate::commands) fn rotate(
    arguments: &RotateArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let ward = Ward::find(&arguments.name, named, output, "security rotate")?;
    may_change(&ward.config)?;
    let Some(settings) = ward.settings()? else {
        if arguments.client.is_empty() {
            return Ok(nothing(&ward.name));
        }
        let words = format!("`{}` has no `guard_settings`, so no client of it has a token", ward.name);
        return Err(Failure::usage(anyhow::anyhow!(words)));
    };
    let random =
        || random_token().map(|random| std::array::from_fn(|idx| random[RANDOM_BYTES - WORD_BYTES + idx]));
    let rotation = match Rotation::plan(&settings, &arguments.client, random) {
        Err(RotationError::NoClients(_)) if arguments.client.is_empty() => return Ok(nothing(&ward.name)),
        planned => planned.map_err(unusable)?,
    };
    let made = rotation.made();
    let state = ward.state()?;
    let until_ms = overlap(arguments, &made, state.as_ref())?;
    let Guarded { place: Some(place), .. } = Guarded::find(&ward)? else {
        return Err(Failure::usage(anyhow::anyhow!("no guard stands in front of `{}`", ward.name)));
    };
    ward.write(&rotation, &made, until_ms)?;
    let is_running = reread(&place)?;
    ward.lift(&place, &made, state)?;
    tell(&made, until_ms, output);
    if !is_running {
        anstream::eprintln!("no guard runs in front of `{}`: it reads them at its next start", ward.name);
    }
    Ok(Code::Done)
}

fn nothing(name: &str) -> Code {
    show::line(&format!("{name}: nothing to do, no client of it has a token"));
    Code::Done
}

/// Until when the tokens before are taken, where that is asked for.
fn overlap(
    arguments: &RotateArguments,
    made: &[Made],
    state: Option<&State>,
) -> Result<Option<i64>, Failure> {
    let Some(length) = arguments.overlap else { return Ok(None) };
    if length.is_zero() || length > OVERLAP_MAX {
        return Err(Failure::usage(anyhow::anyhow!("--overlap is more than nothing, and a day at most")));
    }
    let revoked =
        state.and_then(|state| made.iter().find(|made| state.refused.iter().any(|one| is_of(one, made))));
    if let Some(made) = revoked {
        let words = format!(
            "the token of `{}` was revoked because of an attack, and does not come back, not even for a while: leave \
             `--overlap` out",
            made.client
        );
        return Err(Failure::new(Code::Refused, anyhow::anyhow!(words)));
    }
    Ok(Some(now_ms().saturating_add(millis(length))))
}

fn is_of(refused: &Refused, made: &Made) -> bool {
    refused.kind == BlockKind::Token.name() && refused.name == made.client
}

fn unusable(error: RotationError) -> Failure {
    match error {
        RotationError::Io { .. } | RotationError::Random(_) => Failure::no(error),
        _ => Failure::usage(error),
    }
}

/// Has the guard take the new tokens; says whether one runs.
fn reread(place: &Place) -> Result<bool, Failure> {
    let answer = context::runtime()?.block_on(place.door.ask("settings", &actor(), String::new()))?;
    match answer {
        None => Ok(false),
        Some((200..=299, _)) => Ok(true),
        Some((_, document)) => {
            let reason = document["error"].as_str().unwrap_or("it does not say why");
            let words = format!(
                "the new tokens are in their files, and the guard of `{}` still takes those before: {reason}; send it SIGHUP \
                 when that is mended",
                place.name
            );
            Err(Failure::no(anyhow::anyhow!(words)))
        }
    }
}

fn tell(made: &[Made], until_ms: Option<i64>, output: Output) {
    let told = |one: &Made| {
        let before = match until_ms {
            Some(until_ms) => format!("the one before is taken until {} UTC", show::time(until_ms)),
            None => "the one before is refused".to_owned(),
        };
        format!(
            "{}: a new token is in `{}` (SHA-256 {}…); {before}",
            one.client,
            one.path.display(),
            one.mark
        )
    };
    match output {
        Output::Table => made.iter().for_each(|one| show::line(&told(one))),
        _ => show::json(
            &made
                .iter()
                .map(|one| Told {
                    client: &one.client,
                    file: &one.path,
                    sha256: &one.mark,
                    overlap_until_ms: until_ms,
                })
                .collect::<Vec<_>>(),
        ),
    }
}

// === impl Ward, Tokens ===

impl Ward {
    /// The settings of its guard.
    fn settings(&self) -> Result<Option<PathBuf>, Failure> {
        Ok(context::server(&self.config, &self.name)?.guard_settings.clone())
    }

    fn write(&self, rotation: &Rotation, made: &[Made], until_ms: Option<i64>) -> Result<(), Failure> {
        let path = rotated_path(&self.config, &self.name);
        let text = read_place(&path).map_err(failure)?;
        let mut register: Register = text.as_deref().map_or_else(
            || Ok(Register::default()),
            |text| {
                let words = || format!("`{}` is not understood; remove it", path.display());
                serde_json::from_str(text)
                    .map_err(|error| Failure::usage(anyhow::Error::new(error).context(words())))
            },
        )?;
        for one in made {
            let (at_ms, by, sha256) = (now_ms(), actor(), one.mark.clone());
            register
                .clients
                .insert(one.client.clone(), Entry { at_ms, by, sha256, overlap_until_ms: until_ms });
        }
        let next = serde_json::to_string_pretty(&register).map_err(Failure::no)? + "\n";
        let change =
            Change::plan(Kind::ServerTokens, &self.name, [(path.clone(), Some(next))]).map_err(failure)?;
        let Some(change) = change else { return Ok(()) };
        let client = context::client(self.named.clone())?;
        let hand = Hand::Tokens(Tokens { rotation, until_ms, data_dir: &self.config.data_dir });
        let subject = Subject {
            config: &self.config,
            client: &client,
            server: Some(&self.name),
            name: &self.name,
            places: vec![path],
            hand,
        };
        context::runtime()?.block_on(subject.carry_out(&change, self.output))
    }

    /// What was refused of the tokens before is refused no more: they are gone, and those who have the new ones are let in.
    fn lift(&self, place: &Place, made: &[Made], state: Option<State>) -> Result<(), Failure> {
        let Some(mut state) = state else { return Ok(()) };
        let is_ours = |one: &Refused| made.iter().any(|made| is_of(one, made));
        let names: Vec<String> =
            state.refused.iter().filter(|one| is_ours(one)).map(|one| one.name.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        place.is_changed(self.output, |controls, now_ms| {
            for name in &names {
                controls.unblock(BlockKind::Token, name, now_ms);
            }
            Ok(())
        })?;
        state.refused.retain(|one| !is_ours(one));
        self.become_(Some(&state).filter(|state| !state.is_nothing()))
    }
}

impl Tokens<'_> {
    /// Writes down what is done, then does it. What cannot be done is not left written down.
    pub(in crate::commands) fn make(&self, change: &Change) -> Result<(), Failure> {
        change.make().map_err(failure)?;
        for place in &change.places {
            give(&place.path, self.data_dir).map_err(Failure::no)?;
        }
        self.rotation.carry_out(self.until_ms).map_err(|error| {
            // The first failure is the one to tell of.
            let _ = change.reversed(None).make();
            Failure::no(error)
        })
    }
}
