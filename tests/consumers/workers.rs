//! Who of several workers polls what: sharing, taking over, and checkpoints by one that has lost its shard.

use std::thread;
use std::time::Duration;

use riverbed::{CheckpointError, Consumer, ConsumerOptions};

use super::setup::*;

#[test]
fn workers_share_the_shards_and_inherit_from_one_that_is_dropped() {
    let setup = setup(6);
    let mut first = setup.consumer();
    let put = setup.put(60);
    assert_eq!(sorted(drain(&mut first)), sorted(put.clone()));
    assert_eq!(first.shards().len(), 6);

    // The first keeps its shards for as long as it has not checkpointed what it has polled of them.
    let mut second = setup.consumer();
    assert!(drain(&mut second).is_empty());
    assert!(drain(&mut first).is_empty());
    assert!(second.shards().is_empty());
    first.checkpoint().unwrap();
    let more = setup.put(60);
    let (of_first, of_second) = (drain(&mut first), drain(&mut second));
    assert_eq!((first.shards().len(), second.shards().len()), (3, 3));
    assert_eq!(sorted([of_first.clone(), of_second.clone()].concat()), sorted(more));
    assert!(!of_first.is_empty() && !of_second.is_empty());

    // Who has checkpointed everything lets go at its next poll.
    first.checkpoint().unwrap();
    second.checkpoint().unwrap();
    let mut third = setup.consumer();
    for consumer in [&mut first, &mut second, &mut third] {
        assert!(drain(consumer).is_empty());
    }
    let mut workers = [first, second, third];
    drain(&mut workers[2]);
    assert!(workers.iter().all(|worker| worker.shards().len() == 2), "{workers:?}");

    // One goes without a checkpoint of what it has polled: the others get that.
    let last = setup.put(60);
    let mut polled = Vec::new();
    for worker in &mut workers {
        let numbers = drain(worker);
        polled.push(numbers);
    }
    assert_eq!(sorted(polled.concat()), sorted(last));
    let [mut first, second, mut third] = workers;
    drop(second);
    let again = sorted([drain(&mut first), drain(&mut third)].concat());
    assert_eq!(again, sorted(polled[1].clone()));
    first.checkpoint().unwrap();
    third.checkpoint().unwrap();
    assert!(drain(&mut first).is_empty() && drain(&mut third).is_empty());
    assert_eq!(first.shards().len() + third.shards().len(), 6);
}

#[test]
fn a_worker_that_waits_for_a_shard_is_woken_when_it_gets_it() {
    let setup = setup(2);
    let mut first = setup.consumer();
    let put = setup.put(20);
    drain(&mut first);
    let mut second = setup.consumer();
    let waiting = thread::spawn(move || numbers(&second.poll(100, LONG).unwrap()));
    thread::sleep(Duration::from_millis(5));
    // It has half of the shards now, and everything that was polled is polled again.
    drop(first);
    let polled = waiting.join().unwrap();
    assert!(!polled.is_empty() && polled.iter().all(|number| put.contains(number)));
}

#[test]
fn a_worker_that_has_lost_a_shard_cannot_checkpoint_it() {
    let setup = setup(2);
    let at_once = ConsumerOptions::new().handover(Duration::ZERO);
    let mut first = setup.with(at_once);
    let put = setup.put(20);
    let polled = drain(&mut first);
    let mut second = setup.with(at_once);
    let [lost] = second_shards(&mut second)[..] else { panic!("one of the two shards") };
    let again = drain(&mut second);

    // Before and after it has noticed.
    let of_lost: Vec<_> = polled.iter().copied().filter(|number| number.shard_id() == lost).collect();
    let told = |outcome| match outcome {
        Err(CheckpointError::LeaseLost { shard_ids }) => assert_eq!(shard_ids, [lost]),
        other => panic!("{other:?}"),
    };
    told(first.checkpoint());
    first.checkpoint().unwrap();
    told(first.checkpoint_at(of_lost[0]));
    assert!(drain(&mut first).is_empty());
    told(first.checkpoint_at(of_lost[0]));
    assert_eq!(first.shards().len(), 1);

    // The second has polled everything of that shard, some of it in `second_shards`.
    second.checkpoint().unwrap();
    assert!(again.iter().all(|number| put.contains(number)));
    let lag = setup.stream.consumer_lag("c").unwrap();
    assert!(lag.iter().all(|lag| lag.records == 0), "{lag:?}");
}

/// Lets a new worker look at what it has, by polling one record.
fn second_shards(consumer: &mut Consumer) -> Vec<riverbed::ShardId> {
    consumer.poll(1, NOW).unwrap();
    consumer.shards()
}

#[test]
fn a_hung_worker_is_waited_for_only_so_long() {
    let setup = setup(2);
    let mut first = setup.with(ConsumerOptions::new().handover(Duration::from_millis(20)));
    setup.put(20);
    drain(&mut first);
    // `first` does nothing from here on.
    let mut second = setup.consumer();
    assert!(!second.poll(100, LONG).unwrap().is_empty());
    assert!(matches!(first.checkpoint(), Err(CheckpointError::LeaseLost { .. })));
}
