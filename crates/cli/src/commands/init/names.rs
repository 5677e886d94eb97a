//! Owns names of servers made from any text: valid for the configuration, one each, and the same every time.

use std::collections::BTreeSet;

/// The longest name that the configuration takes, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Room for `-65535`, or a number, behind a name that somebody else has already.
const SUFFIX_BYTES: usize = 8;

/// What a server is called of which nothing is known.
const NAMELESS: &str = "server";

/// A valid name that nobody has yet, as near to `wanted` as can be; it is taken from then on. A second server of the
/// same name gets its port behind it, where it has one, and so keeps it whoever else comes and goes.
pub(super) fn unique(wanted: &str, port: Option<u16>, taken: &mut BTreeSet<String>) -> String {
    let base = valid(wanted);
    let short = base[..base.len().min(NAME_BYTES_MAX - SUFFIX_BYTES)].to_owned();
    let with_port = port.map(|port| format!("{short}-{port}"));
    let mut candidates =
        std::iter::once(base).chain(with_port).chain((2_u32..).map(|n| format!("{short}-{n}")));
    let name = candidates.find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

/// The text with everything else than letters, digits, `-`, `_` and `.` as one `-`.
fn valid(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || (!name.is_empty() && "-_.".contains(letter)) {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if name.len() == NAME_BYTES_MAX {
            break;
        }
    }
    // What was left out at the end leaves nothing; what is valid as it is stays so.
    if !text.ends_with('-') {
        name.truncate(name.trim_end_matches('-').len());
    }
    if name.is_empty() { NAMELESS.to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_from_text() {
        for (text, expect) in [
            ("time", "time"),
            ("Mem-2.x_y", "Mem-2.x_y"),
            ("@scope/server x", "scope-server-x"),
            ("../../etc", "etc"),
            ("Größe", "Gr-e"),
            ("  ", "server"),
            ("--", "server"),
            ("", "server"),
            ("a\nname = \"b\"", "a-name-b"),
        ] {
            assert_eq!(valid(text), expect, "{text}");
        }
    }

    #[test]
    fn the_second_of_a_name_has_its_port_and_the_third_a_number() {
        let mut taken = BTreeSet::new();
        let names = [Some(80), Some(8080), Some(8080), None].map(|port| unique("time", port, &mut taken));
        assert_eq!(names, ["time", "time-8080", "time-2", "time-3"]);
    }

    proptest! {
        #[test]
        fn any_text_makes_valid_names_that_are_one_each_and_stable(
            wanted in proptest::collection::vec((any::<String>(), any::<Option<u16>>()), 0..20),
        ) {
            let name_all = || {
                let mut taken = BTreeSet::new();
                wanted.iter().map(|(text, port)| unique(text, *port, &mut taken)).collect::<Vec<_>>()
            };
            let names = name_all();
            prop_assert_eq!(&names, &name_all());
            let all: BTreeSet<&String> = names.iter().collect();
            prop_assert_eq!(all.len(), names.len());
            for name in &names {
                // The judge is the loader of the configuration.
                let text = format!("[[server]]\nname = {name:?}\nport = 1\nunit = \"a.service\"\n");
                prop_assert!(::server::config::parse(&text).is_ok(), "{}", name);
                prop_assert_eq!(&unique(name, None, &mut BTreeSet::new()), name);
            }
        }
    }
}
