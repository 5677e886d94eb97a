//! Tests of the reader: trees in short, refusals, and bash itself as the judge.

use proptest::prelude::*;

use super::parser::SOURCE_BYTES_MAX;
use super::*;

/// A tree in one line: commands in parentheses, words as their shape.
fn show_items(items: &[Item]) -> String {
    items.iter().map(show_item).collect::<Vec<_>>().join("; ")
}

fn show_item(item: &Item) -> String {
    let mut text = show_pipeline(&item.first);
    for (joint, pipeline) in &item.rest {
        text += if *joint == AndOr::And { " && " } else { " || " };
        text += &show_pipeline(pipeline);
    }
    if item.ending == Ending::Background { text + " &" } else { text }
}

fn show_pipeline(pipeline: &Pipeline) -> String {
    let stages = pipeline.stages.iter().map(show_command).collect::<Vec<_>>().join(" | ");
    format!(
        "{}{}{stages}",
        if pipeline.negated { "! " } else { "" },
        if pipeline.timed { "time " } else { "" }
    )
}

fn show_command(command: &Command) -> String {
    let mut text = match &command.kind {
        Kind::Simple { assignments, words } => {
            let assignments = assignments.iter().map(|a| {
                let subscript =
                    a.subscript.as_ref().map(|s| format!("[{}]", show_word(s))).unwrap_or_default();
                format!("{}{subscript}{}={}", a.name, if a.appends { "+" } else { "" }, show_word(&a.value))
            });
            assignments.chain(words.iter().map(show_word)).collect::<Vec<_>>().join(" ")
        }
        Kind::Group(items) => format!("{{{}}}", show_items(items)),
        Kind::Subshell(items) => format!("({})", show_items(items)),
        // As bash prints it, `elif` is an `if` in the `else`.
        Kind::If { branches, otherwise } => {
            branches.iter().rfold(show_items(otherwise), |otherwise, Branch { condition, body }| {
                format!("if[{} ? {} : {otherwise}]", show_items(condition), show_items(body))
            })
        }
        Kind::Loop { kind, condition, body } => {
            format!("{kind:?}[{} ? {}]", show_items(condition), show_items(body))
        }
        Kind::For { name, words, body, kind } => {
            let words = words.as_ref().map(|words| words.iter().map(show_word).collect::<Vec<_>>().join(" "));
            format!("{kind:?}[{} in {words:?}: {}]", show_word(name), show_items(body))
        }
        Kind::ArithmeticFor { header, body } => format!("for(({})) {}", show_word(header), show_items(body)),
        Kind::Case { subject, arms } => {
            let arms = arms.iter().map(|arm| {
                let patterns = arm.patterns.iter().map(show_word).collect::<Vec<_>>().join("|");
                format!("{patterns} > {}", show_items(&arm.body))
            });
            format!("case {}[{}]", show_word(subject), arms.collect::<Vec<_>>().join(" / "))
        }
        Kind::Function { name, body } => format!("fn {name} {}", show_command(body)),
        // As bash prints it, a lone word has a `-n` before it.
        Kind::Test(words) => {
            let words = words.iter().filter(|word| word.plain() != Some("-n"));
            format!("[[{}]]", words.map(show_word).collect::<Vec<_>>().join(" "))
        }
        Kind::Arithmetic(word) => format!("(({}))", show_word(word)),
        Kind::Coproc(body) => format!("coproc {}", show_command(body)),
    };
    for redirect in &command.redirects {
        let target = match &redirect.target {
            Target::Word(word) => show_word(word),
            Target::HereDocument(idx) => idx.to_string(),
        };
        text += &format!(" {}{:?} {target}", redirect.descriptor, redirect.operator);
    }
    text
}

