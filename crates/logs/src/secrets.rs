//! Owns the forms by which secrets are known: one list for whatever hides them, and for whatever looks for them.
//!
//! A find is *certain* only where its form cannot be anything else: prefix, length and alphabet are right, and so is the
//! checksum of those that have one. What documents write in the place of a secret (`xxxx`, `EXAMPLE`, one letter all
//! along) is none. Whatever has a form at all is hidden by `redact`, which rather hides too much.

mod form;

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

pub(crate) use form::hidden;
use form::{FORMS, Judged};

/// Finds of one form in one text that may be something else: more say nothing new. A certain one is found in any case.
const LIKELY_MAX: usize = 4;
/// The longest value that is looked at for how random it is, in bytes.
const VALUE_BYTES_MAX: usize = 512;
/// The shortest value that may be random.
const VALUE_BYTES_MIN: usize = 16;
/// Bits for each character from which on a value is no word of anybody's.
const BITS_MIN: f64 = 3.4;

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What it is, such as `github-token`.
    pub form: &'static str,
    /// Whether it cannot be anything else.
    pub is_certain: bool,
    /// Where it stands, in bytes.
    pub at: Range<usize>,
}

/// The form of a value that is known by its name alone.
pub const NAMED: &str = "named-secret";

static SET: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(FORMS.iter().map(|form| form.looks)).expect("the forms are tested"));
static EACH: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let read = |looks: &str| Regex::new(looks).expect("the forms are tested");
    FORMS.iter().map(|form| read(form.looks)).collect()
});

/// Of `name = value` the value, and that of a header.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    let name = "passw(?:or)?d|passphrase|secret|credentials?|token|api[_-]?key|private[_-]?key|access[_-]?key|authorization";
    let rule = format!(
        r#"(?i)(?:(?P<name>[a-z0-9_.-]*(?:{name})[a-z0-9_.-]*)\\?["']?[\t ]*[=:][\t ]*\\?["']?(?:bearer |basic )?|(?-u:\b)bearer )(?P<value>[a-z0-9+/=_~.-]{{16,}})"#
    );
    Regex::new(&rule).expect("the rule is tested")
});

/// Without one of these no form takes hold of a text. The last ones are how JSON writes a letter or a slash in code.
static HINTS: LazyLock<Regex> = LazyLock::new(|| {
    let hints = concat!(
        r"AKIA|ASIA|gh[opurs]_|github_pat_|gl[a-z]+-|xox|xapp-|hooks\.slack|k_live_|k_test_|sk-|npm_|pypi-|AIza|GOCSPX|",
        r"AccountKey|do[opr]_v1_|hf_|SG\.|PRIVATE KEY|eyJ|(?i:passw|passphrase|secret|credential|token|api[_-]?key|",
        r"access[_-]?key|authorization|bearer|(?:postgres|mysql|mariadb|mongodb|redis|rediss|amqp|amqps|sqlserver|",
        r"clickhouse|cockroachdb)[a-z+0-9]*:)|\\u00[2-7]",
    );
    Regex::new(hints).expect("the hints are tested")
});

/// Whether there can be a secret in this JSON or text at all: a look at the bytes, before anything is read.
pub fn may_hold(json: &str) -> bool {
    HINTS.is_match(json)
}

/// The secrets in a text. Those of one form that may be something else are told a few times only.
pub fn find(text: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    for idx in &SET.matches(text) {
        let mut n_likely = 0;
        for one in EACH[idx].find_iter(text) {
            let (judged, at) = ((FORMS[idx].judge)(one.as_str()), one.range());
            let is_certain = judged == Judged::Certain;
            if judged == Judged::None || !is_certain && n_likely == LIKELY_MAX {
                continue;
            }
            n_likely += usize::from(!is_certain);
            found.push(Secret { form: FORMS[idx].name, is_certain, at });
            if is_certain {
                break;
            }
        }
    }
    let named = NAMES.captures_iter(text).filter_map(|one| {
        let value = one.name("value")?;
        let is_told = one.name("name").is_none_or(|name| is_name(name.as_str()));
        (is_told && is_random(value.as_str())).then(|| value.range())
    });
    let is_new = |at: &Range<usize>| !found.iter().any(|one| one.at.start < at.end && at.start < one.at.end);
    let named: Vec<_> = named.filter(is_new).take(LIKELY_MAX).collect();
    found.extend(named.into_iter().map(|at| Secret { form: NAMED, is_certain: false, at }));
    found
}

/// The secrets in a value that has this name.
pub fn find_in(name: &str, value: &str) -> Vec<Secret> {
    // Nearly every value ends here.
    if !may_hold(value) && !may_hold(name) {
        return Vec::new();
    }
    let mut found = find(value);
    // The name says what it is: `aws_secret_access_key`, `password`.
    if value.len() <= VALUE_BYTES_MAX && found.is_empty() && NAMES.is_match(&format!("{name}:{value}")) {
        let from = name.len() + 1;
        let whole = find(&format!("{name}:{value}"));
        found.extend(whole.into_iter().filter(|one| one.at.end > from).map(|one| {
            let at = one.at.start.saturating_sub(from)..one.at.end - from;
            Secret { at, ..one }
        }));
    }
    found
}

