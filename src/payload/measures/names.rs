//! Names that the service keeps for columns of its own.

/// Whether no dimension and no measure may have this name: the union of what the service's list of limits and its clients
/// say.
pub(crate) fn reserved(name: &str) -> bool {
    const NAMES: [&str; 2] = ["time", "ts_non_existent_col"];
    const PREFIXES: [&str; 3] = ["ts_", "measure_name", "measure_value"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.contains(':')
}
