//! Which instructions to hash with.

use std::sync::OnceLock;

use super::{Digests, Rows, Slot, digest};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512, sse2};

/// Instructions that this processor has been seen to have. There are no values for others, which is what makes
/// [`hash`](Self::hash) safe to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One key after the other.
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The fastest.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| {
            let mut best = Self(Kind::Scalar);
            Self::each(|level| best = level);
            best
        })
    }

    /// All there are, from slow to fast.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        Self::each(|level| all.push(level));
        all
    }

    /// Calls `found` with what the processor has, from slow to fast.
    fn each(mut found: impl FnMut(Self)) {
        found(Self(Kind::Scalar));
        #[cfg(target_arch = "x86_64")]
        {
            // Part of x86-64.
            found(Self(Kind::Sse2));
            if is_x86_feature_detected!("avx2") {
                found(Self(Kind::Avx2));
            }
            if is_x86_feature_detected!("avx512f") {
                found(Self(Kind::Avx512));
            }
        }
    }

    /// The name of the instruction set.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => "SSE2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
        }
    }

    /// How many keys it hashes at once.
    pub(super) fn lanes(self) -> usize {
        match self.0 {
            Kind::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => sse2::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512::LANES,
        }
    }

    /// Hashes up to [`lanes`](Self::lanes) keys, all of the same number of blocks; their digests come first in
    /// `digests`. Takes as long for two keys as for all.
    pub(super) fn hash(self, slots: &[Slot<'_>], rows: &mut Rows, digests: &mut Digests) {
        match self.0 {
            // All lanes take a little longer than one key by itself.
            _ if slots.len() <= 1 => one_by_one(slots, digests),
            Kind::Scalar => one_by_one(slots, digests),
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2 => {
                // SAFETY: every x86-64 processor has SSE2.
                unsafe { sse2::hash(slots, rows, digests) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                // SAFETY: there is a level of this kind only after AVX2 has been detected.
                unsafe { avx2::hash(slots, rows, digests) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                // SAFETY: there is a level of this kind only after AVX-512F has been detected.
                unsafe { avx512::hash(slots, rows, digests) }
            }
        }
    }
}

fn one_by_one(slots: &[Slot<'_>], digests: &mut Digests) {
    for (slot, to) in slots.iter().zip(digests) {
        *to = digest(slot.key);
    }
}
