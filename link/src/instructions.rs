//! What programs inside the kernel are written with: one function an instruction (RFC 9669).

use crate::sys::bpf::Instruction;

// Operations on 64 bits.
pub(crate) const ADD: u8 = 0x07;
pub(crate) const MULTIPLY: u8 = 0x27;
pub(crate) const OR: u8 = 0x47;
pub(crate) const AND: u8 = 0x57;
pub(crate) const LEFT: u8 = 0x67;
pub(crate) const RIGHT: u8 = 0x77;
pub(crate) const XOR: u8 = 0xa7;
pub(crate) const SET: u8 = 0xb7;
/// To network byte order; the constant is the number of bits.
pub(crate) const BIG_ENDIAN: u8 = 0xdc;

// Memory.
pub(crate) const LOAD_8: u8 = 0x71;
pub(crate) const LOAD_16: u8 = 0x69;
pub(crate) const LOAD_32: u8 = 0x61;
pub(crate) const LOAD_64: u8 = 0x79;

// Jumps.
pub(crate) const IF_EQUAL: u8 = 0x15;
pub(crate) const IF_NOT_EQUAL: u8 = 0x55;
pub(crate) const IF_ABOVE: u8 = 0x25;
const JUMP: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// With a register instead of a constant.
const REGISTER: u8 = 0x08;

/// The register that points behind the stack.
pub(crate) const STACK: u8 = 10;

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: from << 4 | to,
        offset,
        immediate,
    }
}

/// `to = to OPERATION value`
pub(crate) const fn constant(operation: u8, to: u8, value: i32) -> Instruction {
    instruction(operation, to, 0, 0, value)
}

/// `to = to OPERATION from`
pub(crate) const fn register(operation: u8, to: u8, from: u8) -> Instruction {
    instruction(operation | REGISTER, to, from, 0, 0)
}

/// `to = *(from + offset)`
pub(crate) const fn load(width: u8, to: u8, from: u8, offset: i16) -> Instruction {
    instruction(width, to, from, offset, 0)
}

/// Skips so many instructions if the register compares so with a value.
pub(crate) const fn if_value(condition: u8, of: u8, value: i32, skip: usize) -> Instruction {
    instruction(condition, of, 0, skip as i16, value)
}

/// The same with another register.
pub(crate) const fn if_register(condition: u8, of: u8, with: u8, skip: usize) -> Instruction {
    instruction(condition | REGISTER, of, with, skip as i16, 0)
}

/// Skips so many instructions.
pub(crate) const fn skip(count: usize) -> Instruction {
    instruction(JUMP, 0, 0, count as i16, 0)
}

pub(crate) const fn call(function: i32) -> Instruction {
    instruction(CALL, 0, 0, 0, function)
}

/// Ends with the value in register 0.
pub(crate) const fn exit() -> Instruction {
    instruction(EXIT, 0, 0, 0, 0)
}

/// Ends with a value.
pub(crate) const fn answer(value: i32) -> [Instruction; 2] {
    [constant(SET, 0, value), exit()]
}

/// `to = value`, of 64 bits.
pub(crate) const fn wide(to: u8, value: u64) -> [Instruction; 2] {
    const LOAD_WIDE: u8 = 0x18;
    [
        instruction(LOAD_WIDE, to, 0, 0, value as u32 as i32),
        instruction(0, 0, 0, 0, (value >> 32) as i32),
    ]
}

/// Has `then` done if the register holds the value.
pub(crate) fn when(of: u8, value: i32, then: Vec<Instruction>) -> Vec<Instruction> {
    let mut code = vec![if_value(IF_NOT_EQUAL, of, value, then.len())];
    code.extend(then);
    code
}