fn show_word(word: &Word) -> String {
    let part = |part: &Part| match part {
        Part::Literal { text, quoting: Quoting::Unquoted } => text.clone(),
        Part::Literal { text, .. } => format!("'{text}'"),
        Part::Variable { variable, quoting } => {
            let operation = match &variable.operation {
                Operation::Value => String::new(),
                Operation::Length => "#".to_owned(),
                Operation::Indirect => "!".to_owned(),
                Operation::Default(word) => format!(":-{}", show_word(word)),
                Operation::Assign(word) => format!(":={}", show_word(word)),
                Operation::Alternative(word) => format!(":+{}", show_word(word)),
                Operation::Require(word) => format!(":?{}", show_word(word)),
                Operation::Slice(word) => format!("::{}", show_word(word)),
                Operation::Edit(word) => format!("~{}", show_word(word)),
            };
            let subscript =
                variable.subscript.as_ref().map(|s| format!("[{}]", show_word(s))).unwrap_or_default();
            let mark = if *quoting == Quoting::Quoted { "\"" } else { "" };
            format!("${{{}{subscript}{operation}}}{mark}", variable.name)
        }
        Part::Substitution { items, quoting } => {
            let mark = if *quoting == Quoting::Quoted { "\"" } else { "" };
            format!("$({}){mark}", show_items(items))
        }
        Part::Arithmetic { expression, .. } => format!("$(({}))", show_word(expression)),
        Part::Process { items } => format!("<({})", show_items(items)),
        Part::Array(words) => format!("({})", words.iter().map(show_word).collect::<Vec<_>>().join(" ")),
    };
    word.parts.iter().map(part).collect()
}

#[track_caller]
fn check(source: &str, expect: &str) {
    let said = parse(source).map_or_else(|error| format!("! {error}"), |script| show_items(&script.items));
    assert_eq!(said, expect, "{source}");
    if !said.starts_with('!') {
        assert!(bash_accepts(source), "bash refuses {source}");
    }
}

fn bash_accepts(source: &str) -> bool {
    let mut bash = std::process::Command::new("bash");
    bash.args(["-n", "-c", source]).stderr(std::process::Stdio::null());
    bash.status().is_ok_and(|status| status.success())
}

/// Lets bash read the text as the body of a function and print that function; its text, read again, has to be the
/// same tree. The shell is a restricted one, defines the function and runs nothing.
fn as_bash_says(source: &str) -> Option<String> {
    let define = format!("f () {{\n{source}\n}}\ndeclare -f f");
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["--norc", "-r", "-c", &define]).env_clear().output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    let script = parse(&printed).ok()?;
    let [Item { first, .. }] = script.items.as_slice() else { return None };
    let Kind::Function { body, .. } = &first.stages[0].kind else { return None };
    let Kind::Group(items) = &body.kind else { return None };
    Some(show_items(items))
}

#[test]
fn bash_reads_the_same() {
    for source in [
        "a; b & c\nif x; then y; elif q; then r; else s; fi",
        "cat <<-E | grep x\n\ta $b $(c)\n\tE\nd",
        "case $x in a|b*) c;; (*) d;; esac; e",
        "A=(1 2\n3); B=1 C=2\nD=3 e\n! f | g && h || { i; j; }",
        "while read -r x; do y; done < <(z)\n(a; b) & c",
        "[[ $a =~ ^x(y)$ && ! -f b ]] && b\n((i++)); echo $((i * 2))",
        "echo 'a\nb' \"c\n$(d <<E\nf\nE\n)\" # g\nh \\\ni",
        "time { a; b; }\nselect s in a; do b; done",
        "a >b 2>&1 <c >>d &>e; for i in {1..3} \"$@\"; do b; done 2>/dev/null",
        "echo ${a:-b} ${c%%x*} ${#d} `e f` $'g\\n' \"h\\\"i\" j\\ k",
        "cat <<A; ls\n$x\nA\nb && cat <<'B' <<C\ny\nB\nz\nC\n",
    ] {
        let script = parse(source).expect("it is bash");
        assert_eq!(as_bash_says(source), Some(show_items(&script.items)), "{source}");
    }
}

#[test]
fn lists_and_pipelines() {
    check("a b;c\nd & e", "a b; c; d &; e");
    check("a && b || ! c | d |& e", "a && b || ! c | d 2Copy 1 | e");
    check("a &&\n\n # x\n b |\n c", "a && b | c");
    check("time -p a; ! ! b", "time a; b");
    check("# only\n", "");
    check("a # b; c\nd#e f", "a; d#e f");
    check("a \\\n b", "a b");
    check("a ;; b", "! `;` stands where a command should");
    check("a | ", "! a command is missing at its end");
    check("&& a", "! `&` stands where a command should");
    check("a; }", "! `}` stands where a command should");
    check("then", "! `then` stands where a command should");
    check("a )", "! `)` stands where a command should");
    check("a b(c)", "! `(` stands where a command should end");
    check("a\u{0}", "! it holds the control character \\u{0}");
}

