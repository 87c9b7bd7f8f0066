//! What a process takes: memory of its own, mappings, descriptors.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(unreachable_pub, reason = "shared by several test binaries, each of which is a crate of its own")]

/// One look at this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Usage {
    /// Memory that is not backed by files, in KiB.
    pub anonymous: u64,
    pub mappings: u64,
    pub descriptors: u64,
    /// Files of the store's segments on disk, in KiB, and how many shards they are of; zero where that is not known.
    pub segments: u64,
    pub shards: u64,
}

impl Usage {
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        Self {
            anonymous: anonymous.trim().trim_end_matches(" kB").parse().unwrap(),
            mappings: std::fs::read_to_string("/proc/self/maps").unwrap().lines().count() as u64,
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count() as u64,
            ..Self::default()
        }
    }

    pub fn line(&self) -> String {
        let Self { anonymous, mappings, descriptors, segments, shards } = self;
        format!("usage {anonymous} {mappings} {descriptors} {segments} {shards}\n")
    }

    pub fn parse(line: &str) -> Option<Self> {
        let parts: Vec<u64> =
            line.strip_prefix("usage ")?.split(' ').map(|part| part.parse().unwrap()).collect();
        let [anonymous, mappings, descriptors, segments, shards] = parts[..] else { return None };
        Some(Self { anonymous, mappings, descriptors, segments, shards })
    }

    fn parts(&self) -> [u64; 5] {
        [self.anonymous, self.mappings, self.descriptors, self.segments, self.shards]
    }
}

/// Checks that a process takes no more and more: in the second half of its time not much more than in the first, of which
/// the beginning does not count.
pub fn check_flat(who: &str, samples: &[Usage]) {
    let warm = &samples[samples.len() / 5..];
    let (first, second) = warm.split_at(warm.len() / 2);
    let most =
        |samples: &[Usage], which: usize| samples.iter().map(|it| it.parts()[which]).max().unwrap_or(0);
    let names = ["KiB of memory", "mappings", "descriptors", "KiB of segments", "shards"];
    let spare = [24 * 1024, 150, 60, 48 * 1024, 200];
    for (which, (name, spare)) in names.into_iter().zip(spare).enumerate() {
        let (before, after) = (most(first, which), most(second, which));
        println!("{who}: at the most {before} {name} in the first half, {after} in the second");
        assert!(
            after <= before + before / 4 + spare,
            "{who} takes more and more: {name} from {before} to {after}"
        );
    }
}
