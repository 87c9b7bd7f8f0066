//! `riverbed doctor`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use serde::Serialize;

use crate::error::CliError;
use crate::output::Output;
use crate::signals::Interrupt;
use crate::table::Table;
use crate::{Outcome, units};

/// How often the directory is synced.
const SYNCS: usize = 100;
/// Bytes that are reserved to try it.
const RESERVED: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Looks at the directory of --store, which need not be a store yet. Writes a file of 16 MiB there \
                        and removes it again.\n\nExample:\n  riverbed --store /var/lib/myservice doctor"
)]
pub(crate) struct Args {}

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Bad,
}

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    found: String,
    verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn new(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into(), verdict: Verdict::Ok, advice: None }
    }

    fn with(mut self, verdict: Verdict, advice: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.advice = Some(advice.into());
        self
    }
}

pub(crate) fn run(path: &Path, _: &Args, out: &mut Output) -> Result<Outcome, CliError> {
    // What is to be made there will be on the same file system.
    let dir = path.ancestors().find(|dir| dir.is_dir()).unwrap_or_else(|| Path::new("."));
    let mut findings = vec![Finding::new("directory", dir.display().to_string())];
    findings.push(file_system(dir)?);
    findings.push(free_space(dir)?);
    match Probe::create(dir) {
        Ok(mut probe) => {
            findings.push(probe.reserve());
            findings.push(probe.sync_latency()?);
        }
        Err(error) => {
            let advice = "give yourself the right to write here, or choose another directory with --store";
            findings.push(Finding::new("writing", error.to_string()).with(Verdict::Bad, advice));
        }
    }
    findings.extend(limit(
        "mappings",
        "/proc/sys/vm/max_map_count",
        65_530,
        "raise vm.max_map_count with sysctl",
    ));
    findings.extend(open_files());
    let outcome = if findings.iter().any(|finding| finding.verdict == Verdict::Bad) {
        Outcome::NotFine
    } else {
        Outcome::Fine
    };
    if out.is_json() {
        out.json(&findings)?;
        return Ok(outcome);
    }
    let mut table = Table::new(&["WHAT", "FOUND", ""]);
    for finding in &findings {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Bad => "bad",
        };
        table.row([finding.what.to_owned(), finding.found.clone(), verdict.to_owned()]);
    }
    table.write(out)?;
    for finding in &findings {
        if let Some(advice) = &finding.advice {
            out.alarm(&format!("{}: {advice}", finding.what))?;
        }
    }
    Ok(outcome)
}

fn file_system(dir: &Path) -> Result<Finding, CliError> {
    let stat = rustix::fs::statfs(dir).map_err(|error| CliError::io("look at", dir)(error.into()))?;
    // The type of this field differs from platform to platform.
    let magic = i128::from(stat.f_type);
    let copies_on_write = "it copies on write: running out of space may end the process in spite of reserved space; \
                           prefer ext4 or xfs";
    let far_away = "mappings and locks may not behave there: prefer a local disk with ext4 or xfs";
    let (name, concern) = match magic {
        0xEF53 => ("ext4", None),
        0x5846_5342 => ("xfs", None),
        0xF2F5_2010 => ("f2fs", None),
        0x0102_1994 => ("tmpfs", Some("it is memory: everything is gone when the machine stops")),
        0x9123_683E => ("btrfs", Some(copies_on_write)),
        0x2FC1_2FC1 => ("zfs", Some(copies_on_write)),
        0x794C_7630 => {
            ("overlayfs", Some("it goes away with its container: use a volume for data that is to stay"))
        }
        0x6969 => ("nfs", Some(far_away)),
        0xFF53_4D42 | 0xFE53_4D42 => ("smb", Some(far_away)),
        0x6573_5546 => ("fuse", Some(far_away)),
        0x0102_1997 => ("9p", Some(far_away)),
        _ => ("", None),
    };
    let found = if name.is_empty() { format!("type {magic:#x}") } else { name.to_owned() };
    let finding = Finding::new("file system", found);
    Ok(match concern {
        Some(concern) => finding.with(Verdict::Warning, concern),
        None if name.is_empty() => {
            finding.with(Verdict::Warning, "nobody has tried that one: prefer ext4 or xfs")
        }
        None => finding,
    })
}

fn free_space(dir: &Path) -> Result<Finding, CliError> {
    let stat = rustix::fs::statvfs(dir).map_err(|error| CliError::io("look at", dir)(error.into()))?;
    let (free, total) =
        (stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize));
    let finding = Finding::new("free space", format!("{} of {}", units::bytes(free), units::bytes(total)));
    Ok(match free {
        0..0x0400_0000 => {
            finding.with(Verdict::Bad, "there is no room for one full segment of 64 MiB: free some")
        }
        0x0400_0000..0x4000_0000 => {
            finding.with(Verdict::Warning, "that is less than 1 GiB: free some, or set --keep-bytes")
        }
        _ => finding,
    })
}

/// A file to try things with, which goes away.
struct Probe {
    path: PathBuf,
    file: File,
}

impl Probe {
    fn create(dir: &Path) -> Result<Self, CliError> {
        // A store empties this one when it is opened, should somebody kill this.
        let scratch = dir.join("scratch");
        let dir = if scratch.is_dir() { &scratch } else { dir };
        let path = dir.join(format!(".riverbed-doctor-{}", std::process::id()));
        let open = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = open.map_err(CliError::io("create", &path))?;
        Ok(Self { path, file })
    }

    fn reserve(&mut self) -> Finding {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, RESERVED) {
            Ok(()) => Finding::new("fallocate", "works"),
            Err(error) => Finding::new("fallocate", error.to_string())
                .with(Verdict::Warning, "space is reserved by writing zeros instead, which takes longer"),
        }
    }

    fn sync_latency(&mut self) -> Result<Finding, CliError> {
        let mut times = Vec::with_capacity(SYNCS);
        let interrupt = Interrupt::on_signals()?;
        for _ in 0..SYNCS {
            if interrupt.is_asked() {
                return Err(CliError::Interrupted);
            }
            let started = Instant::now();
            let synced = self.file.write_all(&[7; 256]).and_then(|()| self.file.sync_data());
            synced.map_err(CliError::io("sync", &self.path))?;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        let (median, most) = (at(SYNCS / 2), at(SYNCS * 99 / 100));
        let finding = Finding::new(
            "sync",
            format!("{} (median), {} (99 of 100)", units::measured(median), units::measured(most)),
        );
        Ok(if median < Duration::from_micros(20) {
            finding.with(
                Verdict::Warning,
                "faster than disks are: whatever is below may not keep what it says it has synced",
            )
        } else if median > Duration::from_millis(30) {
            finding.with(Verdict::Warning, "slow: with durability 'immediate' each put waits for that")
        } else {
            finding
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // What remains is seen by the next one who looks at the directory.
        drop(fs::remove_file(&self.path));
    }
}

/// A number in a file of the kernel's, where there is one.
fn limit(what: &'static str, path: &str, least: u64, advice: &str) -> Option<Finding> {
    let number: u64 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let finding = Finding::new(what, format!("{} at the most", units::count(number)));
    Some(if number < least { finding.with(Verdict::Warning, advice) } else { finding })
}

fn open_files() -> Option<Finding> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    let finding = Finding::new("open files", format!("{} at the most", units::count(number)));
    Some(if number < 1024 {
        finding.with(
            Verdict::Warning,
            "a store keeps a quarter of that open and opens the others again for each sync: raise it with ulimit -n",
        )
    } else {
        finding
    })
}
