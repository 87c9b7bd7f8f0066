//! The settings that there are.

use std::time::Duration;

use crate::log::durability::Durability;
use crate::store::manifest::MAX_SHARDS;
use crate::store::name;
use crate::write::{OnFull, WriteOptions};

use super::settings::Config;

/// What a value should be.
pub(super) type Expected = &'static str;

/// Takes a value into a configuration.
type Set = fn(&mut Config, &str) -> Result<(), Expected>;

/// The settings of the section `[riverbed]`, and of `RIVERBED_` variables.
pub(super) const KEYS: &[(&str, Set)] = &[
    ("path", |config, text| {
        if text.is_empty() {
            return Err("the path of a directory");
        }
        config.path = Some(text.into());
        Ok(())
    }),
    ("stream", |config, text| {
        name::check(text).map_err(|_| "a stream's name: 1 to 128 letters, digits, '_', '-' or '.'")?;
        config.stream = Some(text.to_owned());
        Ok(())
    }),
    ("shards", |config, text| {
        let shards = number(text).filter(|shards| (1..=MAX_SHARDS).contains(shards));
        config.shards = Some(shards.ok_or("a whole number from 1 to 100000")?);
        Ok(())
    }),
    ("durability", |config, text| {
        config.durability = Some(match text {
            "buffered" => Durability::Buffered,
            "immediate" => Durability::Immediate,
            period => Durability::Periodic(
                duration(period)
                    .map_err(|_| "'buffered', 'immediate' or the time between syncs, as in '500ms'")?,
            ),
        });
        Ok(())
    }),
    ("batch_size", |config, text| write(config, from_one(text), WriteOptions::batch_size)),
    ("flush_interval", |config, text| write(config, duration(text), WriteOptions::flush_interval)),
    ("jitter_interval", |config, text| write(config, duration(text), WriteOptions::jitter_interval)),
    ("retry_interval", |config, text| write(config, duration(text), WriteOptions::retry_interval)),
    ("max_retries", |config, text| write(config, from_zero(text), WriteOptions::max_retries)),
    ("max_retry_delay", |config, text| write(config, duration(text), WriteOptions::max_retry_delay)),
    ("max_retry_time", |config, text| write(config, duration(text), WriteOptions::max_retry_time)),
    ("exponential_base", |config, text| {
        let base = from_one(text).and_then(|base| u32::try_from(base).map_err(|_| "a smaller number"));
        write(config, base, WriteOptions::exponential_base)
    }),
    ("max_close_wait", |config, text| write(config, duration(text), WriteOptions::max_close_wait)),
    ("max_items", |config, text| write(config, from_one(text), WriteOptions::max_items)),
    ("max_bytes", |config, text| write(config, from_zero(text), WriteOptions::max_bytes)),
    ("on_full", |config, text| {
        let on_full = match text {
            "block" => Ok(OnFull::Block),
            "would_block" => Ok(OnFull::WouldBlock),
            _ => Err("'block' or 'would_block'"),
        };
        write(config, on_full, WriteOptions::on_full)
    }),
];

fn write<T>(
    config: &mut Config,
    value: Result<T, Expected>,
    set: fn(WriteOptions, T) -> WriteOptions,
) -> Result<(), Expected> {
    config.write = set(std::mem::take(&mut config.write), value?);
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    // `FromStr` takes a sign that nobody writes.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn from_zero<T: std::str::FromStr>(text: &str) -> Result<T, Expected> {
    number(text).ok_or("a whole number, 0 or more")
}

fn from_one(text: &str) -> Result<usize, Expected> {
    number(text).filter(|number| *number > 0).ok_or("a whole number, 1 or more")
}

/// A time: a whole number with a unit; without one, milliseconds, as InfluxDB's client has them.
fn duration(text: &str) -> Result<Duration, Expected> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let seconds: u64 = match unit.trim_start() {
        "" | "ms" => 0,
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err(DURATION),
    };
    let count: u64 = number(count).filter(|_| digits > 0).ok_or(DURATION)?;
    if seconds == 0 {
        return Ok(Duration::from_millis(count));
    }
    count.checked_mul(seconds).map(Duration::from_secs).ok_or(DURATION)
}

const DURATION: Expected =
    "a time: a whole number of milliseconds, or with a unit, as in '10s' (ms, s, m, h)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_unless_they_say_otherwise() {
        for (text, millis) in [
            ("0", 0),
            ("1500", 1500),
            ("20ms", 20),
            ("10s", 10_000),
            ("10 s", 10_000),
            ("3m", 180_000),
            ("3min", 180_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in
            ["", "s", "-1", "+1", "1.5s", "1d", "1 s s", "é", "99999999999999999999", "9999999999999999999h"]
        {
            assert_eq!(duration(text), Err(DURATION), "{text}");
        }
    }

    #[test]
    fn keys_are_unique_and_in_lower_case() {
        let names: std::collections::BTreeSet<_> = KEYS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), KEYS.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }
}
