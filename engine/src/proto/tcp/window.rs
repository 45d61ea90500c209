//! Window tracking: whether a segment can be part of the connection at all.
//!
//! For each side the tracker keeps the highest sequence number it sent (`end`), the highest that its
//! peer allowed it (`max_end`), the largest window it offered (`max_win`) and the highest ACK it
//! sent (`max_ack`). A segment from `sender` to `receiver` is plausible if
//!
//! 1. `seq  ≤ sender.max_end`: it begins within what the receiver allowed,
//! 2. `sack ≤ receiver.end`: it acknowledges nothing that was never sent,
//! 3. `end  ≥ sender.end − receiver.max_win`: it is not older than a window,
//! 4. `sack ≥ receiver.end − max(sender.max_win, 66000)`: its ACK is not older than a window.
//!
//! Failing 3 or 4 a packet is late, not forged, and is let through without effect. So is one that
//! fails 1 by no more than the receiver's window: some hosts send that much too much.
//!
//! Source: Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter", 2000; window scaling
//! RFC 7323, SACK RFC 2018. All sequence arithmetic is modulo 2³².

use core::hint::select_unpredictable;

use super::{Class, Peer, Tcp};
use crate::config::{Config, Knob};
use crate::connection::TcpState;
use crate::packet::tcp::{Header, after, before, flag};
use crate::tuple::Direction;
use crate::verdict::Reason;

/// ACKs may always be that much older than what was sent.
const ACK_WINDOW_MIN: u32 = 66_000;

/// How a segment fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    In,
    /// Plausible, but without effect.
    Late(Reason),
    Out(Reason),
}

/// The numbers of one segment, as they are compared.
struct Numbers {
    seq: u32,
    end: u32,
    ack: u32,
    sack: u32,
}

impl Numbers {
    #[inline]
    const fn of(header: &Header<'_>) -> Numbers {
        Numbers {
            seq: header.seq,
            end: header.end(),
            ack: header.ack,
            sack: header.ack,
        }
    }
}

/// Takes in an ACK that fits its window altogether, and offers one, without SACKs, on a connection of
/// which both sides are known. Returns whether there is data then that is not acknowledged; `None`, and
/// nothing was changed, if it is none of those.
///
/// It asks for a little more than the four inequalities, so as to compare less. What a segment may
/// acknowledge late is at least `ACK_WINDOW_MIN`, so what is late by no more need not be compared with the
/// window; and one whose end is allowed begins within what is allowed.
#[inline(always)]
pub(super) fn continues(tcp: &mut Tcp, header: &Header<'_>, direction: Direction) -> Option<bool> {
    /// No segment is that long.
    const LONG: u32 = 1 << 17;
    let (from, to) = (direction.index(), direction.other().index());
    let mut sender = tcp.peer(direction);
    let mut receiver = tcp.peer(direction.other());
    let numbers = Numbers::of(header);
    let is_allowed = sender.max_end.wrapping_sub(numbers.end) <= i32::MAX as u32 - LONG;
    let acks_of_late = receiver.end.wrapping_sub(numbers.ack) <= ACK_WINDOW_MIN;
    let past = sender.end.wrapping_sub(numbers.end);
    let is_known = sender.max_win as i32 > 0 && sender.has(Peer::MAX_ACK_SET);
    let fits = is_allowed && acks_of_late && receiver.max_win.wrapping_sub(past) as i32 >= 0;
    if !is_known || !fits || header.window == 0 {
        return None;
    }
    take_in(&mut sender, &mut receiver, header, &numbers);
    tcp.numbers[from].end = sender.end;
    tcp.numbers[from].max_win = sender.max_win;
    tcp.numbers[from].max_ack = sender.max_ack;
    tcp.numbers[to].max_end = receiver.max_end;
    tcp.flags[from] = sender.flags;
    tcp.flags[to] = receiver.flags;
    tcp.count_repeats(header, direction);
    Some((sender.flags | receiver.flags) & Peer::UNACKNOWLEDGED != 0)
}

