//! Owns the tokens with which people and programs come in over the network: each has a role, the servers that it is for,
//! and an end. What is kept is their hash; the word itself is shown once, when it is made.

use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

use checksum::{Digest, hex};
use incident::error_chain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::config::Config;
use crate::document::{self, Document, DocumentError};

/// With what a word begins, so that it is known where it turns up.
const PREFIX: &str = "paramedic_";
/// Random bytes of a word: the first of them name it, the rest nobody can guess.
pub const RANDOM_BYTES: usize = NAME_BYTES + 32;
const NAME_BYTES: usize = 4;
/// Nobody looks after more.
const TOKENS_MAX: usize = 1000;
/// The longest name of a person or a program, in bytes.
const NAME_BYTES_MAX: usize = 100;
const DAY_MS: i64 = 86_400_000;
/// The longest life of a token. Who needs one for longer makes a new one.
pub const LIFE_DAYS_MAX: i64 = 366;
/// How long one that is over stays in the list, so that it can be said whose it was.
const KEPT_DAYS: i64 = 90;

/// What somebody may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Leads incidents: takes notice, notes, holds, calls others, silences.
    Responder,
    /// Says yes and no, starts and stops servers, takes back.
    Approver,
    /// Gives and takes tokens.
    Admin,
}

/// A token, without its word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Eight hexadecimal digits, which its word has too.
    pub id: String,
    /// Who has it: this is written down as the one who acts.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The servers that it is for; empty for all.
    pub servers: Vec<String>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// Who has made it.
    pub created_by: String,
    /// From when on it is no good, in milliseconds since the Unix epoch.
    pub expires_ms: i64,
    /// Who has taken it back, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// That a token was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who did it.
    pub by: String,
}

/// A token that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// For whom.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// For which servers; none for all.
    #[serde(default)]
    pub servers: Vec<String>,
    /// For how many days, [`LIFE_DAYS_MAX`] at most.
    #[schemars(range(min = 1, max = 366))]
    pub days: i64,
    /// Who makes it.
    pub by: String,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The wish makes no sense.
    #[error("{0}")]
    Wish(String),
    /// There is no such token.
    #[error("there is no token `{0}` that is good; `paramedic token list` shows them")]
    Unknown(String),
    /// The name of a person has several.
    #[error("`{0}` has several tokens: name one by its id")]
    Several(String),
    /// It has no form as JSON.
    #[error("it is no list of tokens")]
    Form(#[from] serde_json::Error),
}

/// Why a word is no good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoEntry {
    /// Nobody knows it.
    Unknown,
    /// It was good once.
    Over(String),
    /// Our own list cannot be read.
    NoList(String),
}

/// A token as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    token: Token,
    /// SHA-256 of the word, in hexadecimal digits. The word is random and long: nothing slower is needed.
    sha256: String,
}

/// The document of all tokens, the oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    tokens: Vec<Kept>,
}

impl Document for Tokens {
    const STEM: &'static str = "tokens";
    const WHAT: &'static str = "tokens";
    const ADVICE: &'static str = "; mend or remove it: until then nobody comes in over the network";
    type Problem = TokenError;

    fn parse(text: &str) -> Result<Self, TokenError> {
        Ok(serde_json::from_str(text)?)
    }

    fn to_json(&self) -> Result<String, TokenError> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

/// Where the randomness of a token comes from: the kernel.
///
/// # Errors
/// Where it has none yet.
pub fn random_token() -> std::io::Result<[u8; RANDOM_BYTES]> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    Ok(random)
}

/// Makes a token. Returns it with its word, which is kept nowhere.
///
/// # Errors
/// Where the wish makes no sense, or the document cannot be read or written.
pub fn create_token(
    config: &Config,
    wish: &Wish,
    random: &[u8; RANDOM_BYTES],
    now_ms: i64,
) -> Result<(Token, String), DocumentError<TokenError>> {
    document::change(config, |all: &mut Tokens| all.add(wish, random, now_ms))
}

/// Takes a token back, by its id or by the name of who has it; one that was taken back stays so.
///
/// # Errors
/// Where there is none or more than one of that name, or the document cannot be read or written.
pub fn revoke_token(
    config: &Config,
    typed: &str,
    by: &str,
    now_ms: i64,
) -> Result<Token, DocumentError<TokenError>> {
    document::change(config, |all: &mut Tokens| all.revoke(typed, by, now_ms))
}

/// All tokens, also those that were over not long ago, the oldest first.
///
/// # Errors
/// Where the document cannot be read.
pub fn read_tokens(config: &Config) -> Result<Vec<Token>, DocumentError<TokenError>> {
    Ok(document::load::<Tokens>(config)?.tokens.into_iter().map(|one| one.token).collect())
}

// === impl Role ===

