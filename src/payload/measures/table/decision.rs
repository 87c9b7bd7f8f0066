//! What becomes of a record whose data point may be there already.

use crate::payload::measures::index::Latest;
use crate::payload::measures::reason::Reason;
use crate::stream::sequence_number::SequenceNumber;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// It is the first of its data point.
    Insert,
    /// It replaces the record with this number.
    Replace(SequenceNumber),
    /// It is there already.
    Keep,
    Reject(Reason),
}

/// The service's rules for versions:
///
/// | existing | new | value | |
/// |---|---|---|---|
/// | none | any | any | insert |
/// | e | above e | any | replace |
/// | e | e | same | keep |
/// | e | e | other | reject |
/// | e | below e | any | reject |
///
/// `is_same` compares the values; `None` when the existing record has been removed meanwhile.
pub(super) fn decide<E>(
    existing: Option<Latest>,
    version: i64,
    is_same: impl FnOnce(&Latest) -> Result<Option<bool>, E>,
) -> Result<Decision, E> {
    let Some(existing) = existing else {
        return Ok(Decision::Insert);
    };
    Ok(match version.cmp(&existing.version) {
        std::cmp::Ordering::Greater => Decision::Replace(existing.number),
        std::cmp::Ordering::Less => {
            Decision::Reject(Reason::OlderVersion { version, existing: existing.version })
        }
        std::cmp::Ordering::Equal => match is_same(&existing)? {
            Some(true) => Decision::Keep,
            Some(false) => Decision::Reject(Reason::SameVersion { existing: existing.version }),
            None => Decision::Insert,
        },
    })
}
