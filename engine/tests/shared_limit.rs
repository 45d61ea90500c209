//! A limit that several trackers share: who gets places, who gives them back, and that together they are
//! never too many.

mod support;

use ip_conntrack::{Config, Conntrack, Knob, Limit, Protocol, Reason};
use proptest::prelude::*;
use support::*;

/// Places in a grant, as documented.
fn grant(max: u32) -> usize {
    (max / 1024).clamp(1, 64) as usize
}

fn shards_of(limit: &Limit) -> Vec<Conntrack> {
    (0..limit.shards()).map(|_| shard_of(limit)).collect()
}

fn shard_of(limit: &Limit) -> Conntrack {
    Conntrack::with_limit(Config::default(), 1, limit)
}

fn total(shards: &[Conntrack]) -> usize {
    shards.iter().map(Conntrack::len).sum()
}

fn advance(shards: &mut [Conntrack]) {
    for shard in shards {
        shard.advance(START);
    }
}

/// Asks for the flows of these numbers, evicted or not. Returns how many were refused.
fn flood(shard: &mut Conntrack, numbers: std::ops::Range<u32>) -> usize {
    let verdicts = numbers.map(|number| send(shard, &flow(number).udp(1), START));
    verdicts
        .filter(|verdict| verdict.reason == Some(Reason::TableFull))
        .count()
}

#[test]
fn an_even_load_fills_the_limit_exactly() {
    for (max, count) in [
        (1, 1),
        (10, 4),
        (64, 3),
        (1_000, 4),
        (100_000, 4),
        (70_000, 7),
    ] {
        let limit = Limit::new(max, count);
        let mut shards = shards_of(&limit);
        for number in 0..max * 3 / 2 {
            ask(
                &mut shards[number as usize % count],
                flow(number / count as u32),
                START,
            );
            assert!(total(&shards) <= max as usize);
        }
        assert_eq!(total(&shards), max as usize, "{max} over {count}");
        assert_eq!(limit.taken(), max);
    }
}

#[test]
fn a_load_on_one_shard_has_all_but_a_grant_of_each_other() {
    for (max, count) in [(10, 4), (1_000, 4), (100_000, 4), (300_000, 2)] {
        let limit = Limit::new(max, count);
        let mut shards = shards_of(&limit);
        let fits = max as usize - (count - 1) * grant(max);
        flood(&mut shards[0], 0..fits as u32);
        assert_eq!(shards[0].len(), fits, "{max} over {count}");
        assert_eq!(shards[0].stats().early_drop, 0);
        flood(&mut shards[0], fits as u32..max + 10);
        assert_eq!(shards[0].len(), fits);
        assert_eq!(
            limit.taken(),
            max,
            "the others hold the rest, to begin with"
        );
    }
}

#[test]
fn a_shard_gets_its_part_of_a_limit_that_others_used_up() {
    const MAX: u32 = 100_000;
    let limit = Limit::new(MAX, 4);
    let mut shards = shards_of(&limit);
    flood(&mut shards[0], 0..2 * MAX);
    let (mut next, mut refused) = (0, 0);
    while shards[1].len() < MAX as usize / 4 {
        refused += flood(&mut shards[1], next..next + 16);
        next += 16;
        advance(&mut shards);
        assert!(total(&shards) <= MAX as usize);
        assert!(
            next < MAX,
            "{} entries do not get to be more",
            shards[1].len()
        );
    }
    assert_eq!(refused, 0, "it asked before it had to refuse");
    assert_eq!(
        shards[1].stats().early_drop,
        0,
        "and evicted none of its own"
    );
    let (before, evicted) = (shards[1].len(), shards[0].stats().early_drop);
    flood(&mut shards[1], next..next + 1_000);
    advance(&mut shards);
    assert!(
        shards[1].len() <= before + 128,
        "beyond its part it helps itself"
    );
    assert!(shards[0].stats().early_drop <= evicted + 64);
}

#[test]
fn a_shard_with_nothing_to_evict_gets_more_than_its_part() {
    let limit = Limit::new(1_000, 4);
    let mut shards = shards_of(&limit);
    for number in 0..400 {
        connect(&mut shards[1], flow(number), START);
    }
    flood(&mut shards[0], 0..2_000);
    let mut number = 400;
    while number < 4_000 {
        let verdict = send(&mut shards[1], &flow(number).tcp(SYN, 1000, 0), START);
        if verdict.reason.is_none() {
            connect(&mut shards[1], flow(number), START);
        }
        number += 1;
        advance(&mut shards);
        assert!(total(&shards) <= 1_000);
    }
    assert_eq!(shards[1].len(), 748, "one place stays with each idle shard");
    assert_eq!(shards[0].len(), 250, "the flooded one keeps its own part");
    assert_eq!(shards[1].stats().early_drop, 0);
}

