//! Owns asking a PostgreSQL database whether it takes connections, and who holds locks that others wait for.
//!
//! Of the protocol (version 3) only the start of a session and one question are spoken: a message is a letter, its length
//! in four bytes with itself, and its body; the first one has no letter. A database that asks for a password that is not known
//! here takes connections. Where it lets the user in, it is asked for locks and for its work as well. A password is proven
//! and never sent: a database that wants to be told it (in the clear, or its MD5) is not. Whether the session is private is
//! decided as libpq does, by `sslmode`.

mod activity;
mod place;
mod scram;
mod wire;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::dig::CertificateFault;
use crate::reason;
use crate::report::Verdict;
use crate::target::Password;
use place::{Place, Way};
use scram::Scram;
use wire::{Missing, Wire};

pub(crate) use activity::Activity;

const VERSION_3: i32 = 196_608;
/// Nothing that is asked here has a longer answer.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// A session begins with some dozen parameters.
const MESSAGES_MAX: usize = 200;

/// Who keeps others waiting for a second or longer: the holder, how many wait, and for how many seconds at most.
const LOCKS: &str = "SELECT holder.pid, count(*), max(extract(epoch FROM clock_timestamp() - waiting.state_change))::int \
    FROM pg_stat_activity AS waiting CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS holder(pid) \
    WHERE waiting.wait_event_type = 'Lock' AND waiting.state_change < clock_timestamp() - interval '1 second' \
    GROUP BY 1 ORDER BY 2 DESC LIMIT 1";

/// What was seen on the way, beside the verdict.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Whether its certificate is good; none where nobody looks at that.
    pub(crate) certificate: Option<Result<(), CertificateFault>>,
    pub(crate) activity: Activity,
}

/// How a session ended.
enum Outcome {
    Said(Verdict),
    /// Nobody comes in this way (`pg_hba.conf`), and perhaps another.
    NotThisWay(Verdict),
}

/// What is wrong with an address, before anything is asked.
pub fn postgres_problem(address: &str) -> Option<String> {
    Place::of(address).err()
}

/// Healthy when it takes connections.
pub(crate) async fn ask(address: &str, password: Option<&Password>) -> Verdict {
    begin(address, password, &mut Seen::default(), false).await
}

/// The same, and asks who holds what others wait for, and what it works on; what was answered until the deadline stays.
pub(crate) async fn dig(address: &str, password: Option<&Password>, seen: &mut Seen) -> Verdict {
    begin(address, password, seen, true).await
}

async fn begin(address: &str, password: Option<&Password>, seen: &mut Seen, is_deep: bool) -> Verdict {
    let place = match Place::of(address) {
        Ok(place) => place,
        Err(why) => return Verdict::unknown(why),
    };
    // That it is not known says nothing about the database.
    let password = match password {
        Some(password) => password.reveal().await.map(Some),
        None => Ok(None),
    };
    let known = password.as_ref().ok().and_then(|known| known.as_deref());
    let mut verdict = Verdict::unknown("it was not asked");
    for way in place.mode.ways() {
        match one_way(&place, *way, known, seen, is_deep).await {
            Outcome::Said(said) => {
                verdict = said;
                break;
            }
            Outcome::NotThisWay(said) => verdict = said,
        }
    }
    match password {
        Err(why) if verdict.health.is_well() => {
            Verdict::healthy(format!("it takes connections, and its password is not known: {why}"))
        }
        _ => verdict,
    }
}

async fn one_way(
    place: &Place<'_>,
    way: Way,
    password: Option<&str>,
    seen: &mut Seen,
    is_deep: bool,
) -> Outcome {
    let (stream, is_checked) = match wire::open(place, way).await {
        Ok(opened) => opened,
        Err(Missing::Broken(error)) => return Outcome::Said(Verdict::unhealthy(reason::of_error(&error))),
        Err(Missing::NoTls) => {
            let why = format!("it speaks no TLS, and `sslmode={}` wants it", place.mode);
            return Outcome::Said(Verdict::unhealthy(why));
        }
        Err(Missing::NoRoots(why)) => {
            return Outcome::Said(Verdict::unknown(format!("whom to trust is not known: {why}")));
        }
        Err(Missing::Refused { why, fault }) => {
            seen.certificate = fault.map(Err);
            let verdict = Verdict::unhealthy(why);
            // As libpq does: who only prefers it goes on without.
            return if way == Way::PrivateIfOffered {
                Outcome::NotThisWay(verdict)
            } else {
                Outcome::Said(verdict)
            };
        }
    };
    if is_checked {
        seen.certificate = Some(Ok(()));
    }
    let activity = is_deep.then_some(&mut seen.activity);
    match Session(stream).begin(place, password, activity).await {
        Ok(outcome) => outcome,
        Err(error) => {
            Outcome::Said(Verdict::unhealthy(format!("the database broke off: {}", reason::of_error(&error))))
        }
    }
}

