//! Packets that wait in the middle of the kernel, after they were tracked and before their entries are
//! confirmed, until the lab lets them go.
//!
//! Facts of the protocols: `nf_tables` is subsystem 10, a change is enclosed by a batch's begin and end;
//! a rule may end in a target of iptables, whose settings are bytes in the machine's order.
//! `nfnetlink_queue` is subsystem 3: messages 0 packet, 1 verdict, 2 configuration; numbers big-endian.

use std::io;

use super::netlink::{ACK, Attributes, Message, Netlink};

const PACKET: u16 = 3 << 8;
const VERDICT: u16 = 3 << 8 | 1;
const CONFIG: u16 = 3 << 8 | 2;
const NUMBER: u16 = 0;

const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// What waits, in the order of arrival.
pub(super) struct Queue {
    netlink: Netlink,
    waiting: Vec<u32>,
}

impl Queue {
    /// Starts to listen.
    pub(super) fn new() -> io::Result<Queue> {
        const COMMAND: u16 = 1;
        const PARAMETERS: u16 = 2;
        const BIND: u8 = 1;
        const COPY_META: u8 = 1;
        let mut netlink = Netlink::requester()?;
        for (kind, payload) in [
            (COMMAND, [BIND, 0, 0, 0].as_slice()),
            (PARAMETERS, &[0, 0, 0, 0, COPY_META]),
        ] {
            let mut message = Message::new(CONFIG, ACK, 0, NUMBER);
            message.attribute(kind, payload);
            netlink.request(&mut message, |_| ())?;
        }
        netlink.listen()?;
        Ok(Queue {
            netlink,
            waiting: Vec::new(),
        })
    }

    /// Whether a packet came to wait since this was asked last.
    pub(super) fn has_more(&mut self) -> io::Result<bool> {
        const HEADER: u16 = 1;
        let before = self.waiting.len();
        let waiting = &mut self.waiting;
        self.netlink.drain(|message| {
            let header = Attributes(message.attributes).find(|(kind, _)| *kind == HEADER);
            if let (PACKET, Some((_, [a, b, c, d, ..]))) = (message.kind, header) {
                waiting.push(u32::from_be_bytes([*a, *b, *c, *d]));
            }
        })?;
        Ok(self.waiting.len() > before)
    }

    /// Lets one go on: the one that has waited longest is 0.
    pub(super) fn release(&mut self, index: usize) -> io::Result<()> {
        if index >= self.waiting.len() {
            return Err(io::Error::other("no packet waits"));
        }
        let id = self.waiting.remove(index);
        self.decide(id, ACCEPT)
    }

    /// Drops all that wait.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.has_more()?;
        for id in std::mem::take(&mut self.waiting) {
            self.decide(id, DROP)?;
        }
        Ok(())
    }

    fn decide(&mut self, id: u32, verdict: u32) -> io::Result<()> {
        const HEADER: u16 = 2;
        let mut message = Message::new(VERDICT, 0, 0, NUMBER);
        let payload = [verdict.to_be_bytes(), id.to_be_bytes()].concat();
        message.attribute(HEADER, &payload);
        self.netlink.send(&mut [message])
    }
}

/// Fills a chain with the one rule that every packet waits, as iptables would: `nft` has a word for it too,
/// but that needs a part of the kernel that is built less often.
pub(super) fn let_all_wait(table: &str, chain: &str) -> io::Result<()> {
    const INET: u8 = 1;
    const NF_TABLES: u16 = 10;
    const BATCH_BEGIN: u16 = 16;
    const BATCH_END: u16 = 17;
    const NEW_RULE: u16 = NF_TABLES << 8 | 6;
    const CREATE_APPEND: u16 = 0x400 | 0x800;
    let name = |text: &str| [text.as_bytes(), b"\0"].concat();
    let mut rule = Message::new(NEW_RULE, CREATE_APPEND | ACK, INET, 0);
    rule.attribute(1, &name(table)).attribute(2, &name(chain));
    rule.nest(4, |expressions| {
        expressions.nest(1, |expression| {
            expression.attribute(1, &name("target"));
            expression.nest(2, |target| {
                const REVISION: u32 = 0;
                let [low, high] = NUMBER.to_ne_bytes();
                target.attribute(1, &name("NFQUEUE"));
                target.attribute(2, &REVISION.to_be_bytes());
                target.attribute(3, &[low, high, 0, 0, 0, 0, 0, 0]);
            });
        });
    });
    let begin = Message::new(BATCH_BEGIN, 0, 0, NF_TABLES);
    let end = Message::new(BATCH_END, 0, 0, NF_TABLES);
    let mut netlink = Netlink::requester()?;
    netlink.send(&mut [begin, rule, end])?;
    netlink.answer(|_| ())
}
