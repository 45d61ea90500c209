//! SCTP (RFC 9260) as seen from the middle.
//!
//! Every chunk of a packet moves the association through `TRANSITIONS`, in order; a packet with one
//! chunk that does not belong is refused, though what the chunks before it changed remains, as in
//! Linux. Verification tags are checked against those that INIT and INIT_ACK announced (section
//! 8.5); a heartbeat on a path whose beginning was not seen teaches them.

mod by_hand;
mod memory;
mod table;

use super::{Scene, Step, verifies_checksum};
use crate::config::Knob;
use crate::connection::{SctpState, State, Status};
use crate::event::Changes;
use crate::packet::sctp::{Chunk, Chunks, Header, chunk};
use crate::packet::{Missing, Segment, checksum};
use crate::tuple::Direction;
use crate::verdict::Reason;
pub(super) use by_hand::check_change;
use table::transition;

/// The tracker's memory of an association.
#[derive(Clone, Debug)]
pub(crate) struct Sctp {
    /// The tag that packets of each direction must carry; 0 is not known.
    tags: [u32; 2],
    /// Which sides sent an INIT.
    inits: [bool; 2],
    state: SctpState,
    /// A heartbeat came with a wrong tag, from that direction.
    odd_heartbeat: Option<Direction>,
}

impl Default for Sctp {
    fn default() -> Sctp {
        Sctp {
            tags: [0; 2],
            inits: [false; 2],
            state: SctpState::None,
            odd_heartbeat: None,
        }
    }
}

/// Which chunk types a packet has, a bit a type.
#[derive(Clone, Copy, Default)]
struct Kinds([u128; 2]);

impl Kinds {
    fn add(&mut self, kind: u8) {
        self.0[usize::from(kind >> 7)] |= 1 << (kind & 127);
    }

    fn has(self, kind: u8) -> bool {
        self.0[usize::from(kind >> 7)] & 1 << (kind & 127) != 0
    }

    fn has_any(self, kinds: &[u8]) -> bool {
        kinds.iter().any(|kind| self.has(*kind))
    }
}

impl Sctp {
    pub(super) fn state(&self) -> State {
        State::Sctp {
            state: self.state,
            tags: self.tags,
        }
    }

    pub(super) fn track(
        &mut self,
        status: &mut Status,
        scene: &Scene<'_>,
        changes: &mut Changes,
    ) -> Step {
        let segment = scene.packet.l4();
        let checked = check(scene).and_then(|header| Ok((header, check_chunks(segment)?)));
        let (header, kinds) = match checked {
            Ok(checked) => checked,
            Err(reason) => return Step::Invalid(reason),
        };
        if scene.opens && !self.open(header, segment, kinds) {
            return Step::Invalid(Reason::SctpNew);
        }
        if !has_own_tag_rule(kinds) && header.tag != self.tags[scene.direction.index()] {
            return Step::Invalid(Reason::SctpTag);
        }
        let mut unrefreshed = None;
        for chunk in Chunks::of(segment) {
            match self.chunk(chunk, header.tag, scene.direction, kinds, &mut unrefreshed) {
                Ok(state) => self.enter(state, status, changes),
                Err(None) => {}
                Err(Some(reason)) => return Step::Invalid(reason),
            }
        }
        match unrefreshed {
            Some(reason) => Step::Keep(reason),
            None => Step::Refresh(scene.config.secs(knob_of(self.state))),
        }
    }