/// Whether a name is that of a secret, and not of a mark that a page begins at.
fn is_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !["page", "next", "cursor", "sync", "continu", "resum", "csrf", "progress"]
        .iter()
        .any(|word| name.contains(word))
}

/// Whether a value looks as if nobody had chosen it.
fn is_random(value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(&is);
    let is_mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    (VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&value.len())
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && (is_mixed || !value.contains(['-', '_', '.', '/']))
        && !form::is_placeholder(value)
        && bits(value) >= BITS_MIN
}

/// The entropy of a text in bits for each byte (Shannon).
fn bits(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let all = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / all)
        .map(|part| -part * part.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{find, find_in, may_hold};

    /// In this file no secret stands as one: `^` is left out.
    fn plain(text: &str) -> String {
        text.replace('^', "")
    }

    fn told(text: &str) -> String {
        let found = find(&plain(text)).into_iter();
        let told: Vec<_> =
            found.map(|one| format!("{}{}", if one.is_certain { "!" } else { "" }, one.form)).collect();
        if told.is_empty() { "-".to_owned() } else { told.join(",") }
    }

    const KEY: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";

    #[test]
    fn forms_are_certain_only_where_they_can_be_nothing_else() {
        let encrypted = format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{KEY}\n");
        let block = format!("x\n-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----\ny");
        for (text, expect) in [
            ("push with gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17 now", "!github-token"),
            // The checksum is another.
            ("gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", "github-token"),
            ("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "-"),
            ("np^m_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17", "!npm-token"),
            ("npm_package_version_and_some_other_words_x", "-"),
            ("gl^pat-Rk3fQ9xL2mZpV7sTwB4n", "!gitlab-token"),
            ("glpat-short", "-"),
            ("xox^b-2345678901-3456789012-aB3dE5fG7hJ9kL1mN3pQ5rS7", "!slack-token"),
            ("xox^b-some-words", "-"),
            ("sk^_live_4eC39HqLyjWDarjtT1zdp7dcQr8sT", "!stripe-key"),
            ("sk^_test_4eC39HqLyjWDarjtT1zdp7dcQr8sT", "stripe-key"),
            ("AKIAIOSFODNN7EXAMPLE", "-"),
            ("AKI^AQ3Z7M2KJ5VX4NW6T", "aws-key-id"),
            ("aws_secret_access_key = wJ^alrXUtnFEMI9K7MDENGbPxRfiCYzQ3vB8nL2p+", "!aws-secret-key"),
            ("AI^zaSyD9x2Kf7LmQ4vT8wZpB3nR6sJcH1gY5uE0a", "google-key"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.dBjf^tJeZ4CVPmB92K27uhbUJU1p1rwW1gFWFOEjXk9Q", "!jwt"),
            ("eyJhbGciOiJI.eyJzdWIiOiIx.abc", "jwt"),
            ("postgres://app:tR7^kq2Vz9w@db.internal:5432/app", "!database-url"),
            ("postgres://postgres:postgres@localhost:5432/app", "-"),
            ("postgresql://user:password@host/db", "-"),
            ("mysql://root:${DB_PASSWORD}@db/x", "-"),
            ("redis://:tR7^kq2Vz9wXc4@cache:6379", "!database-url"),
            (&*block, "!private-key"),
            (&*encrypted, "private-key"),
            ("a file that begins with -----BEGIN PRIVATE KEY-----", "-"),
            ("-----BEGIN PRIVATE KEY----- and then the body of the key in lines of 64 characters each", "-"),
            ("api_key=9fK2^mQ7xV4pL8sZt", "named-secret"),
            ("Authorization: Bearer 9fK2^mQ7xV4pL8sZt", "named-secret"),
            ("password: correct horse battery staple", "-"),
            ("next_page_token: 9fK2mQ7xV4pL8sZt", "-"),
            ("token_count: 12345678901234567890", "-"),
            ("sha256: 9fk2mq7xv4pl8szt9fk2mq7xv4pl8szt", "-"),
            ("the secret of a good sk-learn pipeline is its token list", "-"),
        ] {
            assert_eq!(told(text), expect, "{text}");
            assert!(expect == "-" || may_hold(&plain(text)), "{text}");
        }
    }

    #[test]
    fn a_certain_one_is_found_behind_any_number_of_others() {
        let many = plain("gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18 ").repeat(1000);
        let found = find(&(many + &plain("gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17")));
        assert_eq!(found.iter().filter(|one| one.is_certain).count(), 1);
        assert!(found.len() < 10);
    }

    #[test]
    fn the_name_of_a_value_counts() {
        let value = plain("wJ^alrXUtnFEMI9K7MDENGbPxRfiCYzQ3vB8nL2p+");
        let found = find_in("aws_secret_access_key", &value);
        assert_eq!(
            found.iter().map(|one| (one.form, one.at.end)).collect::<Vec<_>>(),
            [("aws-secret-key", 40)]
        );
        assert_eq!(find_in("password", &plain("9fK2^mQ7xV4pL8sZt"))[0].at, 0..16);
        assert!(find_in("title", &value).is_empty());
    }
}
