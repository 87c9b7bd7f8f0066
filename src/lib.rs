//! Riverbed: an embedded append-only stream storage engine.
