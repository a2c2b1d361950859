//! Packets and descriptors over real sockets.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that cannot be")]

use sandbox::packet::{Connection, Listener, MAX_DESCRIPTORS, MAX_PACKET};
use std::{
    fs::File,
    io::{ErrorKind, Read, Seek, Write},
    os::fd::AsFd,
    path::Path,
};

fn file_with(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

fn met_at(path: &Path) -> (Connection, Connection) {
    let listener = Listener::bind(path).unwrap();
    let one = Connection::connect(path).unwrap();
    (one, listener.accept().unwrap())
}

#[test]
fn a_packet_arrives_whole_with_its_descriptors_in_order() {
    let (one, other) = Connection::pair().unwrap();
    let (first, second) = (file_with("first"), file_with("second"));
    one.send(b"hello", &[first.as_fd(), second.as_fd()]).unwrap();
    one.send(b"again", &[]).unwrap();
    let packet = other.receive().unwrap().unwrap();
    let texts = packet.descriptors.into_iter().map(|descriptor| {
        let mut text = String::new();
        File::from(descriptor).read_to_string(&mut text).unwrap();
        text
    });
    assert_eq!(packet.bytes, b"hello");
    assert_eq!(texts.collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(other.receive().unwrap().unwrap().bytes, b"again");
}

#[test]
fn received_descriptors_are_closed_on_exec() {
    let (one, other) = Connection::pair().unwrap();
    one.send(b"x", &[file_with("").as_fd()]).unwrap();
    let packet = other.receive().unwrap().unwrap();
    let flags = rustix::io::fcntl_getfd(&packet.descriptors[0]).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn the_largest_packet_passes_and_a_larger_one_is_refused() {
    let (one, other) = Connection::pair().unwrap();
    let file = file_with("");
    let many = vec![file.as_fd(); MAX_DESCRIPTORS];
    one.send(&vec![7; MAX_PACKET], &many).unwrap();
    let packet = other.receive().unwrap().unwrap();
    assert_eq!((packet.bytes.len(), packet.descriptors.len()), (MAX_PACKET, MAX_DESCRIPTORS));
    for (bytes, descriptors) in [(MAX_PACKET + 1, 0), (1, MAX_DESCRIPTORS + 1), (0, 0)] {
        let error = one.send(&vec![7; bytes], &vec![file.as_fd(); descriptors]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn a_packet_that_was_cut_is_an_error_and_the_next_one_is_whole() {
    let (one, other) = Connection::pair().unwrap();
    let file = file_with("");
    rustix::net::send(one.as_fd(), &vec![7; MAX_PACKET + 1], rustix::net::SendFlags::empty()).unwrap();
    assert_eq!(other.receive().unwrap_err().kind(), ErrorKind::InvalidData);
    one.send(b"next", &[file.as_fd()]).unwrap();
    assert_eq!(other.receive().unwrap().unwrap().bytes, b"next");
}

#[test]
fn a_closed_end_is_heard_and_a_silent_one_would_block() {
    let (one, other) = Connection::pair().unwrap();
    other.set_nonblocking(true).unwrap();
    assert_eq!(other.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(one);
    assert!(other.receive().unwrap().is_none());
    assert_eq!(other.send(b"x", &[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_path_longer_than_an_address_is_reached_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&long).unwrap();
    let (one, other) = met_at(&long.join("socket"));
    one.send(b"far", &[]).unwrap();
    assert_eq!(other.receive().unwrap().unwrap().bytes, b"far");
}

#[test]
fn a_peer_is_known_by_its_process_and_account() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = met_at(&directory.path().join("socket"));
    for end in [one, other] {
        let peer = end.peer().unwrap();
        assert_eq!(u32::try_from(peer.pid).unwrap(), std::process::id());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    }
}

#[test]
fn a_new_listener_takes_the_place_of_a_dead_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    drop(Listener::bind(&path).unwrap());
    assert_eq!(Connection::connect(&path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let (one, other) = met_at(&path);
    one.send(b"reborn", &[]).unwrap();
    assert_eq!(other.receive().unwrap().unwrap().bytes, b"reborn");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing but the socket is left");
}
