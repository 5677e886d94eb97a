//! Owns secrets as the configuration writes them: where each is to be found, and never what it is.
//!
//! ```toml
//! authorization = { credential = "webhook-token" }                  # LoadCredential= of the unit of `serve`
//! authorization = { file = "/etc/paramedic/webhook-token" }
//! authorization = { env_file = "/etc/paramedic/tokens.env", key = "WEBHOOK" }
//! authorization = { command = ["pass", "show", "webhook"] }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What to write in place of a secret.
const ADVICE: &str = "name where it is: { credential = \"NAME\" }, { file = \"PATH\" }, \
     { env_file = \"PATH\", key = \"NAME\" } or { command = [\"PROGRAM\", …] }";

/// The longest name of a credential (`NAME_MAX` of systemd).
const NAME_BYTES_MAX: usize = 255;

/// Last words of names that are those of secrets, and ends of names that are one word.
const SECRET_WORDS: [&str; 6] = ["TOKEN", "SECRET", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "PAT"];
const SECRET_ENDS: [&str; 7] =
    ["PASSWORD", "PASSWD", "APIKEY", "API_KEY", "ACCESS_KEY", "PRIVATE_KEY", "SECRET_KEY"];

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Secret {
    /// A file that systemd gives to the unit of `serve` (`LoadCredential=`).
    Credential {
        /// Its name there.
        credential: String,
    },
    /// A whole file.
    File {
        /// The file.
        file: PathBuf,
    },
    /// One line `KEY=VALUE` of a file.
    EnvFile {
        /// The file.
        env_file: PathBuf,
        /// The name before the `=`.
        key: String,
    },
    /// What a program prints.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
    },
}

/// A text, or where a secret one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Text {
    /// The text.
    Plain(String),
    /// Where it is.
    Secret(Secret),
}

/// As it is written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    credential: Option<String>,
    file: Option<PathBuf>,
    env_file: Option<PathBuf>,
    key: Option<String>,
    command: Option<Vec<String>>,
}

/// Reads a table, and a text where `takes_text`.
struct Reader {
    takes_text: bool,
}

// === impl Secret ===

impl Secret {
    fn of(table: Table) -> Result<Self, String> {
        match table {
            Table { credential: Some(credential), file: None, env_file: None, key: None, command: None } => {
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
                let fits = (1..=NAME_BYTES_MAX).contains(&credential.len()) && !credential.starts_with('.');
                if !fits || !credential.chars().all(plain) {
                    return Err(format!("`{credential}` is no name of a credential: letters, digits, `._-`"));
                }
                Ok(Self::Credential { credential })
            }
            Table { credential: None, file: Some(file), env_file: None, key: None, command: None } => {
                Ok(Self::File { file })
            }
            Table {
                credential: None,
                file: None,
                env_file: Some(env_file),
                key: Some(key),
                command: None,
            } => Ok(Self::EnvFile { env_file, key }),
            Table { credential: None, file: None, env_file: None, key: None, command: Some(command) }
                if command.first().is_some_and(|program| !program.is_empty()) =>
            {
                Ok(Self::Command { command })
            }
            _ => Err(format!("a secret has exactly one place; {ADVICE}")),
        }
    }

    /// Makes relative paths relative to `base`.
    pub(super) fn settle(&mut self, base: &Path) {
        match self {
            Self::File { file: path } | Self::EnvFile { env_file: path, .. } => *path = base.join(&*path),
            Self::Credential { .. } | Self::Command { .. } => {}
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential { credential } => write!(f, "the credential `{credential}`"),
            Self::File { file } => write!(f, "the file `{}`", file.display()),
            Self::EnvFile { env_file, key } => write!(f, "`{key}` in the file `{}`", env_file.display()),
            // Its arguments are somebody's, and may tell too much.
            Self::Command { command } => {
                write!(f, "the command `{}`", command.first().map_or("", String::as_str))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Reader { takes_text: false })? {
            Text::Secret(secret) => Ok(secret),
            Text::Plain(_) => Err(D::Error::custom(ADVICE)),
        }
    }
}

// === impl Text ===

impl Text {
    /// The text, where it is written in the configuration.
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Secret(_) => None,
        }
    }

    /// Where it is, where that is written there.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Plain(_) => None,
            Self::Secret(secret) => Some(secret),
        }
    }

    /// Makes relative paths relative to `base`.
    pub(super) fn settle(&mut self, base: &Path) {
        if let Self::Secret(secret) = self {
            secret.settle(base);
        }
    }

    /// What is wrong with a variable of this name that has this value: the value itself is never shown.
    pub(super) fn problem(&self, name: &str) -> Option<String> {
        let plain = self.plain().filter(|text| !text.is_empty())?;
        if is_secret_name(name) {
            return Some(format!("by its name `{name}` is a secret, which is not written here; {ADVICE}"));
        }
        has_password(plain).then(|| format!("the value of `{name}` has a password in it; {ADVICE}"))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader { takes_text: true })
    }
}

