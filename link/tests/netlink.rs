//! Both sockets: messages of a stream that come in pieces, and the kernel's own answers.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};

use ip_conntrack_link::netlink::{MAX_MESSAGE, Received, Socket};
use proptest::prelude::*;

/// A message of so many bytes behind its header, told by its sequence number.
fn message(sequence: u32, body: usize) -> Vec<u8> {
    let len = 16 + body;
    let mut bytes = (len as u32).to_ne_bytes().to_vec();
    bytes.extend([0x01, 0x00, 0, 0]);
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.resize(len.next_multiple_of(4), sequence as u8);
    bytes
}

fn pair() -> (Socket, UnixStream) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let socket = Socket::connect(&path).unwrap();
    (socket, listener.accept().unwrap().0)
}

/// Everything that is received until the other side is closed, in one piece.
fn all(socket: &mut Socket) -> (Vec<u8>, std::io::Error) {
    let mut bytes = Vec::new();
    loop {
        match socket.receive() {
            Ok(Received::Messages(more)) => {
                assert!(more.len() >= 16 && more.len().is_multiple_of(4));
                bytes.extend(more);
            }
            Ok(Received::Overrun) => panic!("a stream loses nothing"),
            Err(error) => return (bytes, error),
        }
    }
}

proptest! {
    #[test]
    fn messages_of_a_stream_come_whole_wherever_it_is_cut(
        bodies in prop::collection::vec(0usize..3000, 1..40),
        cuts in prop::collection::vec(1usize..5000, 1..60),
    ) {
        let (mut socket, mut peer) = pair();
        let sent: Vec<u8> =
            bodies.iter().zip(0..).flat_map(|(body, n)| message(n, *body)).collect();
        let copy = sent.clone();
        let writer = std::thread::spawn(move || {
            let mut rest = &copy[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                peer.write_all(now).unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        });
        let (got, error) = all(&mut socket);
        writer.join().unwrap();
        prop_assert!(got == sent);
        prop_assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn any_bytes_end_with_an_error(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let (mut socket, mut peer) = pair();
        peer.write_all(&bytes).unwrap();
        drop(peer);
        all(&mut socket);
    }
}

#[test]
fn the_longest_message_fits_and_a_longer_one_is_refused() {
    let (mut socket, mut peer) = pair();
    let longest = message(1, MAX_MESSAGE - 16);
    let sent = longest.clone();
    let writer = std::thread::spawn(move || {
        peer.write_all(&message(0, 5)).unwrap();
        peer.write_all(&sent).unwrap();
        let _ = peer.write_all(&message(2, MAX_MESSAGE - 15));
    });
    let (got, error) = all(&mut socket);
    drop(socket);
    writer.join().unwrap();
    assert!(got == [message(0, 5), longest].concat());
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn the_kernel_answers_what_it_is_asked() {
    let Ok(mut socket) = Socket::netfilter(0) else {
        assert!(std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_none());
        return;
    };
    assert_ne!(socket.port().unwrap(), 0);
    // A message type that nobody has, acknowledged with an error that repeats its header.
    let mut request = message(0x1234_5678, 4);
    request[4..8].copy_from_slice(&[0, 0xef, 5, 0]);
    socket.send(&request).unwrap();
    let Received::Messages(answer) = socket.receive().unwrap() else {
        panic!("nothing can be lost");
    };
    assert_eq!(answer[8..12], 0x1234_5678u32.to_ne_bytes());
    let errno = i32::from_ne_bytes(answer[16..20].try_into().unwrap());
    assert!(errno < 0, "{errno}");
}

#[test]
fn a_buffer_is_at_least_as_large_as_was_asked_for() {
    let Ok(socket) = Socket::netfilter(0) else {
        return;
    };
    assert!(socket.set_buffer_size(100_000).unwrap() >= 100_000);
}

#[test]
fn nobody_listening_is_an_error() {
    let error = Socket::connect("/nonexistent/socket".as_ref())
        .err()
        .unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
