//! The decision table: from what is found of a segment to what is done about it.
//!
//! `docs/DESIGN.md` has the same rows under the same letters, and says why.

use std::fmt;

/// What a segment's two slots say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotKind {
    Blank,
    Open,
    Clean,
    Sealed,
    Damaged,
}

/// What is found of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// At least one header page identifies the segment, and as the one its name says.
    pub(crate) identified: bool,
    /// Its first record's number is below what the segments before have used.
    pub(crate) overlaps: bool,
    /// The file ends before the watermark.
    pub(crate) short: bool,
    /// The segment before lost its unsynced tail, or nobody can tell whether it did, and nothing from here on is durable.
    pub(crate) orphan: bool,
    pub(crate) slot: SlotKind,
    /// It has good frames.
    pub(crate) has_frames: bool,
    /// Only zeros follow the good frames.
    pub(crate) zeros_behind: bool,
    /// It is the shard's newest segment.
    pub(crate) last: bool,
    /// The next segment's first number is above this one's last.
    pub(crate) hole_behind: bool,
    /// A later segment has durable records: when they were synced, all of this segment was durable.
    pub(crate) later_durable: bool,
}

/// What recovery found about a segment, and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecoveryRow {
    /// A: sealed. Used as it is.
    Sealed,
    /// B: cleanly closed. Appends go on in it.
    CleanlyClosed,
    /// C: open, and all that was written is whole. Sealed at its end; appends go on in a new segment.
    Whole,
    /// D: open, and bytes that are no frame follow the good ones: an unacknowledged tail. Sealed before them,
    /// the bytes kept.
    TornTail,
    /// E: never used. Removed.
    NeverUsed,
    /// F: nothing in it was durable, and the segment before lost its tail, or may have, so that its records would follow a
    /// hole. Sealed as empty, the bytes kept.
    Orphaned,
    /// G: ends too early, although a later sync says that all of it was durable. Fenced from its end.
    LostDurable,
    /// H: both slots are damaged, so that the watermark is not known. Its good frames are served, the rest is
    /// fenced.
    WatermarkLost,
    /// I: no header page identifies it. Fenced whole.
    Unidentified,
    /// J: the file is missing. Fenced whole.
    Missing,
    /// K: the file ends before the watermark. Fenced from there.
    CutShort,
    /// L: its numbers were used before. Fenced whole.
    Overlapping,
}

impl RecoveryRow {
    /// Every row, in the order of their letters.
    pub const ALL: [Self; 12] = [
        Self::Sealed,
        Self::CleanlyClosed,
        Self::Whole,
        Self::TornTail,
        Self::NeverUsed,
        Self::Orphaned,
        Self::LostDurable,
        Self::WatermarkLost,
        Self::Unidentified,
        Self::Missing,
        Self::CutShort,
        Self::Overlapping,
    ];

    /// The row's letter in `docs/DESIGN.md`.
    pub fn letter(self) -> char {
        match self {
            Self::Sealed => 'A',
            Self::CleanlyClosed => 'B',
            Self::Whole => 'C',
            Self::TornTail => 'D',
            Self::NeverUsed => 'E',
            Self::Orphaned => 'F',
            Self::LostDurable => 'G',
            Self::WatermarkLost => 'H',
            Self::Unidentified => 'I',
            Self::Missing => 'J',
            Self::CutShort => 'K',
            Self::Overlapping => 'L',
        }
    }

    /// Whether records that had been durable are missing or cannot be read.
    pub fn is_damage(self) -> bool {
        match self {
            Self::LostDurable
            | Self::WatermarkLost
            | Self::Unidentified
            | Self::Missing
            | Self::CutShort
            | Self::Overlapping => true,
            Self::Sealed
            | Self::CleanlyClosed
            | Self::Whole
            | Self::TornTail
            | Self::NeverUsed
            | Self::Orphaned => false,
        }
    }
}

