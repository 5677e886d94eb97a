//! Owns the tests of templates: what they expand to, what is refused, and that they end.

use proptest::prelude::*;

use super::*;

fn labels() -> Labels {
    Labels::metric(
        "up",
        &[("server_name", "mem"), ("instance", "db-1.example:5432"), ("hostile", "{{ $value }}")],
    )
}

fn query(text: &str) -> Result<Vec<Element>, String> {
    match text {
        "none" => Ok(Vec::new()),
        "two" => Ok(["b", "a"]
            .into_iter()
            .zip([1.0, 2.0])
            .map(|(job, value)| Element { labels: Labels::from_iter([("job", job)]), value })
            .collect()),
        "many" => Ok(vec![Element { labels: Labels::empty(), value: 0.0 }; 5_000]),
        other => Err(format!("no such query: {other}")),
    }
}

fn expanded(text: &str) -> Result<String, TemplateError> {
    let (labels, external_labels) = (labels(), Labels::from_iter([("site", "one")]));
    Template::parse(text)?.expand(&TemplateContext {
        labels: &labels,
        value: 2.5,
        external_labels: &external_labels,
        external_url: "https://paramedic.example/p",
        at_ms: 1_445_444_940_000,
        query: &query,
    })
}

#[track_caller]
fn check(text: &str, expect: &str) {
    match expanded(text) {
        Ok(found) => assert_eq!(found, expect, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

/// The beginning of the message is enough.
#[track_caller]
fn refused(text: &str, expect: &str) {
    let error = expanded(text).expect_err(text).to_string();
    assert!(error.contains(expect), "{text}: {error}");
}

#[test]
fn variables_and_fields() {
    check("plain", "plain");
    check("{{ $labels.server_name }} is at {{$value}} GB", "mem is at 2.5 GB");
    check("{{ $labels.nothing }}.", ".");
    check(
        "{{ .Labels.server_name }} {{ .Value }} {{ .ExternalLabels.site }} {{ .ExternalURL }}",
        "mem 2.5 one https://paramedic.example/p",
    );
    check(
        "{{ $externalLabels.site }} {{ $externalURL }} {{ $.Value }}",
        "one https://paramedic.example/p 2.5",
    );
    // A value is text, not a template.
    check("{{ $labels.hostile }}", "{{ $value }}");
    check("{{ $x := 1 }}{{ $x }}{{ $x = 2 }}{{ $x }}", "12");
    check(r#"{{ index $labels "server_name" }}"#, "mem");
    check("}} { { }", "}} { { }");
    check(
        "{{ $labels }}",
        "map[__name__:up hostile:{{ $value }} instance:db-1.example:5432 server_name:mem]",
    );
}

#[test]
fn blanks_and_comments() {
    check("a {{- 1 -}} b", "a1b");
    check("a {{ 1 -}}\n\t b", "a 1b");
    check("a{{/* not {{ here */}}b", "ab");
    check("a {{- /* gone */ -}} b", "ab");
    check("{{ `raw \\n` }} {{ \"a\\tb\\u00e9\\x41\" }}", "raw \\n a\tbéA");
    check("{{ -1 }} {{ 1_000 }} {{ 0x1f }} {{ 1e3 }} {{ 'a' }} {{ true }}", "-1 1000 31 1000 97 true");
}

#[test]
fn conditions_and_loops() {
    check("{{ if gt $value 2.0 }}high{{ else }}low{{ end }}", "high");
    check("{{ if lt $value 1.0 }}a{{ else if lt $value 3.0 }}b{{ else }}c{{ end }}", "b");
    check(
        "{{ with $labels.server_name }}{{ . }}{{ end }}{{ with $labels.x }}no{{ else }}none{{ end }}",
        "memnone",
    );
    check("{{ range query \"two\" }}{{ .Labels.job }}={{ .Value }} {{ end }}", "b=1 a=2 ");
    check(
        "{{ range $i, $s := query \"two\" | sortByLabel \"job\" }}{{ $i }}{{ $s.Labels.job }} {{ end }}",
        "0a 1b ",
    );
    check("{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing");
    check(
        "{{ range 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}",
        "02",
    );
    check("{{ range $k, $v := $externalLabels }}{{ $k }}={{ $v }}{{ end }}", "site=one");
    check("{{ $sum := 0 }}{{ range 3 }}{{ $sum = . }}{{ end }}{{ $sum }}", "2");
    check(r#"{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" $value }}{{ template "t" "x" }}"#, "<2.5><x>");
    check(r#"{{ define "t" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ tmpl "t" (args "a" 1) | toUpper }}"#, "A-1");
    check(r#"{{ block "b" . }}{{ .Value }}{{ end }}"#, "2.5");
}

#[test]
fn functions_of_the_language() {
    check("{{ and true 0 }} {{ or 0 \"x\" }} {{ not true }} {{ and 1 2 }}", "0 x false 2");
    check("{{ or true (index $labels 3) }}", "true");
    check("{{ eq 1 2 1 }} {{ ne \"a\" \"b\" }} {{ le 1 1 }} {{ ge 1.5 2.5 }}", "true true true false");
    check("{{ len \"abc\" }} {{ len (query \"two\") }} {{ slice \"abcd\" 1 3 }}", "3 2 bc");
    check("{{ print 1 2 \"x\" 3 }} {{ println \"a\" 1 }}", "1 2x3 a 1\n");
    check(
        "{{ printf \"%.2f|%5d|%-5s|%05d|%q|%x|%t|%v|%%\" $value 7 \"ab\" 42 \"q\" 255 true nil }}",
        "2.50|    7|ab   |00042|\"q\"|ff|true|<nil>|%",
    );
    check("{{ printf \"%d %s\" $value 1 }}", "%!d(float64=2.5) %!s(int=1)");
    check("{{ printf \"%d\" }}{{ printf \"a\" 1 }}", "%!d(MISSING)a%!(EXTRA int=1)");
    check("{{ \"<a&b>\" | html }} {{ \"a b/c\" | urlquery }} {{ js \"'\" }}", "&lt;a&amp;b&gt; a+b%2Fc \\'");
    check("{{ (query \"two\" | first).Value }}", "1");
}

#[test]
fn functions_of_prometheus() {
    check("{{ 1234567.0 | humanize }} {{ humanize \"0.002\" }} {{ humanize1024 2048 }}", "1.235M 2m 2ki");
    check(
        "{{ humanizeDuration 3661 }} {{ humanizePercentage 0.5 }} {{ humanizeTimestamp 0 }}",
        "1h 1m 1s 50% 1970-01-01 00:00:00 +0000 UTC",
    );
    check("{{ query \"two\" | first | value }} {{ query \"two\" | first | label \"job\" }}", "1 b");
    check("{{ title \"server down\" }} {{ toUpper \"a\" }} {{ toLower \"A\" }}", "Server Down A a");
    check(
        "{{ match \"^m.m$\" $labels.server_name }} {{ reReplaceAll \"(d)b-(.)\" \"$1$2\" \"db-1\" }}",
        "true d1",
    );
    check("{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}", "db-1.example db-1:5432");
    check(
        "{{ parseDuration \"1h30m\" }} {{ toDuration 90 }} {{ (toTime 0).Year }} {{ now }}",
        "5400 1m30s 1970 1.44544494e+09",
    );
    check("{{ (toTime 1445444940).Format \"15:04\" }}", "16:29");
    check("{{ pathPrefix }} {{ externalURL }}", "/p https://paramedic.example/p");
    check(
        "{{ graphLink \"up == 0\" }} {{ tableLink \"up\" }}",
        "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
    );
    check("{{ safeHtml \"<b>\" }}{{ strvalue (query \"two\" | first) }}", "<b>");
}

#[test]
fn what_is_refused_when_it_is_read() {
    let check = |text: &str, expect: &str| {
        let error = Template::parse(text).expect_err(text).to_string();
        assert!(error.contains(expect), "{text}: {error}");
    };
    check("{{ $labels.x", "1:1: unclosed action");
    check("a\n{{ nope }}", "2:4: function `nope` is not defined");
    check("{{ $nope }}", "undefined variable `$nope`");
    check("{{ if true }}", "`end` of `if` is missing");
    check("{{ end }}", "without an `if`");
    check("{{ }}", "missing value");
    check("{{ 1 | 2 }}", "in the middle of a pipeline");
    check("{{ \"abc }}", "unterminated quoted string");
    check("{{ /* x }}", "unexpected `/`");
    check("{{/* x }}", "unclosed comment");
    check("{{ break }}", "outside of `range`");
    check("{{ (1 }}", "`)` is missing");
    check("{{ define \"a\" }}{{ $labels.x }}{{ end }}", "undefined variable `$labels`");
    check("{{ if 1 }}{{ define \"a\" }}{{ end }}{{ end }}", "inside of another action");
    check("{{ 1.2.3 }}", "bad number");
    check("{{ 99999999999999999999 }}", "bad number");
    check("{{ \"a\"\"b\" }}", "expected a space");
    check(&"{{ if 1 }}".repeat(1_000), "nested deeper than 50");
    check(&format!("{{{{ {} }}}}", "(".repeat(1_000)), "nested deeper than 50");
    check(&"x".repeat(TEXT_BYTES_MAX + 1), "more than 65536 bytes");
}

#[test]
fn what_fails_when_it_is_expanded() {
    refused("{{ humanize \"x\" }}", "`x` is not a number");
    refused("{{ query \"none\" | first }}", "first() called on vector with no elements");
    refused("{{ query \"else\" }}", "no such query: else");
    refused(
        "{{ gt $value 2 }}",
        "incompatible types for comparison: float64 and int; a number beside a float needs a point: `2.0`",
    );
    refused("{{ $value.x }}", "can't evaluate field x in type float64");
    refused("{{ .nope }}", "can't evaluate field nope in type struct");
    refused("{{ template \"x\" }}", "template `x` is not defined");
    refused("{{ index (query \"two\") 5 }}", "index out of range: 5");
    refused("{{ $value 1 }}", "can't give argument to non-function");
    refused("{{ reReplaceAll \"(\" \"\" \"a\" }}", "regular expression `(` cannot be used");
    refused("{{ len 1 }}", "len of type int");
    refused("{{ label 1 2 }}", "`label` does not take (int, int)");
    refused("{{ printf \"%99999d\" 1 }}", "is above 1000");
}

#[test]
fn a_template_that_loops_ends() {
    refused(
        "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
        "calls itself, more than 100 deep",
    );
    refused(
        "{{ define \"a\" }}{{ tmpl \"a\" . }}{{ end }}{{ tmpl \"a\" 1 }}",
        "calls itself, more than 100 deep",
    );
    refused("{{ range 9223372036854775807 }}{{ end }}", "more than 100000 steps");
    refused("{{ range query \"many\" }}{{ range query \"many\" }}{{ end }}{{ end }}", "more than");
    refused("{{ range 100000 }}xxxxxxxxxx{{ end }}", "expands to more than 65536 bytes");
    refused("{{ $x := \"ab\" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}", "makes texts of more than");
    refused("{{ range 1000 }}{{ match \"a\" \"b\" }}{{ end }}", "more than 100000 steps");
    refused(
        "{{ reReplaceAll \"a*\" (printf \"%1000d\" 1) (printf \"%1000d\" 1) }}",
        "replacing makes more than",
    );
}

#[test]
fn whether_the_value_is_read() {
    let check =
        |text: &str, expect: bool| assert_eq!(Template::parse(text).unwrap().reads_value(), expect, "{text}");
    check("{{ $value | humanize }}", true);
    check("{{ if gt (.Value) 1.0 }}a{{ end }}", true);
    check("{{ define \"x\" }}{{ $.Value }}{{ end }}", true);
    check("{{ $labels.value }} value", false);
    check("{{ with query \"up\" }}{{ . | first | value }}{{ end }}", false);
}

/// Pieces of templates, good and bad ones, of which anything may be put together.
const PIECES: [&str; 40] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    "$value",
    "$labels",
    ".",
    ".job",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define \"a\"",
    "template \"a\"",
    "break",
    "printf \"%5.2f\"",
    "humanize",
    "query \"two\"",
    "first",
    "value",
    "index",
    "slice",
    "1",
    "-2",
    "1.5",
    "\"text\"",
    "`raw`",
    "'c'",
    "nil",
    "true",
    "/* c */",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is put together is read and expanded or refused, and ends.
    #[test]
    fn anything_ends(picks in prop::collection::vec(0..PIECES.len(), 0..30), blanks in any::<bool>()) {
        let between = if blanks { " " } else { "" };
        let text = picks.iter().map(|pick| PIECES[*pick]).collect::<Vec<_>>().join(between);
        if let Ok(expanded) = expanded(&text) {
            prop_assert!(expanded.len() <= text.len().max(64 << 10));
        }
        // Within one action more of them make sense.
        let _ = expanded(&format!("{{{{ {text} }}}}"));
    }
}
