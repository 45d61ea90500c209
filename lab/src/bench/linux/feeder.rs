//! A program in the kernel that makes frames, so that packets arrive as fast as the kernel takes them.
//!
//! For each frame the program chooses a flow and a kind of packet, and writes the whole frame: buffers
//! come back as the router left them, with another MAC address and a lower TTL. What does not depend
//! on the flow is written as constants; of the checksums, too, only what depends on it is added.

use std::io;

use ip_conntrack_link::sys::bpf::{Array, Attached, Instruction, Program};

use super::frames::{Family, Kind, Places, frame};

/// How the flow of a frame is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pick {
    /// At random among so many, and among the kinds.
    Random(u32),
    /// The next one, of the first kind.
    Next,
}

/// The program, the number of the next flow, and a frame to begin with.
pub(super) struct Feeder {
    program: Program,
    next: Array,
    frame: Vec<u8>,
}

impl Feeder {
    /// Frames that are received from the interface that it is fed to.
    pub(super) fn new(family: Family, kinds: &[Kind], pick: Pick) -> io::Result<Feeder> {
        Feeder::made(family, kinds, pick, Vec::new(), &verdict(PASS))
    }

    /// Frames that are sent by an interface, so that its peer receives them as from a wire, when their turn has
    /// come. Others are thrown away at once.
    pub(super) fn sending(
        family: Family,
        kinds: &[Kind],
        pick: Pick,
        interface: u32,
        pace: &Pace,
    ) -> io::Result<Feeder> {
        let send = [
            constant(SET, 1, interface as i32),
            constant(SET, 2, 0),
            call(REDIRECT),
            constant(EXIT, 0, 0),
        ];
        Feeder::made(family, kinds, pick, pace.program(), &send)
    }

    fn made(
        family: Family,
        kinds: &[Kind],
        pick: Pick,
        begin: Vec<Instruction>,
        end: &[Instruction],
    ) -> io::Result<Feeder> {
        let next = Array::new(1)?;
        let len = frame(family, Kind::Syn, 0).len();
        let mut code = take(len);
        code.extend(begin);
        match pick {
            Pick::Random(flows) => code.extend(random(flows, kinds.len())),
            Pick::Next => code.extend(following(&next)),
        }
        for (index, kind) in kinds.iter().enumerate() {
            let written = write(family, *kind, end);
            code.push(unless(KIND, index as i32, written.len()));
            code.extend(written);
        }
        code.extend(verdict(ABORTED));
        Ok(Feeder {
            program: Program::xdp(&code)?,
            next,
            frame: vec![0; len],
        })
    }

    /// Sets the flow that comes next.
    pub(super) fn rewind(&self, flow: u64) -> io::Result<()> {
        self.next.set(0, flow)
    }

    /// Has the kernel take so many frames as received from the interface.
    pub(super) fn feed(&self, interface: u32, count: u32) -> io::Result<()> {
        const BATCH: u32 = 64;
        self.program.run_live(&self.frame, interface, count, BATCH)
    }
}

/// Lets frames go only while few are under way, and not more than were asked for.
pub(super) struct Pace {
    /// How many were sent, how many were not since it was not their turn, and how many may be sent.
    state: Array,
    /// How many the far side has got.
    counted: Array,
    /// How many may be under way.
    window: u32,
}

const SENT: u32 = 0;
const SKIPPED: u32 = 1;
const MOST: u32 = 2;

impl Pace {
    pub(super) fn new(window: u32) -> io::Result<Pace> {
        Ok(Pace {
            state: Array::new(3)?,
            counted: Array::new(1)?,
            window,
        })
    }

    /// Lets so many more go.
    pub(super) fn allow(&self, frames: u64) -> io::Result<()> {
        self.state.set(MOST, self.sent()? + frames)
    }

    pub(super) fn sent(&self) -> io::Result<u64> {
        self.state.get(SENT)
    }

    pub(super) fn skipped(&self) -> io::Result<u64> {
        self.state.get(SKIPPED)
    }

    pub(super) fn counted(&self) -> io::Result<u64> {
        self.counted.get(0)
    }

