//! Where to start reading.

use crate::sys::clock::Timestamp;

use super::sequence_number::SequenceNumber;

/// Where in a shard to start reading: Kinesis's shard iterator types.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let store = riverbed::Store::open(directory.path().join("data"))?;
/// use riverbed::{Position, StreamOptions};
///
/// let clicks = store.create_stream("clicks", StreamOptions::new())?;
/// let first = clicks.put("user-42", b"one")?;
/// clicks.put("user-42", b"two")?;
/// let mut reader = clicks.reader(first.shard_id, Position::AfterSequenceNumber(first.sequence_number))?;
/// assert_eq!(reader.next()?.map(|record| record.data()), Some(&b"two"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// At the oldest record that is kept.
    TrimHorizon,
    /// After the newest record at the time of the call.
    Latest,
    /// At this record. If it was trimmed, or its number was never given, at the first one after it. The number of any row of a
    /// batch stands for its record.
    AtSequenceNumber(SequenceNumber),
    /// After this record, as if it were there. The number of any row of a batch stands for its record.
    AfterSequenceNumber(SequenceNumber),
    /// At the first record that arrived at this time or later.
    AtTimestamp(Timestamp),
}