#[test]
fn words() {
    check("a'b c'\"d $e\"f\\ g$'h\\n'", "a'b cd '${e}\"f' 'g'h\n'");
    check("echo \"\" '' \"a\\\"b\\c\"", "echo '' '' 'a\"b\\c'");
    check("echo $1 ${12} $? ${#x} ${#} $# $$ $! $", "echo ${1} ${12} ${?} ${x#} ${#} ${#} ${$} ${!} $");
    check(
        "echo ${a:-b c} \"${d%%/*}\" ${e//x/y} ${f:1:2} ${g:=h} ${i:?no}",
        "echo ${a:-b c} ${d~'%/*'}\" ${e~/x/y} ${f::1:2} ${g:=h} ${i:?no}",
    );
    check("echo ${!x} ${y@Q} ${z[@]} \"${w[1]}\" ${!v*}", "echo ${x!} ${y!} ${z[@]} ${w['1']}\" ${v!}");
    check("echo $(a; b $(c)) `d | e` $((1 + (2*3) + x))", "echo $(a; b $(c)) $(d | e) $(('1 + (2*3) + x'))");
    check("echo $((a); (b))", "echo $((a); (b))");
    check("((x=1,y)) && (( (1) ))", "(('x=1,y')) && ((' (1) '))");
    check("((a); b)", "((a); b)");
    check("diff <(a) >(b) x", "diff <(a) <(b) x");
    check("a 'b", "! its quotes do not close");
    check("a \"b", "! its quotes do not close");
    check("a $(b", "! `)` is missing in it");
    check("a ${b", "! its expansion can not be read");
    check("a `b", "! its backticks do not close");
    check("a `b \\`c\\``", "! it uses backslashes within backticks");
    check("a $'\\x41'", "! it spells out characters by their numbers");
    check("a b\\", "! it ends with a backslash");
    check("PA\\\nTH=/x", "! the name of a command is broken over lines");
    check("a \"$\\\n(b)\"", "! an expansion is broken over lines");
    check("a $b\\\nc", "! an expansion is broken over lines");
    check("ls *.log ~/x {1..3}", "ls *.log ~/x {1..3}");
}

#[test]
fn assignments() {
    check("A=1 B=$C cmd D=2", "A=1 B=${C} cmd D=2");
    check("A=(1 'b c' $(d)\n e) F+=(g)", "A=(1 'b c' $(d) e) F+=(g)");
    check("A[1]=x B[$i]+=y", "A[1]=x B[${i}]+=y");
    check("declare -a X=(1 2) Y=3; local z", "declare -a X=(1 2) Y=3; local z");
    check("export A=\"$(b)\"", "export A=$(b)\"");
    check("A= b", "A= b");
    check("1A=2", "1A=2");
    check("A=(1", "! its list does not close");
}

#[test]
fn redirections() {
    check(
        "a >b 2>>c <d &>e 2>&1 >|f <>g {h}>i",
        "a Write b 2Append c Read d WriteBoth e 2Copy 1 Write f ReadWrite g {h}Write i",
    );
    check(">a", " Write a");
    check("a<<<b", "a HereString b");
    check("{ a; b; } > c", "{a; b} Write c");
    check("while read -r x; do a; done < f", "While[read -r x ? a] Read f");
    check("cat <<A; ls\n$x\nA\nb", "cat HereDocument 0; ls; b");
    check("cat <<'A' | grep x\n$x )\nA\n", "cat HereDocument 0 | grep x");
    check("cat <<-A\n\tx\n\tA\n", "cat HereDocument 0");
    check("echo $(cat <<A\nx)\nA\n)", "echo $(cat HereDocument 0)");
    check("cat <<A\nb", "! its here-document does not end");
    check("cat <<A\n$(\nA\n)\nA", "! an expansion in its here-document does not close");
    check("a >", "! it redirects to nowhere");
    check("cat <<A\nb\\\nA\nA\n", "cat HereDocument 0");
    check("cat <<'A'\nb\\\nA\nls", "cat HereDocument 0; ls");
}