    /// Puts a program on an interface that drops all it gets, and counts.
    pub(super) fn sink(&self, interface: u32) -> io::Result<Attached> {
        let mut code = look_up(&self.counted, 0);
        code.extend(raise());
        code.extend(verdict(DROP));
        Program::xdp(&code)?.attach(interface)
    }

    fn program(&self) -> Vec<Instruction> {
        let mut skip = look_up(&self.state, SKIPPED);
        skip.extend(raise());
        skip.extend(verdict(DROP));
        let mut code = look_up(&self.counted, 0);
        code.push(instruction(LOAD_64, FLOW, 0, 0, 0));
        code.extend(look_up(&self.state, MOST));
        code.push(instruction(LOAD_64, KIND, 0, 0, 0));
        code.extend(look_up(&self.state, SENT));
        code.extend([
            instruction(LOAD_64, 1, 0, 0, 0),
            // As many were sent as may be, or as may be under way: over the next ones, to what is skipped.
            instruction(IF_AT_MOST, KIND, 1, 6, 0),
            register(SET, 2, 1),
            register(SUBTRACT, 2, FLOW),
            instruction(IF_ABOVE, 2, 0, 3, self.window as i32),
            constant(SET, 1, 1),
            instruction(ADD_TO_MEMORY, 0, 1, 0, 0),
            instruction(JUMP, 0, 0, skip.len(), 0),
        ]);
        code.extend(skip);
        code
    }
}

/// The address of a number in an array, in register 0.
fn look_up(array: &Array, index: u32) -> Vec<Instruction> {
    let mut code = vec![
        register(SET, 2, STACK),
        constant(ADD, 2, -4),
        instruction(PUT_32, 2, 0, 0, index as i32),
    ];
    code.extend(array.reference(1));
    code.extend([call(LOOK_UP), unless(0, 0, 2)]);
    code.extend(verdict(ABORTED));
    code
}

/// One more in the number at the address in register 0.
fn raise() -> [Instruction; 2] {
    [constant(SET, 1, 1), instruction(ADD_TO_MEMORY, 0, 1, 0, 0)]
}

/// Puts a program on an interface that drops all it gets.
pub(super) fn sink(interface: u32) -> io::Result<Attached> {
    Program::xdp(&verdict(DROP))?.attach(interface)
}

const ABORTED: i32 = 0;
const DROP: i32 = 1;
const PASS: i32 = 2;

// What the registers hold. Those from 6 on survive calls.
const DATA: u8 = 6;
const FLOW: u8 = 7;
const KIND: u8 = 8;
const STACK: u8 = 10;

// Operations on 64 bits; with a register instead of a constant, `| REGISTER`.
const REGISTER: u8 = 0x08;
const ADD: u8 = 0x07;
const SUBTRACT: u8 = 0x17;
const MULTIPLY: u8 = 0x27;
const OR: u8 = 0x47;
const AND: u8 = 0x57;
const RIGHT: u8 = 0x77;
const XOR: u8 = 0xa7;
const SET: u8 = 0xb7;
/// To network byte order; the constant is the number of bits.
const BIG_ENDIAN: u8 = 0xdc;
// Memory.
const LOAD_32: u8 = 0x61;
const LOAD_64: u8 = 0x79;
const PUT_16: u8 = 0x6a;
const PUT_32: u8 = 0x62;
const STORE_16: u8 = 0x6b;
const STORE_32: u8 = 0x63;
const STORE_64: u8 = 0x7b;
const ADD_TO_MEMORY: u8 = 0xdb;
// Jumps.
const IF_NOT_EQUAL: u8 = 0x55;
const IF_AT_MOST: u8 = 0xbd;
/// Signed: the far side may have got what nobody here has sent.
const IF_ABOVE: u8 = 0x65;
const JUMP: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
// What can be called.
const LOOK_UP: i32 = 1;
const RANDOM: i32 = 7;
const REDIRECT: i32 = 23;

const fn instruction(code: u8, to: u8, from: u8, offset: usize, value: i32) -> Instruction {
    Instruction {
        code,
        registers: from << 4 | to,
        offset: offset as i16,
        immediate: value,
    }
}

