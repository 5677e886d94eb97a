//! Tests of effects: labelled statements, none of whose higher effects may ever be read as `observe`.

use proptest::prelude::*;

use super::*;

/// Statements that only look, and are known to.
const OBSERVE: [&str; 72] = [
    "paramedic check \"$SERVER_NAME\" --type readiness",
    "paramedic check $SERVER_NAME --type liveness 2>&1",
    "paramedic metrics \"$SERVER_NAME\" -o json",
    "paramedic query 'mcp_server_up == 0'",
    "paramedic logs --server \"$SERVER_NAME\" --since 1h",
    "paramedic server status \"$SERVER_NAME\"",
    "paramedic server list",
    "paramedic incident ack \"$INCIDENT_ID\"",
    "paramedic evidence verify",
    "paramedic runbook show server-down",
    "paramedic version",
    "paramedic doctor && paramedic config show",
    "cat /proc/loadavg",
    "cat /proc/loadavg /proc/meminfo | head -n 5",
    "tail -n 50 \"$LOG_FILE\"",
    "tail -50 /var/log/mcp-servers/${SERVER_NAME}.log",
    "tail -c 100 x",
    "tail --lines=5 x",
    "tail -n\"$N\" x",
    "head -20 x",
    "grep -E \"(ERROR|FATAL)\" x | tail -n 50",
    "grep -c 'a$' < /etc/hosts",
    "ps aux | grep mcp-server-${SERVER_NAME}",
    "! grep -q x y",
    "df -h",
    "df -P -l /tmp",
    "df -h ${MOUNT_POINT}",
    "free -h",
    "free -m | head -2",
    "uptime",
    "uname -a",
    "date",
    "date -u +%Y-%m-%dT%H:%M:%SZ",
    "date \"+%H $X\"",
    "date -d \"$WHEN\" +%s",
    "date --date=\"$WHEN\" +%s",
    "id -u",
    "pgrep -f mcp-server",
    "ls -la /tmp /var/log/mcp-servers",
    "ls -la \"$FILE_PATH\" || true",
    "du -sh /var/lib/mcp-servers",
    "wc -l \"$LOG_FILE\"",
    "sort -rn x | head -n 3",
    "sort -- \"$FILE\"",
    "cut -d: -f1 /etc/passwd | tr a-z A-Z",
    "stat -c %s x",
    "hostname",
    "hostname -f",
    "nproc; whoami; pwd",
    ": nothing",
    "true && false",
    "echo \"$SERVER_NAME is down\" >&2",
    "echo 'a `b` $(c)' \"\\$(d) \\`e\\`\"",
    "echo a\\ b \\\n  c",
    "printf '%s: %d%%\\n' \"$A\" 5",
    "[ -f \"$F\" ]",
    "[ ! -e /tmp/x ]",
    "[ \"$A\" = \"$B\" ]",
    "[ ! \"$A\" -gt 90 ]",
    "test -n \"$A\" || echo empty",
    "[[ -n $A ]]",
    "[[ \"${DEPENDENCY}\" == *\"postgres\"* ]]",
    "if [ -f x ]; then cat x; fi",
    "if ! [ -s x ]\nthen\n  # nothing\n  echo none\nelif grep -q a x; then echo a\nelse wc -l x; fi",
    "if true; then if false; then echo a; fi; fi | cat",
    "X=1",
    "X='a b' Y=\"$Z/x\"",
    "X=",
    "set -e",
    "set -euo pipefail",
    "cat x 2>/dev/null | grep y >/dev/null",
    "cat<x",
];

/// Statements of the product that change something, and what.
const MUTATING: [(&str, Effect); 8] = [
    ("paramedic server restart \"$SERVER_NAME\"", Effect::Disrupt),
    ("paramedic server start mem", Effect::Disrupt),
    ("paramedic server stop mem", Effect::Disrupt),
    ("paramedic server readonly mem", Effect::Change),
    ("paramedic server writes mem", Effect::Change),
    ("paramedic server clear-cache mem && paramedic check mem", Effect::Change),
    ("paramedic server readonly mem; paramedic server restart mem", Effect::Disrupt),
    ("if paramedic check mem; then true; else paramedic server restart mem; fi", Effect::Disrupt),
];

