//! ICMP and ICMPv6: queries, answers, nonsense, and errors about packets that were sent before.

use super::reverse;
use crate::craft::{Body, Craft, Sum};
use crate::rng::Rng;

pub(super) fn query(rng: &mut Rng, from: usize, is_v6: bool, sum: Sum) -> Body {
    let kind = match (is_v6, from) {
        (false, 0) => rng.pick(&[8, 8, 8, 13, 15, 17, 0, 5]),
        (false, _) => rng.pick(&[0, 0, 0, 14, 16, 18, 8, 19, 3]),
        (true, 0) => rng.pick(&[128, 128, 128, 139, 129, 130, 135]),
        (true, _) => rng.pick(&[129, 129, 129, 140, 128, 1, 137, 200]),
    };
    Body::Icmp {
        kind,
        code: u8::from(rng.one_in(12)),
        id: rng.below(2) as u16,
        len: rng.pick(&[0, 8, 56]),
        sum,
    }
}

pub(super) fn error(rng: &mut Rng, sent: &[Craft]) -> Craft {
    let about = rng.pick(sent);
    let is_v6 = about.ends.src.is_ipv6();
    let (kind, code) = match is_v6 {
        false => rng.pick(&[(3, 1), (3, 3), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0)]),
        true => rng.pick(&[(1, 0), (1, 4), (2, 0), (3, 0), (4, 1)]),
    };
    let mut ends = reverse(about.ends);
    if rng.one_in(3) {
        let router = if is_v6 { "2001:db8:9::9" } else { "10.9.9.9" };
        if let Ok(address) = router.parse() {
            ends.src.set_ip(address);
        }
    }
    if rng.one_in(8) {
        ends.dst = ends.src;
        ends.src = about.ends.dst;
    }
    let header = if is_v6 { 40 } else { 20 };
    let body = Body::IcmpError {
        kind,
        code,
        about: Box::new(about),
        quoted: header + rng.pick(&[0, 3, 4, 7, 8, 8, 20, 500]),
        sum: Sum::Right,
    };
    Craft::new(ends, body)
}