/// `to = to OPERATION value`
const fn constant(operation: u8, to: u8, value: i32) -> Instruction {
    instruction(operation, to, 0, 0, value)
}

/// `to = to OPERATION from`
const fn register(operation: u8, to: u8, from: u8) -> Instruction {
    instruction(operation | REGISTER, to, from, 0, 0)
}

/// Skips so many instructions unless the register holds the value.
const fn unless(of: u8, value: i32, skip: usize) -> Instruction {
    instruction(IF_NOT_EQUAL, of, 0, skip, value)
}

const fn call(function: i32) -> Instruction {
    constant(CALL, 0, function)
}

const fn verdict(value: i32) -> [Instruction; 2] {
    [constant(SET, 0, value), constant(EXIT, 0, 0)]
}

/// The frame's address, once it is known to have so many bytes.
fn take(len: usize) -> Vec<Instruction> {
    let mut code = vec![
        instruction(LOAD_32, DATA, 1, 0, 0),
        instruction(LOAD_32, 2, 1, 4, 0),
        register(SET, 3, DATA),
        constant(ADD, 3, len as i32),
        instruction(IF_AT_MOST, 3, 2, 2, 0),
    ];
    code.extend(verdict(ABORTED));
    code
}

/// A random number of 32 bits, times how many flows there are: the high half is the flow. The low half
/// is as random again, times how many kinds: the high half of that is the kind.
fn random(flows: u32, kinds: usize) -> [Instruction; 8] {
    [
        call(RANDOM),
        constant(MULTIPLY, 0, flows as i32),
        register(SET, FLOW, 0),
        constant(RIGHT, FLOW, 32),
        register(SET, KIND, 0),
        // Only the low half: moving 32 bits clears the others.
        instruction(0xbc, KIND, KIND, 0, 0),
        constant(MULTIPLY, KIND, kinds as i32),
        constant(RIGHT, KIND, 32),
    ]
}

/// The number in the array, which is raised by one.
fn following(next: &Array) -> Vec<Instruction> {
    let mut code = look_up(next, 0);
    code.extend([
        instruction(LOAD_64, FLOW, 0, 0, 0),
        register(SET, 1, FLOW),
        constant(ADD, 1, 1),
        instruction(STORE_64, 0, 1, 0, 0),
        constant(SET, KIND, 0),
    ]);
    code
}

/// The whole frame, and what becomes of it.
fn write(family: Family, kind: Kind, end: &[Instruction]) -> Vec<Instruction> {
    let template = frame(family, kind, 0);
    let places = Places::of(family, kind);
    let mut code = constants(&template);
    let (low, high) = (
        word(&template, places.address + 2),
        word(&template, places.address),
    );
    let prefix = u32::from_be_bytes([
        template[places.address],
        template[places.address + 1],
        template[places.address + 2],
        template[places.address + 3],
    ]);
    let port = u16::from_be_bytes([template[places.port], template[places.port + 1]]);
    // r1: the address; r2: the port; r3: the sum of the address.
    code.extend([
        register(SET, 1, FLOW),
        constant(AND, 1, 0xff_ffff),
        constant(OR, 1, prefix as i32),
        constant(BIG_ENDIAN, 1, 32),
        instruction(STORE_32, DATA, 1, places.address, 0),
        register(SET, 2, FLOW),
        constant(RIGHT, 2, 24),
        constant(AND, 2, 0xff),
        constant(OR, 2, i32::from(port)),
        constant(BIG_ENDIAN, 2, 16),
        instruction(STORE_16, DATA, 2, places.port, 0),
        register(SET, 3, 1),
        constant(AND, 3, 0xffff),
        constant(RIGHT, 1, 16),
        register(ADD, 3, 1),
    ]);
    if let Some(place) = places.ip_sum {
        let rest = without(word(&template, place), &[low, high]);
        code.extend([constant(SET, 4, rest), register(ADD, 4, 3)]);
        code.extend(fold());
        code.push(instruction(STORE_16, DATA, 4, place, 0));
    }
    let old_port = word(&template, places.port);
    let rest = without(word(&template, places.sum), &[low, high, old_port]);
    code.extend([
        constant(SET, 4, rest),
        register(ADD, 4, 3),
        register(ADD, 4, 2),
    ]);
    code.extend(fold());
    if kind.is_udp() {
        // In UDP, 0 means that there is none.
        code.extend([unless(4, 0, 1), constant(SET, 4, 0xffff)]);
    }
    code.push(instruction(STORE_16, DATA, 4, places.sum, 0));
    code.extend_from_slice(end);
    code
}

