//! Values on the command line.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use riverbed::{Durability, Position, SequenceNumber, ShardId, Timestamp};

/// The file that was named; `-` names none, but standard input or output.
pub(crate) fn file(named: Option<&PathBuf>) -> Option<&Path> {
    named.map(PathBuf::as_path).filter(|path| *path != Path::new("-"))
}

/// A time span: `90s`, `15m`, `7d`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as in 90s, 15m or 7d"))
}

/// Bytes: `4096`, `64KiB`, `10GiB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let size: ByteSize = text.parse().map_err(|error| format!("{error}; write it as in 64KiB or 10GiB"))?;
    Ok(size.as_u64())
}

/// A shard: its number, or its id in full.
pub(crate) fn shard(text: &str) -> Result<ShardId, String> {
    match text.parse::<u32>() {
        Ok(number) => Ok(ShardId::new(number)),
        Err(_) => {
            text.parse().map_err(|error: riverbed::ParseShardIdError| format!("{error}; or its number"))
        }
    }
}

/// `buffered`, `immediate`, or the time within which a sync follows.
pub(crate) fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "buffered" => Ok(Durability::Buffered),
        "immediate" => Ok(Durability::Immediate),
        _ => humantime::parse_duration(text).map(Durability::Periodic).map_err(|_| {
            "choose buffered, immediate, or a time such as 1s within which a sync follows".to_owned()
        }),
    }
}

/// Where to start reading. What is relative to now is worked out when it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Oldest,
    Latest,
    At(SequenceNumber),
    After(SequenceNumber),
    Time(SystemTime),
    Ago(Duration),
}

impl From {
    /// The position, and the shard that it is of when it is one record's.
    pub(crate) fn position(self) -> (Position, Option<ShardId>) {
        match self {
            Self::Oldest => (Position::TrimHorizon, None),
            Self::Latest => (Position::Latest, None),
            Self::At(number) => (Position::AtSequenceNumber(number), Some(number.shard_id())),
            Self::After(number) => (Position::AfterSequenceNumber(number), Some(number.shard_id())),
            Self::Time(time) => (Position::AtTimestamp(time.into()), None),
            Self::Ago(ago) => {
                (Position::AtTimestamp(Timestamp::from(SystemTime::now()).saturating_sub(ago)), None)
            }
        }
    }
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.parse().map_err(|error| format!("{error}"));
        match text {
            "oldest" | "trim-horizon" => return Ok(Self::Oldest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Some(text) = text.strip_prefix("at:") {
            return number(text).map(Self::At);
        }
        if let Some(text) = text.strip_prefix("after:") {
            return number(text).map(Self::After);
        }
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        humantime::parse_rfc3339_weak(text).map(Self::Time).map_err(|_| {
            "choose oldest, latest, at:NUMBER, after:NUMBER, a time such as 2026-03-01T12:00:00Z, or how long ago, such \
             as 15m"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_told_apart() {
        let number = SequenceNumber::try_from(7 << 32 | 3).unwrap_or_else(|error| panic!("{error}"));
        let cases = [
            ("oldest", From::Oldest),
            ("trim-horizon", From::Oldest),
            ("latest", From::Latest),
            ("at:30064771075", From::At(number)),
            ("after:30064771075", From::After(number)),
            ("15m", From::Ago(Duration::from_secs(900))),
            ("1970-01-01T00:00:01Z", From::Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1))),
            ("1970-01-01 00:00:01", From::Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1))),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<From>(), Ok(expected), "{text}");
        }
        for text in ["", "newest", "at:", "at:-1", "after:x", "yesterday", "1970-13-01T00:00:00Z"] {
            assert!(text.parse::<From>().is_err(), "{text}");
        }
    }

    #[test]
    fn shards_are_numbers_or_ids() {
        assert_eq!(shard("3"), Ok(ShardId::new(3)));
        assert_eq!(shard("shardId-000000000003"), Ok(ShardId::new(3)));
        assert!(shard("shard-3").is_err());
    }
}
