//! The program that shares packets among taps.
//!
//! *Rule.* It is that of `ip_conntrack::Dispatch`: the two addresses, sorted, are hashed with SipHash-1-3
//! under a secret key, and nothing else is. So both directions of a connection and all fragments of a
//! datagram go to one tap, and an ICMP error goes by the addresses of the packet that it quotes. The kernel's
//! own symmetric hash (`PACKET_FANOUT_HASH`) would not do: it looks at ports, which fragments lack, and
//! sends errors elsewhere.
//!
//! What is no IP is for the first tap. An ICMPv6 error behind extension headers goes by its own addresses.

use crate::instructions::{
    ADD, AND, BIG_ENDIAN, IF_ABOVE, IF_EQUAL, IF_NOT_EQUAL, LEFT, LOAD_8, LOAD_16, LOAD_32,
    LOAD_64, MULTIPLY, OR, RIGHT, SET, STACK, XOR, answer, call, constant, exit, if_register,
    if_value, load, register, skip, when, wide,
};
use crate::sys::bpf::Instruction;

// Registers that survive calls: first the packet, then what is hashed.
const CONTEXT: u8 = 6;
const A: u8 = 7;
const B: u8 = 8;
const C: u8 = 9;
/// The packet is not needed any more when this is.
const D: u8 = CONTEXT;

/// Where on the stack the IP header is, and what an error quotes. Multiples of 8.
const HEADER: i16 = -40;
const QUOTE: i16 = -80;
const BYTE: i16 = -88;

/// Where a program finds the packet's protocol.
const PROTOCOL: i16 = 16;

/// The program for so many taps. It says which one a packet is for, from 0.
pub fn spread(key: [u64; 2], taps: u32) -> Vec<Instruction> {
    let mut code = vec![
        register(SET, CONTEXT, 1),
        load(LOAD_32, 1, CONTEXT, PROTOCOL),
    ];
    // As it stands in the packet, in the machine's order.
    code.extend(when(1, i32::from(0x0800_u16.to_be()), v4(key, taps)));
    code.extend(when(1, i32::from(0x86dd_u16.to_be()), v6(key, taps)));
    code.extend(answer(0));
    code
}

/// Puts `len` bytes of the packet, `offset` (a register, or a constant) behind the network header, on the stack.
/// Then does the one or the other: if they are there, or not.
fn read(offset: Result<u8, i32>, to: i16, len: i32, otherwise: &[Instruction]) -> Vec<Instruction> {
    const LOAD_BYTES_RELATIVE: i32 = 68;
    const FROM_NETWORK_HEADER: i32 = 1;
    let offset = match offset {
        Ok(of) => register(SET, 2, of),
        Err(value) => constant(SET, 2, value),
    };
    let mut code = vec![
        register(SET, 1, CONTEXT),
        offset,
        register(SET, 3, STACK),
        constant(ADD, 3, to.into()),
        constant(SET, 4, len),
        constant(SET, 5, FROM_NETWORK_HEADER),
        call(LOAD_BYTES_RELATIVE),
        if_value(IF_EQUAL, 0, 0, otherwise.len()),
    ];
    code.extend(otherwise);
    code
}

fn v4(key: [u64; 2], taps: u32) -> Vec<Instruction> {
    let mut code = read(Err(0), HEADER, 20, &answer(0));
    // What the error quotes, if it is one and there is enough of it; otherwise this is left out.
    let mut error = vec![
        load(LOAD_8, A, STACK, HEADER),
        constant(AND, A, 15),
        constant(LEFT, A, 2),
    ];
    let mut quoted = vec![constant(ADD, A, 8)];
    let use_quote = addresses_v4(QUOTE);
    quoted.extend(read(Ok(A), QUOTE, 20, &[skip(use_quote.len())]));
    quoted.extend(use_quote);
    let mut if_error = vec![load(LOAD_8, 1, STACK, BYTE)];
    if_error.extend(unless_any(1, &[3, 4, 5, 11, 12], quoted.len()));
    if_error.extend(quoted);
    error.extend(read(Ok(A), BYTE, 1, &[skip(if_error.len())]));
    error.extend(if_error);
    code.extend(addresses_v4(HEADER));
    code.extend(if_whole_icmp(error));
    code.extend([
        register(SET, A, B),
        register(SET, 1, C),
        if_register(IF_ABOVE, 1, A, 3),
        register(SET, 2, A),
        register(SET, A, 1),
        register(SET, 1, 2),
        constant(LEFT, A, 32),
        register(OR, A, 1),
        constant(SET, B, 0),
    ]);
    code.extend(sip(key, A, B));
    code.extend(scale(taps));
    code
}

/// Does that if the IPv4 packet is ICMP and no fragment.
fn if_whole_icmp(then: Vec<Instruction>) -> Vec<Instruction> {
    let mut whole = vec![
        load(LOAD_16, 1, STACK, HEADER + 6),
        constant(BIG_ENDIAN, 1, 16),
        constant(AND, 1, 0x3fff),
    ];
    whole.extend(when(1, 0, then));
    let mut code = vec![load(LOAD_8, 1, STACK, HEADER + 9)];
    code.extend(when(1, 1, whole));
    code
}

