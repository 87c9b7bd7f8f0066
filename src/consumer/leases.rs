//! Who of a consumer's workers has which shards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stream::shard_id::ShardId;

use super::signal::Signal;

/// One worker, for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkerId(u64);

/// One granting of one shard to one worker: a later one of the same shard is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseId(u64);

#[derive(Debug)]
struct Worker {
    signal: Arc<Signal>,
    /// How long it may keep a shard that another one is to have.
    handover: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    holder: Option<(WorkerId, LeaseId)>,
    /// Who is to have it once the holder has let go of it, and when it need not wait for that any longer.
    heir: Option<(WorkerId, Option<Instant>)>,
}

impl Lease {
    /// Whose it is or will be.
    fn intended(&self) -> Option<WorkerId> {
        self.heir.map(|(heir, _)| heir).or(self.holder.map(|(holder, _)| holder))
    }
}

/// A shard as its worker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) shard_id: ShardId,
    pub(crate) lease: LeaseId,
    /// Another worker waits for it.
    pub(crate) leaving: bool,
}

/// The shards that can be read now, and who has them. Every change is told to the workers that it concerns.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    workers: BTreeMap<WorkerId, Worker>,
    shards: BTreeMap<ShardId, Lease>,
    /// Numbers workers and leases.
    given: u64,
}

impl Leases {
    fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    pub(crate) fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Takes a worker in, which gets its part of the shards.
    pub(crate) fn join(&mut self, signal: Arc<Signal>, handover: Duration, now: Instant) -> WorkerId {
        let id = WorkerId(self.number());
        self.workers.insert(id, Worker { signal, handover });
        self.balance(now);
        id
    }

    /// Lets a worker go. Others get its shards.
    pub(crate) fn leave(&mut self, worker: WorkerId, now: Instant) {
        self.workers.remove(&worker);
        let mut told = Vec::new();
        for lease in self.shards.values_mut() {
            lease.holder = lease.holder.filter(|(holder, _)| *holder != worker);
            if lease.heir.is_some_and(|(heir, _)| heir == worker) {
                lease.heir = None;
                told.extend(lease.holder.map(|(holder, _)| holder));
            }
        }
        // They need not let go of those shards any more.
        told.into_iter().for_each(|holder| self.tell(holder));
        self.balance(now);
    }

    /// These are the shards that can be read now.
    pub(crate) fn set_shards(&mut self, ids: &[ShardId], now: Instant) {
        let old = std::mem::take(&mut self.shards);
        let none = Lease { holder: None, heir: None };
        self.shards = ids.iter().map(|id| (*id, old.get(id).copied().unwrap_or(none))).collect();
        for (id, lease) in old {
            if let Some((holder, _)) = lease.holder
                && !self.shards.contains_key(&id)
            {
                self.tell(holder);
            }
        }
        self.balance(now);
    }

    /// Ends every lease of these shards, whatever their holders are about.
    pub(crate) fn revoke(&mut self, which: impl Fn(ShardId) -> bool, now: Instant) {
        let mut told = Vec::new();
        for (id, lease) in &mut self.shards {
            if which(*id) {
                told.extend(lease.holder.take().map(|(holder, _)| holder));
                lease.heir = None;
            }
        }
        told.into_iter().for_each(|holder| self.tell(holder));
        self.balance(now);
    }

    /// A worker lets go of shards that others wait for.
    pub(crate) fn hand_over(&mut self, leases: &[(ShardId, LeaseId)], now: Instant) {
        for (shard_id, lease) in leases {
            if self.holds(*shard_id, *lease)
                && let Some(shard) = self.shards.get_mut(shard_id)
            {
                shard.holder = None;
            }
        }
        self.settle(now);
    }

