//! A consumer: its checkpoints and its workers, behind all their handles.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::IoError;
use crate::log::durability::Durability;
use crate::log::options::Context;
use crate::stream::core::StreamCore;
use crate::stream::shard_id::ShardId;
use crate::sys::clock::Timestamp;

use super::checkpoint::Checkpoint;
use super::error::CheckpointError;
use super::file::{CheckpointFile, LoadError, Progress, load};
use super::lag::{self, ShardLag};
use super::leases::{Granted, LeaseId, Leases, WorkerId};
use super::lineage;
use super::signal::Signal;

/// One named consumer.
#[derive(Debug)]
pub(crate) struct Group {
    context: Arc<Context>,
    state: Mutex<State>,
    /// Held while the file is being synced, so that many callers share one sync.
    syncing: Mutex<()>,
    /// For what is done in the background.
    myself: Weak<Self>,
}

#[derive(Debug)]
struct State {
    file: CheckpointFile,
    progress: Progress,
    leases: Leases,
    /// Counts the changes of the file.
    written: u64,
    /// So many of them are durable.
    synced: u64,
    /// When the next scheduled sync is due, by the engine's clock.
    sync_due: Option<Timestamp>,
    /// Shards that retention has removed before they were finished, of which no worker has been told yet.
    gone: Vec<(ShardId, Checkpoint)>,
    phase: Phase,
}

/// Whether a consumer takes checkpoints, and if not, whose its file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The store is being closed: the last checkpoints are made durable.
    Closing,
    /// The file is left alone: it is being deleted, or the store may be another writer's.
    Left,
}

/// A checkpoint to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) shard_id: ShardId,
    pub(crate) lease: LeaseId,
    pub(crate) to: Checkpoint,
}

/// What a worker has, and when to look again at the latest.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) granted: Vec<(Granted, Checkpoint)>,
    pub(crate) next_inheritance: Option<Instant>,
    /// Shards that were removed before they were finished, which only this worker is told.
    pub(crate) gone: Vec<(ShardId, Checkpoint)>,
}

impl State {
    /// Writes down that shards have come this far, without syncing it.
    fn record(&mut self, entries: &[(ShardId, Checkpoint)]) -> Result<(), IoError> {
        if self.file.append(entries)? {
            self.progress.shards.extend(entries.iter().copied());
            self.written += 1;
            return Ok(());
        }
        let mut progress = self.progress.clone();
        progress.shards.extend(entries.iter().copied());
        self.replace(progress)
    }

    /// Replaces the file, durably.
    fn replace(&mut self, progress: Progress) -> Result<(), IoError> {
        self.file.replace(&progress)?;
        self.progress = progress;
        self.written += 1;
        self.synced = self.written;
        Ok(())
    }

    /// Makes those shards readable that are, by what has been finished.
    fn refresh(&mut self, core: &StreamCore) {
        let known = lineage::of(core);
        let readable = lineage::readable(&known, |shard_id| self.progress.is_finished(shard_id));
        let Self { progress, gone, leases, .. } = self;
        // Ids are not used again: what is not there any more will not come back.
        progress.shards.retain(|id, checkpoint| {
            let is_there = known.binary_search_by_key(id, |shard| shard.id).is_ok();
            if !is_there && *checkpoint != Checkpoint::ShardEnd {
                gone.push((*id, *checkpoint));
            }
            is_there
        });
        leases.set_shards(&readable, Instant::now());
    }
}

impl Group {
    fn new(context: &Arc<Context>, path: PathBuf, progress: Progress) -> Arc<Self> {
        let file = CheckpointFile::new(Arc::clone(&context.storage), path);
        let state = State {
            file,
            progress,
            leases: Leases::default(),
            written: 0,
            synced: 0,
            sync_due: None,
            gone: Vec::new(),
            phase: Phase::Open,
        };
        Arc::new_cyclic(|myself| Self {
            context: Arc::clone(context),
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            myself: Weak::clone(myself),
        })
    }

    /// A new consumer, durable on return.
    pub(crate) fn create(
        context: &Arc<Context>,
        path: PathBuf,
        progress: Progress,
    ) -> Result<Arc<Self>, IoError> {
        let group = Self::new(context, path, progress.clone());
        group.state.lock().replace(progress)?;
        Ok(group)
    }

    /// A consumer whose file is there.
    pub(crate) fn load(context: &Arc<Context>, path: PathBuf) -> Result<Arc<Self>, LoadError> {
        let contents = load(&*context.storage, &path)?;
        let group = Self::new(context, path, Progress::from(&contents));
        Ok(group)
    }