/// The first message of a session.
fn startup(place: &Place<'_>) -> Vec<u8> {
    let mut body = VERSION_3.to_be_bytes().to_vec();
    for word in ["user", place.user, "database", place.database, "application_name", "paramedic"] {
        body.extend(word.as_bytes());
        body.push(0);
    }
    body.push(0);
    framed(None, &body)
}

struct Session(Box<dyn Wire>);

// === impl Session ===

impl Session {
    async fn begin(
        &mut self,
        place: &Place<'_>,
        password: Option<&str>,
        activity: Option<&mut Activity>,
    ) -> std::io::Result<Outcome> {
        self.0.write_all(&startup(place)).await?;
        let mut scram = password.and_then(|password| Scram::begin(place.user, password));
        for _ in 0..MESSAGES_MAX {
            let (letter, body) = self.message().await?;
            match letter {
                b'E' => return Ok(refusal(&body)),
                b'R' => match answer(&body, scram.as_mut()) {
                    Wanted::Nothing => {}
                    Wanted::This(body) => self.0.write_all(&framed(Some(b'p'), &body)).await?,
                    Wanted::Password(how) => {
                        return Ok(Outcome::Said(Verdict::healthy(format!(
                            "it takes connections, and {how}"
                        ))));
                    }
                },
                b'Z' => {
                    let verdict = match activity {
                        None => None,
                        Some(activity) => self.deep(activity).await?,
                    };
                    self.0.write_all(&framed(Some(b'X'), &[])).await?;
                    return Ok(Outcome::Said(
                        verdict.unwrap_or_else(|| Verdict::healthy("it takes connections")),
                    ));
                }
                _ => {}
            }
        }
        Ok(Outcome::Said(Verdict::unhealthy("the database says much and nothing that is asked for")))
    }

    /// Who keeps others waiting, and what the database works on; a question that it does not answer is left out.
    async fn deep(&mut self, activity: &mut Activity) -> std::io::Result<Option<Verdict>> {
        self.row(activity::QUIET).await?;
        let locks = self.row(LOCKS).await?;
        activity.longest = self.row(activity::LONGEST).await?;
        activity.hits = self.row(activity::HITS).await?;
        activity.connections = self.row(activity::CONNECTIONS).await?;
        activity.statement = self.row(activity::STATEMENTS).await?;
        let [Some(holder), Some(count), Some(seconds)] = locks.as_slice() else { return Ok(None) };
        Ok(Some(Verdict::unhealthy(format!(
            "{count} transactions wait for the one of backend {holder}, {seconds} s so far"
        ))))
    }

    /// The last row of an answer; an empty one where there is none, or the user may not know.
    async fn row(&mut self, question: &str) -> std::io::Result<Vec<Option<String>>> {
        let body = [question.as_bytes(), &[0]].concat();
        self.0.write_all(&framed(Some(b'Q'), &body)).await?;
        let mut found = Vec::new();
        for _ in 0..MESSAGES_MAX {
            match self.message().await? {
                (b'D', body) => found = columns(&body),
                (b'Z', _) => return Ok(found),
                _ => {}
            }
        }
        Err(std::io::Error::other("its answer has no end"))
    }

    async fn message(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let letter = self.0.read_u8().await?;
        let length = usize::try_from(self.0.read_i32().await?).unwrap_or(0);
        let Some(length) = length.checked_sub(4).filter(|length| *length <= MESSAGE_BYTES_MAX) else {
            return Err(std::io::Error::other("it speaks no PostgreSQL"));
        };
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok((letter, body))
    }
}

/// What a database wants to have before it lets somebody in.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    /// The next word of the proof.
    This(Vec<u8>),
    /// Something that it is not given.
    Password(&'static str),
}

/// The answer to a message about who we are: four bytes say what is wanted.
fn answer(body: &[u8], scram: Option<&mut Scram<'_>>) -> Wanted {
    let Some((head, rest)) = body.split_first_chunk::<4>() else { return Wanted::Nothing };
    let text = std::str::from_utf8(rest).unwrap_or_default();
    match (i32::from_be_bytes(*head), scram) {
        (0, _) => Wanted::Nothing,
        (_, None) => Wanted::Password("asks for a password"),
        (10, Some(scram)) if text.split('\0').any(|name| name == scram::MECHANISM) => {
            let word = scram.first();
            let length = i32::try_from(word.len()).unwrap_or(i32::MAX).to_be_bytes();
            Wanted::This([scram::MECHANISM.as_bytes(), &[0], &length, word.as_bytes()].concat())
        }
        (11, Some(scram)) => scram
            .proof(text)
            .map_or(Wanted::Password("asks for a proof of its password that would give it away"), |word| {
                Wanted::This(word.into_bytes())
            }),
        (12, Some(scram)) if scram.is_proven(text) => Wanted::Nothing,
        (12, Some(_)) => Wanted::Password("does not know its own password: it may be another one"),
        (_, Some(_)) => {
            Wanted::Password("wants to be told the password, and not that it is known (SCRAM-SHA-256)")
        }
    }
}