/// Checks a segment, and takes in what it says if it fits.
pub(super) fn check(
    tcp: &mut Tcp,
    header: &Header<'_>,
    class: Class,
    direction: Direction,
    config: &Config,
) -> Fit {
    let mut sender = tcp.peer(direction);
    let mut receiver = tcp.peer(direction.other());
    let mut numbers = Numbers::of(header);
    if receiver.has(Peer::SACK_PERMITTED) {
        numbers.sack = header.highest_sack(header.ack);
    }
    let fit = if prepare(
        &mut sender,
        &mut receiver,
        header,
        direction,
        tcp.state,
        &numbers,
    ) {
        Fit::In
    } else {
        substitute(&mut numbers, header, &sender, &receiver, tcp.state);
        let fit = compare(&mut sender, &receiver, &numbers);
        if fit == Fit::In {
            take_in(&mut sender, &mut receiver, header, &numbers);
            if class == Class::Ack {
                tcp.count_repeats(header, direction);
            }
        }
        fit
    };
    let is_liberal = sender.has(Peer::LIBERAL) || config.flag(Knob::TcpBeLiberal);
    tcp.set_peer(direction, sender);
    tcp.set_peer(direction.other(), receiver);
    if is_liberal { Fit::In } else { fit }
}

/// Makes sure that there is something to compare with. Returns whether the segment, the SYN of a
/// simultaneous open, is in without comparison.
fn prepare(
    sender: &mut Peer,
    receiver: &mut Peer,
    header: &Header<'_>,
    direction: Direction,
    state: TcpState,
    numbers: &Numbers,
) -> bool {
    let is_syn = header.has(flag::SYN);
    let is_lone_syn = is_syn && !header.has(flag::ACK);
    if sender.max_win == 0 {
        if is_syn {
            sender.begin(receiver, header, direction);
            return is_lone_syn;
        }
        sender.join(receiver, header, numbers);
    } else if is_syn
        && after(numbers.end, sender.end)
        && matches!(state, TcpState::SynSent | TcpState::SynRecv)
    {
        sender.begin(receiver, header, direction);
        return is_lone_syn && direction == Direction::Reply;
    }
    false
}

/// Replaces numbers that say nothing: an ACK that is not there, the ACK 0 of broken RSTs, and the
/// sequence number 0 of a RST that refuses a SYN.
fn substitute(
    numbers: &mut Numbers,
    header: &Header<'_>,
    sender: &Peer,
    receiver: &Peer,
    state: TcpState,
) {
    let is_rst = header.has(flag::RST);
    if !header.has(flag::ACK) || (is_rst && numbers.ack == 0) {
        numbers.ack = receiver.end;
        numbers.sack = receiver.end;
    }
    if is_rst && numbers.seq == 0 && state == TcpState::SynSent {
        numbers.seq = sender.end;
        numbers.end = sender.end;
    }
}

/// The four inequalities.
#[inline(always)]
fn compare(sender: &mut Peer, receiver: &Peer, numbers: &Numbers) -> Fit {
    let Numbers { seq, end, sack, .. } = *numbers;
    let ack_window = sender.max_win.max(ACK_WINDOW_MIN);
    let below_data = |peer: &Peer| peer.end.wrapping_sub(receiver.max_win).wrapping_sub(1);
    let below_acks = receiver.end.wrapping_sub(ack_window).wrapping_sub(1);
    let acks_sent_data = before(sack, receiver.end.wrapping_add(1));
    if !before(seq, sender.max_end.wrapping_add(1)) {
        let beyond = end.wrapping_sub(sender.max_end).wrapping_add(1);
        let is_close = receiver.max_win != 0
            && after(end, below_data(sender))
            && after(sack, below_acks)
            && beyond <= receiver.max_win
            && acks_sent_data;
        if !is_close {
            return Fit::Out(Reason::TcpSeqOver);
        }
        // The receiver may take and acknowledge it after all.
        sender.end = end;
        sender.set(Peer::UNACKNOWLEDGED);
        return Fit::Late(Reason::TcpSeqBeyond);
    }
    if !acks_sent_data {
        return Fit::Out(Reason::TcpAckOver);
    }
    if receiver.max_win != 0 && !after(end, below_data(sender)) {
        return Fit::Late(Reason::TcpSeqUnder);
    }
    if !after(sack, below_acks) {
        return Fit::Late(Reason::TcpAckUnder);
    }
    Fit::In
}

