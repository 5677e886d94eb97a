//! Owns what the value of a variable has to be like for an effect to hold.

use serde::Serialize;

/// What a value must be, mildest demand first.
///
/// Operators write `curl -f http://localhost:${PORT}/health`. To call it unknown is useless, to call it safe whatever
/// the value is would be wrong: `PORT='1 -o /etc/passwd'` overwrites a file. So the effect holds as long as the
/// value is harmless, and whoever runs the statement checks that with [`Trust::accepts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// It stands where an option could: it must not begin with `-`.
    Operand,
    /// It names a file that is opened: it must not be a device either.
    File,
    /// It stands unquoted: one plain word, without blanks, patterns or a `-` in front.
    Word,
    /// It is read again by another shell: a name of letters, digits and `._-:/@%+,`.
    Name,
    /// It is evaluated as arithmetic, which can run commands: a whole number.
    Integer,
}

impl Trust {
    /// Whether a value is as harmless as the effect presumes.
    pub fn accepts(self, value: &str) -> bool {
        match self {
            Self::Operand => !value.starts_with('-'),
            Self::File => !value.starts_with('-') && !names_device(value),
            Self::Word => {
                let splits = |c: char| c.is_whitespace() || c.is_control() || "*?[]\\".contains(c);
                !value.is_empty()
                    && !value.starts_with('-')
                    && !names_device(value)
                    && !value.contains(splits)
            }
            Self::Name => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:/@%+,".contains(&b);
                !value.is_empty()
                    && !value.starts_with('-')
                    && !names_device(value)
                    && value.bytes().all(plain)
            }
            Self::Integer => {
                let digits = value.strip_prefix('-').unwrap_or(value);
                (1..=18).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
            }
        }
    }

    /// The same for a value that may have blanks in it, which make several words of it where it stands unquoted.
    pub(super) fn accepts_parts(self, value: &str) -> bool {
        match self {
            Self::Word if !value.trim().is_empty() => {
                value.split([' ', '\t', '\n']).filter(|part| !part.is_empty()).all(|part| self.accepts(part))
            }
            trust => trust.accepts(value),
        }
    }

    /// Returns the demand in words, for a reason.
    pub fn demand(self) -> &'static str {
        match self {
            Self::Operand => "does not begin with `-`",
            Self::File => "names a plain file",
            Self::Word => "is one plain word",
            Self::Name => "is a plain name",
            Self::Integer => "is a whole number",
        }
    }
}

/// Whether a path lies below `/dev`: opening some devices does something (a watchdog starts to bite), and bash opens
/// connections for some names there.
pub(super) fn names_device(path: &str) -> bool {
    const HARMLESS: [&str; 6] =
        ["/dev/null", "/dev/zero", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/urandom"];
    !HARMLESS.contains(&path) && (path.starts_with("dev/") || path.contains("/dev/"))
}

#[cfg(test)]
mod tests {
    use super::Trust;

    #[test]
    fn accepts_what_is_harmless() {
        for (trust, good, bad) in [
            (Trust::Operand, &["a b", "", "/dev/sda"][..], &["-o", "-"][..]),
            (Trust::File, &["/var/log/x y", "/dev/null"], &["-x", "/dev/tcp/h/1", "../dev/watchdog"]),
            (Trust::Word, &["8080", "a.b:c/d=e,f"], &["", "1 -o x", "a*", "-x", "a\tb", "a\nb", "[a]", "?"]),
            (Trust::Name, &["mem-2", "a.b:80/c"], &["", ";reboot", "a b", "-x", "$(x)", "a'b", "ä"]),
            (Trust::Integer, &["0", "-12", "007"], &["", "x", "1+1", "a[$(b)]", "1 2", "-"]),
        ] {
            for value in good {
                assert!(trust.accepts(value), "{trust:?} {value:?}");
            }
            for value in bad {
                assert!(!trust.accepts(value), "{trust:?} {value:?}");
            }
        }
    }
}
