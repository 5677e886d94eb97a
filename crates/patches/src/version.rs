//! Owns which of two versions is the later one: by the rules of npm (SemVer), Python (PEP 440) and Debian.

use std::cmp::Ordering;

use crate::Ecosystem;

/// Which of two versions is the later one. What follows no rule is compared piece by piece, numbers as numbers.
pub(crate) fn compare(ecosystem: Ecosystem, one: &str, other: &str) -> Ordering {
    match ecosystem {
        Ecosystem::Npm => semver(one).cmp(&semver(other)),
        Ecosystem::Pypi => python(one).cmp(&python(other)),
        Ecosystem::Debian => debian(one, other),
    }
}

/// Whether a version is not for everybody yet.
pub(crate) fn is_early(ecosystem: Ecosystem, version: &str) -> bool {
    match ecosystem {
        Ecosystem::Npm => version.split('+').next().unwrap_or_default().contains('-'),
        Ecosystem::Pypi => python(version).pre < NOT_EARLY,
        Ecosystem::Debian => false,
    }
}

/// A number, or a word; a number comes before a word.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Word(String),
}

fn piece(text: &str) -> Piece {
    text.parse().map_or_else(|_| Piece::Word(text.to_owned()), Piece::Number)
}

/// Numbers, then whether it is for everybody, then what comes before that.
fn semver(version: &str) -> (Vec<Piece>, bool, Vec<Piece>) {
    let version = version.trim_start_matches(['v', '=']).split('+').next().unwrap_or_default();
    let (core, early) = version.split_once('-').map_or((version, None), |(core, early)| (core, Some(early)));
    let pieces = |text: &str| text.split('.').map(piece).collect::<Vec<_>>();
    (pieces(core), early.is_none(), early.map(pieces).unwrap_or_default())
}

/// What is behind the numbers of a version of Python: early ones have a lower kind.
type Early = (u8, u64);

/// It is for everybody.
const NOT_EARLY: Early = (4, 0);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Python {
    epoch: u64,
    /// Without zeros at the end.
    release: Vec<u64>,
    pre: Early,
    /// 0 is none.
    post: u64,
    /// `u64::MAX` is none: a version in the making comes before it.
    dev: u64,
}

