//! pcapng: a file of blocks, of which a few hold packets.
//!
//! **Purpose.** Walks the blocks, remembers what the current section said about its interfaces,
//! and finds the packets: Enhanced, Simple, and the obsolete Packet Block. Blocks of other types
//! are passed over.
//!
//! **Life cycle.** A Section Header Block sets the byte order and forgets all interfaces; each
//! Interface Description Block adds one, and packets name it by its number in the section.
//!
//! **Invariants.** A block is used only when all of it is there, the length at its end repeats the
//! one at its beginning, and that length is a multiple of 4 and at most [`MAX_BLOCK`]. A section's
//! own length field is not used: it is allowed to be unknown, and the blocks say the same.
//!
//! **Time.** A time stamp counts units since the epoch, 64 bits of them. `if_tsresol` says how many
//! make a second, as a power of 10 or of 2 (default: microseconds), `if_tsoffset` adds seconds.
//! Simple Packet Blocks have no time: they take that of the packet before them.
//!
//! **Source.** draft-ietf-opsawg-pcapng, sections 3.1, 4.1-4.4 and, for the obsolete block,
//! appendix A.

use pcap_parser::{BOM_MAGIC, EPB_MAGIC, IDB_MAGIC, OptionCode, SHB_MAGIC, SPB_MAGIC};

use super::Record;
use super::error::{CaptureErrorKind, Part};
use super::order::Order;
use super::window::Window;

/// The largest pcapng block that is read.
pub const MAX_BLOCK: usize = 16 * 1024 * 1024;

/// How many interfaces a section may describe.
pub const MAX_INTERFACES: usize = 65_536;

/// The obsolete Packet Block's type.
const PACKET: u32 = 2;

/// Type and length before a block's body, and the smallest block: those and the length again.
const HEADER: usize = 8;
const MIN_BLOCK: usize = 12;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Where the walk through the blocks stands.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// The time of the last packet, for a packet that has none.
    time_ns: u64,
}

#[derive(Debug)]
struct Interface {
    link_type: u32,
    /// How many bytes of a packet were kept at most; 0 for all.
    snap_len: u32,
    resolution: Resolution,
    offset_ns: i64,
}

/// How a time stamp becomes nanoseconds.
#[derive(Debug, Clone, Copy)]
enum Resolution {
    /// A unit is this many nanoseconds.
    Multiply(u64),
    /// A nanosecond is this many units.
    Divide(u64),
    /// A second is 2 to this power of units.
    Binary(u32),
}

/// A block whose length is sound, `size` bytes from the beginning of the window.
struct Block {
    kind: u32,
    size: usize,
}

/// The fixed fields of a packet block, whichever of the three.
struct Fields {
    interface: u32,
    /// Units since the epoch; none in a Simple Packet Block.
    stamp: Option<u64>,
    captured: usize,
    wire_len: u32,
    /// Where the packet's bytes begin in the block's body.
    at: usize,
}

/// Whether a file that begins so is pcapng.
pub(super) fn is_pcapng(first: &[u8]) -> bool {
    first.starts_with(&SHB_MAGIC.to_be_bytes())
}

impl Pcapng {
    pub(super) fn new() -> Pcapng {
        Pcapng {
            order: Order::Little,
            interfaces: Vec::new(),
            time_ns: 0,
        }
    }

    /// Finds the next packet block. => it is not consumed, the blocks before it are; `None` where
    /// the file ends.
    pub(super) fn next_record(
        &mut self,
        window: &mut Window,
    ) -> Result<Option<Record>, CaptureErrorKind> {
        while let Some(block) = self.next_block(window)? {
            let end = block.size - (MIN_BLOCK - HEADER);
            let body = window.bytes().get(HEADER..end).unwrap_or_default();
            match block.kind {
                EPB_MAGIC | SPB_MAGIC | PACKET => return self.packet(&block, body).map(Some),
                SHB_MAGIC => self.interfaces.clear(),
                IDB_MAGIC => self.add_interface(&block, body)?,
                _ => {}
            }
            window.consume(block.size);
        }
        Ok(None)
    }

