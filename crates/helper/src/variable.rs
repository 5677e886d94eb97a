//! Owns which variables a drop-in may set, and to what: the heap of a runtime, and names that root has listed.
//!
//! `NODE_OPTIONS` and `JAVA_TOOL_OPTIONS` can make a server load any program. So a new value of theirs is made of what
//! the unit has already and of options that set the size of the heap, and of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use process::tuning::Runtime;

/// The longest value, in bytes.
const VALUE_BYTES_MAX: usize = 1024;

/// Names that decide what a program loads or runs. No list makes them harmless.
const LETHAL: [&str; 5] = ["ENV", "IFS", "PATH", "SHELL", "CLASSPATH"];

/// Beginnings of such names.
const LETHAL_BEGINNINGS: [&str; 10] =
    ["LD_", "PARAMEDIC_", "BASH_", "PYTHON", "NODE_", "NPM_", "PERL", "RUBY", "JAVA_", "JDK_"];

/// Whether root may list a name.
pub(crate) fn may_be_listed(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let is_lethal = LETHAL.contains(&name) || LETHAL_BEGINNINGS.iter().any(|begin| name.starts_with(begin));
    !name.is_empty() && name.chars().all(plain) && !is_lethal
}

/// Why these variables may not be set; none where they may. `has` is what the unit has already, `listed` what root allows.
pub(crate) fn problem(
    wanted: &BTreeMap<String, String>,
    has: &BTreeMap<String, String>,
    listed: &BTreeSet<String>,
) -> Option<String> {
    wanted.iter().find_map(|(name, value)| {
        if value.len() > VALUE_BYTES_MAX || value.chars().any(|letter| letter.is_control()) {
            return Some(format!("the value of `{name}` is too long, or has control characters"));
        }
        let runtime = [Runtime::Node, Runtime::Jvm].into_iter().find(|runtime| runtime.variable() == name);
        match runtime {
            Some(runtime) => {
                let had: BTreeSet<&str> = has.get(name).map(|text| text.split(' ').collect()).unwrap_or_default();
                let foreign = value.split(' ').find(|word| !had.contains(word) && !is_heap(runtime, word));
                foreign.map(|word| {
                    format!("`{name}` may get the size of a heap from here, and not `{word}`, which the unit does not have")
                })
            }
            None if listed.contains(name) => None,
            None => Some(format!("the variable `{name}` is not on the list")),
        }
    })
}

fn is_heap(runtime: Runtime, option: &str) -> bool {
    let number = match runtime {
        Runtime::Node => option.strip_prefix("--max-old-space-size="),
        Runtime::Jvm => option.strip_prefix("-Xmx").and_then(|rest| rest.strip_suffix('m')),
    };
    number.is_some_and(|number| {
        (1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether the text of an `EnvironmentFile=` sets a variable: then it wins over a drop-in.
pub(crate) fn sets(file: &str, name: &str) -> bool {
    file.lines().any(|line| {
        let line = line.trim_start();
        !line.starts_with(['#', ';']) && line.split_once('=').is_some_and(|(key, _)| key.trim() == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_a_variable_may_be() {
        let has = map(&[("NODE_OPTIONS", "--enable-source-maps --max-old-space-size=64")]);
        let listed = BTreeSet::from(["LOG_LEVEL".to_owned()]);
        for (name, value, expect) in [
            ("NODE_OPTIONS", "--enable-source-maps --max-old-space-size=384", None),
            ("NODE_OPTIONS", "--max-old-space-size=384", None),
            ("NODE_OPTIONS", "--max-old-space-size=384 --require=/tmp/x.js", Some("`--require=/tmp/x.js`")),
            ("NODE_OPTIONS", "--max-old-space-size=384;x", Some("size of a heap")),
            ("NODE_OPTIONS", "--max-old-space-size=", Some("size of a heap")),
            ("JAVA_TOOL_OPTIONS", "-Xmx384m", None),
            ("JAVA_TOOL_OPTIONS", "-javaagent:/x.jar", Some("size of a heap")),
            ("LOG_LEVEL", "debug", None),
            ("LOG_LEVEL", "de\nbug", Some("control characters")),
            ("LD_PRELOAD", "/x.so", Some("not on the list")),
        ] {
            let found = problem(&map(&[(name, value)]), &has, &listed);
            match expect {
                None => assert_eq!(found, None, "{name}={value}"),
                Some(words) => {
                    assert!(found.as_deref().unwrap_or("").contains(words), "{name}={value}: {found:?}")
                }
            }
        }
    }

    #[test]
    fn what_root_may_list_and_what_a_file_sets() {
        for (name, expect) in [
            ("LOG_LEVEL", true),
            ("LD_PRELOAD", false),
            ("PATH", false),
            ("NODE_PATH", false),
            ("", false),
            ("a", false),
        ] {
            assert_eq!(may_be_listed(name), expect, "{name}");
        }
        let file = "# NODE_OPTIONS=no\nCOMMAND=node NODE_OPTIONS=x\n  LISTEN = 1\n";
        assert!(!sets(file, "NODE_OPTIONS") && sets(file, "LISTEN") && sets(file, "COMMAND"));
    }
}
