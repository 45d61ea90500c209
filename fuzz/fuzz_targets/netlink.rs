//! Bytes as messages of ctnetlink, each read in every way that there is, and done: a small tracker is asked
//! for what they ask, and given back what they say was saved.

#![no_main]

use ip_conntrack::format::netlink::{
    Answer, Ask, Entry, Messages, Origin, Request, TableStats, errno, own::Told, put_entry,
    read_expectation, read_stats,
};
use ip_conntrack::format::stats::CpuStats;
use ip_conntrack::{Config, Conntrack, Knob, Refusal, Time};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut config = Config::default();
    let _ = config.set(Knob::Max, 20);
    let mut conntrack = Conntrack::new(config, 1);
    conntrack.set_event_capacity(8);
    for (n, message) in (1..).zip(Messages::new(input)) {
        let Ok(message) = message else { return };
        let now = Time::from_secs(n);
        conntrack.advance(now);
        let _ = Answer::read(&message);
        let _ = Entry::event(&message, now);
        let _ = TableStats::read(&message);
        let _ = read_stats(&message, &mut CpuStats::default());
        let _ = read_expectation(&message);
        let _ = Told::read(&message);
        let _ = conntrack.restore(&message, now);
        conntrack.reunite();
        if let Ok(read) = Entry::read(&message) {
            written_again(&read);
        }
        if let Err(refusal) =
            Request::read(&message).and_then(|request| carry_out(&mut conntrack, &request.ask, now))
        {
            assert!(errno(refusal) > 0);
        }
        assert!(conntrack.len() <= 20);
    }
});

/// What was read is written and read again as it was.
fn written_again(read: &Entry) {
    let mut bytes = Vec::new();
    put_entry(&mut bytes, Origin::default(), 0, &read.connection);
    let again = Messages::new(&bytes).next();
    let again = again
        .and_then(Result::ok)
        .map(|message| Entry::read(&message));
    assert!(
        matches!(again, Some(Ok(again)) if again.connection.original == read.connection.original)
    );
}

fn carry_out(conntrack: &mut Conntrack, ask: &Ask, now: Time) -> Result<(), Refusal> {
    match ask {
        Ask::Get { which, zero: true } => conntrack.zero(which).map(drop),
        Ask::Get { which, .. } => conntrack.answer(which).map(drop),
        Ask::New {
            change,
            create: true,
            exclusive,
        } => conntrack
            .create_or_update(change, *exclusive, now)
            .map(drop),
        Ask::New { change, .. } => conntrack.update(change, now).map(drop),
        Ask::Delete(which) => conntrack.delete_entry(which),
        Ask::Flush(filter) => {
            conntrack.flush_from(0, 100, filter);
            Ok(())
        }
        Ask::List { filter, .. } => {
            conntrack.zero_from(0, 100, filter, drop);
            Ok(())
        }
        Ask::GetExpectation(which) => conntrack.find_expectation(which).map(drop),
        Ask::NewExpectation {
            new,
            create,
            exclusive,
        } => conntrack.create_expectation(new, *create, *exclusive, now),
        Ask::DeleteExpectation(which) => conntrack.delete_expectation(which),
        Ask::FlushExpectations(helper) => {
            conntrack.flush_expectations(helper.as_deref());
            Ok(())
        }
        _ => Ok(()),
    }
}