#[test]
fn here_documents_hold_what_they_hold() {
    let script = parse("cat <<A <<'B'\n$x \\$y `z`\nA\n$x\nB\nls").expect("it is bash");
    assert_eq!(show_word(&script.here_documents[0].body), "${x}\"' $y '$(z)\"'\n'");
    assert_eq!(show_word(&script.here_documents[1].body), "'$x\n'");
    assert_eq!(script.items[0].span, 0..31);
    assert_eq!(script.items[1].span, 32..34);
}

#[test]
fn compound_commands() {
    check("if a; then b; elif c\nthen d; else e; fi", "if[a ? b : if[c ? d : e]]");
    check("until a; do b; done", "Until[a ? b]");
    check("for i in 1 \"$@\"; do a; done", "Each[i in Some(\"1 ${@}\\\"\"): a]");
    check("for i\ndo a\ndone", "Each[i in None: a]");
    check("for ((i=0; i<3; i++)); do a; done", "for(('i=0; i<3; i++')) a");
    check("case $x in a|b*) c;; (d) ;; *) e; esac", "case ${x}[a|b* > c / d >  / * > e]");
    check("f() { a; }; function g { b; }; function h() (c)", "fn f {a}; fn g {b}; fn h (c)");
    check(
        "[[ -f $a && ( $b == c* || ! $d =~ ^(x|y)$ ) ]]",
        "[[-f ${a} && ( ${b} == c* || ! ${d} =~ ^(x|y)$ )]]",
    );
    check("[[ a < b ]]", "[[a < b]]");
    check("select x in a; do b; done", "Select[x in Some(\"a\"): b]");
    check("coproc a b", "coproc a b");
    check("if a; then fi", "! nothing stands behind its `then`");
    check("if a", "! `then` is missing in it");
    check("while a; do b", "! `done` is missing in it");
    check("for i in a; b", "! `do` is missing in it");
    check("case x in a b) c;; esac", "! `)` is missing in it");
    check("[[ a", "! its `[[` does not close");
    check("f() a", "! the body of its function is missing");
    check("()", "! nothing stands in its parentheses");
    check("{ }", "! nothing stands before `}`");
    check("{ a }", "! `}` is missing in it");
}

#[test]
fn depth_and_time_are_bounded() {
    for (text, expect) in [
        ("(".repeat(5000), "nested"),
        ("$(".repeat(5000), "nested"),
        ("((".repeat(3000), "nested"),
        ("$((".repeat(3000), "nested"),
        ("{ ".repeat(5000), "nested"),
        ("if ".repeat(5000), "nested"),
        ("${a:-".repeat(5000), "nested"),
        ("a|".repeat(5000), "missing"),
        ("a=(".repeat(5000), "list"),
        ("[[ ".repeat(5000), "close"),
        ("x".repeat(SOURCE_BYTES_MAX + 1), "longer"),
    ] {
        let said = parse(&text).map_or_else(|error| error.to_string(), |_| "read".to_owned());
        assert!(said.contains(expect), "{said}: {}", &text[..20.min(text.len())]);
    }
}

proptest! {
    #[test]
    fn any_text_ends(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn shell_like_text_that_is_read_is_bash(text in "([a-c]|[ \n;&|<>(){}$\"'`\\\\=#!*]|if |then |fi|do |done|for i in |while |case x in |esac|\\$\\(|\\$\\{|\\[\\[ | \\]\\]|<<A\n|\nA\n|\\(\\(|\\)\\)){0,14}") {
        if let Ok(script) = parse(&text) {
            prop_assert!(bash_accepts(&text) || text.contains("]]"), "bash refuses {:?}", text);
            // Of a test in brackets that makes no sense bash says so only when it would run it.
            let said = as_bash_says(&text);
            if !script.items.is_empty() && (said.is_some() || !text.contains("[[")) {
                prop_assert_eq!(said, Some(show_items(&script.items)), "{:?}", text);
            }
        }
    }
}
