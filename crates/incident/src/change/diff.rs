//! Owns the unified diff of two small texts, line by line.

use std::fmt::Write as _;
use std::path::Path;

/// How many lines around a change are shown.
const CONTEXT: usize = 3;

/// Longer texts are shown as one change of the whole: the comparison takes time by the product of both.
const LINES_MAX: usize = 2_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Old,
    New,
}

/// The difference between two contents of a file, which may be absent, as `diff -u` shows it.
pub fn unified(path: &Path, old: Option<&str>, new: Option<&str>) -> String {
    if old == new {
        return String::new();
    }
    let name = |content: Option<&str>| content.map_or("/dev/null".to_owned(), |_| path.display().to_string());
    let mut out = format!("--- {}\n+++ {}\n", name(old), name(new));
    let lines = |content: Option<&str>| -> Vec<String> {
        content.unwrap_or_default().split_inclusive('\n').map(str::to_owned).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let edits = edits(&old, &new);
    let changed: Vec<usize> =
        edits.iter().enumerate().filter(|(_, (side, _))| *side != Side::Both).map(|(at, _)| at).collect();
    let mut rest = changed.as_slice();
    while let Some(first) = rest.first() {
        let n_near = rest.windows(2).take_while(|pair| pair[1] - pair[0] <= 2 * CONTEXT).count() + 1;
        let (from, to) = (first.saturating_sub(CONTEXT), (rest[n_near - 1] + CONTEXT + 1).min(edits.len()));
        write_hunk(&mut out, &edits, from, to);
        rest = &rest[n_near..];
    }
    out
}

fn write_hunk(out: &mut String, edits: &[(Side, &str)], from: usize, to: usize) {
    let count = |range: &[(Side, &str)], not: Side| range.iter().filter(|(side, _)| *side != not).count();
    let place = |not: Side| {
        let (before, here) = (count(&edits[..from], not), count(&edits[from..to], not));
        // Of no lines the line before is named.
        format!("{},{here}", before + usize::from(here > 0))
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "@@ -{} +{} @@", place(Side::New), place(Side::Old));
    for (side, line) in &edits[from..to] {
        let mark = match side {
            Side::Both => ' ',
            Side::Old => '-',
            Side::New => '+',
        };
        out.push(mark);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// The shortest way from one to the other, by the longest common subsequence.
fn edits<'a>(old: &'a [String], new: &'a [String]) -> Vec<(Side, &'a str)> {
    let of = |side, lines: &'a [String]| lines.iter().map(move |line| (side, line.as_str()));
    if old.len().max(new.len()) > LINES_MAX {
        return of(Side::Old, old).chain(of(Side::New, new)).collect();
    }
    let width = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * width + j] = if old[i] == new[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut edits) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            edits.push((Side::Both, old[i].as_str()));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            edits.push((Side::Old, old[i].as_str()));
            i += 1;
        } else {
            edits.push((Side::New, new[j].as_str()));
            j += 1;
        }
    }
    edits.extend(of(Side::Old, &old[i..]));
    edits.extend(of(Side::New, &new[j..]));
    edits
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(old: Option<&str>, new: Option<&str>, expect: &Expect) {
        expect.assert_eq(&unified(Path::new("/etc/x"), old, new));
    }

    #[test]
    fn as_diff_shows_it() {
        check(Some("a\n"), Some("a\n"), &expect![""]);
        check(
            None,
            Some("a\nb\n"),
            &expect![[r#"
            --- /dev/null
            +++ /etc/x
            @@ -0,0 +1,2 @@
            +a
            +b
        "#]],
        );
        check(
            Some("a\n"),
            None,
            &expect![[r#"
            --- /etc/x
            +++ /dev/null
            @@ -1,1 +0,0 @@
            -a
        "#]],
        );
        check(
            Some("a\nb\nc\n"),
            Some("a\nB\nc"),
            &expect![[r#"
            --- /etc/x
            +++ /etc/x
            @@ -1,3 +1,3 @@
             a
            -b
            -c
            +B
            +c
            \ No newline at end of file
        "#]],
        );
        let long: String = (0..20).map(|n| format!("{n}\n")).collect();
        check(
            Some(&long),
            Some(&long.replace("2\n", "x\n").replace("18\n", "")),
            &expect![[r#"
            --- /etc/x
            +++ /etc/x
            @@ -1,6 +1,6 @@
             0
             1
            -2
            +x
             3
             4
             5
            @@ -10,11 +10,10 @@
             9
             10
             11
            -12
            +1x
             13
             14
             15
             16
             17
            -18
             19
        "#]],
        );
    }

    proptest::proptest! {
        /// Whoever applies the difference gets the new text.
        #[test]
        fn it_leads_from_one_to_the_other(old in "([ab]\n){0,8}[ab]?", new in "([ab]\n){0,8}[ab]?") {
            let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
            let (old, new) = (lines(&old), lines(&new));
            let edits = edits(&old, &new);
            let side = |not| edits.iter().filter(|(side, _)| *side != not).map(|(_, line)| *line).collect::<String>();
            proptest::prop_assert_eq!(side(Side::New), old.concat());
            proptest::prop_assert_eq!(side(Side::Old), new.concat());
        }
    }
}
