//! Tests of linting: the examples of every rule, silence by comment and by configuration, fixes, and hostile texts.

use std::path::Path;

use super::*;

/// A runbook in which nothing is wrong but what stands in its one fence; a text that begins with `# X` is one already.
fn whole(example: &str) -> String {
    if example.starts_with("# X") {
        return example.to_owned();
    }
    let mut fenced = false;
    let lines = example.lines().map(|line| {
        fenced |= line.starts_with("```");
        if line.starts_with(|c: char| c.is_ascii_digit()) || line.starts_with("   ") || line.is_empty() {
            format!("{line}\n")
        } else {
            format!("   {line}\n")
        }
    });
    let fence: String = lines.collect();
    format!(
        "---\nowner: somebody\n---\n\n# X\n\n## P\n\n### Alert: A\n\n**Severity**: Critical\\\n**Response Time**: < 5 minutes\\\n\
         **Alert Query**: `sum by (server_name) (up) < 1`\\\n**For**: 1 minute\n\n### Now (0-5 minutes)\n\n1. **One**\n\n   Look.\n\n   \
         ```bash\n{fence}   ```\n\n### Escalation Criteria\n\n- It lasts\n\n### Documentation Requirements\n\n- What was done\n"
    )
}

fn codes(text: &str) -> Vec<&'static str> {
    lint("x.md", text.as_bytes(), &Config::default(), None).into_iter().map(|finding| finding.code).collect()
}

#[test]
fn the_examples_of_the_rules_are_true() {
    for rule in RULES {
        let bad = whole(rule.bad);
        assert!(codes(&bad).contains(&rule.code), "{} does not find its own example:\n{bad}", rule.code);
        let good = whole(rule.good);
        let found = lint("x.md", good.as_bytes(), &Config::default(), None);
        assert!(found.is_empty(), "{}: its good example is not: {found:#?}\n{good}", rule.code);
    }
}

#[test]
fn rules_are_sorted_and_say_why() {
    assert!(RULES.windows(2).all(|pair| pair[0].code < pair[1].code));
    for rule in RULES {
        assert!(rule.code.len() == 5 && rule.why.ends_with('.') && !rule.name.contains(' '), "{}", rule.code);
        assert!(super::rule(&rule.code.to_lowercase()).is_some());
    }
}

/// `UPDATE_EXPECT=1 cargo test -p runbook` writes it anew.
#[test]
fn the_documentation_lists_the_rules() {
    let mut text = "# Lint rules\n\nWritten from the rules themselves; `paramedic runbook lint --explain RB020` says the same.\n".to_owned();
    for rule in RULES {
        let level = format!("{:?}", rule.level).to_lowercase();
        let consequence = rule.consequence();
        text += &format!("\n## {} {}\n\n{level}; {consequence}. {}\n", rule.code, rule.name, rule.why);
        for (title, example) in [("Found in", rule.bad), ("Better", rule.good)] {
            let example: String = example.lines().map(|line| format!("    {line}\n")).collect();
            text += &format!(
                "\n{title}:\n\n{}\n",
                example.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
            );
        }
    }
    expect_test::expect_file!["../../../../docs/lint.md"].assert_eq(&text);
}

#[test]
fn a_comment_silences_a_rule_and_one_in_vain_is_told() {
    let silenced = whole("# lint: allow RB014 it has to settle\nsleep 30");
    assert_eq!(codes(&silenced), Vec::<&str>::new());
    assert_eq!(codes(&whole("sleep 30 # lint: allow RB014 it has to settle")), Vec::<&str>::new());
    let in_text =
        whole("sleep 30").replace("1. **One**", "<!-- lint: allow RB014 it has to settle -->\n\n1. **One**");
    assert_eq!(codes(&in_text), Vec::<&str>::new());
    assert_eq!(codes(&whole("# lint: allow RB030 no\nsleep 30")), ["RB090", "RB014"]);
}

#[test]
fn a_configuration_sets_levels_and_lists() {
    let text = whole("dig example.org");
    let found = |config: &str| {
        let config = Config::parse(config).expect("it is a configuration");
        let found = lint("x.md", text.as_bytes(), &config, None);
        found.into_iter().map(|finding| (finding.code, finding.level)).collect::<Vec<_>>()
    };
    assert_eq!(found(""), [("RB010", Level::Warning), ("RB041", Level::Info)]);
    assert_eq!(found("[level]\nRB010 = \"off\"\nRB041 = \"error\""), [("RB041", Level::Error)]);
    assert_eq!(found("[allow]\nRB041 = [\"dig\"]\nRB010 = [\"dig\"]"), []);
    for (text, expect) in [
        ("[levels]", "unknown field `levels`"),
        ("[level]\nRB999 = \"off\"", "`RB999` is no rule"),
        ("[level]\nRB010 = \"loud\"", "`loud` is no level for RB010"),
        ("[", "line 1"),
    ] {
        let said = Config::parse(text).expect_err(text).to_string();
        assert!(said.contains(expect), "{said}");
    }
}

#[test]
fn a_fix_mends_what_it_says() {
    let text = whole("echo ${SERVER_NAME} $SERVER_NAME/x");
    let found = lint("x.md", text.as_bytes(), &Config::default(), None);
    let (mended, n_mended) = apply(&text, &found);
    assert_eq!(n_mended, 2);
    assert_eq!(mended, whole("echo \"${SERVER_NAME}\" \"$SERVER_NAME/x\""));
    assert_eq!(codes(&mended), Vec::<&str>::new());
}

#[test]
fn sarif_has_what_its_schema_requires() {
    let text = whole("sleep 30");
    let found = lint("x.md", text.as_bytes(), &Config::default(), None);
    let log = sarif(&[("x.md".to_owned(), found)]);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(RULES.len()));
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "RB014");
    assert_eq!(
        run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap_or(99) as usize]["id"],
        "RB014"
    );
    assert!(result["message"]["text"].is_string());
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 23);
}

#[test]
fn the_shipped_runbook_has_no_findings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks");
    let entries = std::fs::read_dir(&path).expect("the runbooks are there");
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        let bytes = std::fs::read(&path).expect("the runbook can be read");
        let found = lint(&path.to_string_lossy(), &bytes, &Config::default(), Some("2026-11-24"));
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn hostile_texts_end() {
    for text in [
        String::new(),
        "\u{0}\u{1}\u{2}".repeat(1000),
        "- ".repeat(100_000),
        "# X\n\n## P\n\n### Alert: A\n\n1. **a**\n\n   ```bash\n".to_owned() + &"   ls $X; ".repeat(5000),
        whole(&"((".repeat(300)),
        "lint: allow lint: allow RB001\n# lint: allow ".repeat(100),
    ] {
        let _findings = lint("x.md", text.as_bytes(), &Config::default(), None);
    }
}
