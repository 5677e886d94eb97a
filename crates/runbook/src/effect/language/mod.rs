//! Owns arguments that are a language of their own: programs of `awk` and `sed`, SQL, texts for shells, and builtins with rules.

mod awk;
mod awk_token;
mod builtin;
mod client;
mod curl;
mod find;
mod redis;
mod sed;
mod setting;
mod shell;
mod socket;
mod sql;
mod sql_text;
mod sqlite;
mod ssh;
mod tool;
mod wget;
mod xargs;

use super::assess::Judge;
use crate::bash::Word;
pub(super) use shell::may_send;

/// Who reads the arguments of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Affinity,
    Awk,
    Clickhouse,
    Cqlsh,
    Curl,
    Date,
    Dd,
    Declare,
    Eval,
    Exec,
    Find,
    Getopts,
    Influx,
    Ldd,
    Mysql,
    Netcat,
    Parted,
    Printf,
    Psql,
    Python,
    Read,
    Redis,
    Sed,
    Service,
    Set,
    Shell,
    Socat,
    Sqlite,
    Ssh,
    Su,
    Tar,
    Tee,
    Test,
    Trap,
    Unset,
    Wget,
    Xargs,
}

const NAMES: [(&str, Language); 37] = [
    ("affinity", Language::Affinity),
    ("awk", Language::Awk),
    ("clickhouse", Language::Clickhouse),
    ("cqlsh", Language::Cqlsh),
    ("curl", Language::Curl),
    ("date", Language::Date),
    ("dd", Language::Dd),
    ("declare", Language::Declare),
    ("eval", Language::Eval),
    ("exec", Language::Exec),
    ("find", Language::Find),
    ("getopts", Language::Getopts),
    ("influx", Language::Influx),
    ("ldd", Language::Ldd),
    ("mysql", Language::Mysql),
    ("nc", Language::Netcat),
    ("parted", Language::Parted),
    ("printf", Language::Printf),
    ("psql", Language::Psql),
    ("python", Language::Python),
    ("read", Language::Read),
    ("redis", Language::Redis),
    ("sed", Language::Sed),
    ("service", Language::Service),
    ("set", Language::Set),
    ("shell", Language::Shell),
    ("socat", Language::Socat),
    ("sqlite", Language::Sqlite),
    ("ssh", Language::Ssh),
    ("su", Language::Su),
    ("tar", Language::Tar),
    ("tee", Language::Tee),
    ("test", Language::Test),
    ("trap", Language::Trap),
    ("unset", Language::Unset),
    ("wget", Language::Wget),
    ("xargs", Language::Xargs),
];

impl Language {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, language)| *language)
    }

    pub(super) fn judge(self, judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
        match self {
            Self::Affinity => setting::affinity(judge, name, arguments),
            Self::Awk => awk::judge(judge, name, arguments),
            Self::Clickhouse => client::clickhouse(judge, name, arguments),
            Self::Cqlsh => client::cqlsh(judge, arguments),
            Self::Curl => curl::judge(judge, arguments),
            Self::Date => tool::date(judge, arguments),
            Self::Dd => tool::dd(judge, arguments),
            Self::Declare => builtin::declare(judge, name, arguments),
            Self::Eval => shell::eval(judge, arguments),
            Self::Exec => builtin::exec(judge, arguments),
            Self::Find => find::judge(judge, arguments),
            Self::Getopts => builtin::getopts(judge, arguments),
            Self::Influx => client::influx(judge, arguments),
            Self::Ldd => setting::ldd(judge, arguments),
            Self::Mysql => client::mysql(judge, name, arguments),
            Self::Netcat => socket::nc(judge, name, arguments),
            Self::Parted => setting::parted(judge, arguments),
            Self::Printf => builtin::printf(judge, arguments),
            Self::Psql => client::psql(judge, arguments),
            Self::Python => setting::python(judge, name, arguments),
            Self::Read => builtin::read(judge, name, arguments),
            Self::Redis => redis::judge(judge, arguments),
            Self::Sed => sed::judge(judge, arguments),
            Self::Service => setting::service(judge, name, arguments),
            Self::Set => builtin::set(judge, arguments),
            Self::Shell => shell::shell(judge, name, arguments),
            Self::Socat => socket::socat(judge, arguments),
            Self::Sqlite => sqlite::judge(judge, arguments),
            Self::Ssh => ssh::judge(judge, arguments),
            Self::Su => shell::su(judge, name, arguments),
            Self::Tar => tool::tar(judge, arguments),
            Self::Tee => tool::tee(judge, arguments),
            Self::Test => judge.test(name, arguments),
            Self::Trap => builtin::trap(judge, arguments),
            Self::Unset => builtin::unset(judge, arguments),
            Self::Wget => wget::judge(judge, arguments),
            Self::Xargs => xargs::judge(judge, arguments),
        }
    }
}
