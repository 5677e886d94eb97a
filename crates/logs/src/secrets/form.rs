//! Owns the list of forms, and how each is told from what only looks like it.
//!
//! Sources: what those who give the tokens out say of them (GitHub 2021-04-05 and npm 2021-09-23 for the checksum, AWS,
//! GitLab, Slack, Stripe, PyPI), RFC 7468 for keys, RFC 7519 for JWT.

/// A form of a secret.
pub(super) struct Form {
    pub(super) name: &'static str,
    /// What is looked for, with classes of ASCII and without groups.
    pub(super) looks: &'static str,
    /// What becomes of a find.
    pub(super) judge: fn(&str) -> Judged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It cannot be anything else.
    Certain,
    /// It may be something else, or is no use by itself.
    Likely,
    /// It stands in the place of one, or is something else.
    None,
}

use Judged::{Certain, Likely};

/// All of them. `redact` hides whatever they find, in any case of letters, whatever is judged of it.
pub(super) const FORMS: [Form; 19] = [
    Form { name: "github-token", looks: r"(?-u:\b)gh[pousr]_[A-Za-z0-9]{20,}", judge: checksummed },
    Form {
        name: "github-token",
        looks: r"(?-u:\b)github_pat_[A-Za-z0-9_]{20,}",
        judge: |text| certain_if(text, text.len() == 93 && text.as_bytes()[33] == b'_'),
    },
    Form { name: "npm-token", looks: r"(?-u:\b)npm_[A-Za-z0-9]{30,}", judge: checksummed },
    Form {
        name: "gitlab-token",
        looks: r"(?-u:\b)gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent)-[A-Za-z0-9_.-]{16,}",
        judge: |text| certain_if(text, text.starts_with("glpat-") && (text.len() == 26 || text.len() > 40)),
    },
    Form {
        name: "slack-token",
        looks: r"(?-u:\b)xox[a-z]-[A-Za-z0-9-]{10,}|(?-u:\b)xapp-[0-9]-[A-Za-z0-9-]{20,}",
        judge: slack,
    },
    Form {
        name: "slack-webhook",
        looks: r"hooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20,}",
        judge: |text| certain_if(text, true),
    },
    Form {
        name: "stripe-key",
        looks: r"(?-u:\b)[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
        judge: |text| certain_if(text, text[2..].starts_with("_live_") && text.len() >= 32),
    },
    Form {
        name: "model-key",
        looks: r"(?-u:\b)sk-[A-Za-z0-9_-]{16,}",
        judge: |text| {
            let is_one = text.len() > 100 && text.starts_with("sk-ant-") || text.contains("T3BlbkFJ");
            certain_if(text, is_one)
        },
    },
    Form {
        name: "pypi-token",
        looks: r"(?-u:\b)pypi-[A-Za-z0-9_-]{50,}",
        // A macaroon, which begins with the name of its index.
        judge: |text| {
            let begins = |with| text["pypi-".len()..].starts_with(with);
            certain_if(text, begins("AgEIcHlwaS5vcmc") || begins("AgENdGVzdC5weXBpLm9yZw"))
        },
    },
    // An id, which is no use without the secret that belongs to it.
    Form {
        name: "aws-key-id",
        looks: r"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)",
        judge: |text| certain_if(text, false),
    },
    Form {
        name: "aws-secret-key",
        looks: r#"(?i:aws_?secret_?(?:access_?)?key|secret_?access_?key)\\?["']?[\t ]*[=:][\t ]*\\?["']?[A-Za-z0-9/+]{40}"#,
        judge: |text| certain_if(&text[text.len() - 40..], true),
    },
    Form {
        name: "google-key",
        looks: r"(?-u:\b)AIza[A-Za-z0-9_-]{35}",
        // Those of maps stand in pages for everybody.
        judge: |text| certain_if(text, false),
    },
    Form {
        name: "google-key",
        looks: r"(?-u:\b)GOCSPX-[A-Za-z0-9_-]{28}",
        judge: |text| certain_if(text, true),
    },
    Form {
        name: "azure-key",
        looks: r"AccountKey=[A-Za-z0-9+/]{86}==",
        judge: |text| certain_if(text, true),
    },
    Form {
        name: "digitalocean-token",
        looks: r"(?-u:\b)do[opr]_v1_[a-f0-9]{64}",
        judge: |text| certain_if(text, true),
    },
    Form {
        name: "sendgrid-key",
        looks: r"(?-u:\b)SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
        judge: |text| certain_if(text, true),
    },
    Form {
        name: "jwt",
        looks: r"(?-u:\b)eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        judge: jwt,
    },
    Form {
        name: "private-key",
        looks: r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\\:,. \t\r\n-]*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\\ \t\r\n]*)",
        judge: private_key,
    },
    Form {
        name: "database-url",
        looks: r#"(?-u:\b)(?i:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|sqlserver|clickhouse|cockroachdb)(?:\+[a-z0-9]+)?://[^\s/@:?#"']*:[^\s/@?#"']+@[A-Za-z0-9.\[\]_-]+"#,
        judge: database_url,
    },
];

