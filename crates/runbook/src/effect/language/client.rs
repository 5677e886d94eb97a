//! Owns clients of databases: `psql`, `mysql`, `clickhouse-client`, `cqlsh`, `influx`, with the statements that they are given or fed.

use super::sql::{Dialect, sql};
use crate::bash::{Part, Quoting, Word};
use crate::effect::assess::Judge;
use crate::effect::feed::Feed;
use crate::effect::word::Position;

/// How a client is called.
struct Client<'n> {
    name: &'n str,
    dialect: Dialect,
    /// The options behind which a statement stands, by letter and by name.
    statement: (&'static str, &'static str),
    flags: &'static str,
    valued: &'static str,
    long: &'static str,
    long_valued: &'static str,
}

pub(super) fn psql(judge: &mut Judge<'_>, arguments: &[Word]) {
    let client = Client {
        name: "psql",
        dialect: Dialect::Postgres,
        statement: ("c", "command"),
        flags: "AtqwWXxlaeEnS1z0Hb",
        valued: "hpUdFRPTv",
        long: "csv echo-errors echo-hidden echo-queries expanded html list no-align no-password no-psqlrc quiet \
            single-transaction tuples-only",
        long_valued: "dbname field-separator host port pset record-separator set username variable",
    };
    client.judge(judge, arguments);
}

pub(super) fn mysql(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    let client = Client {
        name,
        dialect: Dialect::Mysql,
        statement: ("e", "execute"),
        flags: "NBstrEvCAqnHXfU",
        valued: "hPuDS",
        long: "batch column-names compress force html no-auto-rehash no-defaults password quick raw safe-updates \
            silent skip-column-names skip-ssl ssl table unbuffered vertical xml",
        long_valued: "connect-timeout database default-character-set host login-path port protocol socket ssl-ca \
            ssl-mode user",
    };
    client.judge(judge, arguments);
}

pub(super) fn clickhouse(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    let client = Client {
        name,
        dialect: Dialect::Clickhouse,
        statement: ("q", "query"),
        flags: "nmtEs",
        valued: "hudf",
        long: "multiline multiquery secure time vertical",
        long_valued: "connect_timeout database format host max_execution_time password port user",
    };
    client.judge(judge, arguments);
}

pub(super) fn cqlsh(judge: &mut Judge<'_>, arguments: &[Word]) {
    let client = Client {
        name: "cqlsh",
        dialect: Dialect::Cassandra,
        statement: ("e", "execute"),
        flags: "C",
        valued: "upk",
        long: "color no-color ssl",
        long_valued: "connect-timeout cqlversion keyspace password request-timeout username",
    };
    client.judge(judge, arguments);
}

/// `influx -execute TEXT`
pub(super) fn influx(judge: &mut Judge<'_>, arguments: &[Word]) {
    const VALUED: [&str; 9] =
        ["-database", "-db", "-format", "-host", "-password", "-port", "-precision", "-type", "-username"];
    judge.looks("influx");
    let mut asked = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let text = word.literal().unwrap_or_default();
        match text.as_ref() {
            "version" | "ping" if arguments.len() == 1 => asked = true,
            "-execute" => {
                asked = true;
                match words.next().map(Word::literal) {
                    Some(Some(text)) => sql(judge, Dialect::Influx, "influx", &text),
                    _ => judge.unknown("the statement for `influx` is computed"),
                }
            }
            "-pretty" | "-ssl" | "-unsafeSsl" => {}
            "-type" => judge.unknown("`influx -type` may run another language"),
            name if VALUED.contains(&name) => {
                if let Some(value) = words.next() {
                    judge.guard("influx", value, Position::Closed);
                }
            }
            _ => return judge.unknown(format!("`influx {}` is not known", word.shape().replace('\0', "…"))),
        }
    }
    if !asked {
        judge.unknown("what is fed to `influx` nobody knows");
    }
}

// === impl Client ===