fn python(version: &str) -> Python {
    let text = version.trim().trim_start_matches('v').to_ascii_lowercase();
    let text = text.split('+').next().unwrap_or_default();
    let (epoch, text) =
        text.split_once('!').map_or((0, text), |(epoch, rest)| (epoch.parse().unwrap_or(0), rest));
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (numbers, mut rest) = text.split_at(end);
    let mut release: Vec<u64> = numbers
        .split('.')
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect();
    while release.last() == Some(&0) {
        release.pop();
    }
    let (mut pre, mut post, mut dev) = (None, 0, u64::MAX);
    while !rest.is_empty() {
        let word_begins = rest.find(|letter: char| letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let word_and = &rest[word_begins..];
        let word_ends = word_and.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(word_and.len());
        let (word, after) = word_and.split_at(word_ends);
        let after = after.trim_start_matches(['.', '-', '_']);
        let number_ends = after.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(after.len());
        let (number, left) = after.split_at(number_ends);
        let number = number.parse().unwrap_or(0);
        match word {
            "a" | "alpha" => pre = Some((1, number)),
            "b" | "beta" => pre = Some((2, number)),
            "c" | "rc" | "pre" | "preview" => pre = Some((3, number)),
            "" | "post" | "rev" | "r" => post = u64::saturating_add(number, 1),
            "dev" => dev = number,
            _ => break,
        }
        rest = left;
    }
    // `1.0.dev1` comes before `1.0a1`, and `1.0.post1.dev2` after `1.0`.
    let is_dev_only = dev != u64::MAX && pre.is_none() && post == 0;
    Python { epoch, release, pre: pre.unwrap_or(if is_dev_only { (0, 0) } else { NOT_EARLY }), post, dev }
}

fn debian(one: &str, other: &str) -> Ordering {
    let parts = |version: &str| {
        let (epoch, rest) = version.split_once(':').map_or(("0", version), |(epoch, rest)| (epoch, rest));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse::<u64>().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (one, other) = (parts(one), parts(other));
    one.0
        .cmp(&other.0)
        .then_with(|| debian_part(one.1.as_bytes(), other.1.as_bytes()))
        .then_with(|| debian_part(one.2.as_bytes(), other.2.as_bytes()))
}

/// Pieces that are no digits, then those that are, in turn. `~` comes before the end, and letters before all else.
fn debian_part(mut one: &[u8], mut other: &[u8]) -> Ordering {
    fn order(byte: Option<u8>) -> i32 {
        match byte {
            Some(b'~') => -1,
            None => 0,
            Some(byte) if byte.is_ascii_digit() => 0,
            Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
            Some(byte) => i32::from(byte) + 256,
        }
    }
    fn number(part: &mut &[u8]) -> u64 {
        let digits = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = part.split_at(digits);
        *part = rest;
        std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }
    while !one.is_empty() || !other.is_empty() {
        let is_word = |part: &[u8]| part.first().is_some_and(|byte| !byte.is_ascii_digit());
        while is_word(one) || is_word(other) {
            let ordering = order(one.first().copied()).cmp(&order(other.first().copied()));
            if ordering != Ordering::Equal {
                return ordering;
            }
            one = one.get(1..).unwrap_or_default();
            other = other.get(1..).unwrap_or_default();
        }
        let ordering = number(&mut one).cmp(&number(&mut other));
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is earlier than the next.
    #[track_caller]
    fn rising(ecosystem: Ecosystem, versions: &[&str]) {
        for (idx, one) in versions.iter().enumerate() {
            for (at, other) in versions.iter().enumerate() {
                assert_eq!(compare(ecosystem, one, other), idx.cmp(&at), "{one} {other}");
            }
        }
    }

    #[test]
    fn versions_follow_each_other() {
        rising(
            Ecosystem::Npm,
            &[
                "0.9.9",
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-rc.1",
                "1.0.0",
                "1.2.0",
                "1.10.0",
                "2026.1.14",
            ],
        );
        rising(
            Ecosystem::Pypi,
            &[
                "1.0.dev1",
                "1.0a1",
                "1.0b2",
                "1.0rc1",
                "1.0",
                "1.0.post1",
                "1.0.1",
                "1.2",
                "1.10",
                "2026.1.26",
                "1!0.1",
            ],
        );
        rising(
            Ecosystem::Debian,
            &[
                "1.0~rc1-1",
                "1.0-1",
                "1.0-1+deb12u1",
                "1.0-1+deb12u2",
                "1.0-2",
                "1.0a-1",
                "1.0+b-1",
                "1.2-1",
                "1.10-1",
                "1:0.1-1",
            ],
        );
        for (ecosystem, one, same) in [
            (Ecosystem::Npm, "v1.0.0+build", "1.0.0"),
            (Ecosystem::Pypi, "1.0", "1.0.0"),
            (Ecosystem::Debian, "0:1.0-1", "1.0-1"),
        ] {
            assert_eq!(compare(ecosystem, one, same), Ordering::Equal);
        }
        for (ecosystem, version, expect) in [
            (Ecosystem::Npm, "1.0.0-rc.1", true),
            (Ecosystem::Npm, "1.0.0+a-b", false),
            (Ecosystem::Pypi, "1.0rc1", true),
            (Ecosystem::Pypi, "1.0.dev3", true),
            (Ecosystem::Pypi, "1.0.post1", false),
            (Ecosystem::Debian, "1.0~rc1-1", false),
        ] {
            assert_eq!(is_early(ecosystem, version), expect, "{version}");
        }
    }
}
