//! The form of the state file: a header of fixed length, then the entries as netlink messages.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `IPCTSTAT` |
//! | 8–11 | version of the form, 1 |
//! | 12–15 | length of the header, 48 |
//! | 16–23 | length of what follows it |
//! | 24–31 | entries in it |
//! | 32–39 | when it was begun: the system's time, nanoseconds since 1970 |
//! | 40–43 | CRC-32 of what follows the header |
//! | 44–47 | CRC-32 of bytes 0–43 |
//!
//! Numbers are little-endian. The messages are in the machine's own order of bytes, as netlink's are; on
//! a machine of the other order they are no messages. The version says what the messages mean, too: whoever
//! changes either counts it up, and says what becomes of files of the old one.

use std::fmt;

/// Bytes of the header.
pub(super) const LEN: usize = 48;

const MAGIC: &[u8; 8] = b"IPCTSTAT";

/// The version that is written and read.
pub(crate) const VERSION: u32 = 1;

/// What the header says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Header {
    /// Bytes that follow.
    pub(super) len: u64,
    pub(super) entries: u64,
    pub(super) begun: u64,
    pub(super) checksum: u32,
}

/// Why a file is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It begins with something else.
    Foreign,
    /// Its version is not known here.
    Version(u32),
    /// It has fewer bytes than it should.
    Truncated {
        /// Bytes that there are.
        has: u64,
        /// Bytes that there should be.
        should: u64,
    },
    /// It is not what was written.
    Damaged(&'static str),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Foreign => write!(f, "it is no state file"),
            Refused::Version(version) => {
                write!(
                    f,
                    "it has version {version}, and only version {VERSION} can be read"
                )
            }
            Refused::Truncated { has, should } => {
                write!(f, "it is cut short: it has {has} of {should} bytes")
            }
            Refused::Damaged(what) => write!(f, "it is damaged: {what}"),
        }
    }
}

impl Header {
    pub(super) fn write(&self) -> [u8; LEN] {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(LEN as u32).to_le_bytes());
        bytes.extend_from_slice(&self.len.to_le_bytes());
        bytes.extend_from_slice(&self.entries.to_le_bytes());
        bytes.extend_from_slice(&self.begun.to_le_bytes());
        bytes.extend_from_slice(&self.checksum.to_le_bytes());
        let own = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&own.to_le_bytes());
        bytes.first_chunk().copied().unwrap_or([0; LEN])
    }

    /// Reads the header of a file of that length.
    pub(super) fn read(bytes: &[u8], file_len: u64) -> Result<Header, Refused> {
        if !bytes.starts_with(MAGIC) {
            let begins = !bytes.is_empty() && MAGIC.starts_with(bytes);
            return Err(match begins {
                true => Refused::Truncated {
                    has: file_len,
                    should: LEN as u64,
                },
                false => Refused::Foreign,
            });
        }
        let Some(bytes) = bytes.first_chunk::<LEN>() else {
            return Err(Refused::Truncated {
                has: file_len,
                should: LEN as u64,
            });
        };
        let u32_at = |at: usize| {
            bytes
                .get(at..)
                .and_then(|b| b.first_chunk())
                .map_or(0, |b| u32::from_le_bytes(*b))
        };
        let u64_at = |at: usize| {
            bytes
                .get(at..)
                .and_then(|b| b.first_chunk())
                .map_or(0, |b| u64::from_le_bytes(*b))
        };
        if u32_at(8) != VERSION {
            return Err(Refused::Version(u32_at(8)));
        }
        if u32_at(44) != crc32fast::hash(bytes.get(..44).unwrap_or_default()) {
            return Err(Refused::Damaged("the checksum of its header is wrong"));
        }
        let header = Header {
            len: u64_at(16),
            entries: u64_at(24),
            begun: u64_at(32),
            checksum: u32_at(40),
        };
        let should = header.len.saturating_add(LEN as u64);
        match file_len.cmp(&should) {
            std::cmp::Ordering::Less => Err(Refused::Truncated {
                has: file_len,
                should,
            }),
            std::cmp::Ordering::Greater => {
                Err(Refused::Damaged("it has more bytes than it should"))
            }
            std::cmp::Ordering::Equal => Ok(header),
        }
    }
}