impl fmt::Display for RecoveryRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Sealed => "sealed",
            Self::CleanlyClosed => "cleanly closed",
            Self::Whole => "open and whole",
            Self::TornTail => "open with a torn tail",
            Self::NeverUsed => "never used",
            Self::Orphaned => "behind a lost tail",
            Self::LostDurable => "durable records lost",
            Self::WatermarkLost => "watermark lost",
            Self::Unidentified => "header lost",
            Self::Missing => "file missing",
            Self::CutShort => "file cut short",
            Self::Overlapping => "numbers used before",
        };
        write!(f, "{}: {words}", self.letter())
    }
}

/// The table. A missing file (row J) has no facts and is found by its absence.
pub(crate) fn decide(facts: &Facts) -> RecoveryRow {
    match *facts {
        Facts { identified: false, .. } => RecoveryRow::Unidentified,
        Facts { overlaps: true, .. } => RecoveryRow::Overlapping,
        Facts {
            slot: SlotKind::Blank,
            has_frames: false,
            zeros_behind: true,
            last: true,
            hole_behind: false,
            short: false,
            ..
        } => RecoveryRow::NeverUsed,
        Facts { orphan: true, .. } => RecoveryRow::Orphaned,
        Facts { short: true, .. } => RecoveryRow::CutShort,
        Facts { slot: SlotKind::Damaged, .. } => RecoveryRow::WatermarkLost,
        Facts { slot: SlotKind::Sealed, hole_behind: false, .. } => RecoveryRow::Sealed,
        Facts { hole_behind: true, later_durable: true, .. } => RecoveryRow::LostDurable,
        Facts { slot: SlotKind::Sealed, hole_behind: true, .. } => RecoveryRow::Sealed,
        Facts { slot: SlotKind::Clean, last: true, zeros_behind: true, .. } => RecoveryRow::CleanlyClosed,
        Facts { slot: SlotKind::Blank | SlotKind::Open | SlotKind::Clean, zeros_behind: true, .. } => {
            RecoveryRow::Whole
        }
        Facts { slot: SlotKind::Blank | SlotKind::Open | SlotKind::Clean, zeros_behind: false, .. } => {
            RecoveryRow::TornTail
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all_facts() -> Vec<Facts> {
        let slots = [SlotKind::Blank, SlotKind::Open, SlotKind::Clean, SlotKind::Sealed, SlotKind::Damaged];
        let mut all = Vec::new();
        for bits in 0..512_u32 {
            let bit = |index: u32| bits & (1 << index) != 0;
            for slot in slots {
                all.push(Facts {
                    identified: bit(0),
                    overlaps: bit(1),
                    short: bit(2),
                    orphan: bit(3),
                    slot,
                    has_frames: bit(4),
                    zeros_behind: bit(5),
                    last: bit(6),
                    hole_behind: bit(7),
                    later_durable: bit(8),
                });
            }
        }
        all
    }

    #[test]
    fn the_table_is_total_and_every_row_can_be_reached() {
        let reached: HashSet<_> = all_facts().iter().map(decide).collect();
        let mut missing: Vec<_> = RecoveryRow::ALL.into_iter().filter(|row| !reached.contains(row)).collect();
        missing.retain(|&row| row != RecoveryRow::Missing);
        assert_eq!(missing, []);
        let letters: String = RecoveryRow::ALL.iter().map(|row| row.letter()).collect();
        assert_eq!(letters, "ABCDEFGHIJKL");
    }

    #[test]
    fn no_row_destroys_what_may_have_been_acknowledged() {
        for facts in all_facts() {
            let row = decide(&facts);
            if row == RecoveryRow::NeverUsed {
                assert!(!facts.has_frames && facts.zeros_behind, "{facts:?}");
            }
            if row == RecoveryRow::CleanlyClosed {
                assert!(facts.zeros_behind && facts.last, "appends must not go on over bytes: {facts:?}");
            }
            if facts.later_durable && facts.hole_behind && !facts.orphan {
                assert!(row.is_damage(), "a hole below durable records is damage: {facts:?}");
            }
        }
    }
}
