//! Packets with descriptors beside them, over a unix socket that keeps their borders (SEQPACKET).

use rustix::{
    event::{PollFd, PollFlags},
    fs::{Mode, OFlags},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    },
};
use std::{
    ffi::OsString,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
};

/// The largest packet, in bytes.
pub const MAX_PACKET: usize = 64 * 1024;
/// The most descriptors beside one packet.
pub const MAX_DESCRIPTORS: usize = 128;
/// The longest path that fits a socket address, with its NUL.
const MAX_ADDRESS: usize = 108;

/// A socket at a path, to which others connect.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
}

/// What came in one piece.
#[derive(Debug)]
pub struct Packet {
    /// At most [`MAX_PACKET`], never empty.
    pub bytes: Vec<u8>,
    /// Closed on exec, in the order they were sent.
    pub descriptors: Vec<OwnedFd>,
}

/// Who was at the other end when the connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// 0 if it is in another PID namespace.
    pub pid: i32,
    /// Effective.
    pub uid: u32,
    /// Effective.
    pub gid: u32,
}

impl Listener {
    /// Listens at `path`, in the place of whatever socket was there: whoever connects meanwhile meets the old one or
    /// the new one. Every account may connect that can reach the path, so peers must prove who they are.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let (directory, name) = split(path)?;
        let mut fresh = OsString::from(".");
        fresh.push(name);
        fresh.push(format!(".{}", std::process::id()));
        let fresh = directory.join(fresh);
        remove_if_there(&fresh)?;
        let socket = socket()?;
        at_address(&fresh, |address| rustix::net::bind(&socket, address))?;
        rustix::fs::chmod(&fresh, Mode::from_raw_mode(0o666))?;
        rustix::net::listen(&socket, 128)?;
        std::fs::rename(&fresh, path)?;
        Ok(Self { socket })
    }

    /// The next connection; of a nonblocking listener, or [`io::ErrorKind::WouldBlock`].
    pub fn accept(&self) -> io::Result<Connection> {
        let socket = again(|| rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC))?;
        Ok(Connection { socket })
    }

    /// Whether [`accept`](Self::accept) waits.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        set_nonblocking(&self.socket, nonblocking)
    }
}

impl Connection {
    /// Connects to the listener at `path`.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = socket()?;
        at_address(path, |address| again(|| rustix::net::connect(&socket, address)))?;
        Ok(Self { socket })
    }

    /// Two connected ends.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// Sends one packet, whole or not at all.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.is_empty() || bytes.len() > MAX_PACKET || descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a packet is empty or over its limits"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("the descriptors do not fit beside a packet"));
        }
        let slices = [IoSlice::new(bytes)];
        again(|| rustix::net::sendmsg(&self.socket, &slices, &mut beside, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// The next packet; none once the other end is closed. A packet that was cut, or whose descriptors were, is an error.
    pub fn receive(&self) -> io::Result<Option<Packet>> {
        let mut bytes = vec![0; MAX_PACKET];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = again(|| {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            rustix::net::recvmsg(&self.socket, &mut slices, &mut beside, RecvFlags::CMSG_CLOEXEC)
        })?;
        // Taken out before anything is refused, so that refused ones are closed.
        let descriptors = taken(&mut beside);
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet was cut on its way"));
        }
        bytes.truncate(received.bytes);
        Ok(if bytes.is_empty() { None } else { Some(Packet { bytes, descriptors }) })
    }

    /// Ends it for both sides, whoever still holds this end: the next packet is none.
    pub fn shut_down(&self) {
        // One that the other side has ended is shut down already.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// Who connected, or listened, at the other end.
    pub fn peer(&self) -> io::Result<Peer> {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        let credentials = getsockopt(&self.socket, PeerCredentials)?;
        Ok(Peer { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() })
    }

    /// Whether [`send`](Self::send) and [`receive`](Self::receive) wait.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        set_nonblocking(&self.socket, nonblocking)
    }
}

macro_rules! descriptor {
    ($($name:ident)*) => {$(
        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.socket.as_raw_fd()
            }
        }
    )*};
}

descriptor!(Listener Connection);

/// Waits until one of the descriptors has something to read or is closed, at most `timeout`; says which do.
pub fn readable(
    descriptors: &[BorrowedFd<'_>],
    timeout: Option<std::time::Duration>,
) -> io::Result<Vec<bool>> {
    let mut waits: Vec<_> =
        descriptors.iter().map(|descriptor| PollFd::new(descriptor, PollFlags::IN)).collect();
    wait(&mut waits, timeout)?;
    Ok(waits.iter().map(|wait| !wait.revents().is_empty()).collect())
}

fn wait(waits: &mut [PollFd<'_>], timeout: Option<std::time::Duration>) -> io::Result<()> {
    let timeout = timeout.and_then(|timeout| rustix::event::Timespec::try_from(timeout).ok());
    match rustix::event::poll(waits, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

fn taken(beside: &mut RecvAncillaryBuffer<'_>) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    descriptors
}

fn split(path: &Path) -> io::Result<(&Path, &std::ffi::OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) if directory != Path::new("") => Ok((directory, name)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket needs a path with a directory")),
    }
}

/// Calls with the address of `path`; a path too long for one is reached through its directory's descriptor.
pub fn at_address(path: &Path, call: impl FnOnce(&SocketAddrUnix) -> Result<(), Errno>) -> io::Result<()> {
    if path.as_os_str().len() < MAX_ADDRESS {
        return Ok(call(&SocketAddrUnix::new(path)?)?);
    }
    let (directory, name) = split(path)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    Ok(call(&SocketAddrUnix::new(&short)?)?)
}

fn set_nonblocking(socket: &OwnedFd, nonblocking: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(socket, nonblocking)?)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}