    /// Gives shards to those who have waited for them long enough.
    pub(crate) fn settle(&mut self, now: Instant) {
        let mut granted = Vec::new();
        for (id, lease) in &mut self.shards {
            let Some((heir, deadline)) = lease.heir else { continue };
            if lease.holder.is_none() || deadline.is_some_and(|deadline| deadline <= now) {
                granted.push((*id, heir, lease.holder.map(|(holder, _)| holder)));
            }
        }
        for (id, heir, holder) in granted {
            let lease = LeaseId(self.number());
            self.shards.insert(id, Lease { holder: Some((heir, lease)), heir: None });
            self.tell(heir);
            if let Some(holder) = holder {
                self.tell(holder);
            }
        }
    }

    /// Whether this lease is still in force.
    pub(crate) fn holds(&self, shard_id: ShardId, lease: LeaseId) -> bool {
        self.shards.get(&shard_id).and_then(|shard| shard.holder).is_some_and(|(_, held)| held == lease)
    }

    /// Whether anybody reads the shard.
    pub(crate) fn is_held(&self, shard_id: ShardId) -> bool {
        self.shards.get(&shard_id).is_some_and(|lease| lease.holder.is_some())
    }

    /// What a worker has.
    pub(crate) fn of(&self, worker: WorkerId) -> Vec<Granted> {
        let granted = |(shard_id, lease): (&ShardId, &Lease)| {
            let (holder, id) = lease.holder?;
            (holder == worker).then_some(Granted {
                shard_id: *shard_id,
                lease: id,
                leaving: lease.heir.is_some(),
            })
        };
        self.shards.iter().filter_map(granted).collect()
    }

    /// When the first shard that this worker waits for will be its own, whatever its holder does.
    pub(crate) fn next_inheritance(&self, worker: WorkerId) -> Option<Instant> {
        let mine = self.shards.values().filter_map(|lease| lease.heir).filter(|(heir, _)| *heir == worker);
        mine.filter_map(|(_, deadline)| deadline).min()
    }

    /// Wakes everybody.
    pub(crate) fn tell_all(&self) {
        self.workers.values().for_each(|worker| worker.signal.leases_changed());
    }

    fn tell(&self, worker: WorkerId) {
        if let Some(worker) = self.workers.get(&worker) {
            worker.signal.leases_changed();
        }
    }

    /// Spreads the shards evenly: nobody has two more than another. Moves as few as that takes.
    fn balance(&mut self, now: Instant) {
        if self.workers.is_empty() {
            return;
        }
        let mut shares: BTreeMap<WorkerId, Vec<ShardId>> =
            self.workers.keys().map(|worker| (*worker, Vec::new())).collect();
        let mut spare = Vec::new();
        for (id, lease) in &self.shards {
            match lease.intended().and_then(|worker| shares.get_mut(&worker)) {
                Some(share) => share.push(*id),
                None => spare.push(*id),
            }
        }
        for id in spare {
            self.assign(&mut shares, id, now);
        }
        loop {
            let most =
                shares.iter().max_by_key(|(_, share)| share.len()).map(|(id, share)| (*id, share.len()));
            let least = shares.values().map(Vec::len).min();
            let (Some((most, many)), Some(few)) = (most, least) else { break };
            if many <= few + 1 {
                break;
            }
            let Some(id) = shares.get_mut(&most).and_then(Vec::pop) else { break };
            self.assign(&mut shares, id, now);
        }
        self.settle(now);
    }