    /// Brings the next block into the window, whole.
    fn next_block(&mut self, window: &mut Window) -> Result<Option<Block>, CaptureErrorKind> {
        let have = window.fill(MIN_BLOCK)?;
        if have == 0 {
            return Ok(None);
        }
        let Some(header) = window.bytes().first_chunk::<MIN_BLOCK>() else {
            return Err(CaptureErrorKind::cut(Part::BlockHeader, have, MIN_BLOCK));
        };
        let [kind, length] = self.begin_block(header)?;
        let size = length as usize;
        if size > MAX_BLOCK {
            return Err(CaptureErrorKind::too_long(Part::Block, size, MAX_BLOCK));
        }
        if size < MIN_BLOCK || !size.is_multiple_of(4) {
            return Err(CaptureErrorKind::BlockLength { length });
        }
        let have = window.fill(size)?;
        let Some(whole) = window.bytes().get(..size) else {
            return Err(CaptureErrorKind::cut(Part::Block, have, size));
        };
        let repeated = whole.last_chunk().map_or(0, |last| self.order.u32(*last));
        if repeated != length {
            return Err(CaptureErrorKind::BlockEnd { length, repeated });
        }
        Ok(Some(Block { kind, size }))
    }

    /// A block's type and length. A section header's type reads the same in both byte orders, and
    /// the word after its length says which one holds from there on.
    fn begin_block(&mut self, header: &[u8; MIN_BLOCK]) -> Result<[u32; 2], CaptureErrorKind> {
        if is_pcapng(header) {
            let [_, _, mark] = Order::Little.words(header).unwrap_or_default();
            self.order = match mark {
                BOM_MAGIC => Order::Little,
                _ if mark.swap_bytes() == BOM_MAGIC => Order::Big,
                _ => {
                    return Err(CaptureErrorKind::ByteOrder {
                        mark: mark.to_le_bytes(),
                    });
                }
            };
        }
        Ok(self.order.words(header).unwrap_or_default())
    }

    fn add_interface(&mut self, block: &Block, body: &[u8]) -> Result<(), CaptureErrorKind> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(CaptureErrorKind::TooManyInterfaces);
        }
        let order = self.order;
        let Some(([link_type], [_, snap_len])) = order.halves(body).zip(order.words(body)) else {
            return Err(block.too_short(8));
        };
        let mut interface = Interface {
            link_type: u32::from(link_type),
            snap_len,
            resolution: Resolution::Multiply(1_000),
            offset_ns: 0,
        };
        interface.read_options(order, body.get(8..).unwrap_or_default())?;
        self.interfaces.push(interface);
        Ok(())
    }

    fn packet(&mut self, block: &Block, body: &[u8]) -> Result<Record, CaptureErrorKind> {
        let fields = match block.kind {
            EPB_MAGIC => self.enhanced(block, body)?,
            PACKET => self.obsolete(block, body)?,
            _ => self.simple(block, body)?,
        };
        let room = body.len() - fields.at;
        if fields.captured > room {
            let captured = fields.captured as u64;
            return Err(CaptureErrorKind::PacketOverruns {
                captured,
                room: room as u64,
            });
        }
        let interface = self.interface(fields.interface)?;
        let link_type = interface.link_type;
        if let Some(stamp) = fields.stamp {
            self.time_ns = interface.time_ns(stamp);
        }
        let start = HEADER + fields.at;
        Ok(Record {
            time_ns: self.time_ns,
            link_type,
            wire_len: fields.wire_len,
            bytes: start..start + fields.captured,
            size: block.size,
        })
    }

    fn interface(&self, number: u32) -> Result<&Interface, CaptureErrorKind> {
        let found = self.interfaces.get(number as usize);
        found.ok_or(CaptureErrorKind::NoInterface {
            number,
            known: self.interfaces.len(),
        })
    }

    fn enhanced(&self, block: &Block, body: &[u8]) -> Result<Fields, CaptureErrorKind> {
        let [interface, high, low, captured, wire_len] =
            self.order.words(body).ok_or_else(|| block.too_short(20))?;
        Ok(Fields {
            interface,
            stamp: Some(u64::from(high) << 32 | u64::from(low)),
            captured: captured as usize,
            wire_len,
            at: 20,
        })
    }

    /// As the Enhanced one, but the first word is an interface of 16 bits and a count of drops.
    fn obsolete(&self, block: &Block, body: &[u8]) -> Result<Fields, CaptureErrorKind> {
        let fields = self.enhanced(block, body)?;
        let [interface] = self.order.halves(body).unwrap_or_default();
        Ok(Fields {
            interface: u32::from(interface),
            ..fields
        })
    }

    /// Of the first interface, always. The captured length is not written: it is the length on
    /// the wire, unless the interface's limit or the block is shorter.
    fn simple(&self, block: &Block, body: &[u8]) -> Result<Fields, CaptureErrorKind> {
        let [wire_len] = self.order.words(body).ok_or_else(|| block.too_short(4))?;
        let kept = match self.interface(0)?.snap_len {
            0 => wire_len,
            limit => wire_len.min(limit),
        };
        Ok(Fields {
            interface: 0,
            stamp: None,
            captured: (kept as usize).min(body.len() - 4),
            wire_len,
            at: 4,
        })
    }
}