// === impl Reader ===

impl<'de> Visitor<'de> for Reader {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.takes_text { "a text, or where a secret is" } else { "where a secret is" })
    }

    /// The message must not repeat it.
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
        if self.takes_text {
            return Ok(Text::Plain(text.to_owned()));
        }
        Err(E::custom(format!("a secret is not written here; {ADVICE}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        Secret::of(table).map(Text::Secret).map_err(A::Error::custom)
    }
}

/// Whether a variable of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let last = name.rsplit(['_', '-']).next().unwrap_or_default();
    SECRET_WORDS.contains(&last) || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a text is a URL with a password in it.
pub(super) fn has_password(text: &str) -> bool {
    let Some((_, after)) = text.split_once("://") else { return false };
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
}

fn places() -> [Schema; 4] {
    let text = || json_schema!({ "type": "string" });
    let table = |keys: &[(&str, Schema)]| {
        let properties: serde_json::Map<_, _> =
            keys.iter().map(|(key, schema)| ((*key).to_owned(), schema.clone().to_value())).collect();
        let required: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
        json_schema!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    };
    let words = json_schema!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    [
        table(&[("credential", text())]),
        table(&[("file", text())]),
        table(&[("env_file", text()), ("key", text())]),
        table(&[("command", words)]),
    ]
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Where a secret is", "oneOf": places() })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all: Vec<Schema> = std::iter::once(json_schema!({ "type": "string" })).chain(places()).collect();
        json_schema!({ "description": "A text, or where a secret one is", "oneOf": all })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Example {
        text: Text,
        secret: Option<Secret>,
    }

    #[test]
    fn every_place_is_read_and_shown_as_it_was_written() {
        for (written, told) in [
            (r#"{ credential = "webhook-token" }"#, "the credential `webhook-token`"),
            (r#"{ file = "/etc/token" }"#, "the file `/etc/token`"),
            (r#"{ env_file = "/etc/tokens", key = "A" }"#, "`A` in the file `/etc/tokens`"),
            (r#"{ command = ["pass", "show", "a"] }"#, "the command `pass`"),
        ] {
            let text = format!("text = {written}\nsecret = {written}\n");
            let example: Example = toml::from_str(&text).unwrap();
            assert_eq!(example.text.secret(), example.secret.as_ref());
            assert_eq!(example.secret.as_ref().unwrap().to_string(), told);
            let again: Example = toml::from_str(&toml::to_string(&example).unwrap()).unwrap();
            assert_eq!(again.secret, example.secret);
        }
        let example: Example = toml::from_str("text = \"plain\"\n").unwrap();
        assert_eq!(example.text.plain(), Some("plain"));
    }

    #[test]
    fn what_is_no_place_is_refused_and_a_secret_is_never_repeated() {
        for (written, words) in [
            ("\"Bearer hunter2\"", "a secret is not written here"),
            ("{}", "exactly one place"),
            ("{ file = \"/a\", credential = \"b\" }", "exactly one place"),
            ("{ env_file = \"/a\" }", "exactly one place"),
            ("{ command = [] }", "exactly one place"),
            ("{ credential = \"../hunter\" }", "no name of a credential"),
            ("{ value = \"hunter2\" }", "unknown field `value`"),
        ] {
            let error =
                toml::from_str::<Example>(&format!("text = \"a\"\nsecret = {written}\n")).unwrap_err();
            let message = error.message();
            assert!(message.contains(words) && !message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn names_and_values_of_secrets() {
        for name in [
            "GITHUB_TOKEN",
            "token",
            "AWS_SECRET_ACCESS_KEY",
            "PGPASSWORD",
            "OPENAI_API_KEY",
            "CLIENT_SECRET",
            "GITHUB_PERSONAL_ACCESS_TOKEN",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "NODE_OPTIONS",
            "TOKENIZERS_PARALLELISM",
            "TOKEN_FILE",
            "KEYBOARD",
            "AUTHOR",
            "MONKEY",
            "PATH",
            "A_KEY_ID",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
        assert!(has_password("postgres://ann:hunter2@db/x") && !has_password("postgres://ann@db/x"));
        assert!(!has_password("http://localhost:80/a@b:c") && !has_password("a:b@c"));
        let plain = |text: &str| Text::Plain(text.to_owned());
        let problem = plain("hunter2").problem("API_KEY").unwrap();
        assert!(problem.contains("`API_KEY` is a secret") && !problem.contains("hunter2"), "{problem}");
        assert_eq!(plain("").problem("API_KEY"), None, "an empty value takes one away");
        assert_eq!(plain("debug").problem("LEVEL"), None);
    }
}