#[test]
fn what_a_flooded_shard_gives_up_is_left_to_who_asked() {
    let limit = Limit::new(1_000, 2);
    let mut shards = shards_of(&limit);
    flood(&mut shards[0], 0..2_000);
    for number in 0..100 {
        send(&mut shards[1], &flow(number).udp(1), START);
        shards[0].advance(START);
        flood(&mut shards[0], 2_000 + 10 * number..2_010 + 10 * number);
    }
    assert!(shards[1].len() >= 99, "{} of 100", shards[1].len());
    assert!(total(&shards) >= 998, "{} of 1,000", total(&shards));
}

#[test]
fn for_shards_without_need_nobody_is_evicted() {
    let limit = Limit::new(4_096, 4);
    let mut shards = vec![shard_of(&limit)];
    flood(&mut shards[0], 0..8_192);
    assert_eq!(shards[0].len(), 4_096);
    shards.extend((1..4).map(|_| shard_of(&limit)));
    advance(&mut shards);
    assert_eq!(shards[0].len(), 4_096, "idle shards ask for nothing");

    assert_eq!(flood(&mut shards[1], 0..1), 1);
    advance(&mut shards);
    assert_eq!(shards[0].len(), 4_092, "a grant for who needs one");
    assert_eq!(flood(&mut shards[1], 0..4), 0);
    shards[1].flush();
    let before = shards[0].len();
    advance(&mut shards);
    assert_eq!(shards[0].len(), before, "nor one whose entries ended");
}

#[test]
fn assured_entries_are_evicted_for_nobody() {
    let limit = Limit::new(100, 2);
    let mut shards = shards_of(&limit);
    for number in 0..98 {
        connect(&mut shards[0], flow(number), START);
    }
    for number in 0..20 {
        let syn = send(&mut shards[1], &flow(number).tcp(SYN, 1000, 0), START);
        if syn.reason.is_none() {
            connect(&mut shards[1], flow(number), START);
        }
        advance(&mut shards);
    }
    assert_eq!(shards[0].len(), 98);
    assert!((0..98).all(|number| has(&shards[0], flow(number), Protocol::TCP)));
    assert_eq!(total(&shards), 100);
    let verdict = send(&mut shards[1], &flow(30).udp(1), START);
    assert_eq!(verdict.reason, Some(Reason::TableFull));
}

#[test]
fn more_shards_than_places_get_them_as_others_leave_them() {
    let limit = Limit::new(2, 5);
    let mut shards = shards_of(&limit);
    for round in 0..40 {
        let shard = round as usize % 5;
        for _ in 0..2 {
            send(&mut shards[shard], &flow(round).udp(1), START);
            advance(&mut shards);
            assert!(total(&shards) <= 2);
        }
        assert!(
            has(&shards[shard], flow(round), Protocol::UDP),
            "round {round}"
        );
    }
}

#[test]
fn entries_that_ended_leave_their_places_to_other_shards() {
    const MAX: u32 = 80_000;
    let limit = Limit::new(MAX, 2);
    let mut shards = shards_of(&limit);
    flood(&mut shards[0], 0..MAX - 200);
    shards[0].flush();
    assert!(limit.taken() as usize <= 2 * 2 * grant(MAX));
    flood(&mut shards[1], 0..MAX - 200);
    assert_eq!(shards[1].len(), MAX as usize - 200);
    assert_eq!(shards[1].stats().early_drop, 0);
}

#[test]
fn a_dropped_shard_gives_its_places_back() {
    let limit = Limit::new(1_000, 2);
    let mut shards = shards_of(&limit);
    flood(&mut shards[0], 0..2_000);
    flood(&mut shards[1], 0..2_000);
    drop(shards);
    assert_eq!(limit.taken(), 0);
    let mut shard = shard_of(&limit);
    assert_eq!(flood(&mut shard, 0..1_000), 0);
    assert_eq!((shard.len(), shard.stats().early_drop), (1_000, 0));
}

#[test]
fn the_knob_of_one_shard_is_the_limit_of_all() {
    let limit = Limit::new(1_000, 3);
    let mut shards = shards_of(&limit);
    assert!(
        shards
            .iter()
            .all(|shard| shard.config().get(Knob::Max) == 1_000)
    );
    shards[2].set(Knob::Max, 90_000).unwrap();
    assert_eq!(limit.max(), 90_000);
    flood(&mut shards[0], 0..80_000);
    assert_eq!(shards[0].len(), 80_000, "at once");
    advance(&mut shards);
    assert!(
        shards
            .iter()
            .all(|shard| shard.config().get(Knob::Max) == 90_000)
    );
    assert!(shards[2].set(Knob::Max, -1).is_err());
    assert_eq!(limit.max(), 90_000);
}

