#![allow(missing_docs)]
use super::names::{self, entry, expect, flag, kind, protoinfo};
use super::read::{Malformed, Message};
use super::write::{Body, Head, Origin, message, netfilter};
use crate::change::{Change, Filter, NatRange, StateChange, Which};
use crate::expectation::{ExpectFlags, Expectation, NewExpectation, WhichExpectation};
use crate::format::stats::CpuStats;
use crate::parts::TupleParts;
use crate::tuple::{Direction, Tuple, Zone, ZoneDirections};
use alloc::vec::Vec;

fn fam(t: &Tuple) -> u8 { super::tuple::family_of(t) }
fn head(kind: u16, flags: u16, origin: Origin) -> Head { Head { kind, flags: flags | flag::REQUEST, origin } }
fn zone(body: &mut Body<'_>, z: Zone) { if z.id != 0 && z.applies == ZoneDirections::Both { body.u16(entry::ZONE, z.id); } }
fn only(z: Zone, a: ZoneDirections) -> Option<u16> { (z.id != 0 && z.applies == a).then_some(z.id) }
fn put_which(body: &mut Body<'_>, w: &Which) {
    let (n, a) = match w.direction { Direction::Original => (entry::TUPLE_ORIG, ZoneDirections::Original), Direction::Reply => (entry::TUPLE_REPLY, ZoneDirections::Reply) };
    super::tuple::put(body, n, &w.tuple, only(w.zone, a));
    zone(body, w.zone);
    if let Some(id) = w.id { body.u32(entry::ID, id); }
}
pub fn put_dump(out: &mut Vec<u8>, origin: Origin, k: u16, f: &Filter) {
    let family = match f.family { None => 0, Some(crate::change::Family::V4) => 2, Some(crate::change::Family::V6) => 10 };
    netfilter(out, head(k, flag::DUMP, origin), family, 0, |b| put_filter(b, f));
}
fn put_filter(b: &mut Body<'_>, f: &Filter) {
    if let Some(m) = f.mark { b.u32(entry::MARK, m.value); b.u32(entry::MARK_MASK, m.mask); }
    if let Some(m) = f.status { b.u32(entry::STATUS, m.value.into()); b.u32(entry::STATUS_MASK, m.mask.into()); }
    if let Some(z) = f.zone { b.u16(entry::ZONE, z); }
    let bits = |p: &TupleParts| { let mut v = 0u32; for (n, on) in [p.src.is_some(), p.dst.is_some(), p.zone.is_some(), p.protocol.is_some(), p.src_part.is_some(), p.dst_part.is_some()].into_iter().enumerate() { v |= u32::from(on) << n; } v };
    if f.original.is_some() || f.reply.is_some() {
        if let Some(p) = &f.original { p.write(b, entry::TUPLE_ORIG); }
        if let Some(p) = &f.reply { p.write(b, entry::TUPLE_REPLY); }
        b.nest(entry::FILTER, |n| { n.fixed_ne(1, f.original.as_ref().map_or(0, bits)); n.fixed_ne(2, f.reply.as_ref().map_or(0, bits)); });
    }
}
impl Body<'_> { fn fixed_ne(&mut self, n: u16, v: u32) { self.raw(n, v.to_ne_bytes()); } }
pub fn put_get(out: &mut Vec<u8>, origin: Origin, w: &Which) { netfilter(out, head(kind::CT_GET, flag::ACK, origin), fam(&w.tuple), 0, |b| { put_which(b, &Which { id: None, ..*w }) }); }
pub fn put_delete(out: &mut Vec<u8>, origin: Origin, w: &Which) { netfilter(out, head(kind::CT_DELETE, flag::ACK, origin), fam(&w.tuple), 0, |b| put_which(b, w)); }
pub fn put_flush(out: &mut Vec<u8>, origin: Origin, f: &Filter) {
    let family = match f.family { None => 0, Some(crate::change::Family::V4) => 2, Some(crate::change::Family::V6) => 10 };
    message(out, head(kind::CT_DELETE, flag::ACK, origin), |b| { b.0.extend_from_slice(&[family, u8::from(family != 0), 0, 0]); });
}
pub fn put_change(out: &mut Vec<u8>, origin: Origin, flags: u16, c: &Change) {
    let Some(t) = c.original.or(c.reply) else { return };
    netfilter(out, head(kind::CT_NEW, flag::ACK | flags, origin), fam(&t), 0, |b| {
        if let Some(t) = &c.original { super::tuple::put(b, entry::TUPLE_ORIG, t, only(c.zone, ZoneDirections::Original)); }
        if let Some(t) = &c.reply { super::tuple::put(b, entry::TUPLE_REPLY, t, only(c.zone, ZoneDirections::Reply)); }
        zone(b, c.zone);
        if let Some(s) = c.status { b.u32(entry::STATUS, s.0.into()); }
        if let Some(t) = c.timeout { b.u32(entry::TIMEOUT, t); }
        if let Some(m) = c.mark { b.u32(entry::MARK, m.value); if m.mask != u32::MAX { b.u32(entry::MARK_MASK, m.mask); } }
        if let Some(l) = c.labels { b.raw(entry::LABELS, super::entry::labels_bytes(l.value)); b.raw(entry::LABELS_MASK, super::entry::labels_bytes(l.mask)); }
        match &c.state {
            Some(StateChange::Tcp { state, .. }) => b.nest(entry::PROTOINFO, |n| n.nest(protoinfo::TCP, |n| { if let Some(s) = state { n.u8(1, *s); } })),
            Some(StateChange::Sctp { state, tags }) => b.nest(entry::PROTOINFO, |n| n.nest(protoinfo::SCTP, |n| { if let Some(s) = state { n.u8(1, *s); } for (i, t) in tags.iter().enumerate() { if let Some(t) = t { n.u32(2 + i as u16, *t); } } })),
            None => {}
        }
        for (n, r) in [(entry::NAT_SRC, &c.src_nat), (entry::NAT_DST, &c.dst_nat)] { if let Some(r) = r { put_nat(b, n, r); } }
    });
}
fn put_nat(b: &mut Body<'_>, n: u16, r: &NatRange) {
    b.nest(n, |b| {
        if let Some((min, max)) = r.addresses { for (i, a) in [min, max].into_iter().enumerate() { match a { core::net::IpAddr::V4(a) => b.raw(1 + i as u16, a.octets()), core::net::IpAddr::V6(a) => b.raw(4 + i as u16, a.octets()) } } }
        if let Some((min, max)) = r.ports { b.nest(3, |b| { b.u16(1, min); b.u16(2, max); }); }
    });
}
pub fn put_stats(out: &mut Vec<u8>, origin: Origin) { netfilter(out, head(kind::CT_GET_STATS, flag::ACK, origin), 0, 0, |_| ()); }
pub fn put_stats_cpu(out: &mut Vec<u8>, origin: Origin, is_expect: bool) { netfilter(out, head(if is_expect { kind::EXP_GET_STATS_CPU } else { kind::CT_GET_STATS_CPU }, flag::DUMP, origin), 0, 0, |_| ()); }
pub fn read_entries(m: &Message<'_>) -> Option<u32> { m.attributes().find(|a| a.number == 1)?.u32() }
pub fn read_cpu(m: &Message<'_>) -> (u32, CpuStats) {
    let mut s = CpuStats::default();
    let ex = m.kind >> 8 == 2;
    for a in m.attributes() { let v = u64::from(a.u32().unwrap_or(0)); match (ex, a.number) {
        (true, 1) => s.expect_new = v, (true, 2) => s.expect_create = v, (true, 3) => s.expect_delete = v,
        (false, 2) => s.found = v, (false, 4) => s.invalid = v, (false, 8) => s.insert = v, (false, 9) => s.insert_failed = v, (false, 10) => s.drop = v, (false, 11) => s.early_drop = v, (false, 12) => s.error = v, (false, 13) => s.search_restart = v, (false, 14) => s.clash_resolve = v, (false, 15) => s.chaintoolong = v, _ => {} } }
    (m.family_header().2.into(), s)
}
pub fn put_expect_dump(out: &mut Vec<u8>, origin: Origin, family: u8) { netfilter(out, head(kind::EXP_GET, flag::DUMP, origin), family, 0, |_| ()); }
pub fn put_expect(out: &mut Vec<u8>, origin: Origin, k: u16, w: Option<&WhichExpectation>) {
    netfilter(out, head(k, flag::ACK, origin), w.map_or(0, |w| fam(&w.tuple)), 0, |b| if let Some(w) = w { super::tuple::put(b, expect::TUPLE, &w.tuple, None); if w.zone.id != 0 { b.u16(expect::ZONE, w.zone.id); } });
}
pub fn put_expect_new(out: &mut Vec<u8>, origin: Origin, n: &NewExpectation) {
    netfilter(out, head(kind::EXP_NEW, flag::ACK | flag::CREATE | flag::EXCL, origin), fam(&n.tuple), 0, |b| {
        if let Some(m) = &n.master { super::tuple::put(b, expect::MASTER, m, None); }
        super::tuple::put(b, expect::TUPLE, &n.tuple, None);
        if let Some(m) = &n.mask { super::tuple::put(b, expect::MASK, m, None); }
        if let Some(t) = n.timeout { b.u32(expect::TIMEOUT, t); }
        b.u32(expect::FLAGS, n.flags.0);
    });
}
pub fn read_expectation(m: &Message<'_>) -> Result<Expectation, Malformed> {
    let mut e = Expectation { id: 0, tuple: Tuple { src: [0; 4].into(), dst: [0; 4].into(), protocol: crate::tuple::Protocol(0), src_part: 0, dst_part: 0 }, mask: Tuple { src: [0; 4].into(), dst: [0; 4].into(), protocol: crate::tuple::Protocol(0), src_part: 0, dst_part: 0 }, master: Tuple { src: [0; 4].into(), dst: [0; 4].into(), protocol: crate::tuple::Protocol(0), src_part: 0, dst_part: 0 }, zone: Zone::default(), timeout: None, flags: ExpectFlags::default(), class: 0, helper: None };
    for a in m.attributes() { match a.number {
        expect::MASTER => e.master = TupleParts::read(a.nest()).whole().ok_or(Malformed::Attribute(1))?,
        expect::TUPLE => e.tuple = TupleParts::read(a.nest()).whole().ok_or(Malformed::Attribute(2))?,
        expect::MASK => e.mask = TupleParts::read(a.nest()).whole().ok_or(Malformed::Attribute(3))?,
        expect::TIMEOUT => e.timeout = a.u32().map(u64::from), expect::ID => e.id = a.u32().unwrap_or(0),
        expect::HELP_NAME => e.helper = a.text().map(Into::into), expect::ZONE => e.zone = Zone::both(a.u16().unwrap_or(0)),
        expect::FLAGS => e.flags = ExpectFlags(a.u32().unwrap_or(0)), expect::CLASS => e.class = a.u32().unwrap_or(0), _ => {} } }
    Ok(e)
}
pub fn errno(m: &Message<'_>) -> i32 { m.body.first_chunk::<4>().map_or(0, |b| i32::from_ne_bytes(*b).wrapping_neg()) }
pub fn put_listen(out: &mut Vec<u8>, origin: Origin, groups: u32) { let _ = names::group::CONNTRACK_NEW; message(out, head(0xc001, flag::ACK, origin), |b| b.u32(1, groups)); }
