//! Expectations: their messages, and the requests about them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::change::whole;
use super::names::{expect, family, flag, kind};
use super::read::{Attributes, Malformed, Message};
use super::request::{family_of as requested_family, number_of};
use super::tuple::{family_of, put};
use super::write::{Body, Head, Origin, netfilter};
use crate::change::{Family, Refusal};
use crate::expectation::{ExpectFlags, Expectation, NewExpectation, WhichExpectation};
use crate::parts::TupleParts;
use crate::tuple::{Tuple, Zone};

/// All that a message about an expectation may have.
#[derive(Default)]
struct Reading<'a> {
    tuple: Option<TupleParts>,
    mask: Option<TupleParts>,
    master: Option<TupleParts>,
    timeout: Option<u32>,
    id: Option<u32>,
    helper: Option<&'a str>,
    zone: u16,
    flags: u32,
    class: u32,
}

impl<'a> Reading<'a> {
    fn of(attributes: Attributes<'a>) -> Reading<'a> {
        let mut reading = Reading::default();
        for attribute in attributes {
            let parts = || Some(TupleParts::read(attribute.nest()));
            match attribute.number {
                expect::MASTER => reading.master = parts(),
                expect::TUPLE => reading.tuple = parts(),
                expect::MASK => reading.mask = parts(),
                expect::TIMEOUT => reading.timeout = attribute.u32(),
                expect::ID => reading.id = attribute.u32(),
                expect::HELP_NAME => reading.helper = attribute.text(),
                expect::ZONE => reading.zone = attribute.u16().unwrap_or(0),
                expect::FLAGS => reading.flags = attribute.u32().unwrap_or(0),
                expect::CLASS => reading.class = attribute.u32().unwrap_or(0),
                _ => {}
            }
        }
        reading
    }

    /// A mask is often given without protocol, and without destination: that always counts.
    fn mask(&self, tuple: &Tuple) -> Option<Tuple> {
        let mut mask = self.mask?;
        mask.protocol = Some(tuple.protocol.0);
        mask.src.get_or_insert(all_or_none(tuple, false));
        mask.dst.get_or_insert(all_or_none(tuple, true));
        mask.whole()
    }
}

/// An address of the tuple's family, of all ones or of none.
fn all_or_none(tuple: &Tuple, all: bool) -> core::net::IpAddr {
    match (tuple.is_ipv6(), all) {
        (false, true) => [u8::MAX; 4].into(),
        (false, false) => [0; 4].into(),
        (true, true) => [u8::MAX; 16].into(),
        (true, false) => [0; 16].into(),
    }
}

/// Reads the expectation of a message.
///
/// # Errors
///
/// One of its tuples is missing or incomplete.
pub fn read_expectation(message: &Message<'_>) -> Result<Expectation, Malformed> {
    let reading = Reading::of(message.attributes());
    let whole = |parts: &Option<TupleParts>, number| {
        let tuple = parts.and_then(|parts| parts.whole());
        tuple.ok_or(Malformed::Attribute(number))
    };
    let tuple = whole(&reading.tuple, expect::TUPLE)?;
    let mask = reading.mask(&tuple);
    Ok(Expectation {
        id: reading.id.unwrap_or(0),
        tuple,
        mask: mask.ok_or(Malformed::Attribute(expect::MASK))?,
        master: whole(&reading.master, expect::MASTER)?,
        zone: Zone::both(reading.zone),
        timeout: reading.timeout.map(u64::from),
        flags: ExpectFlags(reading.flags),
        class: reading.class,
        helper: reading.helper.map(ToOwned::to_owned),
    })
}

/// Appends an expectation as an answer tells it; `flags` as for [`put_entry`](super::put_entry).
pub fn put_expectation(out: &mut Vec<u8>, origin: Origin, flags: u16, expectation: &Expectation) {
    put_as(out, kind::EXP_NEW, origin, flags, expectation);
}

/// Appends the event of an expectation that began.
pub fn put_expectation_new(out: &mut Vec<u8>, origin: Origin, expectation: &Expectation) {
    let flags = flag::CREATE | flag::EXCL;
    put_as(out, kind::EXP_NEW, origin, flags, expectation);
}

/// Appends the event of an expectation that ended.
pub fn put_expectation_end(out: &mut Vec<u8>, origin: Origin, expectation: &Expectation) {
    put_as(out, kind::EXP_DELETE, origin, 0, expectation);
}

fn put_as(out: &mut Vec<u8>, kind: u16, origin: Origin, flags: u16, expectation: &Expectation) {
    let head = Head {
        kind,
        flags,
        origin,
    };
    netfilter(out, head, family_of(&expectation.tuple), 0, |body| {
        put(body, expect::TUPLE, &expectation.tuple, None);
        put(body, expect::MASK, &expectation.mask, None);
        put(body, expect::MASTER, &expectation.master, None);
        if let Some(secs) = expectation.timeout {
            body.u32(expect::TIMEOUT, u32::try_from(secs).unwrap_or(u32::MAX));
        }
        body.u32(expect::ID, expectation.id);
        body.u32(expect::FLAGS, expectation.flags.0);
        body.u32(expect::CLASS, expectation.class);
        if let Some(helper) = &expectation.helper {
            body.text(expect::HELP_NAME, helper);
        }
    });
}

/// The expectation that a request is about, if it is about one.
pub(super) fn which(message: &Message<'_>) -> Result<Option<WhichExpectation>, Refusal> {
    let reading = Reading::of(message.attributes());
    let Some(parts) = reading.tuple else {
        return Ok(None);
    };
    Ok(Some(WhichExpectation {
        tuple: whole(&parts, requested_family(message)?)?,
        zone: Zone::both(reading.zone),
        id: reading.id,
    }))
}

/// The helper whose expectations a request is about.
pub(super) fn helper(attributes: Attributes<'_>) -> Option<String> {
    Reading::of(attributes).helper.map(ToOwned::to_owned)
}

pub(super) fn read_new(message: &Message<'_>) -> Result<NewExpectation, Refusal> {
    let reading = Reading::of(message.attributes());
    let (Some(tuple), Some(_), Some(master)) = (reading.tuple, reading.mask, reading.master) else {
        return Err(Refusal::Invalid);
    };
    let family = requested_family(message)?;
    let tuple = whole(&tuple, family)?;
    Ok(NewExpectation {
        tuple,
        mask: Some(reading.mask(&tuple).ok_or(Refusal::Invalid)?),
        master: Some(whole(&master, family)?),
        zone: Zone::both(reading.zone),
        timeout: reading.timeout,
        flags: ExpectFlags(reading.flags),
        class: reading.class,
    })
}

pub(super) fn write_which(out: &mut Vec<u8>, head: Head, which: &WhichExpectation) {
    let family = number_of(Some(Family::of(&which.tuple)));
    netfilter(out, head, family, 0, |body| {
        put(body, expect::TUPLE, &which.tuple, None);
        which.id.inspect(|id| body.u32(expect::ID, *id));
        zone(body, which.zone);
    });
}

pub(super) fn write_new(out: &mut Vec<u8>, head: Head, new: &NewExpectation) {
    let family = number_of(Some(Family::of(&new.tuple)));
    netfilter(out, head, family, 0, |body| {
        new.master
            .inspect(|master| put(body, expect::MASTER, master, None));
        put(body, expect::TUPLE, &new.tuple, None);
        new.mask.inspect(|mask| put(body, expect::MASK, mask, None));
        new.timeout.inspect(|secs| body.u32(expect::TIMEOUT, *secs));
        body.u32(expect::FLAGS, new.flags.0);
        body.u32(expect::CLASS, new.class);
        zone(body, new.zone);
    });
}

fn zone(body: &mut Body<'_>, zone: Zone) {
    if zone.id != 0 {
        body.u16(expect::ZONE, zone.id);
    }
}

pub(super) fn write_flush(out: &mut Vec<u8>, head: Head, helper: Option<&str>) {
    netfilter(out, head, family::UNSPEC, 0, |body| {
        if let Some(helper) = helper {
            body.text(expect::HELP_NAME, helper);
        }
    });
}
