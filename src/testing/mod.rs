//! Crash your own service: a disk in memory whose power you can cut, and a clock that you set.
//!
//! A [`Disk`] behaves like a file system that keeps what was written in a cache and promises nothing before a sync:
//! it has a *live* image, which the program sees, and a *durable* one, which survives. [`Disk::cut_power`] makes a
//! new disk out of the durable image and any part of what was not yet synced, by pages, sectors or words, as a real
//! power cut does. A plan ([`Disk::plan`]) can fail, delay or cut the power at any call.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use riverbed::testing::Disk;
//! use riverbed::{Durability, Maintenance, Position, PutRecord, Store, StreamOptions};
//!
//! let disk = Disk::new();
//! let options = || Store::options().storage(&disk).maintenance(Maintenance::Manual);
//! let store = options().open("data")?;
//! let orders = store.create_stream("orders", StreamOptions::new())?;
//! let kept = orders.put_record(&PutRecord::new("7", b"paid").durability(Durability::Immediate))?;
//! orders.put_record(&PutRecord::new("7", b"shipped").durability(Durability::Buffered))?;
//!
//! let disk = disk.cut_power(42);
//!
//! let store = Store::options().storage(&disk).maintenance(Maintenance::Manual).open("data")?;
//! let orders = store.open_stream("orders")?;
//! let mut reader = orders.reader(kept.shard_id, Position::TrimHorizon)?;
//! assert_eq!(reader.next()?.map(|record| record.data().to_vec()), Some(b"paid".to_vec()));
//! // "shipped" may or may not be there; it was not acknowledged as durable.
//! # Ok(())
//! # }
//! ```

mod clock;
mod disk;
mod file;
mod names;
mod plan;

pub use clock::ManualClock;
pub use disk::Disk;
pub use plan::{Call, Operation, Verdict};