/// Statements that do something, may do something, or are not understood; with a word of the reason.
const UNKNOWN: [(&str, &str); 139] = [
    // Not known.
    ("rm -rf /tmp/x", "`rm`"),
    ("curl -f http://localhost:1/health", "`curl`"),
    ("systemctl restart mcp-server-mem", "`systemctl`"),
    ("kill -9 1", "`kill`"),
    ("sleep 30", "`sleep`"),
    ("top -bn1 | head", "`top`"),
    ("find / -delete", "`find`"),
    ("sed -i s/a/b/ x", "`sed`"),
    ("awk 'BEGIN{system(\"x\")}'", "`awk`"),
    ("xargs rm", "`xargs`"),
    ("sudo cat x", "`sudo`"),
    ("tee x", "`tee`"),
    ("dd if=/dev/zero of=x", "`dd`"),
    ("/bin/cat x", "`/bin/cat`"),
    ("./cat x", "`./cat`"),
    ("catx", "`catx`"),
    ("cat x; rm x", "`rm`"),
    ("cat x && reboot", "`reboot`"),
    ("cat x | sh", "`sh`"),
    ("if true; then rm x; fi", "`rm`"),
    ("if rm x; then true; fi", "`rm`"),
    ("if true; then true; else rm x; fi", "`rm`"),
    ("! rm x", "`rm`"),
    // The product, but not known to look.
    ("paramedic", "computed"),
    ("paramedic serve", "`paramedic serve`"),
    ("paramedic server", "`paramedic server`"),
    ("paramedic server \"$VERB\" mem", "`paramedic server`"),
    ("paramedic \"$NOUN\"", "computed"),
    ("paramedic $NOUN", "computed"),
    ("paramedic backup restore x", "`paramedic backup`"),
    ("paramedic kill-switch on", "`paramedic kill-switch`"),
    ("paramedic incident close 1", "`paramedic incident`"),
    ("paramedic check mem --continuous", "end by itself"),
    ("paramedic logs --follow", "end by itself"),
    ("paramedic diagnose mem --watch=1", "end by itself"),
    ("paramedic --config x check", "`paramedic --config`"),
    // Names that are not plain.
    ("\"cat\" x", "quoted or computed"),
    ("\\cat x", "quoted or computed"),
    ("c'a't x", "quoted or computed"),
    ("$CMD x", "quoted or computed"),
    ("${CMD}", "quoted or computed"),
    ("\"$CMD\" x", "quoted or computed"),
    ("c\\at x", "quoted or computed"),
    // Substitutions and expansions.
    ("echo $(rm x)", "command substitution"),
    ("echo `rm x`", "command substitution"),
    ("echo \"$(rm x)\"", "command substitution"),
    ("echo \"`rm x`\"", "command substitution"),
    ("X=$(date)", "command substitution"),
    ("cat <(rm x)", "process substitution"),
    ("cat x > >(rm y)", "redirects output"),
    ("echo $((a[$(rm x)]))", "arithmetic"),
    ("echo \"$((x++))\"", "arithmetic"),
    ("echo $[x]", "lone `$`"),
    ("echo ${X:=y}", "expansion"),
    ("echo ${X@P}", "expansion"),
    ("echo \"${X@P}\"", "expansion"),
    ("echo ${X:-$(rm x)}", "expansion"),
    ("echo ${!X}", "expansion"),
    ("echo ${X[$(rm x)]}", "expansion"),
    ("echo ${X/a/b}", "expansion"),
    ("echo ${#X}", "expansion"),
    ("echo $1 $@", "`$1`"),
    ("echo $?", "`$?`"),
    ("kill $!", "`$!`"),
    ("echo $'\\x41'", "`$` quotes"),
    ("echo $\"hello\"", "`$` quotes"),
    ("echo a$", "lone `$`"),
    ("cat *", "pattern"),
    ("ls /v?r", "pattern"),
    ("ls [a-z]", "pattern"),
    ("cat ~/x", "`~`"),
    ("echo {a,b}", "braces"),
    ("cat x{1,2}", "braces"),
    // Redirections.
    ("echo x > y", "redirects output"),
    ("echo x >> y", "redirects output"),
    ("echo x >| y", "redirects output"),
    ("echo x &> y", "redirects output"),
    ("echo x 2> y", "redirects output"),
    ("echo x > \"$F\"", "redirects output"),
    ("echo x > /dev/nullx", "redirects output"),
    ("echo x > /dev/null/../sda", "redirects output"),
    ("echo x >&3", "redirects output"),
    ("echo x 5>/dev/null", "numbered file"),
    ("cat < /dev/tcp/10.0.0.1/80", "device"),
    ("cat < \"$F\"", "computed file"),
    ("cat <> x", "here-document"),
    ("cat << E\nx\nE\n", "here-document"),
    ("cat <<< x", "here-document"),
    ("cat <", "nowhere"),
    ("cat < | cat", "nowhere"),
    ("cat /dev/watchdog", "device"),
    ("tail -n1 //dev//watchdog", "device"),
    ("cat /proc/1/root/dev/watchdog", "device"),
    ("cat \"$ROOT/dev/watchdog\"", "device"),
    // Options that do more.
    ("tail -f x", "`-f`"),
    ("tail -n 5 -qf x", "`-f`"),
    ("tail -20f x", "`-2`"),
    ("tail --follow x", "`--follow`"),
    ("tail --fol x", "`--fol`"),
    ("tail --retry x", "`--retry`"),
    ("tail -n", "lacks its value"),
    ("free -s 1", "`-s`"),
    ("date -s 12:00", "`-s`"),
    ("date 010203042026", "may set"),
    ("date -I 010203042026", "`-I`"),
    ("date \"$X\"", "may be an option"),
    ("date $X", "not quoted"),
    ("date -d $X", "not quoted"),
    ("date --set=12:00", "`--set=`"),
    ("date -u\"$X\"", "computed"),
    ("sort -o x y", "`-o`"),
    ("sort -ro x y", "`-o`"),
    ("sort --compress-program=x y", "`--compress-program=`"),
    ("sort \"$X\"", "may be an option"),
    ("hostname x", "may set"),
    ("hostname -F x", "`-F`"),
    ("printf -v X y", "set a variable"),
    ("printf \"$F\"", "computed"),
    ("printf '%n' PATH", "set a variable"),
    ("printf 'ab%5n' PATH", "set a variable"),
    ("set -x", "`set`"),
    ("set -o posix", "`set`"),
    ("set -- a b", "`set`"),
    // Expressions that run code.
    ("[ -v 'a[$(rm x)]' ]", "may run code"),
    ("test -v x", "may run code"),
    ("[ $X ]", "not quoted"),
    ("[ \"$A\" \"$B\" ]", "may run code"),
    ("[ \"$A\" \"$OP\" \"$B\" ]", "may run code"),
    ("[ -f x -o -f y ]", "may run code"),
    ("[[ $A -eq 1 ]]", "may run code"),
    ("[[ -v A ]]", "may run code"),
    ("[[ -f x", "does not close"),
    // Names that decide what words mean.
    ("PATH=/evil", "`PATH`"),
    ("LD_PRELOAD=x cat y", "for one command"),
    ("X=1 cat y", "for one command"),
    ("IFS=x", "`IFS`"),
    ("BASH_ENV=x", "`BASH_ENV`"),
    ("X=1 PATH=/evil", "`PATH`"),
    ("PARAMEDIC_FINDINGS=/etc/passwd", "`PARAMEDIC_FINDINGS`"),
];

