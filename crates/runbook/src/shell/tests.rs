//! Tests of shell reading: where fences are cut and glued, whose exit code counts, and what makes later words doubtful.

use proptest::prelude::*;

use super::*;

fn bash(source: &str) -> Vec<Statement> {
    read(&Language::Bash, source).statements
}

fn hijacks(source: &str) -> Vec<Option<String>> {
    let Reading { script, statements } = read(&Language::Bash, source);
    statements.iter().map(|statement| statement.hijack(&script)).collect()
}

#[track_caller]
fn check(source: &str, expect: &[&str]) {
    let found = bash(source);
    let cut: Vec<&str> = found.iter().map(|statement| &source[statement.range.clone()]).collect();
    assert_eq!(cut, expect, "{found:#?}");
}

#[test]
fn cuts_into_statements() {
    check("a; b\nc\n", &["a", "b", "c"]);
    check("sleep 5 &\nls &\n", &["sleep 5 &", "ls &"]);
    check("sleep 5 & ls; b &# c", &["sleep 5 &", "ls", "b &"]);
    check("a && b || c | d\n", &["a && b || c | d"]);
    check(
        "if a; then\n  b\nfi > x\n\n\nfor i in 1; do c; done",
        &["if a; then\n  b\nfi > x", "for i in 1; do c; done"],
    );
    check("cat > f << 'EOF'\n# x\n$(y)\nEOF\nls\n", &["cat > f << 'EOF'\n# x\n$(y)\nEOF", "ls"]);
    check("python3 -c \"\nimport x\n\"\nls \\\n  -l\n", &["python3 -c \"\nimport x\n\"", "ls \\\n  -l"]);
    check("# only\n\n  # comments\n", &[]);
    check("  \n", &[]);
    check("a \\\n\n\nb", &["a", "b"]);
    check("X=1\nY=$(b)\nc() { d; }\n", &["X=1", "Y=$(b)", "c() { d; }"]);
}

#[test]
fn comments_belong_to_the_statement_below_or_beside() {
    let found = bash("# one\n#two\na # beside\n\nb\n# end\n");
    let comments: Vec<_> = found.iter().map(|statement| statement.comment.as_deref()).collect();
    assert_eq!(comments, [Some("one\ntwo\nbeside"), None]);
}

#[test]
fn glues_what_has_to_share_a_shell() {
    for source in [
        "a &\nMONITOR_PID=$!\nkill $MONITOR_PID",
        "a\necho $?",
        "a | b\necho ${PIPESTATUS[0]}",
        "a &\nwait",
        "exec 3> f\necho a >&3",
        "trap 'rm x' EXIT\na",
        "coproc cat\na",
        "a || exit 1\nb",
        "ulimit -n 5\na",
        "set -- a b\necho $1",
        "shift\na",
        "echo $_\na",
        "f() { a; }\ntrap f DEBUG",
    ] {
        check(source, &[source]);
    }
    check("# x\na &\nwait\n# y\n", &["a &\nwait"]);
    check("f() { shift; return 1; }\nf a", &["f() { shift; return 1; }", "f a"]);
    check("set -e\na", &["set -e", "a"]);
}

#[test]
fn sh_is_one_unit_and_other_languages_are_none() {
    let source = "# x\na\nb\n";
    let found = read(&Language::Sh, source).statements;
    assert_eq!(found.len(), 1);
    assert_eq!(&source[found[0].range.clone()], "a\nb");
    assert!(read(&Language::Other("python".to_owned()), source).statements.is_empty());
}

#[test]
fn what_can_not_be_read_is_one_statement() {
    for source in ["if a; then", "a\n'", "a )"] {
        check(source, &[source]);
        let found = bash(source);
        assert!(found[0].problem.is_some() && hijacks(source)[0].is_some(), "{source}");
    }
    let found = bash("if $A; then");
    assert_eq!(found[0].reads.iter().collect::<Vec<_>>(), ["A"]);
}

#[test]
fn whose_exit_code_it_is() {
    for (source, expect) in [
        ("grep x y", Some("grep")),
        ("/usr/bin/grep x y > z", Some("grep")),
        ("ps aux | grep x", Some("grep")),
        ("X=1 grep x y", Some("grep")),
        ("paramedic check \"$SERVER_NAME\" --type readiness", Some("paramedic check")),
        ("paramedic server status \"$SERVER_NAME\"", Some("paramedic server status")),
        ("paramedic check --type readiness mem", Some("paramedic check readiness")),
        ("systemctl status mcp-server-${SERVER_NAME}", Some("systemctl status")),
        ("[ -f x ]", Some("[")),
        ("[[ -f x ]]", Some("[[")),
        ("test -f x", Some("test")),
        ("a && b", None),
        ("! grep x y", None),
        ("grep x y &", None),
        ("if a; then b; fi", None),
        ("$X y", None),
        ("X=1", None),
    ] {
        assert_eq!(bash(source)[0].program.as_deref(), expect, "{source}");
    }
}