    /// Gives a shard to the worker that has the fewest.
    fn assign(&mut self, shares: &mut BTreeMap<WorkerId, Vec<ShardId>>, id: ShardId, now: Instant) {
        let Some((worker, share)) = shares.iter_mut().min_by_key(|(_, share)| share.len()) else {
            return;
        };
        share.push(id);
        let holder = self.shards.get(&id).and_then(|lease| lease.holder).map(|(holder, _)| holder);
        let heir = if holder == Some(*worker) {
            None
        } else {
            let handover = holder.and_then(|holder| self.workers.get(&holder)).map(|holder| holder.handover);
            // A time too long to be a point in time never comes.
            Some((*worker, now.checked_add(handover.unwrap_or_default())))
        };
        if let Some(lease) = self.shards.get_mut(&id) {
            lease.heir = heir;
        }
        // The holder is to let go, or need not; the heir has something to wait for.
        self.tell(*worker);
        if let Some(holder) = holder {
            self.tell(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ids(count: u32) -> Vec<ShardId> {
        (0..count).map(ShardId::new).collect()
    }

    fn check(leases: &Leases) {
        let shares: Vec<_> = leases
            .workers
            .keys()
            .map(|worker| leases.shards.values().filter(|lease| lease.intended() == Some(*worker)).count())
            .collect();
        let all: usize = shares.iter().sum();
        if !shares.is_empty() {
            assert_eq!(all, leases.shards.len(), "a shard was forgotten: {leases:?}");
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
        }
        for lease in leases.shards.values() {
            assert!(lease.holder.is_some() || shares.is_empty(), "{lease:?}");
            for worker in [lease.holder.map(|(holder, _)| holder), lease.heir.map(|(heir, _)| heir)] {
                assert!(worker.is_none_or(|worker| leases.workers.contains_key(&worker)));
            }
        }
    }

    #[test]
    fn shards_are_spread_evenly_whoever_comes_and_goes() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut leases = Leases::default();
            let mut now = Instant::now();
            let mut workers = Vec::new();
            for _ in 0..60 {
                match random.u8(..6) {
                    0 | 1 => {
                        let handover = *random.choice(&[Duration::ZERO, MINUTE]).unwrap();
                        workers.push(leases.join(Arc::default(), handover, now));
                    }
                    2 if !workers.is_empty() => {
                        let gone = workers.swap_remove(random.usize(..workers.len()));
                        leases.leave(gone, now);
                    }
                    3 => {
                        let all = ids(random.u32(..40));
                        let some: Vec<_> = all.into_iter().filter(|_| random.u8(..5) > 0).collect();
                        leases.set_shards(&some, now);
                    }
                    4 => {
                        now += MINUTE;
                        leases.settle(now);
                        assert!(leases.shards.values().all(|lease| lease.heir.is_none()));
                    }
                    _ => {
                        for worker in &workers {
                            let leaving: Vec<_> = leases
                                .of(*worker)
                                .into_iter()
                                .filter(|granted| granted.leaving)
                                .map(|granted| (granted.shard_id, granted.lease))
                                .collect();
                            leases.hand_over(&leaving, now);
                        }
                    }
                }
                check(&leases);
            }
        }
    }

    #[test]
    fn a_shard_stays_with_its_holder_until_handed_over_or_too_late() {
        let mut leases = Leases::default();
        let now = Instant::now();
        leases.set_shards(&ids(2), now);
        let first = leases.join(Arc::default(), MINUTE, now);
        let second = leases.join(Arc::default(), MINUTE, now);
        let before = leases.of(first);
        assert_eq!(before.len(), 2);
        assert!(leases.of(second).is_empty());
        assert_eq!(leases.next_inheritance(second), Some(now + MINUTE));
        let leaving: Vec<_> = before.iter().filter(|granted| granted.leaving).collect();
        assert_eq!(leaving.len(), 1);

        leases.settle(now + MINUTE / 2);
        assert_eq!(leases.of(first), before);
        leases.settle(now + MINUTE);
        assert_eq!(leases.of(second).len(), 1);
        assert!(!leases.holds(leaving[0].shard_id, leaving[0].lease), "the lease is another one now");

        // Who leaves gives everything back at once.
        leases.leave(second, now);
        assert_eq!(leases.of(first).len(), 2);
        assert!(leases.of(first).iter().all(|granted| !granted.leaving));
    }

    #[test]
    fn a_worker_that_leaves_waits_for_nothing_any_more() {
        let mut leases = Leases::default();
        let now = Instant::now();
        leases.set_shards(&ids(4), now);
        let first = leases.join(Arc::default(), MINUTE, now);
        let second = leases.join(Arc::default(), MINUTE, now);
        leases.leave(second, now);
        assert!(leases.of(first).iter().all(|granted| !granted.leaving));
        assert_eq!(leases.of(first).len(), 4);
    }
}