/// What a segment that fits changes. Which of the numbers grow cannot be foreseen, so most of this is
/// done without branches.
#[inline(always)]
fn take_in(sender: &mut Peer, receiver: &mut Peer, header: &Header<'_>, numbers: &Numbers) {
    let Numbers { end, ack, sack, .. } = *numbers;
    let mut win = u32::from(header.window);
    if !header.has(flag::SYN) {
        win <<= sender.scale;
    }
    sender.max_win = sender.max_win.max(win.wrapping_add(sack.wrapping_sub(ack)));
    let has_news = after(end, sender.end);
    sender.end = select_unpredictable(has_news, end, sender.end);
    sender.flags |= if_so(has_news, Peer::UNACKNOWLEDGED);
    if header.has(flag::ACK) {
        let is_later = !sender.has(Peer::MAX_ACK_SET) | after(ack, sender.max_ack);
        sender.max_ack = select_unpredictable(is_later, ack, sender.max_ack);
        sender.set(Peer::MAX_ACK_SET);
    }
    if receiver.max_win != 0 && after(end, sender.max_end) {
        let more = end.wrapping_sub(sender.max_end);
        receiver.max_win = receiver.max_win.wrapping_add(more);
    }
    let allowed = sack.wrapping_add(win);
    let is_later = after(allowed, receiver.max_end.wrapping_sub(1));
    let max_end = allowed.wrapping_add(u32::from(header.window == 0));
    receiver.max_end = select_unpredictable(is_later, max_end, receiver.max_end);
    receiver.flags &= !if_so(ack == receiver.end, Peer::UNACKNOWLEDGED);
}

/// The flag, or none.
#[inline(always)]
fn if_so(condition: bool, flag: u8) -> u8 {
    flag * u8::from(condition)
}

impl Peer {
    /// Starts from this side's SYN or SYN/ACK. Scaling holds only if both sides offer it, which is
    /// known when the reply comes (RFC 7323, 2.2).
    pub(super) fn begin(&mut self, receiver: &mut Peer, header: &Header<'_>, direction: Direction) {
        self.end = header.end();
        self.max_end = self.end;
        self.max_win = u32::from(header.window).max(1);
        self.take_options(header);
        let both = self.flags & receiver.flags & Peer::WINDOW_SCALE != 0;
        if direction == Direction::Reply && !both {
            self.scale = 0;
            receiver.scale = 0;
        }
    }

    pub(super) fn take_options(&mut self, header: &Header<'_>) {
        if !header.has_options() {
            return;
        }
        let options = header.syn_options();
        self.scale = options.window_scale.unwrap_or(0);
        self.flags &= Peer::LIBERAL;
        if options.window_scale.is_some() {
            self.set(Peer::WINDOW_SCALE);
        }
        if options.sack_permitted {
            self.set(Peer::SACK_PERMITTED);
        }
    }

    /// Starts from a segment in the middle of a connection whose beginning was not seen.
    fn join(&mut self, receiver: &mut Peer, header: &Header<'_>, numbers: &Numbers) {
        self.end = numbers.end;
        self.max_win = (u32::from(header.window) << self.scale).max(1);
        self.max_end = self.end.wrapping_add(self.max_win);
        if receiver.max_win == 0 {
            receiver.end = numbers.sack;
            receiver.max_end = numbers.sack;
        } else if numbers.sack == receiver.end.wrapping_add(1) {
            // The answer to a keep-alive, whose one byte nobody saw.
            receiver.end = receiver.end.wrapping_add(1);
        }
    }
}