/// Eight places a bucket, of which six are to be filled.
#[test]
fn each_index_is_made_for_its_part_and_follows_the_limit_and_the_load() {
    let limit = Limit::new(600_000, 4);
    let mut shards = shards_of(&limit);
    assert!(shards.iter().all(|shard| shard.buckets() == 25_000));
    limit.set(1_200_000);
    advance(&mut shards);
    assert!(shards.iter().all(|shard| shard.buckets() == 50_000));
    assert_eq!(flood(&mut shards[0], 0..320_000), 0, "more than its part");
    assert_eq!(shards[0].len(), 320_000);
    assert_eq!(shards[0].buckets(), 100_000);
    assert_eq!(shards[1].buckets(), 50_000);
}

#[test]
fn a_lowered_limit_lets_nobody_fill_the_places_that_he_held() {
    let limit = Limit::new(70_000, 2);
    let mut shards = shards_of(&limit);
    for shard in &mut shards {
        for number in 0..30 {
            connect(shard, flow(number), START);
        }
    }
    limit.set(50);
    for shard in &mut shards {
        assert_eq!(flood(shard, 100..120), 20);
        assert_eq!(shard.len(), 30);
    }
    limit.set(70);
    assert_eq!(flood(&mut shards[0], 100..108), 0);
    assert_eq!(total(&shards), 68, "what was held in vain is free again");
}

#[test]
fn a_limit_of_zero_is_none_for_all() {
    let limit = Limit::new(0, 2);
    let mut shards = shards_of(&limit);
    for shard in &mut shards {
        assert_eq!(flood(shard, 0..70_000), 0);
        assert_eq!((shard.len(), shard.stats().early_drop), (70_000, 0));
    }
    limit.set(140_000);
    let before = total(&shards);
    for shard in &mut shards {
        flood(shard, 100_000..101_000);
    }
    assert_eq!(total(&shards), before);
}

#[derive(Clone, Debug)]
enum Op {
    Flood(usize, u32, u32),
    Connect(usize, u32),
    Flush(usize),
    Advance(usize),
    Renew(usize),
    Limit(u32),
}

fn op() -> impl Strategy<Value = Op> {
    let shard = 0..4_usize;
    let max = prop_oneof![
        2 => Just(0_u32),
        8 => 1..20_u32,
        8 => 1..2_000_u32,
        2 => 60_000..200_000_u32,
    ];
    prop_oneof![
        6 => (shard.clone(), 0..4_000_u32, 1..600_u32).prop_map(|(s, from, count)| Op::Flood(s, from, count)),
        4 => (shard.clone(), 0..4_000_u32).prop_map(|(s, number)| Op::Connect(s, number)),
        1 => shard.clone().prop_map(Op::Flush),
        4 => shard.clone().prop_map(Op::Advance),
        1 => shard.prop_map(Op::Renew),
        2 => max.prop_map(Op::Limit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However the limit is changed meanwhile, the entries do not become more than it, nor more than they
    /// were; and nobody evicts or refuses while more places are empty than the documented bound says.
    #[test]
    fn the_limit_holds_and_is_used(ops in prop::collection::vec(op(), 1..60), first in 1..3_000_u32) {
        let limit = Limit::new(first, 4);
        let mut shards = shards_of(&limit);
        let mut bound = 3 * 2 * grant(first);
        for op in ops {
            match op {
                Op::Flood(shard, from, count) => for number in from..from + count {
                    step(&limit, &mut shards, shard, bound, |shard| { send(shard, &flow(number).udp(1), START); })?;
                },
                Op::Connect(shard, number) => for (way, flags) in [(false, SYN), (true, SYN | ACK), (false, ACK)] {
                    let flow = if way { flow(number).back() } else { flow(number) };
                    step(&limit, &mut shards, shard, bound, |shard| { send(shard, &flow.tcp(flags, 1, 1), START); })?;
                },
                Op::Flush(shard) => shards[shard].flush(),
                Op::Advance(shard) => { shards[shard].advance(START); }
                Op::Renew(shard) => shards[shard] = shard_of(&limit),
                Op::Limit(max) => {
                    limit.set(max);
                    advance(&mut shards);
                    let places = if limit.max() == 0 { u32::MAX } else { limit.max() };
                    bound = 3 * 2 * grant(places);
                }
            }
            prop_assert!(limit.taken() as usize >= total(&shards));
        }
        drop(shards);
        prop_assert_eq!(limit.taken(), 0);
    }
}

fn step(
    limit: &Limit,
    shards: &mut [Conntrack],
    number: usize,
    bound: usize,
    packet: impl FnOnce(&mut Conntrack),
) -> Result<(), TestCaseError> {
    let places = if limit.max() == 0 {
        usize::MAX
    } else {
        limit.max() as usize
    };
    let before = total(shards);
    let lost =
        |shard: &Conntrack| shard.stats().early_drop + shard.stats().reason(Reason::TableFull);
    let lost_before = lost(&shards[number]);
    packet(&mut shards[number]);
    prop_assert!(
        total(shards) <= places.max(before),
        "{} of {places}",
        total(shards)
    );
    if lost(&shards[number]) > lost_before {
        prop_assert!(
            before.saturating_add(bound) >= places,
            "{before} of {places}"
        );
    }
    Ok(())
}