/// The addresses of an IPv4 header on the stack, into B and C.
fn addresses_v4(header: i16) -> Vec<Instruction> {
    let mut code = Vec::new();
    for (to, offset) in [(B, 12), (C, 16)] {
        code.push(load(LOAD_32, to, STACK, header + offset));
        code.push(constant(BIG_ENDIAN, to, 32));
    }
    code
}

fn v6(key: [u64; 2], taps: u32) -> Vec<Instruction> {
    let mut code = read(Err(0), HEADER, 40, &answer(0));
    let copy = copy_addresses();
    let mut quoted = read(Err(48), QUOTE, 40, &[skip(copy.len())]);
    quoted.extend(copy);
    let mut if_error = vec![
        load(LOAD_8, 1, STACK, BYTE),
        if_value(IF_ABOVE, 1, 127, quoted.len()),
    ];
    if_error.extend(quoted);
    let mut error = read(Err(40), BYTE, 1, &[skip(if_error.len())]);
    error.extend(if_error);
    code.push(load(LOAD_8, 1, STACK, HEADER + 6));
    code.extend(when(1, 58, error));
    for (to, offset) in [(A, 8), (B, 16), (C, 24), (D, 32)] {
        code.push(load(LOAD_64, to, STACK, HEADER + offset));
        code.push(constant(BIG_ENDIAN, to, 64));
    }
    let exchange = [(A, C), (B, D)].map(|(one, other)| {
        [
            register(SET, 0, one),
            register(SET, one, other),
            register(SET, other, 0),
        ]
    });
    let exchange = exchange.concat();
    // Sorted: exchanged if the first is greater.
    code.push(if_register(IF_ABOVE, A, C, 2));
    code.push(if_register(IF_NOT_EQUAL, A, C, 1 + exchange.len()));
    code.push(if_register(IF_ABOVE, D, B, exchange.len()));
    code.extend(exchange);
    code.extend(sip(key, A, B));
    code.push(register(SET, A, 0));
    code.extend(sip(key, C, D));
    code.push(register(SET, B, 0));
    code.extend(sip(key, A, B));
    code.extend(scale(taps));
    code
}

/// The addresses of the quoted IPv6 header over those of the packet.
fn copy_addresses() -> Vec<Instruction> {
    const STORE_64: u8 = 0x7b;
    let copy = |offset: i16| {
        let store = Instruction {
            code: STORE_64,
            registers: 1 << 4 | STACK,
            offset: HEADER + offset,
            immediate: 0,
        };
        [load(LOAD_64, 1, STACK, QUOTE + offset), store]
    };
    [8, 16, 24, 32].map(copy).concat()
}

/// Skips so many instructions unless the register holds one of these.
fn unless_any(of: u8, values: &[i32], count: usize) -> Vec<Instruction> {
    let mut code = Vec::new();
    for (index, value) in values.iter().enumerate() {
        // Over the comparisons that are left, and the skip.
        code.push(if_value(IF_EQUAL, of, *value, values.len() - index));
    }
    code.push(skip(count));
    code
}

/// SipHash-1-3 of two words, into register 0. Registers 1 to 5 are used up.
fn sip(key: [u64; 2], a: u8, b: u8) -> Vec<Instruction> {
    const LENGTH: u64 = 16 << 56;
    let [k0, k1] = key;
    let mut code = Vec::new();
    let start = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    for (to, value) in (1..).zip(start) {
        code.extend(wide(to, value));
    }
    for word in [a, b] {
        code.push(register(XOR, 4, word));
        code.extend(round());
        code.push(register(XOR, 1, word));
    }
    code.extend(wide(0, LENGTH));
    code.push(register(XOR, 4, 0));
    code.extend(round());
    code.extend(wide(0, LENGTH));
    code.push(register(XOR, 1, 0));
    code.push(constant(XOR, 3, 0xff));
    (0..3).for_each(|_| code.extend(round()));
    code.push(register(SET, 0, 1));
    code.extend([2, 3, 4].map(|of| register(XOR, 0, of)));
    code
}

/// One round on registers 1 to 4. Registers 0 and 5 are used up.
fn round() -> Vec<Instruction> {
    let mut code = vec![register(ADD, 1, 2), register(ADD, 3, 4)];
    code.extend(rotate(2, 13));
    code.push(register(XOR, 2, 1));
    code.extend(rotate(4, 16));
    code.push(register(XOR, 4, 3));
    code.extend(rotate(1, 32));
    code.extend([register(ADD, 3, 2), register(ADD, 1, 4)]);
    code.extend(rotate(2, 17));
    code.push(register(XOR, 2, 3));
    code.extend(rotate(4, 21));
    code.push(register(XOR, 4, 1));
    code.extend(rotate(3, 32));
    code
}

fn rotate(of: u8, bits: i32) -> [Instruction; 4] {
    [
        register(SET, 5, of),
        constant(LEFT, of, bits),
        constant(RIGHT, 5, 64 - bits),
        register(OR, of, 5),
    ]
}

/// Ends with a number below `taps`, from the hash in register 0.
fn scale(taps: u32) -> [Instruction; 4] {
    [
        constant(RIGHT, 0, 32),
        constant(MULTIPLY, 0, taps.min(i32::MAX as u32) as i32),
        constant(RIGHT, 0, 32),
        exit(),
    ]
}
