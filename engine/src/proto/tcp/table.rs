//! The transition table of a TCP connection as seen from its middle.
//!
//! `TRANSITIONS[direction][class][state]` says what a packet of that class does to a connection in
//! that state. It is not RFC 9293's diagram, which a host has for itself: the tracker sees both
//! sides, sees packets before they arrive, and sees some that never do.

use crate::connection::TcpState;
use crate::packet::tcp::flag;
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
    /// The class of a packet with these flags; `None` for a combination that no connection uses.
    #[inline]
    pub(super) fn of(flags: u8) -> Option<Class> {
        CLASSES[usize::from(flags)]
    }

    const fn told_by(flags: u8) -> Class {
        if flags & flag::RST != 0 {
            Class::Rst
        } else if flags & flag::SYN != 0 && flags & flag::ACK != 0 {
            Class::SynAck
        } else if flags & flag::SYN != 0 {
            Class::Syn
        } else if flags & flag::FIN != 0 {
            Class::Fin
        } else if flags & flag::ACK != 0 {
            Class::Ack
        } else {
            Class::None
        }
    }
}

/// The class for each value of the byte of flags.
static CLASSES: [Option<Class>; 256] = {
    let mut classes = [None; 256];
    let mut flags = 0;
    while flags < 256 {
        if are_legal(flags as u8) {
            classes[flags] = Some(Class::told_by(flags as u8));
        }
        flags += 1;
    }
    classes
};

/// Whether a combination of flags occurs in real connections.
const fn are_legal(flags: u8) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use flag::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};

    const CLASSES: [(&str, Class); 6] = [
        ("syn", Class::Syn),
        ("synack", Class::SynAck),
        ("fin", Class::Fin),
        ("ack", Class::Ack),
        ("rst", Class::Rst),
        ("none", Class::None),
    ];

    const STATES: [(&str, TcpState); 10] = [
        ("NONE", TcpState::None),
        ("SS", TcpState::SynSent),
        ("SR", TcpState::SynRecv),
        ("ES", TcpState::Established),
        ("FW", TcpState::FinWait),
        ("CW", TcpState::CloseWait),
        ("LA", TcpState::LastAck),
        ("TW", TcpState::TimeWait),
        ("CL", TcpState::Close),
        ("S2", TcpState::SynSent2),
    ];

    /// What Linux 6 does in each cell; `ig` for ignored, `iv` for invalid.
    const LINUX: [(Direction, &str); 2] = [
        (
            Direction::Original,
            "        NONE SS SR ES FW CW LA TW CL S2
             syn     SS  SS ig ig ig ig ig SS SS S2
             synack  iv  iv SR iv iv iv iv iv iv SR
             fin     iv  iv FW FW LA LA LA TW CL iv
             ack     ES  iv ES ES CW CW TW TW CL iv
             rst     iv  CL CL CL CL CL CL CL CL CL
             none    iv  iv iv iv iv iv iv iv iv iv",
        ),
        (
            Direction::Reply,
            "        NONE SS SR ES FW CW LA TW CL S2
             syn     iv  S2 iv iv iv iv iv SS iv S2
             synack  iv  SR ig ig ig ig ig ig ig SR
             fin     iv  iv FW FW LA LA LA TW CL iv
             ack     iv  ig SR ES CW CW TW TW CL ig
             rst     iv  CL CL CL CL CL CL CL CL CL
             none    iv  iv iv iv iv iv iv iv iv iv",
        ),
    ];

    fn named<T: Copy>(list: &[(&str, T)], name: &str) -> Option<T> {
        let found = list.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    fn cell(name: &str) -> Move {
        match name {
            "ig" => Move::Ignore,
            "iv" => Move::Invalid,
            _ => Move::To(named(&STATES, name).expect("a state")),
        }
    }

    #[test]
    fn every_cell_is_that_of_linux() {
        let mut cells = 0;
        for (direction, grid) in LINUX {
            let mut rows = grid.lines();
            let states = rows.next().unwrap_or_default().split_whitespace();
            let states = states.map(|name| named(&STATES, name).expect("a state"));
            for row in rows {
                let mut words = row.split_whitespace();
                let class = words.next().and_then(|name| named(&CLASSES, name));
                let class = class.expect("a class");
                for (state, word) in states.clone().zip(words) {
                    let found = transition(direction, class, state);
                    assert_eq!(found, cell(word), "{direction:?} {class:?} {state:?}");
                    cells += 1;
                }
            }
        }
        assert_eq!(cells, 2 * 6 * 10);
    }

    const LETTERS: [(char, u8); 6] = [
        ('F', FIN),
        ('S', SYN),
        ('R', RST),
        ('P', PSH),
        ('A', ACK),
        ('U', URG),
    ];

    fn flags(letters: &str) -> u8 {
        let set = LETTERS
            .iter()
            .filter(|(letter, _)| letters.contains(*letter));
        set.fold(0, |sum, (_, bit)| sum | bit)
    }

    #[test]
    fn of_64_combinations_of_flags_18_are_legal() {
        let legal = ["S", "SU", "SA", "R", "RA", "FA", "FAU", "A", "AU"].map(flags);
        let mut count = 0;
        for combination in 0..64 {
            let expected = legal.contains(&(combination & !PSH));
            for congestion in [0, ECE, CWR, ECE | CWR] {
                let found = are_legal(combination | congestion);
                assert_eq!(found, expected, "{combination:#04x}, {congestion:#04x}");
            }
            count += u32::from(expected);
        }
        assert_eq!(count, 18);
    }

    #[test]
    fn the_class_of_64_combinations_goes_by_rst_syn_fin_ack() {
        for combination in 0..64 {
            let set = |letter| combination & flags(letter) != 0;
            let expected = match (set("R"), set("S"), set("F"), set("A")) {
                (true, _, _, _) => Class::Rst,
                (_, true, _, true) => Class::SynAck,
                (_, true, _, false) => Class::Syn,
                (_, _, true, _) => Class::Fin,
                (_, _, _, true) => Class::Ack,
                _ => Class::None,
            };
            assert_eq!(Class::told_by(combination), expected, "{combination:#04x}");
            let legal = are_legal(combination).then_some(expected);
            assert_eq!(Class::of(combination), legal, "{combination:#04x}");
        }
    }
}