    /// Whether a packet can open an association, and what it tells of the tags.
    fn open(&mut self, header: Header, segment: Segment<'_>, kinds: Kinds) -> bool {
        const OUT_OF_THE_BLUE: [u8; 3] =
            [chunk::ABORT, chunk::SHUTDOWN_COMPLETE, chunk::COOKIE_ACK];
        if kinds.has_any(&OUT_OF_THE_BLUE) {
            return false;
        }
        let (original, reply) = (Direction::Original.index(), Direction::Reply.index());
        for chunk in Chunks::of(segment) {
            match transition(Direction::Original, chunk.kind, SctpState::None) {
                None | Some(SctpState::None) => return false,
                Some(_) => {}
            }
            match chunk.kind {
                chunk::INIT => match chunk.init_tag {
                    Some(tag) if header.tag == 0 => {
                        self.tags[reply] = tag;
                        self.inits[original] = true;
                    }
                    _ => return false,
                },
                chunk::HEARTBEAT => self.tags[original] = header.tag,
                chunk::SHUTDOWN_ACK => self.tags[reply] = header.tag,
                _ => {}
            }
        }
        true
    }

    /// The state that a chunk leads to. `Err(None)` if the chunk is passed over.
    fn chunk(
        &mut self,
        chunk: Chunk,
        tag: u32,
        direction: Direction,
        kinds: Kinds,
        unrefreshed: &mut Option<Option<Reason>>,
    ) -> Result<SctpState, Option<Reason>> {
        let refuse = Err(Some(Reason::SctpTag));
        let own = self.tags[direction.index()];
        let reflected = match chunk.has_peers_tag() {
            true => self.tags[direction.other().index()],
            false => own,
        };
        match chunk.kind {
            chunk::INIT if tag != 0 => return refuse,
            chunk::ABORT | chunk::SHUTDOWN_COMPLETE if tag != reflected => return refuse,
            chunk::COOKIE_ECHO if tag != own => return refuse,
            // The handshake is over: later INITs are not those of a collision.
            chunk::COOKIE_ACK => self.inits = [false; 2],
            chunk::HEARTBEAT | chunk::HEARTBEAT_ACK => {
                let restarts = unrefreshed.is_some();
                let taken = self.heartbeat(chunk.kind, tag, direction, kinds, restarts);
                if let Err(reason) = taken {
                    if reason == Reason::SctpRestart {
                        *unrefreshed = Some(Some(reason));
                        return Err(None);
                    }
                    return Err(Some(reason));
                }
            }
            _ => {}
        }
        let new = transition(direction, chunk.kind, self.state).ok_or(Some(Reason::SctpState))?;
        self.note_tags(chunk, direction)?;
        let repeats_init = chunk.kind == chunk::INIT && self.state == SctpState::Closed;
        if repeats_init && new == SctpState::Closed {
            *unrefreshed = Some(None);
        }
        Ok(new)
    }

    /// Heartbeats teach tags that are not known. One with a wrong tag may come from a peer that was
    /// restarted: if the other side acknowledges it, its tag is the right one from then on.
    fn heartbeat(
        &mut self,
        kind: u8,
        tag: u32,
        direction: Direction,
        kinds: Kinds,
        restarts: bool,
    ) -> Result<(), Reason> {
        let own = &mut self.tags[direction.index()];
        if *own == 0 {
            *own = tag;
        } else if *own == tag {
            self.odd_heartbeat = None;
        } else {
            if kinds.has(chunk::DATA) || restarts {
                return Err(Reason::SctpTag);
            }
            if kind == chunk::HEARTBEAT {
                self.odd_heartbeat = Some(direction);
                return Err(Reason::SctpRestart);
            }
            if self.odd_heartbeat != Some(direction.other()) {
                return Err(Reason::SctpTag);
            }
            *own = tag;
            self.odd_heartbeat = None;
            self.tags[direction.other().index()] = 0;
        }
        Ok(())
    }