/// Statements whose grammar is refused.
const REFUSED: [(&str, &str); 36] = [
    ("X=(a b)", "parentheses"),
    ("X[0]=1", "not a command"),
    ("X+=1", "not a command"),
    ("X=*", "pattern"),
    ("(cat x)", "parentheses"),
    ("{ cat x; }", "braces"),
    ("cat() { rm x; }", "parentheses"),
    ("function cat { rm x; }", "braces"),
    ("for i in a; do cat x; done", "`for`"),
    ("while true; do cat x; done", "`while`"),
    ("until false; do cat x; done", "`until`"),
    ("case x in a) cat x;; esac", "parentheses"),
    ("select i in a; do cat x; done", "`select`"),
    ("((x++))", "parentheses"),
    ("coproc cat", "`coproc`"),
    ("time cat x", "`time`"),
    ("cat x &", "background"),
    ("cat x & cat y", "background"),
    ("cat x |& cat", "`|&`"),
    ("eval 'rm x'", "`eval`"),
    ("source x", "`source`"),
    (". x", "`.`"),
    ("alias cat=rm", "`alias`"),
    ("export X=1", "`export`"),
    ("declare X=1", "`declare`"),
    ("exec cat x", "`exec`"),
    ("trap 'rm x' EXIT", "`trap`"),
    ("cat x \\", "backslash"),
    ("cat 'x", "do not close"),
    ("cat x\0y", "control character"),
    ("cat x\r\nrm y", "control character"),
    ("cat\u{a0}x", "outside quotes"),
    ("if true; then cat x", "missing"),
    ("if true; then fi", "nothing stands"),
    ("cat x | | cat", "missing"),
    ("&& cat x", "missing"),
];

