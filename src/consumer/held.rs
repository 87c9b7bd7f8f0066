//! A shard that a worker has: its reader, and how far it has come.

use std::task::Waker;

use crate::log::watchers::Watch;
use crate::stream::core::StreamCore;
use crate::stream::error::ReadError;
use crate::stream::reader::{Reader, ReaderOptions};
use crate::stream::record::Record;
use crate::stream::sequence_number::SequenceNumber;
use crate::stream::shard_id::ShardId;
use crate::stream::shard_map::Shard;

use super::checkpoint::Checkpoint;
use super::error::PollError;
use super::leases::LeaseId;

#[derive(Debug)]
pub(super) struct Held {
    pub(super) shard_id: ShardId,
    pub(super) lease: LeaseId,
    /// Woken when there is more to read.
    waker: Waker,
    /// `None` until it is first read.
    reader: Option<Reader>,
    pub(super) checkpoint: Checkpoint,
    /// The last record that was handed out.
    pub(super) delivered: Option<SequenceNumber>,
    /// The next record's counter is not below this.
    next: u64,
    /// Everything has been handed out, and there will never be more.
    pub(super) ended: bool,
    /// Another worker waits for it: nothing more is read.
    pub(super) leaving: bool,
    /// It stands in the queue of those to read.
    pub(super) queued: bool,
}

/// Why reading a shard stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// As many records were read as were asked for.
    Enough,
    /// There is nothing more now.
    Nothing,
    /// Something was skipped, of which the caller is to be told before anything else of the shard.
    Skipped(PollError),
    /// The checkpoint is behind the shard's end, which this is.
    Ahead { next: SequenceNumber },
    /// Everything has been read, and there will never be more.
    End,
    /// Retention has taken all of it, before anything was read.
    Gone,
    /// It cannot be read.
    Failed(ReadError),
}

impl Held {
    pub(super) fn new(shard_id: ShardId, lease: LeaseId, checkpoint: Checkpoint, waker: Waker) -> Self {
        Self {
            shard_id,
            lease,
            waker,
            reader: None,
            checkpoint,
            delivered: None,
            next: 0,
            ended: false,
            leaving: false,
            queued: false,
        }
    }

    /// Where this shard is once everything that was handed out has been processed; `None` when that is where it is.
    pub(super) fn due(&self) -> Option<Checkpoint> {
        let delivered = self.after(self.delivered?);
        (delivered != self.checkpoint).then_some(delivered)
    }

    /// Where this shard is once the record with this number, which was handed out, has been processed.
    pub(super) fn after(&self, number: SequenceNumber) -> Checkpoint {
        if self.ended && self.delivered == Some(number) {
            Checkpoint::ShardEnd
        } else {
            Checkpoint::AfterSequenceNumber(number)
        }
    }

    /// Hands out up to `most` records. Returns how many there were, and why there were not more.
    pub(super) fn read(
        &mut self,
        core: &StreamCore,
        options: ReaderOptions,
        most: usize,
        each: &mut impl FnMut(Record<'_>),
    ) -> (usize, Stop) {
        let mut count = 0;
        if self.reader.is_none()
            && let Some(stop) = self.open(core, options)
        {
            return (count, stop);
        }
        let Some(reader) = &mut self.reader else {
            return (count, Stop::Nothing);
        };
        while count < most {
            let error = match reader.next() {
                Ok(Some(record)) => {
                    let number = record.sequence_number();
                    each(record);
                    self.delivered = Some(number);
                    self.next = number.counter().saturating_add(1);
                    count += 1;
                    continue;
                }
                Ok(None) => match reader.watch(&self.waker) {
                    Ok(Watch::Ready) => continue,
                    Ok(_) if reader.is_at_end() => {
                        self.ended = true;
                        return (count, Stop::End);
                    }
                    Ok(_) => return (count, Stop::Nothing),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            return match error {
                ReadError::Trimmed { oldest } => {
                    let skipped = skipped(self.shard_id, self.next, oldest.counter());
                    self.next = oldest.counter();
                    (count, Stop::Skipped(skipped))
                }
                error => (count, Stop::Failed(error)),
            };
        }
        (count, Stop::Enough)
    }

    /// Starts reading at the checkpoint. Returns what there is to say before the first record.
    fn open(&mut self, core: &StreamCore, options: ReaderOptions) -> Option<Stop> {
        let map = core.shards.snapshot();
        let Some(shard) = map.by_id(self.shard_id) else {
            return Some(Stop::Gone);
        };
        let (next, _) = shard.log.tip();
        let wanted = self.checkpoint.next();
        if wanted.is_some_and(|wanted| wanted > next) {
            return Some(Stop::Ahead { next: SequenceNumber::new(next, self.shard_id) });
        }
        // Whatever is trimmed while this looks is not passed over in silence.
        let (reader, oldest) = loop {
            let oldest = oldest(shard);
            let position = self.checkpoint.position(self.shard_id, next);
            match Reader::new(shard, position, options) {
                Ok(_) if oldest != self::oldest(shard) => {}
                Ok(reader) => break (reader, oldest),
                Err(error) => return Some(Stop::Failed(error)),
            }
        };
        self.reader = Some(reader);
        self.next = wanted.unwrap_or(oldest).max(oldest);
        wanted
            .filter(|wanted| *wanted < oldest)
            .map(|wanted| Stop::Skipped(skipped(self.shard_id, wanted, oldest)))
    }

    /// Goes on behind damage, if that is what it has come to.
    pub(super) fn skip_damage(&mut self) -> Result<(), ReadError> {
        self.reader.as_mut().map_or(Ok(()), Reader::skip_damage)
    }

    /// Has the worker not woken on its account any more.
    pub(super) fn let_go(&self) {
        if let Some(reader) = &self.reader {
            reader.unwatch(&self.waker);
        }
    }
}

/// No record below this counter is kept; 0 when nothing was ever trimmed.
fn oldest(shard: &Shard) -> u64 {
    let list = shard.log.list();
    if list.trim() == 0 {
        return 0;
    }
    list.first().segment.map_or_else(|| shard.log.tip().0, |segment| segment.base())
}

fn skipped(shard_id: ShardId, from: u64, oldest: u64) -> PollError {
    PollError::Trimmed {
        shard_id,
        from: SequenceNumber::new(from, shard_id),
        oldest: SequenceNumber::new(oldest, shard_id),
        skipped: oldest.saturating_sub(from),
    }
}
