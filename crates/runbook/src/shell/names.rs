//! Owns the names of variables that belong to the shell, and of those that decide which program a word runs.

/// Variables that the shell or the runner provides: never parameters of a procedure.
const SHELL_OWN: [&str; 51] = [
    "COLUMNS",
    "COMP_WORDS",
    "COPROC",
    "DIRSTACK",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "EUID",
    "FUNCNAME",
    "GROUPS",
    "HISTFILE",
    "HOME",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "LANG",
    "LINENO",
    "LINES",
    "LOGNAME",
    "MACHTYPE",
    "MAPFILE",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "OSTYPE",
    "PATH",
    "PIPESTATUS",
    "POSIXLY_CORRECT",
    "PPID",
    "PROMPT_COMMAND",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "PWD",
    "RANDOM",
    "READLINE_LINE",
    "REPLY",
    "SECONDS",
    "SHELL",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "TERM",
    "TIMEFORMAT",
    "TMOUT",
    "TMPDIR",
    "TZ",
    "UID",
    "USER",
    "_",
];

/// Variables that decide what a later word means, which program it runs, or what that program loads.
const RESERVED: [&str; 40] = [
    "CDPATH",
    "CLASSPATH",
    "EDITOR",
    "ENV",
    "EXECIGNORE",
    "FIGNORE",
    "FPATH",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "GLOBIGNORE",
    "GREP_OPTIONS",
    "HISTFILE",
    "HOME",
    "HOSTALIASES",
    "IFS",
    "INPUTRC",
    "JAVA_TOOL_OPTIONS",
    "LANG",
    "LANGUAGE",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LOCPATH",
    "MAIL",
    "MAILPATH",
    "NLSPATH",
    "PAGER",
    "PATH",
    "POSIXLY_CORRECT",
    "PROMPT_COMMAND",
    "PS4",
    "RES_OPTIONS",
    "SHELL",
    "SHELLOPTS",
    "TERMCAP",
    "TERMINFO",
    "TMPDIR",
    "TZDIR",
    "VISUAL",
];

/// The same, by how they begin.
const RESERVED_PREFIXES: [&str; 15] = [
    "BASH",
    "DYLD_",
    "GIT_",
    "LC_",
    "LD_",
    "MALLOC_",
    "NODE_",
    "OPENSSL_",
    "PARAMEDIC_",
    "PERL",
    "PYTHON",
    "RUBY",
    "RUST_",
    "SSL_",
    "_RLD",
];

/// Whether a variable may decide what a command is or does: `PATH`, `IFS`, `LD_PRELOAD`, `BASH_ENV` and the like.
///
/// Such a name is never a parameter: neither labels of alerts nor configuration may set it for a unit.
pub fn is_reserved_variable(name: &str) -> bool {
    // Most words that are asked about are no variables: all of these begin with a capital or a `_`.
    let may_be = name.bytes().next().is_some_and(|first| first.is_ascii_uppercase() || first == b'_');
    (may_be && (RESERVED.binary_search(&name).is_ok() || has_reserved_prefix(name)))
        || name
            .len()
            .checked_sub("_PROXY".len())
            .is_some_and(|at| name.as_bytes()[at..].eq_ignore_ascii_case(b"_PROXY"))
}

/// No prefix begins with another one, so that only the last one that is not behind the name can be its own.
fn has_reserved_prefix(name: &str) -> bool {
    let n_before = RESERVED_PREFIXES.partition_point(|prefix| *prefix <= name);
    n_before > 0 && name.starts_with(RESERVED_PREFIXES[n_before - 1])
}

/// Whether programs take an exported variable of this name for options, for a program to run, or for a file to read.
pub(crate) fn is_program_setting(name: &str) -> bool {
    const PARTS: [&str; 26] = [
        "ARGS",
        "ASKPASS",
        "AWK",
        "BROWSER",
        "COMMAND",
        "CONF",
        "DIFF",
        "EDITOR",
        "FLAGS",
        "HOME",
        "INCLUDE",
        "JAVA",
        "LESS",
        "LIBDIR",
        "OPTIONS",
        "OPTS",
        "PAGER",
        "PATH",
        "PLUGIN",
        "PRELOAD",
        "PROGRAM",
        "PYTHON",
        "SHELL",
        "SSH",
        "TOOLCHAIN",
        "XTABLES",
    ];
    const PREFIXES: [&str; 11] = [
        "APACHE_",
        "CASSANDRA_",
        "CEPH_",
        "CLOUDSDK_",
        "CONTAINERS_",
        "HADOOP_",
        "HELM_",
        "LVM_",
        "RABBITMQ_",
        "RCLONE_",
        "TF_",
    ];
    let name = name.to_ascii_uppercase();
    let ends = ["RC", "RSH"].iter().any(|part| name.ends_with(part));
    let begins = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    ends || begins || PARTS.iter().any(|part| name.contains(part))
}

/// Whether a variable belongs to the shell or to the runner, so that no one has to provide it.
pub(crate) fn is_own_variable(name: &str) -> bool {
    is_reserved_variable(name) || SHELL_OWN.binary_search(&name).is_ok()
}

/// Whether `text` is the name of a shell variable.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(SHELL_OWN.is_sorted());
        assert!(RESERVED.is_sorted());
        assert!(RESERVED_PREFIXES.is_sorted());
        assert!(RESERVED_PREFIXES.windows(2).all(|pair| !pair[1].starts_with(pair[0])));
    }

    #[test]
    fn reserved_names() {
        for name in ["PATH", "LD_PRELOAD", "BASH_ENV", "BASHOPTS", "IFS", "LC_ALL", "http_proxy", "PS4"] {
            assert!(is_reserved_variable(name), "{name}");
        }
        for name in ["PORT", "SERVER_NAME", "PATHS", "X", "INCIDENT_DIR", "LOG_FILE", "LDAP", "path"] {
            assert!(!is_reserved_variable(name), "{name}");
        }
        assert!(is_name("_a1") && !is_name("1a") && !is_name("") && !is_name("a-b") && !is_name("ä"));
    }
}