impl Role {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

// === impl Tokens ===

impl Tokens {
    fn add(
        &mut self,
        wish: &Wish,
        random: &[u8; RANDOM_BYTES],
        now_ms: i64,
    ) -> Result<(Token, String), TokenError> {
        wish.check().map_err(TokenError::Wish)?;
        self.tokens.retain(|one| one.token.over_ms().saturating_add(KEPT_DAYS * DAY_MS) > now_ms);
        if self.tokens.len() >= TOKENS_MAX {
            return Err(TokenError::Wish(format!("there are {TOKENS_MAX} tokens: some have to go first")));
        }
        let (name, secret) = random.split_at(NAME_BYTES);
        let id = hex::write(name);
        if self.tokens.iter().any(|one| one.token.id == id) {
            return Err(TokenError::Wish("another token has the same number: try again".to_owned()));
        }
        let word = format!("{PREFIX}{id}_{}", hex::write(secret));
        let token = Token {
            id,
            name: wish.name.clone(),
            role: wish.role,
            servers: wish.servers.clone(),
            created_ms: now_ms,
            created_by: wish.by.clone(),
            expires_ms: now_ms.saturating_add(wish.days.saturating_mul(DAY_MS)),
            revoked: None,
        };
        self.tokens.push(Kept { token: token.clone(), sha256: hash(&word) });
        Ok((token, word))
    }

    fn revoke(&mut self, typed: &str, by: &str, now_ms: i64) -> Result<Token, TokenError> {
        let is_good = |one: &Token| one.over_ms() > now_ms;
        let is_it = |one: &Token| one.id == typed || (one.name == typed && is_good(one));
        let mut those = self.tokens.iter_mut().map(|one| &mut one.token).filter(|one| is_it(one));
        let one = those.next().ok_or_else(|| TokenError::Unknown(typed.to_owned()))?;
        if those.next().is_some() {
            return Err(TokenError::Several(typed.to_owned()));
        }
        one.revoked.get_or_insert_with(|| Revoked { at_ms: now_ms, by: by.to_owned() });
        Ok(one.clone())
    }
}

// === impl Wish ===

impl Wish {
    fn check(&self) -> Result<(), String> {
        let is_name = |text: &str| {
            !text.trim().is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control)
        };
        if !is_name(&self.name) {
            return Err(format!("a token is for somebody: a name of {NAME_BYTES_MAX} bytes at most"));
        }
        if !(1..=LIFE_DAYS_MAX).contains(&self.days) {
            return Err(format!("a token lives for 1 to {LIFE_DAYS_MAX} days"));
        }
        if let Some(server) = self.servers.iter().find(|server| !is_name(server)) {
            return Err(format!("`{server}` is no name of a server"));
        }
        if self.role == Role::Admin && !self.servers.is_empty() {
            return Err("an admin gives tokens for every server: it cannot be for some".to_owned());
        }
        Ok(())
    }
}

fn hash(word: &str) -> String {
    Digest::of(word.as_bytes()).to_string()
}

// === impl Token ===

impl Token {
    /// When it was or will be over, in milliseconds since the Unix epoch.
    pub fn over_ms(&self) -> i64 {
        self.revoked.as_ref().map_or(self.expires_ms, |revoked| revoked.at_ms.min(self.expires_ms))
    }

    /// Whether it is for this server.
    pub fn is_for(&self, server: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|one| one == server)
    }
}

/// What is another whenever the document was written.
type Stamp = (u64, i64, i64, u64);

/// The tokens as they are known, read anew when their document has changed.
#[derive(Default)]
pub(crate) struct Keyring {
    known: Mutex<(Option<Stamp>, Vec<Kept>)>,
}

// === impl Keyring ===

impl Keyring {
    /// The token whose word this is.
    pub(crate) fn find(&self, config: &Config, word: &str, now_ms: i64) -> Result<Token, NoEntry> {
        let given = hash(word);
        self.good(config, now_ms, |one| bool::from(one.sha256.as_bytes().ct_eq(given.as_bytes())))
    }

    /// The token of this id, whose word was known before.
    pub(crate) fn by_id(&self, config: &Config, id: &str, now_ms: i64) -> Result<Token, NoEntry> {
        self.good(config, now_ms, |one| one.token.id == id)
    }

    fn good(&self, config: &Config, now_ms: i64, is_it: impl Fn(&Kept) -> bool) -> Result<Token, NoEntry> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of = std::fs::metadata(document::path::<Tokens>(config)).ok();
        let stamp = of.map(|of| (of.ino(), of.mtime(), of.mtime_nsec(), of.len()));
        if known.0 != stamp {
            // The stamp is older than what is read: what is written meanwhile is read the next time.
            let read = document::load::<Tokens>(config);
            *known = (stamp, read.map_err(|error| NoEntry::NoList(error_chain(&error)))?.tokens);
        }
        let token = &known.1.iter().find(|one| is_it(one)).ok_or(NoEntry::Unknown)?.token;
        match &token.revoked {
            Some(revoked) => {
                Err(NoEntry::Over(format!("the token of {} was taken back by {}", token.name, revoked.by)))
            }
            None if token.expires_ms <= now_ms => {
                Err(NoEntry::Over(format!("the token of {} has expired", token.name)))
            }
            None => Ok(token.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
