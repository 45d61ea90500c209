//! Any bytes at all: no panic, an end, and no more packets than bytes. And a judge: what another
//! reader finds in random sound files is what this one finds.

use std::io::Cursor;

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::build::*;

/// Reads to the end, as it is and through gzip, and checks what holds for every file.
fn survives(bytes: &[u8]) {
    let (packets, _) = read(bytes);
    assert!(packets.len() <= bytes.len());
    for (index, packet) in packets.iter().enumerate() {
        assert_eq!(packet.index, index as u64);
        assert!(packet.wire_len as usize >= packet.bytes.len());
        assert!(packet.offset as usize + packet.bytes.len() <= bytes.len());
    }
    assert_eq!(read(&gzip(bytes)).0, packets);
}

/// Every packet's bytes as `pcap-parser` finds them.
fn judge(mut reader: impl PcapReaderIterator) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    loop {
        match reader.next() {
            Ok((size, block)) => {
                match block {
                    PcapBlockOwned::Legacy(packet) => found.push(packet.data.to_vec()),
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        found.push(packet.packet_data().to_vec());
                    }
                    _ => {}
                }
                reader.consume(size);
            }
            Err(PcapError::Eof) => return found,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn orders() -> impl Strategy<Value = Order> {
    select(ORDERS.to_vec())
}

proptest! {
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        survives(&bytes);
    }

    #[test]
    fn random_bytes_after_a_header(
        sample in select(samples()),
        keep in select(vec![4_usize, 12, 24, 28, 48]),
        bytes in vec(any::<u8>(), 0..300),
    ) {
        survives(&[&sample[..keep], &bytes].concat());
    }

    #[test]
    fn mutations_and_truncations(
        mut file in select(samples()),
        changes in vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 0..6),
        length in any::<Index>(),
        cut in any::<bool>(),
    ) {
        for (place, value) in changes {
            let place = place.index(file.len());
            file[place] = value;
        }
        if cut {
            file.truncate(length.index(file.len()));
        }
        survives(&file);
    }

    #[test]
    fn mutated_gzip(
        file in select(samples()),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut packed = gzip(&file);
        for (place, value) in changes {
            let place = place.index(packed.len());
            packed[place] = value;
        }
        let (packets, _) = read(&packed);
        prop_assert!(packets.len() <= file.len() * 1_100);
    }

    #[test]
    fn agrees_with_another_reader_about_pcap(
        order in orders(),
        packets in vec(vec(any::<u8>(), 0..90), 0..20),
    ) {
        let start = Out::new(order).pcap(MICRO, 1);
        let file = packets.iter().fold(start, |file, packet| file.record(1, 2, packet)).bytes;
        let found: Vec<_> = read_sound(&file).into_iter().map(|p| p.bytes).collect();
        prop_assert_eq!(&found, &packets);
        let reader = LegacyPcapReader::new(65_536, Cursor::new(file)).unwrap();
        prop_assert_eq!(judge(reader), packets);
    }

    #[test]
    fn agrees_with_another_reader_about_pcapng(
        order in orders(),
        packets in vec(vec(any::<u8>(), 0..90), 0..20),
    ) {
        let start = Out::new(order).section().interface(1);
        let file = packets.iter().fold(start, |file, packet| file.enhanced(0, 2, packet)).bytes;
        let found: Vec<_> = read_sound(&file).into_iter().map(|p| p.bytes).collect();
        prop_assert_eq!(&found, &packets);
        let reader = PcapNGReader::new(65_536, Cursor::new(file)).unwrap();
        prop_assert_eq!(judge(reader), packets);
    }
}