#[test]
fn finds_what_changes_the_meaning_of_later_words() {
    for source in [
        "PATH=/evil:$PATH",
        "export PATH=/evil",
        "declare -x LD_PRELOAD=x",
        "IFS=,",
        "read -r PATH < f",
        "for PATH in a; do b; done",
        ": ${PATH:=/evil}",
        "printf -v PATH x",
        "printf \"$X\" y",
        "printf '%n' X",
        "mapfile -t PATH < f",
        "unset PATH",
        "let PATH=1",
        "((PATH=1))",
        "getopts a PATH",
        "alias cat=rm",
        "if a; then alias cat=rm; fi",
        "cat() { rm x; }",
        "cat () { rm x; }",
        "function cat { rm x; }",
        "eval \"$X\"",
        "command eval x",
        "builtin eval x",
        ". ./x",
        "source x",
        "a && source x",
        "$X y",
        "\"$X\" y",
        "e\"v\"al x",
        "\\eval x",
        "$(a) b",
        "shopt -s expand_aliases",
        "hash -p /evil cat",
        "enable -f x cat",
        "set -x",
        "export \"$X=1\"",
        "declare \"$X\"=1",
        "declare -n X=PATH",
        "declare -i X",
        "typeset -ni X",
        "read -r \"$X\"",
        "read $X",
        "mapfile $X",
        "echo ${!X}",
        "X=1 PATH=/evil Y=2\nZ=1 cmd",
        "trap 'PATH=/evil' EXIT",
        "exec 3> x",
        "PA\\\nTH=/evil",
    ] {
        let found = bash(source);
        assert!(hijacks(source).iter().any(Option::is_some), "{source}: {found:?}");
    }
}

#[test]
fn leaves_other_statements_alone() {
    for source in [
        "X=$(date)",
        "INCIDENT_DIR=\"/var/log/$(date +%Y)_${SERVER_NAME}\"",
        "export X=$(date) Y=1",
        "declare -A M=([a]=1)",
        "curl -f http://localhost:${PORT}/health | grep -v source",
        "for i in {1..10}; do sleep 5; done",
        "echo \"$PATH\" ${PATH} > x",
        "find / -exec file {} \\;",
        "if [ $(df / | tail -1 | awk '{print $5}' | sed 's/%//') -gt 90 ]; then find /tmp -delete; fi",
        "psql -c \"SELECT count(*) FROM pg_stat_activity;\"",
        "su - postgres -c \"psql -c '\\dt' ${DATABASE_NAME}\"",
        "printf '%s\\n' x > y",
        "read -r LINE < f",
        "systemctl restart x",
    ] {
        for (statement, hijack) in bash(source).into_iter().zip(hijacks(source)) {
            assert_eq!(hijack, None, "{source}");
            assert_eq!(statement.problem, None, "{source}");
        }
    }
}

/// Every unit of a fence that bash accepts has to be one that bash accepts.
#[test]
fn units_of_a_valid_fence_are_valid() {
    for source in [
        "a; b & c\nif x; then y; fi\nfor i in 1 2; do z; done | q\n",
        "cat <<-E | grep x\n\ta\n\tE\nb\n",
        "case $x in a|b) c;; *) d;; esac; e\nf() { g; }; h\n",
        "A=(1 2\n3); B=1 C=2\nD=3 e\n! f | g && h || { i; j; }\n",
        "while read -r x; do y; done < <(z)\n(a; b) & c\n",
        "[[ $a =~ ^x(y)$ ]] && b\n((i++)); echo $((i * 2))\n",
        "echo 'a\nb' \"c\n$(d <<E\nf\nE\n)\" # g\nh\\\ni\n",
        "time { a; b; }\ncoproc x { y; }\nselect s in a; do b; done\n",
    ] {
        assert!(bash_accepts(source), "{source}");
        for statement in bash(source) {
            let unit = &source[statement.range.clone()];
            assert!(bash_accepts(unit), "{unit}");
        }
    }
}

fn bash_accepts(source: &str) -> bool {
    let status = std::process::Command::new("bash").args(["--norc", "-n", "-c", source]).output();
    status.is_ok_and(|output| output.status.success())
}

/// What stands between units is nothing that would run.
#[track_caller]
fn reassembles(source: &str) {
    let mut end = 0;
    for statement in bash(source) {
        assert!(statement.range.start >= end && !statement.range.is_empty());
        is_blank(&source[end..statement.range.start]);
        end = statement.range.end;
    }
    if end > 0 {
        is_blank(&source[end..]);
    }
}

#[track_caller]
fn is_blank(gap: &str) {
    for line in gap.replace("\\\n", " ").lines() {
        let code = line.split('#').next().unwrap_or_default();
        assert!(code.trim_matches([' ', '\t', ';']).is_empty(), "{gap:?}");
    }
}

proptest! {
    #[test]
    fn never_panics_and_reassembles(source in "([a-c=1;&|<>(){}$`'\"#! \n\\\\\\[\\]*/-]|if |then |fi|do |done|for i in |EOF|<<EOF\n|while |case ){0,30}") {
        reassembles(&source);
    }

    #[test]
    fn never_panics_on_any_text(source in any::<String>()) {
        reassembles(&source);
    }

    #[test]
    fn simple_lines_stay_apart(lines in prop::collection::vec("[a-c]{1,4}( -[a-z]){0,2}( '[^'\u{0}-\u{1f}\u{7f}-\u{9f}]{0,5}')?", 1..8)) {
        let source = lines.join("\n");
        let found = bash(&source);
        let cut: Vec<&str> = found.iter().map(|statement| &source[statement.range.clone()]).collect();
        prop_assert_eq!(cut, lines);
    }
}
