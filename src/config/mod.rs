//! Configuration from files and the environment: where the store is, what a stream is like, how to write, which tags every
//! point gets.
//!
//! Files are TOML or INI, and those of InfluxDB's clients will do. `docs/writing.md` lists the keys.

mod environment;
mod error;
mod file;
mod keys;
mod place;
mod settings;

pub use environment::Environment;
pub use error::ConfigError;
pub use place::Place;
pub use settings::Config;
