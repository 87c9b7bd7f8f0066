//! Putting batches of rows: several frames of one shard, one number for each row.

use crate::log::durability::Durability;
use crate::log::frame::Draft;

use super::core::StreamCore;
use super::error::PutError;
use super::hash_key::HashKey;
use super::sequence_number::SequenceNumber;
use super::shard_id::ShardId;
use super::shard_map::Shard;

/// Where rows went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowsPut {
    pub(crate) shard_id: ShardId,
    /// The number of the first row; the others follow without a gap.
    pub(crate) first: SequenceNumber,
    pub(crate) rows: u64,
    pub(crate) records: u64,
}

impl StreamCore {
    /// Appends frames to the shard that owns `hash_key`, with nothing of others in between. Returns what was appended, also
    /// when not everything was; after a failed sync, whether that is on disk is not known.
    pub(crate) fn put_rows(
        &self,
        hash_key: HashKey,
        drafts: &[Draft<'_>],
        durability: Option<Durability>,
    ) -> (Option<RowsPut>, Result<(), PutError>) {
        let durability = durability.unwrap_or(self.durability);
        loop {
            let map = self.shards.look();
            let Some(shard) = map.owner_of(hash_key) else {
                return (None, Err(PutError::Closed));
            };
            match append(shard, drafts, durability) {
                (None, Err(PutError::Closed)) if self.has_moved(shard) => {}
                outcome => return outcome,
            }
        }
    }
}

fn append(
    shard: &Shard,
    drafts: &[Draft<'_>],
    durability: Durability,
) -> (Option<RowsPut>, Result<(), PutError>) {
    let mut put: Option<RowsPut> = None;
    let mut session = shard.log.session();
    let mut outcome = Ok(());
    for draft in drafts {
        match shard.admit(draft).and_then(|()| Ok(session.append(draft)?)) {
            Ok(counter) => {
                let first = SequenceNumber::new(counter, shard.id);
                let put = put.get_or_insert(RowsPut { shard_id: shard.id, first, rows: 0, records: 0 });
                put.rows += draft.row_count();
                put.records += 1;
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    let target = session.finish(durability);
    if put.is_some() && durability == Durability::Immediate {
        outcome = outcome.and(shard.log.sync_to(target).map_err(PutError::from));
    }
    (put, outcome)
}
