//! The service's quotas.

/// Whether Timestream's quotas hold. The rules that keep the data consistent hold in any case.
///
/// With `Service`, a call takes and refuses what the service would. With `Off`, what is left are the limits of the
/// stream: 10 MiB for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Quotas {
    /// As the service has them.
    #[default]
    Service,
    /// No quotas.
    Off,
}

pub(crate) const MAX_RECORDS: usize = 100;
pub(crate) const MAX_DIMENSIONS: usize = 128;
pub(crate) const MAX_TIME_CHARACTERS: usize = 256;
pub(crate) const MAX_VALUE_CHARACTERS: usize = 2048;
pub(crate) const MAX_DIMENSION_NAME: usize = 60;
pub(crate) const MAX_MEASURE_NAME: usize = 256;
/// Bytes of a series' dimension names and values.
pub(crate) const MAX_DIMENSION_PAIRS: usize = 2048;
/// Bytes of a record's names and values.
pub(crate) const MAX_RECORD: usize = 2048;
pub(crate) const MAX_VALUES: usize = 256;
/// Bytes of the values of one record of type `MULTI`.
pub(crate) const MAX_VALUES_SIZE: usize = 2048;

impl Quotas {
    pub(crate) fn hold(self) -> bool {
        self == Self::Service
    }

    /// Whether `found` is more than the service takes.
    pub(crate) fn exceeded(self, found: usize, max: usize) -> bool {
        self.hold() && found > max
    }
}
