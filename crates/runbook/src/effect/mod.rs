//! Owns what a shell statement does to the world: one effect with the reason for it, read strictly, so that whatever is not understood is `unknown`.
//!
//! The reading does not trust the syntax tree: [`token`] and [`grammar`] accept a small sublanguage of bash by
//! themselves (simple commands, pipelines, `&&`, `||`, `;`, `!`, `if`), [`reader`] and [`product`] know the commands,
//! and everything else is refused with the name of what was met.

mod expression;
mod grammar;
mod product;
mod reader;
#[cfg(test)]
mod tests;
mod token;

use serde::Serialize;

use grammar::Command;

/// What a statement does to the world, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It only looks.
    Observe,
    /// It changes something that can be changed back.
    Change,
    /// It interrupts a service: restart, stop.
    Disrupt,
    /// It deletes, overwrites or restores.
    Destroy,
    /// Nobody can tell; a person has to look.
    Unknown,
}

/// An effect and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assessment {
    pub(crate) effect: Effect,
    pub(crate) reason: String,
}

// === impl Effect ===

impl Effect {
    /// Returns the word for it in runbooks and policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Change => "change",
            Self::Disrupt => "disrupt",
            Self::Destroy => "destroy",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the effect that a word names.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Observe, Self::Change, Self::Disrupt, Self::Destroy, Self::Unknown]
            .into_iter()
            .find(|effect| effect.name() == name)
    }
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

// === impl Assessment ===

impl Assessment {
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { effect: Effect::Unknown, reason: reason.into() }
    }

    /// Raises the effect; a milder one changes nothing.
    pub(crate) fn raise(&mut self, effect: Effect, reason: impl FnOnce() -> String) {
        if effect > self.effect {
            *self = Self { effect, reason: reason() };
        }
    }
}

/// Reads the effect of one statement, as if nothing had been run before it.
pub(crate) fn assess(statement: &str) -> Assessment {
    let tokens = token::tokens(statement);
    let commands = match tokens.as_deref().map_err(String::clone).and_then(grammar::commands) {
        Ok(commands) => commands,
        Err(reason) => return Assessment::unknown(reason),
    };
    let mut looks = Vec::new();
    let mut worst = Assessment { effect: Effect::Observe, reason: String::new() };
    for command in &commands {
        let assessment = match command {
            Command::Assignment(name) => Assessment { effect: Effect::Observe, reason: format!("{name}=") },
            Command::Simple(words) => assess_command(words),
        };
        if assessment.effect == Effect::Observe {
            if !looks.contains(&assessment.reason) {
                looks.push(assessment.reason);
            }
        } else {
            worst.raise(assessment.effect, || assessment.reason);
        }
    }
    if worst.effect == Effect::Observe {
        worst.reason = format!("only looks ({})", looks.join(", "));
    }
    worst
}

/// For a command that only looks, the reason is its name.
fn assess_command(words: &[token::Word]) -> Assessment {
    let Some(name) = words[0].plain() else {
        return Assessment::unknown("the name of a command is quoted or computed");
    };
    let arguments = &words[1..];
    let read = match name {
        "paramedic" => return product::assess(arguments),
        "[" | "[[" | "test" => expression::check(name, arguments),
        _ => reader::check(name, arguments),
    };
    match read {
        Ok(()) => Assessment { effect: Effect::Observe, reason: name.to_owned() },
        Err(reason) => Assessment::unknown(reason),
    }
}