/// Puts all bytes of a frame, whose length is even.
fn constants(template: &[u8]) -> Vec<Instruction> {
    let puts = template.chunks(4).enumerate().map(|(index, bytes)| {
        let at = 4 * index;
        match *bytes {
            [a, b, c, d] => instruction(PUT_32, DATA, 0, at, i32::from_ne_bytes([a, b, c, d])),
            _ => instruction(PUT_16, DATA, 0, at, word(template, at).into()),
        }
    });
    puts.collect()
}

/// Sixteen bits as the machine reads them: the sum does not care for the order of bytes, as long as it is
/// the same for all.
fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([frame[at], frame[at + 1]])
}

/// What was summed up for a checksum beside these words (RFC 1624: subtracting is adding the complement).
fn without(sum: u16, words: &[u16]) -> i32 {
    let complements = words.iter().map(|word| i32::from(!word));
    i32::from(!sum) + complements.sum::<i32>()
}

/// r4: the sum folded into sixteen bits, and complemented.
fn fold() -> Vec<Instruction> {
    let once = [
        register(SET, 5, 4),
        constant(RIGHT, 5, 16),
        constant(AND, 4, 0xffff),
        register(ADD, 4, 5),
    ];
    let mut code = [once, once].concat();
    code.push(constant(XOR, 4, 0xffff));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 6] = [
        Kind::Syn,
        Kind::SynAck,
        Kind::Ack,
        Kind::AckBack,
        Kind::Udp,
        Kind::UdpBack,
    ];

    fn is_allowed() -> bool {
        let Err(why) = Array::new(1) else {
            return true;
        };
        assert!(
            std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_none(),
            "the kernel is required, but: {why}"
        );
        eprintln!("skipped: bpf: {why}");
        false
    }

    /// What the program makes of a buffer that holds anything.
    fn made(feeder: &Feeder) -> Vec<u8> {
        let garbage: Vec<u8> = (0..feeder.frame.len()).map(|at| at as u8 ^ 0xa5).collect();
        let (verdict, frame) = feeder.program.run(&garbage).unwrap();
        assert_eq!(verdict, PASS as u32);
        frame
    }

    #[test]
    fn the_kernel_makes_the_same_frames_as_the_lab() {
        if !is_allowed() {
            return;
        }
        for family in [Family::V4, Family::V6] {
            for kind in KINDS {
                let feeder = Feeder::new(family, &[kind], Pick::Next).unwrap();
                for first in [0, 255, 65_535, 999_999, 0x12_345_678, u32::MAX - 500] {
                    feeder.rewind(first.into()).unwrap();
                    for flow in first..first + 300 {
                        let made = made(&feeder);
                        assert_eq!(
                            made,
                            frame(family, kind, flow),
                            "{family:?} {kind:?} {flow}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn random_frames_are_of_all_flows_and_kinds_and_no_others() {
        if !is_allowed() {
            return;
        }
        let kinds = [Kind::Ack, Kind::AckBack];
        let feeder = Feeder::new(Family::V4, &kinds, Pick::Random(5)).unwrap();
        let of = |kind| (0..5).map(move |flow| frame(Family::V4, kind, flow));
        let expected: Vec<Vec<u8>> = kinds.into_iter().flat_map(of).collect();
        let mut seen = [0; 10];
        for _ in 0..2000 {
            let made = made(&feeder);
            let index = expected.iter().position(|frame| *frame == made);
            seen[index.unwrap()] += 1;
        }
        // 200 are expected of each; 100 fewer are more than seven standard deviations.
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
    }
}
