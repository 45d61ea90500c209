//! SCTP: both sides know their tags and what usually comes next; shutdowns begin on either side.

use crate::craft::{Body, Sum};
use crate::rng::Rng;

#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    tags: [u32; 2],
    stage: usize,
    /// Which of the lives it has.
    life: usize,
}

pub(super) fn sides(rng: &mut Rng) -> Sides {
    Sides {
        tags: [1 + rng.below(3) as u32, 0x1000 + rng.below(3) as u32],
        stage: 0,
        life: rng.below(2) as usize,
    }
}

/// Chunk types in the order of an association's life, with who sends them; the side that shuts it down is
/// the first or the other.
const LIVES: [[(u8, usize); 10]; 2] = [
    [
        (1, 0),
        (2, 1),
        (10, 0),
        (11, 1),
        (0, 0),
        (3, 1),
        (4, 0),
        (7, 0),
        (8, 1),
        (14, 0),
    ],
    [
        (1, 0),
        (2, 1),
        (10, 0),
        (11, 1),
        (0, 0),
        (3, 1),
        (4, 0),
        (7, 1),
        (8, 0),
        (14, 1),
    ],
];
/// From here on, one side or both want no more.
const SHUTS_DOWN: usize = 7;
const INIT: u8 = 1;

pub(super) fn sctp(rng: &mut Rng, sides: &mut Sides, from: usize, sum: Sum) -> Body {
    let follows = rng.weighted(&[1, 6]) == 1;
    let (kind, from) = match LIVES[sides.life].get(sides.stage) {
        Some((kind, who)) if follows => {
            let kind = *kind;
            if *who == from {
                sides.stage += 1;
                (kind, from)
            } else {
                (rng.pick(&[0, 3, 4, 5]), from)
            }
        }
        _ => (
            rng.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14]),
            from,
        ),
    };
    // An association that is begun again while it ends.
    let kind = match sides.stage > SHUTS_DOWN && rng.one_in(5) {
        true => INIT,
        false => kind,
    };
    // A packet carries the tag that the other side chose.
    let mut tag = if kind == 1 { 0 } else { sides.tags[1 - from] };
    if rng.one_in(10) {
        tag = rng.pick(&[0, sides.tags[from], 7, tag.wrapping_add(1)]);
    }
    let flags = u8::from(matches!(kind, 6 | 14) && rng.one_in(3));
    if flags == 1 && !rng.one_in(4) {
        tag = sides.tags[from];
    }
    if kind == 1 && rng.one_in(6) {
        sides.tags[from] = sides.tags[from].wrapping_add(0x100);
    }
    let mut chunks = Vec::new();
    let init_tag = matches!(kind, 1 | 2).then_some(sides.tags[from]);
    chunks.push((kind, flags, init_tag));
    if rng.one_in(5) {
        let second = rng.pick(&[0, 3, 4, 5, 6, 7, 10, 11]);
        chunks.push((second, flags, None));
    }
    Body::Sctp {
        tag,
        chunks,
        length: None,
        sum,
    }
}