fn framed(letter: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap_or(i32::MAX);
    let mut bytes: Vec<u8> = letter.into_iter().collect();
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The fields of an error are letters with texts: `C` is its code, `M` what it says.
fn refusal(body: &[u8]) -> Outcome {
    let field = |letter: u8| {
        let found = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(&[letter]));
        found.map(|text| reason::tidy(&String::from_utf8_lossy(text))).unwrap_or_default()
    };
    let (code, says) = (field(b'C'), field(b'M'));
    let verdict = match code.as_str() {
        "53300" => Verdict::unhealthy(format!("the database has no connection left: {says} ({code})")),
        // Who is known and may not come in, or to which database, it decides as it should.
        _ if code.starts_with("28") || code == "3D000" => {
            Verdict::healthy(format!("it takes connections, and not ours: {says} ({code})"))
        }
        _ => Verdict::unhealthy(format!("the database refuses: {says} ({code})")),
    };
    // What `pg_hba.conf` has no line for is told so, before any password.
    if code == "28000" { Outcome::NotThisWay(verdict) } else { Outcome::Said(verdict) }
}

/// A row is the number of its columns, then each with its length; -1 is none.
fn columns(body: &[u8]) -> Vec<Option<String>> {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*head);
        let Ok(length) = usize::try_from(length) else {
            found.push(None);
            rest = tail;
            continue;
        };
        let Some((text, after)) = tail.split_at_checked(length) else { break };
        found.push(Some(String::from_utf8_lossy(text).into_owned()));
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Health;

    #[test]
    fn refusals() {
        let check = |code: &str, health, word: &str| {
            let text = format!("SFATAL\0C{code}\0Mbecause\0\0");
            let (verdict, is_final) = match refusal(text.as_bytes()) {
                Outcome::Said(verdict) => (verdict, true),
                Outcome::NotThisWay(verdict) => (verdict, false),
            };
            assert_eq!(is_final, code != "28000");
            assert!(verdict.health == health && verdict.reason.contains(word), "{verdict:?}");
        };
        check("53300", Health::Unhealthy, "no connection left: because (53300)");
        check("57P03", Health::Unhealthy, "refuses");
        check("28P01", Health::Healthy, "not ours");
        check("28000", Health::Healthy, "not ours");
        check("3D000", Health::Healthy, "not ours");
        check("", Health::Unhealthy, "refuses");
    }

    #[test]
    fn a_password_is_proven_and_never_told() {
        let wanted = |code: i32, rest: &[u8], password: Option<&str>| {
            let mut scram = password.and_then(|password| Scram::begin("ann", password));
            answer(&[&code.to_be_bytes()[..], rest].concat(), scram.as_mut())
        };
        assert_eq!(wanted(0, b"", None), Wanted::Nothing);
        for code in [3, 5, 10] {
            let mechanisms = b"SCRAM-SHA-256\0\0";
            assert_eq!(wanted(code, mechanisms, None), Wanted::Password("asks for a password"));
        }
        let Wanted::This(first) = wanted(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", Some("pencil")) else {
            panic!("it is known how")
        };
        assert!(first.starts_with(b"SCRAM-SHA-256\0\0\0\0"), "{first:?}");
        for (code, rest) in [(3, &b""[..]), (5, b"salt"), (10, b"SCRAM-SHA-1\0\0"), (11, b"odd"), (12, b"v=")]
        {
            assert!(matches!(wanted(code, rest, Some("pencil")), Wanted::Password(_)), "{code}");
        }
        assert_eq!(answer(b"", None), Wanted::Nothing);
    }

    #[test]
    fn rows() {
        let row = [&[0, 3][..], &[0, 0, 0, 2], b"42", &[255; 4], &[0, 0, 0, 1], b"7"].concat();
        assert_eq!(columns(&row), [Some("42".to_owned()), None, Some("7".to_owned())]);
        assert!(columns(&[0, 1, 0, 0, 0, 9, 1]).is_empty() && columns(&[]).is_empty());
    }

    #[tokio::test]
    async fn who_is_no_database() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let verdict = dig(&address, None, &mut Seen::default()).await;
        assert!(
            verdict.reason.contains("no postgresql") && verdict.health == Health::Unhealthy,
            "{verdict:?}"
        );
        answering.await.unwrap();
        assert!(postgres_problem("db").is_some() && postgres_problem(&address).is_none());
    }
}
