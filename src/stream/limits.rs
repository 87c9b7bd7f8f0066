//! How much a shard takes and gives.

use std::num::NonZeroU32;

/// What each shard takes and gives in a second, after Kinesis's limits. Nothing is limited by default; see
/// [`StoreOptions::limits`](crate::StoreOptions::limits).
///
/// Over a limit a put gets [`PutError::ThroughputExceeded`](crate::PutError::ThroughputExceeded), and a page
/// ([`Reader::get_records`](crate::Reader::get_records)) ends early or gets
/// [`ReadError::ThroughputExceeded`](crate::ReadError::ThroughputExceeded); both say when to try again. Borrowed reading
/// ([`Reader::next`](crate::Reader::next)) is never limited: it costs a shard nothing.
///
/// Each rate is of 1 to 10^9 a second (more counts as 10^9) and allows bursts of one second's worth; those in bytes allow
/// at least one record of the largest size.
///
/// ```
/// use riverbed::Limits;
///
/// let limits = Limits::kinesis().records_in(500);
/// assert_ne!(limits, Limits::NONE);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    pub(crate) records_in: Option<NonZeroU32>,
    pub(crate) bytes_in: Option<NonZeroU32>,
    pub(crate) pages_out: Option<NonZeroU32>,
    pub(crate) bytes_out: Option<NonZeroU32>,
}

const MEBIBYTE: u32 = 1024 * 1024;

impl Limits {
    /// No limits.
    pub const NONE: Self = Self { records_in: None, bytes_in: None, pages_out: None, bytes_out: None };

    /// Those of a Kinesis shard as the reference of its `PutRecord` has them: in, 1,000 records and 10 MiB of keys and data;
    /// out, 5 pages and 2 MiB. Where your account says 1 MiB in, add `.bytes_in(1 << 20)`: one record of 10 MiB fits that too.
    pub const fn kinesis() -> Self {
        Self::NONE.records_in(1000).bytes_in(10 * MEBIBYTE).pages_out(5).bytes_out(2 * MEBIBYTE)
    }

    /// Records that may be put in a second.
    #[must_use]
    pub const fn records_in(mut self, per_second: u32) -> Self {
        self.records_in = NonZeroU32::new(per_second);
        self
    }

    /// Bytes of keys and data that may be put in a second.
    #[must_use]
    pub const fn bytes_in(mut self, per_second: u32) -> Self {
        self.bytes_in = NonZeroU32::new(per_second);
        self
    }

    /// Pages that may be read in a second.
    #[must_use]
    pub const fn pages_out(mut self, per_second: u32) -> Self {
        self.pages_out = NonZeroU32::new(per_second);
        self
    }

    /// Bytes of data that may be read by pages in a second.
    #[must_use]
    pub const fn bytes_out(mut self, per_second: u32) -> Self {
        self.bytes_out = NonZeroU32::new(per_second);
        self
    }
}
