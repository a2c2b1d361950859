//! What a service manager hears of this process, by systemd's notify protocol.

use crate::say;
use rustix::time::{ClockId, clock_gettime};
use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// How long a service manager that does not read is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is told regularly is told at least so often.
const PAUSE: Duration = Duration::from_secs(30);
/// While a process takes long to end, its service manager gives it so much more time with each word.
const MORE_TIME: Duration = Duration::from_secs(120);

/// The way to a service manager, where there is one. It is told as well as can be: a word that does not arrive is no reason
/// to do anything else.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How long it waits for a word at most.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say. They stay in the environment, for the program that may take
    /// this one's place in the same process.
    pub(crate) fn of_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|address| {
            let opened = open(&address);
            let failed = |error| {
                say::note(format_args!("roundhouse: no word to the service manager: NOTIFY_SOCKET: {error}"));
            };
            opened.map_err(failed).ok()
        });
        let own = std::process::id().to_string();
        let watchdog = watchdog(|name| std::env::var(name).ok(), &own);
        Self { socket, watchdog }
    }

    /// Whether there is anybody.
    pub(crate) fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    /// It does what it is there for, or does so again.
    pub(crate) fn ready(&self) {
        self.tell("READY=1");
    }

    /// What it does, in a line.
    pub(crate) fn status(&self, line: &str) {
        self.tell(&format!("STATUS={}", one_line(line)));
    }

    /// It begins anew, and says when it is ready.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=reloading"));
    }

    /// It goes on as it was.
    pub(crate) fn not_reloaded(&self, why: &str) {
        self.tell(&format!("READY=1\nSTATUS=not reloaded: {}", one_line(why)));
    }

    /// It ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// How long to wait at most before it says again that it lives.
    pub(crate) fn pause(&self) -> Duration {
        self.watchdog.map_or(PAUSE, |watchdog| (watchdog / 3).min(PAUSE))
    }

    /// It lives; where it takes long to end, it asks for more time.
    pub(crate) fn alive(&self, is_ending: bool) {
        let more_time = format!("EXTEND_TIMEOUT_USEC={}", MORE_TIME.as_micros());
        let words = [(self.watchdog.is_some(), "WATCHDOG=1"), (is_ending, &more_time)];
        let words: Vec<_> = words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect();
        if !words.is_empty() {
            self.tell(&words.join("\n"));
        }
    }

    fn tell(&self, words: &str) {
        if let Some((socket, address)) = &self.socket {
            // Whoever should hear it may be starting again.
            let _ = socket.send_to_addr(words.as_bytes(), address);
        }
    }
}

/// A path, or a name without one after `@`.
fn open(address: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(address)?,
        _ => return Err(io::Error::other("neither a path nor an abstract name of a unix socket")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok((socket, address))
}

/// A watchdog of another process is none of this one's.
fn watchdog(variable: impl Fn(&str) -> Option<String>, own: &str) -> Option<Duration> {
    let is_ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == own);
    let microseconds = variable("WATCHDOG_USEC")?.parse().ok().filter(|usec| *usec > 0)?;
    is_ours.then_some(Duration::from_micros(microseconds))
}

/// A line break would begin another word of the protocol.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut words = [0; 512];
        let length = socket.recv(&mut words).unwrap();
        String::from_utf8_lossy(&words[..length]).into_owned()
    }

    fn notifier(address: &OsStr, watchdog: Option<Duration>) -> Notifier {
        Notifier { socket: Some(open(address).unwrap()), watchdog }
    }

    #[test]
    fn every_word_is_heard_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("roundhouse-notify-{}", std::process::id());
        let hidden = SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&hidden).unwrap(), format!("@{name}").into()),
        ];
        for (socket, address) in sockets {
            let notifier = notifier(&address, Some(Duration::from_secs(6)));
            notifier.ready();
            assert_eq!(heard(&socket), "READY=1");
            notifier.status("one\nREADY=1");
            assert_eq!(heard(&socket), "STATUS=one READY=1");
            notifier.alive(false);
            assert_eq!(heard(&socket), "WATCHDOG=1");
            notifier.alive(true);
            assert_eq!(heard(&socket), "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=120000000");
            notifier.reloading();
            assert!(heard(&socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
            assert_eq!(notifier.pause(), Duration::from_secs(2));
        }
    }

    #[test]
    fn nobody_is_told_anything_where_nobody_listens() {
        notifier("/no/such/socket".as_ref(), None).ready();
        assert_eq!(open("vsock:2:1".as_ref()).unwrap_err().kind(), io::ErrorKind::Other);
    }

    #[test]
    fn a_watchdog_is_fed_by_the_process_it_watches() {
        let of = |pid: Option<&str>| {
            watchdog(
                |name| if name == "WATCHDOG_PID" { pid.map(str::to_owned) } else { Some("90".to_owned()) },
                "7",
            )
        };
        assert_eq!([of(None), of(Some("7"))], [Some(Duration::from_micros(90)); 2]);
        assert_eq!(of(Some("8")), None);
        assert_eq!(watchdog(|_| None, "7"), None);
    }
}
