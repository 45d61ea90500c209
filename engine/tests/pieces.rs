//! How far verdicts on fragments go: what whoever holds fragments back may let go, and what not.

mod support;

use ip_conntrack::{Action, Class, Conntrack, Knob, Piece, Reason};
use support::{at, flow, flow6, internet_sum, send, tracker};

/// A fragment of a packet: these bytes of its payload.
fn fragment(packet: &[u8], bytes: std::ops::Range<usize>, more: bool, id: u8) -> Vec<u8> {
    let is_v4 = packet[0] >> 4 == 4;
    let (header, payload) = packet.split_at(if is_v4 { 20 } else { 40 });
    let offset = bytes.start as u16;
    let payload = &payload[bytes];
    let mut piece = header.to_vec();
    if is_v4 {
        piece[2..4].copy_from_slice(&(20 + payload.len() as u16).to_be_bytes());
        piece[5] = id;
        piece[6..8].copy_from_slice(&(offset / 8).to_be_bytes());
        piece[6] |= u8::from(more) << 5;
        piece[10..12].fill(0);
        let sum = internet_sum(&piece);
        piece[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        piece[4..6].copy_from_slice(&(8 + payload.len() as u16).to_be_bytes());
        piece[6] = 44;
        let [high, low] = offset.to_be_bytes();
        piece.extend([header[6], 0, high, low | u8::from(more), 0, 0, 0, id]);
    }
    piece.extend(payload);
    piece
}

fn piece(conntrack: &mut Conntrack, bytes: &[u8], secs: i64) -> Piece {
    send(conntrack, bytes, at(secs)).piece
}

#[test]
fn the_first_waits_others_join_it_and_the_last_speaks_for_all() {
    for packet in [flow(1).udp(100), flow6(1).udp(100)] {
        let mut conntrack = tracker(&[]);
        let [first, middle, last] = [(0..40, true), (40..80, true), (80..108, false)]
            .map(|(bytes, more)| fragment(&packet, bytes, more, 1));
        assert_eq!(piece(&mut conntrack, &last, 1), Piece::First);
        assert_eq!(piece(&mut conntrack, &first, 1), Piece::Next);
        assert_eq!(piece(&mut conntrack, &first, 1), Piece::Alone, "again");
        let verdict = send(&mut conntrack, &middle, at(1));
        assert_eq!(
            (verdict.action, verdict.class, verdict.piece),
            (Action::Accept, Class::New, Piece::Last)
        );
        assert_eq!(piece(&mut conntrack, &packet, 1), Piece::Alone);
    }
}

#[test]
fn what_spoils_a_datagram_speaks_for_all_of_it() {
    let packet = flow(1).udp(100);
    let mut conntrack = tracker(&[]);
    let first = fragment(&packet, 0..40, true, 1);
    let overlapping = fragment(&packet, 32..80, true, 1);
    assert_eq!(piece(&mut conntrack, &first, 1), Piece::First);
    let verdict = send(&mut conntrack, &overlapping, at(1));
    assert_eq!(
        (verdict.reason, verdict.piece),
        (Some(Reason::FragmentBad), Piece::Last)
    );
    assert_eq!(piece(&mut conntrack, &first, 1), Piece::First);
}

#[test]
fn a_datagram_that_was_given_up_begins_again() {
    for (packet, knob) in [
        (flow(1).udp(100), Knob::IpfragTime),
        (flow6(1).udp(100), Knob::Frag6Timeout),
    ] {
        let mut conntrack = tracker(&[(knob, 5)]);
        let first = fragment(&packet, 0..40, true, 1);
        assert_eq!(piece(&mut conntrack, &first, 1), Piece::First);
        assert_eq!(piece(&mut conntrack, &first, 7), Piece::First, "too late");
    }
    let packet = flow(1).udp(100);
    let mut conntrack = tracker(&[]);
    let first = fragment(&packet, 0..40, true, 1);
    assert_eq!(piece(&mut conntrack, &first, 1), Piece::First);
    for id in 2..200 {
        let other = fragment(&packet, 40..80, true, id);
        assert_eq!(piece(&mut conntrack, &other, 1), Piece::First);
    }
    assert_eq!(piece(&mut conntrack, &first, 1), Piece::First, "too many");
}

/// A piece that goes on by itself, or is a whole datagram by itself, says nothing of what waits under its
/// identification.
#[test]
fn who_goes_on_alone_speaks_for_itself() {
    let packet = flow6(1).udp(100);
    let first = fragment(&packet, 0..40, true, 1);
    let mut conntrack = tracker(&[]);
    assert_eq!(piece(&mut conntrack, &first, 1), Piece::First);
    let odd = fragment(&packet, 0..37, true, 1);
    let verdict = send(&mut conntrack, &odd, at(1));
    assert_ne!(verdict.action, Action::Hold);
    assert_eq!(verdict.piece, Piece::Stray);

    let mut conntrack = tracker(&[(Knob::Frag6Timeout, 5)]);
    assert_eq!(piece(&mut conntrack, &first, 1), Piece::First);
    let whole = fragment(&packet, 0..108, false, 1);
    let verdict = send(&mut conntrack, &whole, at(7));
    assert_eq!(
        (verdict.action, verdict.class, verdict.piece),
        (Action::Accept, Class::New, Piece::Stray)
    );
}
