//! Owns who may use `/admin` over TCP: who shows the token, or a process on this machine of root or the guard's own user.
//!
//! The kernel knows whose the other end of a connection on this machine is, so plain `curl` works for whoever could
//! send the guard signals as well, and for nobody else. A request with an `Origin` comes from a web page, and is refused
//! whoever runs the browser. A wrong token is refused wherever it comes from.

use std::net::SocketAddr;

use host::{Roots, connection_uid};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use crate::metrics::Failure;
use crate::own::Own;

/// What proxies say of whom they speak for: their own user says nothing then.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
}

/// Why somebody may not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) code: StatusCode,
    pub(crate) reason: String,
    pub(crate) failure: Failure,
}

// === impl Ends ===

impl Ends {
    /// Whether both ends are on this machine, as far as addresses tell.
    pub(crate) fn are_local(self) -> bool {
        let client = self.client.ip().to_canonical();
        client.is_loopback() || client == self.server.ip().to_canonical()
    }
}

/// Who calls, in words; or why they may not. Blocks for a moment: it may read a table of the kernel.
pub(crate) fn who(own: &Own, head: &Parts, ends: Ends, roots: &Roots) -> Result<String, Denied> {
    let forbidden = |reason: &str| Denied {
        code: StatusCode::FORBIDDEN,
        reason: reason.to_owned(),
        failure: Failure::Authorization,
    };
    if head.headers.contains_key(header::ORIGIN) {
        return Err(Denied { failure: Failure::Security, ..forbidden("no web page may use /admin") });
    }
    if let Some(shown) = token(&head.headers) {
        return match shown.is_some_and(|shown| own.is_token(shown)) {
            true => Ok(format!("the admin token from {}", ends.client.ip())),
            false => Err(Denied {
                code: StatusCode::UNAUTHORIZED,
                reason: "this is not the token of this guard".to_owned(),
                failure: Failure::Authentication,
            }),
        };
    }
    let instead = match own.has_token() {
        true => "show the token (Authorization: Bearer …), or call it on the machine itself",
        false => "call it on the machine itself; this guard has no token",
    };
    if let Some(name) = FORWARDED.into_iter().find(|name| head.headers.contains_key(*name)) {
        return Err(forbidden(&format!(
            "a proxy has passed this on (`{name}`), and may be anybody's: {instead}"
        )));
    }
    if !ends.are_local() {
        return Err(forbidden(&format!("/admin is not for {}: {instead}", ends.client.ip())));
    }
    let user = rustix::process::geteuid().as_raw();
    match connection_uid(roots, ends.client, ends.server) {
        Some(uid) if uid == 0 || uid == user => Ok(format!("a process of user {uid}")),
        Some(uid) => {
            let only = if user == 0 { "root" } else { "root and the user of the guard" };
            Err(forbidden(&format!("/admin is for {only}, and not for user {uid}: {instead}")))
        }
        None => Err(forbidden(&format!("whose connection this is cannot be seen: {instead}"))),
    }
}

/// The user whose process on this machine is at the other end, if it is root or the guard's own. Blocks for a moment.
pub(crate) fn own_user(ends: Ends, roots: &Roots) -> Option<u32> {
    let user = rustix::process::geteuid().as_raw();
    let found = ends.are_local().then(|| connection_uid(roots, ends.client, ends.server))?;
    found.filter(|uid| *uid == 0 || *uid == user)
}

/// Whether a proxy says that it has passed a request on: its own user says nothing then.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    FORWARDED.into_iter().any(|name| headers.contains_key(name))
}

/// What the header `Authorization` shows, where there is one: none where that is no single bearer token.
pub(crate) fn token(headers: &HeaderMap) -> Option<Option<&str>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next()?;
    let only = values.next().is_none();
    let bearer = first.to_str().ok().and_then(|text| text.split_once(' '));
    Some(
        bearer
            .filter(|(scheme, _)| only && scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim()),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};

    use host::Roots;
    use http::Request;
    use http::request::Parts;

    use super::{Ends, who};
    use crate::own::Own;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::builder(), |all, (name, value)| all.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    /// The kernel's table with one connection of this user.
    fn table(uid: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("proc/net")).unwrap();
        let row = format!(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:9C40 0100007F:1FA5 01 00000000:00000000 00:00000000 00000000 {uid:5}        0 4242 1 0\n"
        );
        fs::write(folder.path().join("proc/net/tcp"), row).unwrap();
        folder
    }

    #[test]
    fn only_root_the_own_user_and_the_token() {
        let local =
            Ends { client: "127.0.0.1:40000".parse().unwrap(), server: "127.0.0.1:8101".parse().unwrap() };
        let remote = Ends { client: "192.0.2.9:40000".parse().unwrap(), ..local };
        let own = Own::with_token("0123456789abcdef");
        let user = rustix::process::geteuid().as_raw();
        let right = ("authorization", "Bearer 0123456789abcdef");
        for (uid, ends, headers, expect) in [
            (0, local, vec![], 200),
            (user, local, vec![], 200),
            (user + 1, local, vec![], 403),
            (user + 1, local, vec![right], 200),
            (0, remote, vec![], 403),
            (0, remote, vec![right], 200),
            (0, local, vec![("authorization", "Bearer wrong")], 401),
            (0, local, vec![("authorization", "Basic 0123456789abcdef")], 401),
            (0, local, vec![right, right], 401),
            (0, local, vec![("origin", "http://localhost")], 403),
            (0, local, vec![right, ("origin", "null")], 403),
            (0, local, vec![("x-forwarded-for", "192.0.2.9")], 403),
            (0, local, vec![right, ("x-forwarded-for", "192.0.2.9")], 200),
        ] {
            let folder = table(uid);
            let roots = Roots::below(folder.path());
            let found =
                who(&own, &head(&headers), ends, &roots).map_or_else(|denied| denied.code.as_u16(), |_| 200);
            assert_eq!(found, expect, "{uid} {ends:?} {headers:?}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(who(&own, &head(&[]), local, &Roots::below(empty.path())).is_err(), "nobody knows");
        assert!(who(&Own::default(), &head(&[right]), local, &Roots::below(table(0).path())).is_err());
    }

    #[test]
    fn a_real_connection_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ends = Ends { client: stream.local_addr().unwrap(), server: stream.peer_addr().unwrap() };
        let user = rustix::process::geteuid().as_raw();
        let found = who(&Own::default(), &head(&[]), ends, &Roots::default());
        assert_eq!(found.unwrap(), format!("a process of user {user}"));
    }
}