/// What is hidden of a text, as rules beside those by names. The last one is: a URL stays but for its user.
pub(crate) fn hidden() -> impl Iterator<Item = &'static str> {
    FORMS.iter().filter(|form| form.name != "database-url").map(|form| form.looks)
}

/// What stands in documents where a secret would.
pub(super) fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let words = [
        "example",
        "xxxx",
        "your",
        "placeholder",
        "redacted",
        "dummy",
        "changeme",
        "000000",
        "1234567",
        "abcdefg",
        "...",
        "****",
    ];
    let mut seen = [false; 256];
    lower.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    words.iter().any(|word| lower.contains(word)) || seen.iter().filter(|seen| **seen).count() < 6
}

/// Of what has the form at large: certain where that is said too. Words are none: there is a digit in any of them.
fn certain_if(text: &str, is_certain: bool) -> Judged {
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    match (is_placeholder(text) || !has_digit, is_certain) {
        (true, _) => Judged::None,
        (false, true) => Certain,
        (false, false) => Likely,
    }
}

/// Four letters, 30 of base 62, and the CRC-32 of those as 6 more: nothing else has it by chance.
fn checksummed(text: &str) -> Judged {
    let is_right = |body: &str, sum: &str| {
        let mut crc = flate2::Crc::new();
        crc.update(body.as_bytes());
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => u64::from(byte - b'0'),
            b'A'..=b'Z' => u64::from(byte - b'A') + 10,
            other => u64::from(other.saturating_sub(b'a')) + 36,
        };
        sum.bytes().fold(0, |value, byte| value * 62 + digit(byte)) == u64::from(crc.sum())
    };
    certain_if(text, text.len() == 40 && is_right(&text[4..34], &text[34..]))
}

/// `xoxb-`, numbers of the workspace and the bot, and a random word.
fn slack(text: &str) -> Judged {
    let parts: Vec<&str> = text.split('-').collect();
    let is_number = |part: &&str| part.len() >= 9 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = (parts.get(1), parts.last().map_or(0, |part| part.len()));
    certain_if(text, parts.len() >= 4 && first.is_some_and(is_number) && last >= 24)
}

/// A head that says how it is signed, and a signature.
fn jwt(text: &str) -> Judged {
    // `{"alg":`, `{"typ":`, `{"kid":`, `{"cty":` and `{"x5t":` in base 64; then an object.
    let heads = ["eyJhbGci", "eyJ0eXAi", "eyJraWQi", "eyJjdHki", "eyJ4NXQi"];
    let mut parts = text.split('.');
    let is_head = parts.next().is_some_and(|head| heads.iter().any(|known| head.starts_with(known)));
    let is_body = parts.next().is_some_and(|body| body.starts_with("eyJ"));
    let is_signed = parts.next().is_some_and(|signature| signature.len() >= 43);
    if is_head && is_body && is_signed { Certain } else { Likely }
}

/// A head is what people talk about; with a line of the key it is one, of which only a password makes something else.
fn private_key(text: &str) -> Judged {
    let body = text.split("-----").nth(2).unwrap_or_default();
    let is_line = |line: &str| line.len() >= 40 && line.bytes().any(|byte| byte.is_ascii_digit());
    let line = body.split([' ', '\t', '\r', '\n', '\\']).find(|line| is_line(line) && !is_placeholder(line));
    match (line, text.contains("ENCRYPTED")) {
        (None, _) => Judged::None,
        (Some(_), true) => Likely,
        (Some(_), false) => Certain,
    }
}

/// With a password that somebody has chosen, of a server that others could reach.
fn database_url(text: &str) -> Judged {
    let Some((user, host)) = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')) else {
        return Judged::None;
    };
    let (name, password) = user.split_once(':').unwrap_or_default();
    let lower = password.to_ascii_lowercase();
    let words = ["password", "passwd", "pass", "secret", "postgres", "root", "admin", "test", "guest", "pwd"];
    if words.contains(&&*lower)
        || lower == name.to_ascii_lowercase()
        || password.contains(['$', '<', '{', '%', '*', '['])
    {
        return Judged::None;
    }
    let is_here =
        ["localhost", "127.0.0.1", "[::1]", "host", "hostname"].contains(&host) || host.contains("example");
    let has_digit = password.bytes().any(|byte| byte.is_ascii_digit());
    let is_sure = password.len() >= 8 && has_digit && !is_here && !is_placeholder(password);
    if is_sure { Certain } else { Likely }
}
