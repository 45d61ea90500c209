//! Programs in the kernel.

#![allow(clippy::unwrap_used)]

/// These need root; without, they say so and pass, unless `IP_CONNTRACK_REQUIRE_KERNEL=1`.
#[cfg(target_os = "linux")]
mod bpf {
    use ip_conntrack_link::sys::bpf::{Array, Instruction, Program};

    const fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
        Instruction {
            code,
            registers,
            offset,
            immediate,
        }
    }

    /// r0 = value; exit.
    fn verdict(value: i32) -> [Instruction; 2] {
        [instruction(0xb7, 0, 0, value), instruction(0x95, 0, 0, 0)]
    }

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

    #[test]
    fn an_array_keeps_what_is_put_in_and_ends_where_it_ends() {
        if !is_allowed() {
            return;
        }
        let array = Array::new(3).unwrap();
        array.set(2, u64::MAX - 1).unwrap();
        let values = [0, 1, 2].map(|index| array.get(index).unwrap());
        assert_eq!(values, [0, 0, u64::MAX - 1]);
        assert!(array.get(3).is_err());
        assert!(array.set(3, 0).is_err());
    }

    #[test]
    fn a_program_gives_its_verdict_and_leaves_the_frame() {
        if !is_allowed() {
            return;
        }
        let program = Program::xdp(&verdict(1)).unwrap();
        let frame: Vec<u8> = (0..60).collect();
        assert_eq!(program.run(&frame).unwrap(), (1, frame));
        assert!(program.run(&[0; 13]).is_err());
    }

    #[test]
    fn a_program_counts_in_an_array() {
        if !is_allowed() {
            return;
        }
        let array = Array::new(1).unwrap();
        let mut code = vec![
            // The key, 0, on the stack; r2 points to it.
            instruction(0x62, 10, -4, 0),
            instruction(0xbf, 10 << 4 | 2, 0, 0),
            instruction(0x07, 2, 0, -4),
        ];
        code.extend(array.reference(1));
        code.extend([
            // r0 = bpf_map_lookup_elem; if there is one, add 5.
            instruction(0x85, 0, 0, 1),
            instruction(0x15, 0, 2, 0),
            instruction(0xb7, 1, 0, 5),
            instruction(0xdb, 1 << 4, 0, 0),
        ]);
        code.extend(verdict(2));
        let program = Program::xdp(&code).unwrap();
        for _ in 0..3 {
            program.run(&[0; 14]).unwrap();
        }
        assert_eq!(array.get(0).unwrap(), 15);
    }

    #[test]
    fn what_the_verifier_refuses_comes_back_with_its_reason() {
        if !is_allowed() {
            return;
        }
        // r0 was never written.
        let error = Program::xdp(&[instruction(0x95, 0, 0, 0)]).unwrap_err();
        assert!(error.to_string().contains("R0 !read_ok"), "{error}");
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        if !is_allowed() {
            return;
        }
        let program = Program::xdp(&verdict(1)).unwrap();
        assert!(program.run_live(&[0; 60], i32::MAX as u32, 1, 1).is_err());
        assert!(program.attach(i32::MAX as u32).is_err());
    }
}
