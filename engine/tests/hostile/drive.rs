//! What no input may break. The property tests and the fuzzers drive the engine through this one file,
//! so that whatever a fuzzer finds is an input of the tests as it stands.

use ip_conntrack::format::{Options, json, line};
use ip_conntrack::{
    Arrival, Config, Conntrack, Event, Knob, LinkType, Packet, Reason, Time, Verdict, Zone,
};

/// After every deadline: the times of the packets stay below half of it.
const FAR_FUTURE: Time = Time::from_nanos(u64::MAX);

/// Calls of `advance` that must suffice to empty any table that these inputs can fill.
const CALLS: usize = 1000;

/// More than the packets that are on their way at once.
const LONGEST_BATCH: u8 = 64;

/// Reads a frame whose first byte chooses the link type: whatever the frame is, it is read or refused,
/// a packet is no longer than its frame, and a capture that was cut is never called malformed.
pub(crate) fn packet(input: &[u8]) {
    let Some((number, frame)) = input.split_first() else {
        return;
    };
    let Some(link) = link_type(*number) else {
        return;
    };
    let Ok(whole) = Packet::parse_cut(link, frame, frame.len()) else {
        return;
    };
    assert!(whole.ip_len() as usize <= frame.len());
    for cut in [frame.len() / 4, frame.len() / 2, frame.len() * 3 / 4] {
        match Packet::parse_cut(link, &frame[..cut], frame.len()) {
            Ok(packet) => assert_eq!(packet.ip_len(), whole.ip_len()),
            Err(reason) => assert_eq!(reason, Reason::Snapped, "cut to {cut} bytes"),
        }
    }
}

/// The link type of that number, where one byte has room for it; cooked captures, version 2, are 255.
pub(crate) fn link_type(number: u8) -> Option<LinkType> {
    LinkType::from_number(match number {
        255 => 276,
        number => u32::from(number),
    })
}

/// Runs a file through two trackers, packet by packet and in batches: they end alike, the limit holds,
/// what is listed is in the table, all that is listed can be written, and in the far future nothing is
/// left.
///
/// The file is laid out as a little-endian pcap, and none is refused: lengths that lie are taken for
/// what there is. The header's unused time zone is the limit, what is switched on, and the length of a
/// batch.
pub(crate) fn track(file: &[u8]) {
    let Some((header, records)) = file.split_first_chunk::<24>() else {
        return;
    };
    let link = link_type(header[20]).unwrap_or(LinkType::Raw);
    let arrivals = arrivals(link, records);
    let [mut single, mut batched] = [(); 2].map(|()| tracker(header[8], header[9]));
    for batch in arrivals.chunks(1 + usize::from(header[10] % LONGEST_BATCH)) {
        let one_by_one = take(&mut single, header[8], batch);
        assert_eq!(one_by_one, take_together(&mut batched, batch));
        assert_eq!(single.stats(), batched.stats());
        let events = events(&mut single);
        write(&events);
        assert_eq!(events, self::events(&mut batched));
    }
    assert_same(&single, &batched);
    list(&single);
    drain(&mut single);
    drain(&mut batched);
    assert_eq!(single.stats(), batched.stats());
}

/// The records of a file, with all that their headers can say.
fn arrivals(link: LinkType, mut records: &[u8]) -> Vec<Arrival<'_>> {
    let mut arrivals = Vec::new();
    while let Some((record, after)) = records.split_first_chunk::<16>() {
        let [seconds, fraction, captured, wire_len] = words(record);
        let captured = (captured as usize & 0xffff).min(after.len());
        let (bytes, after) = after.split_at(captured);
        // The highest bit of a length, which no real file has, opens times that no pcap can have.
        let nanos = match wire_len >> 31 {
            0 => u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * 1000,
            _ => u64::from(seconds) << 31 | u64::from(fraction),
        };
        arrivals.push(Arrival {
            link,
            bytes,
            wire_len: wire_len as usize & 0xffff,
            time: Time::from_nanos(nanos),
        });
        records = after;
    }
    arrivals
}

/// A small tracker; `switches` are what is on in it.
fn tracker(limit: u8, switches: u8) -> Conntrack {
    let mut config = Config::default();
    // Real captures have zeros there. Checksums are then not looked at, or few changed packets got far.
    for (bit, knob) in [Knob::Acct, Knob::Timestamp].into_iter().enumerate() {
        config
            .set(knob, i64::from(switches >> bit & 1))
            .expect("a flag");
    }
    let checks = i64::from(switches >> 2 & 1);
    config.set(Knob::Checksum, checks).expect("a flag");
    config.set(Knob::Max, i64::from(limit)).expect("a limit");
    config.set(Knob::Buckets, 8).expect("a number of buckets");
    let mut conntrack = Conntrack::new(config, u128::from(switches));
    conntrack.set_event_capacity(usize::from(switches >> 4));
    conntrack
}

fn words(record: &[u8; 16]) -> [u32; 4] {
    let (words, _) = record.as_chunks::<4>();
    [0, 1, 2, 3].map(|at| u32::from_le_bytes(words[at]))
}

fn take(conntrack: &mut Conntrack, limit: u8, batch: &[Arrival<'_>]) -> Vec<Verdict> {
    conntrack.advance(batch[0].time);
    let track = |arrival: &Arrival<'_>| {
        let verdict = match Packet::parse_cut(arrival.link, arrival.bytes, arrival.wire_len) {
            Ok(packet) => conntrack.track(&packet, arrival.time),
            Err(reason) => conntrack.skip(reason),
        };
        assert!(limit == 0 || conntrack.len() <= usize::from(limit));
        verdict
    };
    batch.iter().map(track).collect()
}

fn take_together(conntrack: &mut Conntrack, batch: &[Arrival<'_>]) -> Vec<Verdict> {
    conntrack.advance(batch[0].time);
    let mut verdicts = vec![Verdict::default(); batch.len()];
    conntrack.track_batch(Zone::default(), batch, &mut verdicts);
    verdicts
}

fn events(conntrack: &mut Conntrack) -> Vec<Event> {
    std::iter::from_fn(|| conntrack.poll_event()).collect()
}

fn write(events: &[Event]) {
    for event in events {
        let mut text = Vec::new();
        line::event(&mut text, event, &Options::default());
        assert!(str::from_utf8(&text).is_ok());
    }
}

fn assert_same(one: &Conntrack, other: &Conntrack) {
    assert!(one.connections().eq(other.connections()));
    assert!(one.deadlines().eq(other.deadlines()));
    assert_eq!(one.now(), other.now());
    assert_eq!(one.next_deadline(), other.next_deadline());
}

fn list(conntrack: &Conntrack) {
    let (mut listed, mut text) = (0, Vec::new());
    for connection in conntrack.connections() {
        listed += 1;
        line::nf_conntrack(&mut text, &connection);
        json::entry(&mut text, &connection, &Options::default());
    }
    assert!(listed <= conntrack.len());
    assert_eq!(
        text.iter().filter(|byte| **byte == b'\n').count(),
        2 * listed
    );
}

fn drain(conntrack: &mut Conntrack) {
    let mut calls = 0;
    while !conntrack.advance(FAR_FUTURE) {
        calls += 1;
        assert!(calls < CALLS, "{} entries never end", conntrack.len());
    }
    assert_eq!(conntrack.len(), 0);
    assert_eq!(conntrack.connections().count(), 0);
    assert_eq!(conntrack.next_deadline(), None);
}