#[test]
fn what_only_looks_is_observe() {
    for statement in OBSERVE {
        let Assessment { effect, reason } = assess(statement);
        assert_eq!(effect, Effect::Observe, "{statement}: {reason}");
    }
}

#[test]
fn what_the_product_changes_is_named() {
    for (statement, expect) in MUTATING {
        assert_eq!(assess(statement).effect, expect, "{statement}");
    }
}

#[test]
fn everything_else_is_unknown_with_a_reason() {
    for (statement, word) in UNKNOWN.iter().chain(&REFUSED) {
        let Assessment { effect, reason } = assess(statement);
        assert_eq!(effect, Effect::Unknown, "{statement}: {reason}");
        assert!(reason.contains(word), "{statement}: {reason}");
    }
}

#[test]
fn reasons_read_well() {
    #[track_caller]
    fn check(statement: &str, expect: &str) {
        assert_eq!(assess(statement).reason, expect);
    }
    check("ps aux | grep x | grep y", "only looks (ps, grep)");
    check("paramedic incident ack 7", "only looks (paramedic incident ack only writes a record)");
    check(
        "cat x; paramedic server restart a",
        "`paramedic server restart` stops the server and starts it again",
    );
    check("cat x; rm x", "`rm` is not a command that is known to look only");
    check("", "it holds no command");
}

#[test]
fn effects_are_ordered_and_named() {
    assert!(Effect::Observe < Effect::Change && Effect::Change < Effect::Disrupt);
    assert!(Effect::Disrupt < Effect::Destroy && Effect::Destroy < Effect::Unknown);
    assert_eq!(Effect::from_name("destroy"), Some(Effect::Destroy));
    assert_eq!(Effect::from_name("Destroy"), None);
}

/// A prefix, a suffix or a wrapping that does something is never lost.
#[test]
fn harm_is_found_wherever_it_stands() {
    for statement in OBSERVE {
        for harmful in [
            format!("{statement}; rm x"),
            format!("{statement}\nrm x"),
            format!("rm x; {statement}"),
            format!("{statement} && rm x"),
            format!("{statement} | rm x"),
            format!("if true; then {statement}\nrm x; fi"),
            format!("{statement} > y"),
            format!("{statement} &"),
            format!("{statement} $(rm x)"),
            format!("{statement} \"$(rm x)\""),
            format!("{statement} `rm x`"),
            format!("({statement})"),
            format!("PATH=/evil\n{statement}"),
        ] {
            assert_ne!(assess(&harmful).effect, Effect::Observe, "{harmful}");
        }
    }
}

proptest! {
    #[test]
    fn never_panics(statement in any::<String>()) {
        let _effect = assess(&statement);
    }

    #[test]
    fn never_panics_on_shell_like_text(statement in "(cat|if|then|fi|\\[|\\]|x|\\$|[ '\"\\\\;&|<>(){}$`!=#\n/.*~-]){0,40}") {
        let _effect = assess(&statement);
    }

    /// Outside quotes, these characters are never part of a statement that only looks.
    #[test]
    fn dangerous_characters_are_never_observe(before in "[a-z ]{0,8}", c in "[`(){}~&\u{0}\u{1}\r\u{a0}]", after in "[a-z ]{0,8}") {
        let statement = format!("echo {before}{c}{after}");
        prop_assert_ne!(assess(&statement).effect, Effect::Observe);
    }
}
