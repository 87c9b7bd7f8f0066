//! Records of the Kinesis Producer Library, which packs many user records into one.
//!
//! [`unpack`] gives the user records of any record, packed or not; [`Aggregator`] packs them. With the feature `writer`,
//! [`AggregatingSink`](crate::kpl::AggregatingSink) packs what a [`BatchWriter`](crate::write::BatchWriter) is given.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let store = riverbed::Store::open(directory.path().join("data"))?;
//! # let clicks = store.create_stream("clicks", riverbed::StreamOptions::new())?;
//! use riverbed::Position;
//! use riverbed::kpl::{Aggregator, unpack};
//!
//! let mut aggregator = Aggregator::new();
//! for (key, data) in [("user-42", b"hello"), ("user-7", b"world")] {
//!     aggregator.add(key, None, data)?;
//! }
//! if let Some(packed) = aggregator.finish() {
//!     clicks.put_record(&packed.as_put())?;
//! }
//!
//! let mut reader = clicks.reader(clicks.shards()[0].id, Position::TrimHorizon)?;
//! let record = reader.next()?.map(|record| record.to_owned());
//! for user_record in unpack(record.as_ref().ok_or("no record")?)? {
//!     println!("{}: {:?}", user_record.partition_key(), user_record.data());
//! }
//! # Ok(())
//! # }
//! ```

mod aggregator;
#[cfg(feature = "writer")]
mod sink;
mod unpack;
mod user_record;
mod wire;

pub use aggregator::{Aggregator, Packed};
#[cfg(feature = "writer")]
pub use sink::{AggregatingSink, UserPut};
pub use unpack::{UnpackError, is_packed, unpack, unpack_within};
pub use user_record::UserRecord;
