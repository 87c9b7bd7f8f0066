//! Points and bodies of line protocol in a stream.
#![cfg(feature = "line-protocol")]

#[cfg(test)]
#[path = "../line_protocol/arbitrary.rs"]
mod arbitrary;
#[cfg(test)]
#[path = "../line_protocol/bodies.rs"]
mod bodies;

#[cfg(test)]
mod decoding;
#[cfg(test)]
mod default_tags;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod series;
#[cfg(test)]
mod times;
#[cfg(test)]
mod whole_or_partial;

#[cfg(test)]
mod support;
