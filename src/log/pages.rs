//! Reading a segment's header, both pages of it, through the file.

use std::io;

use crate::sys::storage::StorageFile;

use super::header::{HEADER_LEN, Identity, IdentityFault, PAGE, SLOT_LEN, SLOT_OFFSET, Slot, SlotFact};

/// What each header page says of the segment, and the slot in it. Without an identity the slots are blank.
pub(crate) type Pages = ([Result<Identity, IdentityFault>; 2], [SlotFact; 2]);

/// Reads the header of what should be segment `ordinal` of `shard`.
pub(crate) fn read_pages(file: &dyn StorageFile, ordinal: u64, shard: u32) -> io::Result<Pages> {
    let mut header = [0; HEADER_LEN];
    let read = file.read_at(&mut header, 0)?;
    let header = header.get(..read).unwrap_or_default();
    let (first, second) = header.split_at(PAGE.min(header.len()));
    let identify = |page: &[u8]| {
        let identity = Identity::decode(page)?;
        // A file that was copied or renamed from elsewhere is not this shard's segment.
        let here = identity.ordinal == ordinal && identity.shard == shard;
        if here { Ok(identity) } else { Err(IdentityFault::Fields) }
    };
    let identities = [identify(first), identify(second)];
    let Some(identity) = identities.iter().find_map(|page| page.as_ref().ok()) else {
        return Ok((identities, [SlotFact::Blank; 2]));
    };
    let signature = identity.signature();
    let slot_in = |page: &[u8]| match page.get(SLOT_OFFSET..).and_then(|rest| rest.first_chunk::<SLOT_LEN>())
    {
        Some(bytes) => Slot::decode(bytes, signature),
        None => SlotFact::Damaged,
    };
    Ok((identities, [slot_in(first), slot_in(second)]))
}
