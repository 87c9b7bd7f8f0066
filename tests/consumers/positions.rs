//! Where a consumer begins and is, by position, reset, lag and list.

use std::time::Duration;

use riverbed::{
    Checkpoint, CheckpointError, Clock, ConsumerError, ConsumerOptions, Position, ReadError, SequenceNumber,
};

use super::setup::*;

#[test]
fn a_consumer_that_starts_at_the_latest_misses_nothing_from_then_on() {
    let setup = setup(3);
    setup.put(30);
    drop(setup.with(ConsumerOptions::new().start(Position::Latest)));
    let put = setup.put(30);
    // It has never been polled nor checkpointed.
    let setup = setup.reopen();
    assert_eq!(sorted(drain(&mut setup.consumer())), sorted(put));
}

#[test]
fn a_consumer_can_start_at_a_time() {
    let setup = setup(3);
    setup.put(30);
    setup.clock.advance(Duration::from_secs(10));
    let time = setup.clock.now();
    let put = setup.put(30);
    let at = |time| ConsumerOptions::new().start(Position::AtTimestamp(time));
    let later = setup.clock.now().saturating_add(Duration::from_secs(1));
    assert!(matches!(
        setup.stream.consumer_with("c", at(later)),
        Err(ConsumerError::Read(ReadError::TimeInFuture { .. }))
    ));
    assert!(matches!(
        setup.stream.consumer_with("c", ConsumerOptions::new().start(Position::AtSequenceNumber(put[0]))),
        Err(ConsumerError::Read(ReadError::PositionOfOneShard))
    ));
    assert!(setup.stream.list_consumers().unwrap().is_empty());
    drop(setup.with(at(time)));
    let setup = setup.reopen();
    assert_eq!(sorted(drain(&mut setup.consumer())), sorted(put));
}

#[test]
fn a_reset_takes_effect_at_once_and_lasts() {
    let setup = setup(2);
    let put = setup.put(20);
    let mut consumer = setup.consumer();
    drain(&mut consumer);
    consumer.checkpoint().unwrap();
    let more = setup.put(10);
    let polled = drain(&mut consumer);
    assert_eq!(sorted(polled.clone()), sorted(more));

    setup.stream.reset_consumer("c", Position::TrimHorizon).unwrap();
    // What was polled before the reset says nothing any more.
    assert!(matches!(consumer.checkpoint(), Err(CheckpointError::LeaseLost { .. })));
    assert!(matches!(consumer.checkpoint_at(polled[0]), Err(CheckpointError::LeaseLost { .. })));
    assert_eq!(drain(&mut consumer).len(), 30);
    drop(consumer);
    let setup = setup.reopen();
    assert_eq!(drain(&mut setup.consumer()).len(), 30);

    setup.stream.reset_consumer("c", Position::Latest).unwrap();
    let mut consumer = setup.consumer();
    assert!(drain(&mut consumer).is_empty());

    // Of one shard only.
    let of_shard =
        sorted(put.iter().copied().filter(|number| number.shard_id() == put[5].shard_id()).collect());
    setup.stream.reset_consumer("c", Position::AfterSequenceNumber(of_shard[2])).unwrap();
    let again = drain(&mut consumer);
    assert!(again.starts_with(&of_shard[3..]), "{again:?}");
    assert!(again.iter().all(|number| number.shard_id() == of_shard[0].shard_id()));
    setup.stream.reset_consumer("c", Position::AtSequenceNumber(of_shard[2])).unwrap();
    assert_eq!(drain(&mut consumer)[0], of_shard[2]);

    let (next, shard) = (1 << 40, of_shard[0].shard_id());
    let future =
        SequenceNumber::try_from(u128::from(u64::MAX - next) << 32 | u128::from(shard.as_u32())).unwrap();
    assert!(matches!(
        setup.stream.reset_consumer("c", Position::AtSequenceNumber(future)),
        Err(ConsumerError::Read(ReadError::PositionInFuture { .. }))
    ));
    assert!(matches!(
        setup.stream.reset_consumer("nobody", Position::Latest),
        Err(ConsumerError::NotFound { .. })
    ));
}

#[test]
fn the_lag_is_in_records_and_time() {
    let setup = setup(1);
    let put = setup.put(10);
    let mut consumer = setup.consumer();
    let lag = consumer.lag()[0];
    assert_eq!((lag.records, lag.behind), (10, Some(Duration::from_secs(9))));
    assert_eq!((lag.checkpoint, lag.held), (Checkpoint::TrimHorizon, true));
    consumer.poll(4, NOW).unwrap();
    assert_eq!(consumer.lag()[0].records, 10, "polled is not processed");
    consumer.checkpoint().unwrap();
    let lag = consumer.lag()[0];
    assert_eq!((lag.records, lag.behind), (6, Some(Duration::from_secs(5))));
    assert_eq!(lag.checkpoint, Checkpoint::AfterSequenceNumber(put[3]));
    drain(&mut consumer);
    consumer.checkpoint().unwrap();
    assert_eq!((consumer.lag()[0].records, consumer.lag()[0].behind), (0, Some(Duration::ZERO)));
    drop(consumer);
    setup.put(3);
    let lag = setup.stream.consumer_lag("c").unwrap()[0];
    assert_eq!((lag.records, lag.behind, lag.held), (3, Some(Duration::from_secs(2)), false));

    // From a time.
    setup.stream.reset_consumer("c", Position::AtTimestamp(setup.clock.now())).unwrap();
    assert_eq!(setup.stream.consumer_lag("c").unwrap()[0].records, 1);
}

#[test]
fn consumers_are_listed_and_deleted() {
    let setup = setup(1);
    assert!(setup.stream.list_consumers().unwrap().is_empty());
    let put = setup.put(5);
    for name in ["b", "a", "x.tmp", "x.checkpoints"] {
        let mut consumer = setup.stream.consumer(name).unwrap();
        assert_eq!(consumer.name(), name);
        drain(&mut consumer);
        consumer.checkpoint().unwrap();
    }
    assert_eq!(
        setup.stream.list_consumers().unwrap(),
        ["a", "b", "x", "x.tmp"].map(|name| match name {
            "x" => "x.checkpoints",
            name => name,
        })
    );
    let worker = setup.stream.consumer("a").unwrap();
    assert!(matches!(setup.stream.delete_consumer("a"), Err(ConsumerError::InUse { workers: 1, .. })));
    drop(worker);
    setup.stream.delete_consumer("a").unwrap();
    assert!(matches!(setup.stream.delete_consumer("a"), Err(ConsumerError::NotFound { .. })));
    let setup = setup.reopen();
    assert_eq!(setup.stream.list_consumers().unwrap(), ["b", "x.checkpoints", "x.tmp"]);
    assert!(matches!(
        setup.stream.consumer_with("a", ConsumerOptions::new().create(false)),
        Err(ConsumerError::NotFound { .. })
    ));
    assert_eq!(drain(&mut setup.stream.consumer("a").unwrap()), put);
    for name in ["", ".", "..", "a/b", "../c"] {
        assert!(matches!(setup.stream.consumer(name), Err(ConsumerError::Name(_))), "{name}");
        assert!(matches!(setup.stream.delete_consumer(name), Err(ConsumerError::Name(_))), "{name}");
    }
}
