//! Owns arguments that are a language of their own: programs of `awk` and `sed`, SQL, texts for shells, and builtins with rules.

mod awk;
mod builtin;
mod find;
mod http;
mod redis;
mod sed;
mod shell;
mod sql;
mod tool;

use super::assess::Judge;
use crate::bash::Word;

/// Who reads the arguments of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Awk,
    Curl,
    Date,
    Dd,
    Declare,
    Eval,
    Exec,
    Find,
    Printf,
    Psql,
    Mysql,
    Sqlite,
    Read,
    Redis,
    Sed,
    Set,
    Shell,
    Ssh,
    Su,
    Tar,
    Tee,
    Test,
    Trap,
    Unset,
    Wget,
}

const NAMES: [(&str, Language); 25] = [
    ("awk", Language::Awk),
    ("curl", Language::Curl),
    ("date", Language::Date),
    ("dd", Language::Dd),
    ("declare", Language::Declare),
    ("eval", Language::Eval),
    ("exec", Language::Exec),
    ("find", Language::Find),
    ("mysql", Language::Mysql),
    ("printf", Language::Printf),
    ("psql", Language::Psql),
    ("read", Language::Read),
    ("redis", Language::Redis),
    ("sed", Language::Sed),
    ("set", Language::Set),
    ("shell", Language::Shell),
    ("sqlite", Language::Sqlite),
    ("ssh", Language::Ssh),
    ("su", Language::Su),
    ("tar", Language::Tar),
    ("tee", Language::Tee),
    ("test", Language::Test),
    ("trap", Language::Trap),
    ("unset", Language::Unset),
    ("wget", Language::Wget),
];

impl Language {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, language)| *language)
    }

    pub(super) fn judge(self, judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
        match self {
            Self::Awk => awk::judge(judge, name, arguments),
            Self::Curl => http::curl(judge, arguments),
            Self::Wget => http::wget(judge, arguments),
            Self::Date => tool::date(judge, arguments),
            Self::Dd => tool::dd(judge, arguments),
            Self::Tar => tool::tar(judge, arguments),
            Self::Tee => tool::tee(judge, arguments),
            Self::Declare => builtin::declare(judge, name, arguments),
            Self::Exec => builtin::exec(judge, arguments),
            Self::Printf => builtin::printf(judge, arguments),
            Self::Read => builtin::read(judge, name, arguments),
            Self::Set => builtin::set(judge, arguments),
            Self::Trap => builtin::trap(judge, arguments),
            Self::Unset => builtin::unset(judge, arguments),
            Self::Test => judge.test(name, arguments),
            Self::Find => find::judge(judge, arguments),
            Self::Eval => shell::eval(judge, arguments),
            Self::Shell => shell::shell(judge, name, arguments),
            Self::Ssh => shell::ssh(judge, arguments),
            Self::Su => shell::su(judge, name, arguments),
            Self::Sed => sed::judge(judge, arguments),
            Self::Psql => sql::psql(judge, arguments),
            Self::Mysql => sql::mysql(judge, name, arguments),
            Self::Sqlite => sql::sqlite(judge, arguments),
            Self::Redis => redis::judge(judge, arguments),
        }
    }
}
