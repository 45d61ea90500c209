//! The transition table of a TCP connection as seen from its middle.
//!
//! `TRANSITIONS[direction][class][state]` says what a packet of that class does to a connection in
//! that state. It is not RFC 9293's diagram, which a host has for itself: the tracker sees both
//! sides, sees packets before they arrive, and sees some that never do.

use crate::connection::TcpState;
use crate::packet::tcp::{Header, flag};
use crate::tuple::Direction;

/// What kind of packet it is, told by its flags; RST before SYN before FIN before ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Class {
    Syn = 0,
    SynAck = 1,
    Fin = 2,
    Ack = 3,
    Rst = 4,
    /// None of the flags; also "no packet yet".
    None = 5,
}

impl Class {
    pub(super) const fn of(header: &Header<'_>) -> Class {
        if header.has(flag::RST) {
            Class::Rst
        } else if header.has(flag::SYN | flag::ACK) {
            Class::SynAck
        } else if header.has(flag::SYN) {
            Class::Syn
        } else if header.has(flag::FIN) {
            Class::Fin
        } else if header.has(flag::ACK) {
            Class::Ack
        } else {
            Class::None
        }
    }
}

/// Whether a combination of flags occurs in real connections.
pub(super) const fn are_legal(flags: u8) -> bool {
    use flag::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
    const SYN_URG: u8 = SYN | URG;
    const SYN_ACK: u8 = SYN | ACK;
    const RST_ACK: u8 = RST | ACK;
    const FIN_ACK: u8 = FIN | ACK;
    const FIN_ACK_URG: u8 = FIN | ACK | URG;
    const ACK_URG: u8 = ACK | URG;
    matches!(
        flags & !(PSH | ECE | CWR),
        SYN | SYN_URG | SYN_ACK | RST | RST_ACK | FIN_ACK | FIN_ACK_URG | ACK | ACK_URG
    )
}

/// What the table says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    /// To that state, perhaps the same.
    To(TcpState),
    /// Let it pass without believing it.
    Ignore,
    /// Refuse it.
    Invalid,
}

pub(super) const fn transition(direction: Direction, class: Class, state: TcpState) -> Move {
    TRANSITIONS[direction.index()][class as usize][state as usize]
}

const SS: Move = Move::To(TcpState::SynSent);
const SR: Move = Move::To(TcpState::SynRecv);
const ES: Move = Move::To(TcpState::Established);
const FW: Move = Move::To(TcpState::FinWait);
const CW: Move = Move::To(TcpState::CloseWait);
const LA: Move = Move::To(TcpState::LastAck);
const TW: Move = Move::To(TcpState::TimeWait);
const CL: Move = Move::To(TcpState::Close);
const S2: Move = Move::To(TcpState::SynSent2);
const IG: Move = Move::Ignore;
const IV: Move = Move::Invalid;

/// Columns: NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE,
/// SYN_SENT2. Rows: SYN, SYN/ACK, FIN, ACK, RST, none.
#[rustfmt::skip]
static TRANSITIONS: [[[Move; 10]; 6]; 2] = [
    // Original direction. A SYN in TIME_WAIT or CLOSE opens the connection anew, if the old one is
    // over beyond doubt.
    [
        [SS, SS, IG, IG, IG, IG, IG, SS, SS, S2],
        [IV, IV, SR, IV, IV, IV, IV, IV, IV, SR],
        [IV, IV, FW, FW, LA, LA, LA, TW, CL, IV],
        [ES, IV, ES, ES, CW, CW, TW, TW, CL, IV],
        [IV, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        [IV, IV, IV, IV, IV, IV, IV, IV, IV, IV],
    ],
    // Reply direction. A lone ACK in SYN_SENT may be the challenge of a server that still has an
    // older connection (RFC 5961).
    [
        [IV, S2, IV, IV, IV, IV, IV, SS, IV, S2],
        [IV, SR, IG, IG, IG, IG, IG, IG, IG, SR],
        [IV, IV, FW, FW, LA, LA, LA, TW, CL, IV],
        [IV, IG, SR, ES, CW, CW, TW, TW, CL, IG],
        [IV, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        [IV, IV, IV, IV, IV, IV, IV, IV, IV, IV],
    ],
];
