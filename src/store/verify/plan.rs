//! What can be done about faults.

use std::fmt;
use std::path::PathBuf;

use crate::log::inspect::{Fault, FaultKind, Findings, Severity};

use super::super::layout::Layout;

/// A kind of repair. All of them keep every byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RepairKind {
    /// Move an index away that does not fit its segment. It is made anew when it is needed.
    QuarantineIndex,
    /// Move a segment away of which nothing can be read. Its records stay missing, and readers are told so; a later segment
    /// sees to it that their numbers are not used again.
    QuarantineSegment,
    /// Move the store's manifest away and write a new one: all that is lost is when the store was created.
    RewriteStoreManifest,
}

/// Something that can be done about a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairAction {
    /// What to do.
    pub kind: RepairKind,
    /// The file to do it to.
    pub path: PathBuf,
    /// The fault, in words.
    pub reason: String,
}

impl fmt::Display for RepairAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            RepairKind::QuarantineIndex => write!(f, "move the index {path} to the quarantine"),
            RepairKind::QuarantineSegment => write!(f, "move the segment {path} to the quarantine"),
            RepairKind::RewriteStoreManifest => {
                write!(f, "move {path} to the quarantine and write a new one")
            }
        }?;
        write!(f, ": {}", self.reason)
    }
}

/// A fault that repairing does not mend, and why.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LeftAlone {
    /// The fault.
    pub fault: Fault,
    /// Why it is left alone, and what remains to be done.
    pub why: &'static str,
}

impl fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.why)
    }
}

/// What [`Store::repair`](crate::Store::repair) is to do. Made by
/// [`VerifyReport::repair_plan`](crate::VerifyReport::repair_plan); take out of `actions` what you do not want.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RepairPlan {
    /// What to do, in this order.
    pub actions: Vec<RepairAction>,
    /// What is not mended by that.
    pub left_alone: Vec<LeftAlone>,
}

/// The plan for what was found.
pub(super) fn propose(layout: &Layout, found: &Findings) -> RepairPlan {
    let mut plan = RepairPlan::default();
    let store_manifest = layout.manifest();
    for fault in &found.faults {
        let kind = match fault.kind {
            FaultKind::StoreManifest if fault.path == store_manifest => {
                Some(RepairKind::RewriteStoreManifest)
            }
            FaultKind::Index => Some(RepairKind::QuarantineIndex),
            FaultKind::HeaderLost | FaultKind::Overlap if found.removable.contains(&fault.path) => {
                Some(RepairKind::QuarantineSegment)
            }
            _ => None,
        };
        match kind {
            Some(kind) => plan.actions.push(RepairAction {
                kind,
                path: fault.path.clone(),
                reason: format!("{}: {}", fault.kind, fault.detail),
            }),
            None if fault.severity == Severity::Damage => {
                plan.left_alone.push(LeftAlone { fault: fault.clone(), why: why_not(fault.kind) });
            }
            None => {}
        }
    }
    plan
}

fn why_not(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::StreamManifest | FaultKind::StoreManifest => {
            "which keys go to which shard is written nowhere else: restore the file from a copy"
        }
        FaultKind::NewerFormat => "use a newer riverbed",
        FaultKind::Unreadable => "copy what can be read to another disk, then verify that",
        FaultKind::HeaderPage | FaultKind::Slot => "the other one is used, and no record is missing",
        FaultKind::HeaderLost | FaultKind::Overlap => {
            "no later segment knows which numbers were used: it stays where it is, so that none is used twice; its \
             records cannot be read, everything else can"
        }
        FaultKind::WatermarkLost => {
            "the records that are whole are served; what is missing behind them is not known"
        }
        FaultKind::FileTooShort => "what was cut off is gone; the records before it are served",
        FaultKind::Frame | FaultKind::Order | FaultKind::Watermark => {
            "the record is lost; readers are told, and go on behind it where they may (skip_damage, --skip-damage)"
        }
        FaultKind::Schema => {
            "restore the schema from a copy: the batches that have it can be read as bytes until then, not as columns"
        }
        FaultKind::NotBlank => "nothing is missing, and what is there is not served",
        FaultKind::MissingSegment | FaultKind::MissingRecords => {
            "what is missing is gone; readers are told, and go on behind it where they may (skip_damage, --skip-damage)"
        }
        FaultKind::Checkpoints => {
            "how far the consumer has come is written nowhere else: restore the file from a copy, or reset the consumer"
        }
        FaultKind::Tail | FaultKind::Index | FaultKind::Leftover => "nothing depends on it",
    }
}