    /// INIT and INIT_ACK announce the tag that the other side must use. Two INITs that cross are
    /// told apart by who sent one (RFC 9260, 5.2). An INIT that announces what is known already may be
    /// old or forged, and is not counted as sent.
    fn note_tags(&mut self, chunk: Chunk, direction: Direction) -> Result<(), Option<Reason>> {
        if !matches!(chunk.kind, chunk::INIT | chunk::INIT_ACK) {
            return Ok(());
        }
        let (here, there) = (direction.index(), direction.other().index());
        let announced = chunk.init_tag.ok_or(Some(Reason::SctpChunks))?;
        let known = self.tags[there];
        if chunk.kind == chunk::INIT {
            if known != announced {
                if self.inits == [true; 2] {
                    self.inits[there] = false;
                }
                self.inits[here] = true;
            }
        } else {
            let contradicts = known != announced;
            let is_stray = !self.inits[there] && known != 0;
            let collides = self.inits == [true; 2];
            if contradicts && (is_stray || collides) {
                return Err(Some(Reason::SctpTag));
            }
        }
        self.tags[there] = announced;
        Ok(())
    }

    fn enter(&mut self, new: SctpState, status: &mut Status, changes: &mut Changes) {
        if new == self.state {
            return;
        }
        self.state = new;
        changes.add(Changes::PROTOINFO);
        if new == SctpState::Established && !status.has(Status::ASSURED) {
            *status = status.with(Status::ASSURED);
            changes.add(Changes::ASSURED);
        }
    }
}

fn check(scene: &Scene<'_>) -> Result<Header, Reason> {
    let segment = scene.packet.l4();
    let header = Header::parse(segment).map_err(|missing| match missing {
        Missing::Absent => Reason::SctpShort,
        Missing::Snapped => Reason::Snapped,
    })?;
    if verifies_checksum(scene.packet, scene.config) && !checksum::is_right_sctp(segment.bytes) {
        return Err(Reason::SctpChecksum);
    }
    Ok(header)
}

/// INIT, INIT_ACK and SHUTDOWN_COMPLETE stand alone, COOKIE_ECHO and COOKIE_ACK come first; there is
/// at least one chunk, and none without length.
fn check_chunks(segment: Segment<'_>) -> Result<Kinds, Reason> {
    let mut kinds = Kinds::default();
    let mut count = 0;
    let mut alone = false;
    for chunk in Chunks::of(segment) {
        alone |= matches!(
            chunk.kind,
            chunk::INIT | chunk::INIT_ACK | chunk::SHUTDOWN_COMPLETE
        );
        let first = alone || matches!(chunk.kind, chunk::COOKIE_ECHO | chunk::COOKIE_ACK);
        if chunk.length == 0 || (first && count != 0) {
            return Err(Reason::SctpChunks);
        }
        kinds.add(chunk.kind);
        count += 1;
    }
    if count == 0 {
        let cut = !segment.is_whole();
        return Err(if cut {
            Reason::Snapped
        } else {
            Reason::SctpChunks
        });
    }
    Ok(kinds)
}

/// Whether a packet has a chunk for whose tag section 8.5.1 makes an exception.
fn has_own_tag_rule(kinds: Kinds) -> bool {
    kinds.has_any(&[
        chunk::INIT,
        chunk::SHUTDOWN_COMPLETE,
        chunk::COOKIE_ECHO,
        chunk::ABORT,
        chunk::SHUTDOWN_ACK,
        chunk::HEARTBEAT,
        chunk::HEARTBEAT_ACK,
    ])
}

const fn knob_of(state: SctpState) -> Knob {
    match state {
        SctpState::None | SctpState::Closed => Knob::SctpTimeoutClosed,
        SctpState::CookieWait => Knob::SctpTimeoutCookieWait,
        SctpState::CookieEchoed => Knob::SctpTimeoutCookieEchoed,
        SctpState::Established => Knob::SctpTimeoutEstablished,
        SctpState::ShutdownSent => Knob::SctpTimeoutShutdownSent,
        SctpState::ShutdownRecd => Knob::SctpTimeoutShutdownRecd,
        SctpState::ShutdownAckSent => Knob::SctpTimeoutShutdownAckSent,
        SctpState::HeartbeatSent => Knob::SctpTimeoutHeartbeatSent,
    }
}