    pub(crate) fn worker_count(&self) -> usize {
        self.state.lock().leases.worker_count()
    }

    /// Takes a worker in; `None` when the consumer is closed.
    pub(crate) fn join(
        &self,
        core: &StreamCore,
        signal: Arc<Signal>,
        handover: Duration,
    ) -> Option<WorkerId> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return None;
        }
        state.refresh(core);
        Some(state.leases.join(signal, handover, Instant::now()))
    }

    /// Takes note that a shard is not there any more, of which its worker knows.
    pub(crate) fn forget(&self, core: &StreamCore, shard_id: ShardId) {
        let mut state = self.state.lock();
        state.progress.shards.remove(&shard_id);
        state.refresh(core);
    }

    /// Lets a worker go; others get its shards.
    pub(crate) fn leave(&self, worker: WorkerId) {
        self.state.lock().leases.leave(worker, Instant::now());
    }

    /// What a worker has now; `None` when the consumer is closed.
    pub(crate) fn view(&self, worker: WorkerId) -> Option<View> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return None;
        }
        state.leases.settle(Instant::now());
        Some(View {
            granted: state
                .leases
                .of(worker)
                .into_iter()
                .map(|granted| (granted, state.progress.of(granted.shard_id)))
                .collect(),
            next_inheritance: state.leases.next_inheritance(worker),
            gone: std::mem::take(&mut state.gone),
        })
    }

    /// A worker lets go of shards that others wait for.
    pub(crate) fn hand_over(&self, leases: &[(ShardId, LeaseId)]) {
        self.state.lock().leases.hand_over(leases, Instant::now());
    }

    /// Makes checkpoints, as far as their leases are in force. Returns the shards of which they are not.
    pub(crate) fn checkpoint(
        &self,
        core: &StreamCore,
        steps: &[Step],
        durability: Durability,
    ) -> Result<Vec<ShardId>, CheckpointError> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(CheckpointError::Closed);
        }
        let (valid, lost): (Vec<_>, Vec<_>) =
            steps.iter().partition::<Vec<&Step>, _>(|step| state.leases.holds(step.shard_id, step.lease));
        let lost = lost.into_iter().map(|step| step.shard_id).collect();
        if valid.is_empty() {
            return Ok(lost);
        }
        let entries: Vec<_> = valid.iter().map(|step| (step.shard_id, step.to)).collect();
        state.record(&entries)?;
        if entries.iter().any(|(_, to)| *to == Checkpoint::ShardEnd) {
            state.refresh(core);
        }
        let target = state.written;
        match durability {
            Durability::Buffered => {}
            Durability::Periodic(within) => self.sync_within(&mut state, within),
            Durability::Immediate => {
                drop(state);
                if !self.sync_to(target)? {
                    return Err(CheckpointError::Closed);
                }
            }
        }
        Ok(lost)
    }

    /// Takes a shard's checkpoint back, durably: it was found to be wrong.
    pub(crate) fn take_back(&self, step: Step) -> Result<(), CheckpointError> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Err(CheckpointError::Closed);
        }
        if state.leases.holds(step.shard_id, step.lease) {
            let mut progress = state.progress.clone();
            progress.shards.insert(step.shard_id, step.to);
            state.replace(progress)?;
        }
        Ok(())
    }

    /// Sets the consumer to where `progress` says, durably. Its workers begin anew. `None` when the consumer is closed.
    pub(crate) fn reset(&self, core: &StreamCore, progress: Progress) -> Option<Result<(), IoError>> {
        self.change(core, |before| Progress { created: before.created, ..progress }, |_| true)
    }

    /// Sets the consumer back or forth in one shard, durably.
    pub(crate) fn reset_shard(
        &self,
        core: &StreamCore,
        shard_id: ShardId,
        to: Checkpoint,
    ) -> Option<Result<(), IoError>> {
        let change = |mut progress: Progress| {
            progress.shards.insert(shard_id, to);
            progress
        };
        self.change(core, change, |concerned| concerned == shard_id)
    }

    fn change(
        &self,
        core: &StreamCore,
        change: impl FnOnce(Progress) -> Progress,
        concerns: impl Fn(ShardId) -> bool,
    ) -> Option<Result<(), IoError>> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return None;
        }
        let progress = change(state.progress.clone());
        if let Err(error) = state.replace(progress) {
            return Some(Err(error));
        }
        // What workers have polled was polled from where they are not any more.
        state.leases.revoke(concerns, Instant::now());
        state.refresh(core);
        Some(Ok(()))
    }

    /// How far the consumer is behind in each shard that it has not finished.
    pub(crate) fn lag(&self, core: &StreamCore) -> Vec<ShardLag> {
        let progress = self.state.lock().progress.clone();
        lag::of(&core.shards.snapshot(), &progress, |shard_id| self.state.lock().leases.is_held(shard_id))
    }

    /// Sees to it that a sync follows.
    fn sync_within(&self, state: &mut State, within: Duration) {
        let due = self.context.clock.now().saturating_add(within);
        if state.sync_due.is_some_and(|scheduled| scheduled <= due) {
            return;
        }
        state.sync_due = Some(due);
        let group = Weak::clone(&self.myself);
        self.context.background.schedule(within, move || {
            if let Some(group) = group.upgrade() {
                let target = {
                    let mut state = group.state.lock();
                    state.sync_due = None;
                    state.written
                };
                // After a failure the file is to be replaced: once more now, and if that fails too, by the next
                // checkpoint, which then tells of it.
                drop(group.sync_to(target).or_else(|_| group.sync_to(target)));
            }
        });
    }

    /// Returns once so many changes are durable, or `false` when they are not and the file has been left alone.
    fn sync_to(&self, target: u64) -> Result<bool, IoError> {
        let _syncing = self.syncing.lock();
        let (file, written) = {
            let mut state = self.state.lock();
            if state.synced >= target {
                return Ok(true);
            }
            if state.phase == Phase::Left {
                return Ok(false);
            }
            match state.file.to_sync() {
                Some(file) => (file, state.written),
                None => {
                    let progress = state.progress.clone();
                    return state.replace(progress).map(|()| true);
                }
            }
        };
        let outcome = file.sync_data();
        let mut state = self.state.lock();
        match outcome {
            Ok(()) => {
                state.synced = state.synced.max(written);
                Ok(true)
            }
            // It was replaced meanwhile, durably.
            Err(_) if state.synced >= target => Ok(true),
            Err(error) => {
                state.file.give_up(&file);
                Err(IoError::new("sync", state.file.path(), error))
            }
        }
    }

    /// Takes no more checkpoints, and makes the last ones durable.
    pub(crate) fn close(&self) -> Result<(), IoError> {
        // No checkpoint comes behind what is synced now.
        self.enter(Phase::Closing);
        let target = self.state.lock().written;
        let outcome = self.sync_to(target);
        self.abandon();
        outcome.map(drop)
    }

    /// Takes no more checkpoints, and leaves the file alone from now on: it is being deleted.
    pub(crate) fn abandon(&self) {
        self.enter(Phase::Left);
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state.lock();
        state.phase = phase;
        state.leases.tell_all();
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::log::background::Background;
    use crate::log::files::FileCache;
    use crate::log::map_cache::MapCache;
    use crate::sys::clock::SystemClock;
    use crate::sys::storage::Storage;
    use crate::testing::Disk;

    /// Between a checkpoint and its sync nobody from outside comes in for sure.
    #[test]
    fn a_sync_that_comes_too_late_is_not_taken_for_one() {
        let disk = Disk::new();
        let context = Arc::new(Context {
            storage: Arc::new(disk.clone()),
            clock: Arc::new(SystemClock::precise()),
            background: Background::manual(Arc::new(SystemClock::precise())),
            maps: MapCache::new(0),
            files: FileCache::new(0),
            first_segment_len: 0,
            max_segment_len: 0,
            poll_interval: Duration::ZERO,
        });
        disk.create_dir(Path::new("data")).unwrap();
        let progress =
            Progress { start: Checkpoint::TrimHorizon, shards: [].into(), created: Timestamp::from_nanos(0) };
        let recorded = |path: &str| {
            let group = Group::create(&context, path.into(), progress.clone()).unwrap();
            group.state.lock().record(&[(ShardId::new(0), Checkpoint::ShardEnd)]).unwrap();
            let target = group.state.lock().written;
            (group, target)
        };
        let (deleted, target) = recorded("data/deleted");
        deleted.abandon();
        assert!(!deleted.sync_to(target).unwrap());
        let (closed, target) = recorded("data/closed");
        closed.close().unwrap();
        assert!(closed.sync_to(target).unwrap());
        let steps = disk.steps();
        assert!(!closed.sync_to(target + 1).unwrap());
        assert_eq!(disk.steps(), steps, "the file is left alone");
    }
}