impl Block {
    /// The error of a block that is too short for the fields of its type.
    fn too_short(&self, fields: usize) -> CaptureErrorKind {
        CaptureErrorKind::BlockTooShort {
            block_type: self.kind,
            length: self.size as u64,
            least: (MIN_BLOCK + fields) as u64,
        }
    }
}

impl Interface {
    /// Takes the resolution and the offset of time stamps from the options. The list ends with
    /// the option 0 or with the block.
    fn read_options(&mut self, order: Order, mut options: &[u8]) -> Result<(), CaptureErrorKind> {
        while let Some([code @ 1..=u16::MAX, length]) = order.halves(options) {
            let value = options.get(4..4 + usize::from(length));
            let Some(value) = value else {
                let room = options.len() as u64 - 4;
                return Err(CaptureErrorKind::OptionOverruns { code, length, room });
            };
            match (OptionCode(code), value) {
                (OptionCode::IfTsresol, [resolution, ..]) => {
                    self.resolution = Resolution::parse(*resolution);
                }
                (OptionCode::IfTsoffset, value) => {
                    let seconds = value.first_chunk().map_or(0, |bytes| order.i64(*bytes));
                    self.offset_ns = seconds.saturating_mul(NS_PER_SECOND.cast_signed());
                }
                _ => {}
            }
            let next = 4 + usize::from(length).next_multiple_of(4);
            options = options.get(next..).unwrap_or_default();
        }
        Ok(())
    }

    #[inline]
    fn time_ns(&self, stamp: u64) -> u64 {
        self.resolution
            .to_ns(stamp)
            .saturating_add_signed(self.offset_ns)
    }
}

impl Resolution {
    /// The option's byte: the highest bit says that the others are a power of 2, and not of 10.
    fn parse(byte: u8) -> Resolution {
        let power = u32::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            return Resolution::Binary(power);
        }
        match power.checked_sub(9) {
            None => Resolution::Multiply(10_u64.pow(9 - power)),
            // So fine that 64 bits of it are less than a nanosecond.
            Some(20..) => Resolution::Multiply(0),
            Some(finer) => Resolution::Divide(10_u64.saturating_pow(finer)),
        }
    }

    #[inline]
    fn to_ns(self, stamp: u64) -> u64 {
        match self {
            Resolution::Multiply(factor) => stamp.saturating_mul(factor),
            Resolution::Divide(divisor) => stamp / divisor,
            Resolution::Binary(power) => {
                let ns = (u128::from(stamp) * u128::from(NS_PER_SECOND)) >> power;
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        }
    }
}
