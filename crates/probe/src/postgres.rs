//! Owns asking a PostgreSQL database whether it takes connections, and who holds locks that others wait for.
//!
//! Of the protocol (version 3) only the start of a session and one question are spoken: a message is a letter, its length
//! in four bytes with itself, and its body; the first one has no letter. No password is known here: a database that asks
//! for one takes connections. Where it lets the user in without, it is asked for locks and for its work as well.

mod activity;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::network_checks::host_and_port;
use crate::reason;
use crate::report::Verdict;

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

/// Where a database is, and as whom it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place<'p> {
    user: &'p str,
    host: &'p str,
    port: u16,
    database: &'p str,
}

/// Healthy when it takes connections.
pub(crate) async fn ask(address: &str) -> Verdict {
    begin(address, None).await
}

/// The same, and asks who holds what others wait for, and what it works on; what was answered until the deadline stays.
pub(crate) async fn dig(address: &str, activity: &mut Activity) -> Verdict {
    begin(address, Some(activity)).await
}

async fn begin(address: &str, activity: Option<&mut Activity>) -> Verdict {
    let Some(place) = Place::of(address) else {
        return Verdict::unknown(format!("`{}` is not [USER@]HOST:PORT[/DATABASE]", reason::tidy(address)));
    };
    let connected = TcpStream::connect((place.host, place.port)).await;
    let mut session = match connected {
        Ok(stream) => Session(stream),
        Err(error) => return Verdict::unhealthy(reason::of_error(&error)),
    };
    match session.begin(&place, activity).await {
        Ok(verdict) => verdict,
        Err(error) => Verdict::unhealthy(format!("the database broke off: {}", reason::of_error(&error))),
    }
}

// === impl Place ===

impl<'p> Place<'p> {
    fn of(address: &'p str) -> Option<Self> {
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| address.strip_prefix(scheme));
        let rest = rest.unwrap_or(address);
        let (user, rest) = rest.rsplit_once('@').unwrap_or(("postgres", rest));
        let (place, database) = rest.split_once('/').unwrap_or((rest, user));
        let (host, port) = host_and_port(place)?;
        let plain = |text: &str| !text.is_empty() && !text.contains([':', '\0', '?', '/']);
        (plain(user) && plain(database)).then_some(Self { user, host, port, database })
    }

    fn startup(&self) -> Vec<u8> {
        let mut body = VERSION_3.to_be_bytes().to_vec();
        for word in ["user", self.user, "database", self.database, "application_name", "paramedic"] {
            body.extend(word.as_bytes());
            body.push(0);
        }
        body.push(0);
        framed(None, &body)
    }
}

struct Session(TcpStream);

// === impl Session ===

impl Session {
    async fn begin(
        &mut self,
        place: &Place<'_>,
        activity: Option<&mut Activity>,
    ) -> std::io::Result<Verdict> {
        self.0.write_all(&place.startup()).await?;
        for _ in 0..MESSAGES_MAX {
            let (letter, body) = self.message().await?;
            match letter {
                b'E' => return Ok(refusal(&body)),
                b'R' if body.get(..4) != Some(&[0; 4]) => {
                    return Ok(Verdict::healthy("it takes connections, and asks for a password"));
                }
                b'Z' => {
                    let verdict = match activity {
                        None => None,
                        Some(activity) => self.deep(activity).await?,
                    };
                    self.0.write_all(&framed(Some(b'X'), &[])).await?;
                    return Ok(verdict.unwrap_or_else(|| Verdict::healthy("it takes connections")));
                }
                _ => {}
            }
        }
        Ok(Verdict::unhealthy("the database says much and nothing that is asked for"))
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

fn framed(letter: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap_or(i32::MAX);
    let mut bytes: Vec<u8> = letter.into_iter().collect();
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The fields of an error are letters with texts: `C` is its code, `M` what it says.
fn refusal(body: &[u8]) -> Verdict {
    let field = |letter: u8| {
        let found = body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(&[letter]));
        found.map(|text| reason::tidy(&String::from_utf8_lossy(text))).unwrap_or_default()
    };
    let (code, says) = (field(b'C'), field(b'M'));
    match code.as_str() {
        "53300" => Verdict::unhealthy(format!("the database has no connection left: {says} ({code})")),
        // Who is known and may not come in, or to which database, it decides as it should.
        _ if code.starts_with("28") || code == "3D000" => {
            Verdict::healthy(format!("it takes connections, and not ours: {says} ({code})"))
        }
        _ => Verdict::unhealthy(format!("the database refuses: {says} ({code})")),
    }
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
    fn places() {
        let place = |address| Place::of(address).map(|at| (at.user, at.host, at.port, at.database));
        assert_eq!(place("db:5432"), Some(("postgres", "db", 5432, "postgres")));
        assert_eq!(place("ann@[::1]:5432/notes"), Some(("ann", "::1", 5432, "notes")));
        assert_eq!(place("postgres://ann@db:1/x"), Some(("ann", "db", 1, "x")));
        for odd in ["", "db", "db:x", "@db:1", "ann:secret@db:1", "db:1/x?y=z"] {
            assert_eq!(place(odd), None, "{odd}");
        }
    }

    #[test]
    fn refusals() {
        let check = |code: &str, health, word: &str| {
            let verdict = refusal(format!("SFATAL\0C{code}\0Mbecause\0\0").as_bytes());
            assert!(verdict.health == health && verdict.reason.contains(word), "{verdict:?}");
        };
        check("53300", Health::Unhealthy, "no connection left: because (53300)");
        check("57P03", Health::Unhealthy, "refuses");
        check("28P01", Health::Healthy, "not ours");
        check("3D000", Health::Healthy, "not ours");
        check("", Health::Unhealthy, "refuses");
        assert_eq!(refusal(b"").health, Health::Unhealthy);
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
        let verdict = dig(&address, &mut Activity::default()).await;
        assert!(verdict.reason.contains("broke off") && verdict.health == Health::Unhealthy, "{verdict:?}");
        answering.await.unwrap();
    }
}
