//! Owns noticing that the other end of a connection has gone without a word.

use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// After so long a silence the other end is asked whether it is there; again so often, and so many times.
const KEEPALIVE_SECONDS: [u32; 3] = [30, 10, 3];

/// Lets the kernel find out when the other end has gone without a word: after a minute without a sign of life, the
/// connection breaks, and its session is idle. What cannot be set stays as the system has it.
pub(crate) fn notice_its_end(stream: &TcpStream) {
    let [first, every, count] = KEEPALIVE_SECONDS;
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_secs(first.into()));
    let _ = sockopt::set_tcp_keepintvl(stream, Duration::from_secs(every.into()));
    let _ = sockopt::set_tcp_keepcnt(stream, count);
    // The same where something was sent: otherwise the kernel tries for a quarter of an hour.
    let _ = sockopt::set_tcp_user_timeout(stream, 1000 * (first + every * count));
}