impl Client<'_> {
    fn judge(&self, judge: &mut Judge<'_>, arguments: &[Word]) {
        judge.looks(self.name);
        let (mut asked, mut listed) = (false, false);
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (text, expansions) = word.literal_prefix();
            judge.guard(self.name, word, Position::Open);
            if !text.starts_with('-') {
                continue;
            }
            if matches!(text.as_ref(), "--help" | "--version" | "-V" | "-?") && arguments.len() == 1 {
                return;
            }
            let mut next = |judge: &mut Judge<'_>| {
                let value = words.next()?;
                judge.guard(self.name, value, Position::Closed);
                Some(value.clone())
            };
            if let Some(body) = text.strip_prefix("--") {
                let (option, attached) = match body.split_once('=') {
                    Some((option, value)) => (option, Some(glued(value, expansions))),
                    None => (body, None),
                };
                if attached.is_none() && !expansions.is_empty() {
                    judge.unknown(format!("an option of `{}` is computed", self.name));
                } else if option == self.statement.1 {
                    asked = true;
                    let value = attached.or_else(|| next(judge));
                    self.statement(judge, value.as_ref());
                } else if is_one_of(self.long_valued, option) {
                    if attached.is_none() {
                        next(judge);
                    }
                } else if !is_one_of(self.long, option) && !self.reads_defaults(option, attached.as_ref()) {
                    judge.unknown(format!("`{} --{body}` is not known", self.name));
                }
                listed |= option == "list" && self.dialect == Dialect::Postgres;
                continue;
            }
            let letters = &text[1..];
            for (at, letter) in letters.char_indices() {
                let rest = &letters[at + letter.len_utf8()..];
                let attached = (!rest.is_empty() || !expansions.is_empty()).then(|| glued(rest, expansions));
                if self.statement.0.contains(letter) {
                    asked = true;
                    let value = attached.or_else(|| next(judge));
                    self.statement(judge, value.as_ref());
                    break;
                }
                // The password of mysql is always attached.
                if letter == 'p' && self.dialect == Dialect::Mysql {
                    break;
                }
                if self.valued.contains(letter) {
                    if attached.is_none() {
                        next(judge);
                    }
                    break;
                }
                if !self.flags.contains(letter) {
                    judge.unknown(format!("`{} -{letter}` is not known", self.name));
                }
                listed |= letter == 'l' && self.dialect == Dialect::Postgres;
            }
        }
        if !asked && !listed {
            self.fed(judge, arguments);
        }
    }

    /// The operator's own settings of the system, which hold a password.
    fn reads_defaults(&self, option: &str, value: Option<&Word>) -> bool {
        let file = value.and_then(Word::literal).unwrap_or_default();
        self.dialect == Dialect::Mysql
            && matches!(option, "defaults-file" | "defaults-extra-file")
            && (file.starts_with("/etc/") || file.starts_with("/root/"))
            && !file.contains("..")
    }

    /// One statement from the command line, or a command of the client itself.
    fn statement(&self, judge: &mut Judge<'_>, word: Option<&Word>) {
        match word.map(Word::literal) {
            Some(Some(text)) if self.dialect == Dialect::Postgres && text.trim_start().starts_with('\\') => {
                self.own_command(judge, &text);
            }
            Some(Some(text)) => sql(judge, self.dialect, self.name, &text),
            _ => judge.unknown(format!("the statement for `{}` is computed", self.name)),
        }
    }

    /// `\dt`, `\l`, `\x`
    fn own_command(&self, judge: &mut Judge<'_>, text: &str) {
        let text = text.trim();
        let name = text[1..].split([' ', '+']).next().unwrap_or_default();
        let arguments = text[1..].split_once(' ').map_or("", |(_, arguments)| arguments);
        let describes = name.starts_with('d') && name.bytes().all(|b| b.is_ascii_alphabetic());
        let is_known = matches!(
            name,
            "l" | "echo"
                | "qecho"
                | "conninfo"
                | "timing"
                | "encoding"
                | "q"
                | "x"
                | "sf"
                | "sv"
                | "z"
                | "c"
                | "connect"
                | "pset"
        );
        if !(describes || is_known) || arguments.contains(['|', '`', '\n', '\\', ':']) {
            judge.unknown(format!("what `{}` does with `\\{name}` nobody knows", self.name));
        }
    }

    /// What is fed to a client without a statement are statements.
    fn fed(&self, judge: &mut Judge<'_>, arguments: &[Word]) {
        let Feed::Text(text) = judge.feed(arguments) else {
            return judge.unknown(format!("what is fed to `{}` nobody knows", self.name));
        };
        // A `:NAME` is the value of a variable of psql, and may be anything.
        let names_variable = text.match_indices(':').any(|(at, _)| {
            let before = text[..at].ends_with(':');
            let after = text[at + 1..].chars().next();
            !before && after.is_some_and(|c| c.is_alphabetic() || "_'\"{".contains(c))
        });
        if names_variable && self.dialect == Dialect::Postgres {
            return judge.unknown(format!("what is fed to `{}` names a variable", self.name));
        }
        let mut pending = String::new();
        for line in text.lines() {
            let is_between = pending.trim().is_empty() || pending.trim_end().ends_with(';');
            if self.dialect == Dialect::Postgres && is_between && line.trim_start().starts_with('\\') {
                self.own_command(judge, line);
            } else {
                pending.push_str(line);
                pending.push('\n');
            }
        }
        sql(judge, self.dialect, self.name, &pending);
    }
}

fn is_one_of(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|known| known == name)
}

fn glued(text: &str, expansions: &[Part]) -> Word {
    let mut parts = vec![Part::Literal { text: text.to_owned(), quoting: Quoting::Quoted }];
    parts.extend_from_slice(expansions);
    Word { parts, span: 0..0 }
}
