//! Owns telling systemd how this process is (`Type=notify`): ready, alive, stopping, and a line for people.
//!
//! systemd names a datagram socket in `NOTIFY_SOCKET`; each message is lines `NAME=VALUE`. That is all of it, so no
//! library is needed.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// systemd reads its socket all the time; where it does not, nobody waits for it longer than this.
const SEND_MAX: Duration = Duration::from_secs(1);

/// The longest line for people, in bytes.
const STATUS_BYTES_MAX: usize = 512;

/// The way to whoever has started us.
#[derive(Debug)]
pub struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
}

// === impl Notifier ===

impl Notifier {
    /// `address` is what stands in `NOTIFY_SOCKET`: a path, or a name in the abstract namespace, which begins with `@`.
    ///
    /// # Errors
    /// When it is neither, or no socket can be made.
    pub fn new(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is no path and no abstract name",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_MAX))?;
        Ok(Self { socket, address })
    }

    /// It does now what it was started for.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn ready(&self) -> io::Result<()> {
        self.send("READY=1")
    }

    /// It is alive. To be said at least twice in the time of [`watchdog`].
    ///
    /// # Errors
    /// When nobody listens.
    pub fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    /// It is about to end.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    /// A line for people, which `systemctl status` shows. What would end the line is a space in it.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn status(&self, line: &str) -> io::Result<()> {
        let mut line = line.replace(char::is_control, " ");
        line.truncate(line.floor_char_boundary(STATUS_BYTES_MAX));
        self.send(&format!("STATUS={line}"))
    }

    fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}

/// How long systemd waits between two signs of life of process `pid`, by what stands in `WATCHDOG_USEC` and
/// `WATCHDOG_PID`; none where it waits for none of it.
pub fn watchdog(usec: Option<&str>, for_pid: Option<&str>, pid: u32) -> Option<Duration> {
    let us: u64 = usec?.parse().ok()?;
    let is_meant = for_pid.is_none_or(|meant| meant.parse() == Ok(pid));
    (us > 0 && is_meant).then(|| Duration::from_micros(us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn heard(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_path_and_an_abstract_name_are_reached() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("paramedic-notify-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (listener, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str().to_owned()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}").into()),
        ] {
            let notifier = Notifier::new(&address).unwrap();
            notifier.ready().unwrap();
            notifier.alive().unwrap();
            notifier.status("two\nlines").unwrap();
            notifier.status(&"ö".repeat(1000)).unwrap();
            notifier.stopping().unwrap();
            assert_eq!(heard(&listener), "READY=1");
            assert_eq!(heard(&listener), "WATCHDOG=1");
            assert_eq!(heard(&listener), "STATUS=two lines");
            assert_eq!(heard(&listener), format!("STATUS={}", "ö".repeat(256)));
            assert_eq!(heard(&listener), "STOPPING=1");
        }
    }

    #[test]
    fn an_address_that_is_none_is_an_error() {
        for address in ["", "notify", "vsock:2:1234"] {
            assert!(Notifier::new(OsStr::new(address)).is_err(), "{address}");
        }
        let nobody = Notifier::new(OsStr::new("/nonexistent/notify")).unwrap();
        assert!(nobody.ready().is_err());
    }

    #[test]
    fn the_watchdog_is_ours_or_there_is_none() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        for (usec, pid) in
            [(Some("1000000"), Some("8")), (Some("0"), None), (Some("x"), None), (None, Some("7"))]
        {
            assert_eq!(watchdog(usec, pid, 7), None);
        }
    }
}
