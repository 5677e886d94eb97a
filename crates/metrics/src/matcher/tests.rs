//! Tests of matchers: what is read, what is refused and where, what matches, and that Alertmanager agrees.

use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn reads(text: &str, expect: &[&str]) {
    let matchers = parse_matchers(text).unwrap_or_else(|error| panic!("{error}"));
    let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expect, "{text}");
}

#[track_caller]
fn fails(text: &str, expect: &str) {
    assert_eq!(parse_matchers(text).unwrap_err().to_string(), expect);
}

#[test]
fn what_is_read() {
    reads("", &[]);
    reads("{}", &[]);
    reads(" { } ", &[]);
    reads("a=b", &[r#"a="b""#]);
    reads("{a=b}", &[r#"a="b""#]);
    reads("{a=b,}", &[r#"a="b""#]);
    reads("a=b,", &[r#"a="b""#]);
    reads(r#" a = "b" , c!=d,e=~"f|g",h !~ i.* "#, &[r#"a="b""#, r#"c!="d""#, r#"e=~"f|g""#, r#"h!~"i.*""#]);
    reads(r#"{"foo bar"="", "naïve🙂"=x}"#, &[r#""foo bar"="""#, r#""naïve🙂"="x""#]);
    reads("ünï=🙂", &[r#""ünï"="🙂""#]);
    reads(r#"a="\x41\u00e9\U0001F642\n\t\"\\\101""#, &["a=\"Aé🙂\\n\t\\\"\\\\A\""]);
    reads("a.b:c=d/e-f", &[r#""a.b:c"="d/e-f""#]);
    reads("a=\"é\u{0}\"", &["a=\"é\u{0}\""]);
}

#[test]
fn what_is_refused_and_where() {
    fails("{", "at character 2 of `{`: a `}` is missing");
    fails("{a=b", "at character 5 of `{a=b`: a `}` is missing");
    fails("a=b}", "at character 4 of `a=b}`: no `{` stands before this `}`");
    fails("}", "at character 1 of `}`: no `{` stands before this `}`");
    fails("{a=b}c", "at character 6 of `{a=b}c`: a comma or the end is wanted here");
    fails("{a=b}}", "at character 6 of `{a=b}}`: a comma or the end is wanted here");
    fails("a=b c=d", "at character 5 of `a=b c=d`: a comma or the end is wanted here");
    fails("é=b =", "at character 5 of `é=b =`: a comma or the end is wanted here");
    fails("a", "at character 2 of `a`: one of `=`, `!=`, `=~`, `!~` is wanted here");
    fails("a!b", "at character 2 of `a!b`: one of `=`, `!=`, `=~`, `!~` is wanted here");
    fails(
        "=b",
        "at character 1 of `=b`: the name of a label is wanted here; in double quotes it may be anything",
    );
    fails(
        ",",
        "at character 1 of `,`: the name of a label is wanted here; in double quotes it may be anything",
    );
    fails("a==b", "at character 3 of `a==b`: a value is wanted here; in double quotes it may be anything");
    fails("a=", "at character 3 of `a=`: a value is wanted here; in double quotes it may be anything");
    fails("a='b'", "at character 3 of `a='b'`: a value is wanted here; in double quotes it may be anything");
    fails(r#"a="b"#, r#"at character 3 of `a="b`: this quote is never closed"#);
    fails("a=\"b\nc\"", "at character 5 of `a=\"b\nc\"`: a line does not end in quotes; write \\n");
    fails(r#"a="é\q""#, r#"at character 5 of `a="é\q"`: no such escape"#);
    fails(r#"a="\400""#, r#"at character 4 of `a="\400"`: no such escape"#);
    fails(r#"a="\ud800""#, r#"at character 4 of `a="\ud800"`: no such escape"#);
    fails(r#"a="\xff""#, r#"at character 3 of `a="\xff"`: the escapes in these quotes make no UTF-8"#);
    fails(r#"""=b"#, r#"at character 1 of `""=b`: the name of a label is not empty"#);
    fails("a=~(", "at character 4 of `a=~(`: it is no regular expression: unclosed group");
    fails(r#"a=~")(""#, r#"at character 4 of `a=~")("`: it is no regular expression: unopened group"#);
    let many = "a=b,".repeat(101);
    assert!(parse_matchers(&many).unwrap_err().problem.contains("more than 100"));
    assert!(parse_matchers(&"a".repeat(17_000)).unwrap_err().problem.contains("longer than"));
    assert!(parse_matchers("a=~\"((x{1000}){1000}){1000}\"").unwrap_err().problem.contains("no regular"));
    let two = "a=b,c=d".parse::<Matcher>().unwrap_err().to_string();
    assert_eq!(
        two,
        "at character 1 of `a=b,c=d`: exactly one matcher is wanted, for example server_name=\"a\""
    );
}

#[track_caller]
fn check(text: &str, value: &str, expect: bool) {
    let matcher: Matcher = text.parse().unwrap();
    assert_eq!(matcher.matches(&Labels::from_iter([("a", value)])), expect, "{text} of {value:?}");
}

#[test]
fn what_matches() {
    check("a=b", "b", true);
    check("a=b", "bb", false);
    check("a!=b", "", true);
    check(r#"a="""#, "", true);
    check("a=~b|c", "c", true);
    check("a=~b|c", "bc", false);
    check("a=~b|c", "xb", false);
    check("a!~b|c", "bc", true);
    check("a=~.*", "", true);
    check("a=~.+", "", false);
    check(r#"a=~"é+""#, "éé", true);
    check(r#"a=~"b\\.c""#, "bxc", false);
}

/// Texts of letters that mean something in matchers.
fn odd_text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec![
            'a', '_', '0', '"', '\\', '\n', '{', '}', ',', '=', '!', '~', ' ', 'é', '`', '\'', ':', '.',
            '\t', '🙂',
        ]),
        0..12,
    )
    .prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_within_it(text in odd_text()) {
        match parse_matchers(&text) {
            Ok(matchers) => {
                let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
                prop_assert_eq!(parse_matchers(&format!("{{{}}}", shown.join(", "))).unwrap(), matchers);
            }
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.position)),
        }
    }

    #[test]
    fn what_is_shown_is_read_back(name in odd_text(), value in odd_text(), regex in any::<bool>()) {
        let comparison = if regex { Comparison::Matches } else { Comparison::NotEqual };
        if let Ok(matcher) = Matcher::new(&name, comparison, &value) {
            prop_assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher);
        }
    }
}

/// Alertmanager's own program; where it is not at hand, the test says so and passes.
fn amtool() -> Option<PathBuf> {
    let folder = std::env::var_os("PARAMEDIC_TEST_DEBIAN").map(PathBuf::from);
    let path = folder.map(|folder| folder.join("usr/bin/amtool")).filter(|path| path.exists());
    if path.is_none() {
        println!("SKIPPED: amtool is not at hand; PARAMEDIC_TEST_DEBIAN names its folder");
    }
    path
}

/// Where the route of these matchers leads an alert with these labels.
fn routed(amtool: &Path, config: &Path, matchers: &str, labels: &Labels) -> Option<bool> {
    let text = serde_json::to_string(matchers).unwrap();
    let route = format!(
        "route:\n  receiver: other\n  routes:\n  - receiver: matched\n    matchers: [{text}]\n\
         receivers:\n- name: other\n- name: matched\n"
    );
    std::fs::write(config, route).unwrap();
    let labels = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    let mut command = Command::new(amtool);
    let output = command
        .args(["config", "routes", "test", "--config.file"])
        .arg(config)
        .args(labels)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| said.trim() == "matched")
}

/// `amtool` of Debian reads the older notation, in which names are ASCII and a brace may stay open: what both read means
/// the same to both.
#[test]
fn alertmanager_agrees() {
    let Some(amtool) = amtool() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("alertmanager.yml");
    let texts = [
        r#"a="b""#,
        r#"a!="b""#,
        r#"a=~"b|c""#,
        r#"a!~"b|c""#,
        "a=b",
        "a =~ b.*",
        r#"a="""#,
        r#"a!="""#,
        r#"a=~".*""#,
        r#"a=~".+""#,
        r#"{a="b",d="e"}"#,
        r#"{a="b",}"#,
        r#"a="x\"y""#,
        r#"a="b"#,
        "a",
        "=b",
        r#"a=~"(""#,
        r#"a=~"b"c"#,
    ];
    let alerts: [&[&str]; 6] = [&["a=b"], &["a=bb"], &["a=c"], &["a=b", "d=e"], &["d=e"], &["a=x\"y"]];
    for text in texts {
        let ours = parse_matchers(text).ok();
        for alert in alerts {
            let labels: Labels = alert.iter().filter_map(|label| label.split_once('=')).collect();
            let is_match = ours.as_ref().map(|matchers| all_match(matchers, &labels));
            assert_eq!(is_match, routed(&amtool, &config, text, &labels), "{text} of {alert:?}");
        }
    }
}
